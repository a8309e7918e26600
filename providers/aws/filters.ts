import type { Tags } from '../../src/ipam/types.ts'
import type { EC2Filter } from './types.ts'

/** Most values of one filter in one request (count). @source AWS documentation, EC2 API, Filter */
export const MAX_FILTER_VALUES = 200

/** One filter per tag. @source cilium pkg/aws/ec2/ec2.go, NewTagsFilter */
export function tagFilters(tags: Tags): readonly EC2Filter[] {
  return Object.entries(tags).map(([key, value]) => ({ name: `tag:${key}`, values: [value] }))
}

/** @source cilium pkg/aws/ec2/ec2.go, NewSubnetsFilters */
export function subnetFilters(tags: Tags, ids: readonly string[]): readonly EC2Filter[] {
  return [...tagFilters(tags), ...(ids.length === 0 ? [] : [{ name: 'subnet-id', values: ids }])]
}

/** In parts of at most `size`. */
export function chunks<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  )
}

/**
 * The same listing as several requests, each within what EC2 takes in one filter. Values of one filter are alternatives, so
 * the answers add up.
 *
 * @returns at least one set of filters
 */
export function splitFilters(filters: readonly EC2Filter[]): readonly (readonly EC2Filter[])[] {
  const large = filters.find(({ values }) => values.length > MAX_FILTER_VALUES)
  if (large === undefined) return [filters]
  return chunks(large.values, MAX_FILTER_VALUES).flatMap((values) =>
    splitFilters(filters.map((filter) => (filter === large ? { name: large.name, values } : filter))),
  )
}
