import type { Cloud } from '../cloud.ts'
import { isListed } from '../cloud/interfaces.ts'
import type { Resource, Tags } from '../cloud/types.ts'
import type { CompiledFilters, FilterTable } from '../filters.ts'
import { listPage } from '../listing.ts'
import type { Source } from '../listing.ts'
import { operation } from '../operation.ts'
import { filterField, integer, text } from '../wire/parameters.ts'

/** One tag of one resource. */
interface TagRow {
  readonly ordinal: number
  readonly resource: Resource
  readonly key: string
  readonly value: string
  /** The tag itself: `tag:<key>` filters by it. */
  readonly tags: Tags
}

const FILTERS: FilterTable<TagRow> = {
  key: (row) => row.key,
  'resource-id': (row) => row.resource.id,
  'resource-type': (row) => row.resource.resourceType,
  value: (row) => row.value,
}

/** More than a resource can have tags: keeps the rows of resources apart. */
const ROWS_PER_RESOURCE = 1024

export const describeTags = operation({
  action: 'DescribeTags',
  changes: false,
  parameters: { Filter: filterField, MaxResults: integer({ min: 0 }), NextToken: text() },
  execute(cloud, parameters) {
    const { items, nextToken } = listPage(
      parameters,
      {
        action: 'DescribeTags',
        filters: FILTERS,
        pageSize: { min: 5, max: 1000 },
        candidates: (filters) => candidates(cloud, filters),
        shortPages: cloud.settings.shortPages,
      },
      cloud.now(),
    )
    const tagSet = items.map(({ resource, key, value }) => ({
      resourceId: resource.id,
      resourceType: resource.resourceType,
      key,
      value,
    }))
    return { tagSet, nextToken }
  },
})

function candidates(cloud: Cloud, filters: CompiledFilters<TagRow>): Source<TagRow> {
  const ids = filters.exact('resource-id')
  const resources =
    ids === undefined ? allResources(cloud) : [...new Set(ids)].flatMap((id) => cloud.findResource(id) ?? [])
  const ordered = resources.filter((one) => one.tags.size > 0).sort((a, b) => a.ordinal - b.ordinal)
  return {
    *after(ordinal) {
      for (const resource of ordered) {
        let row = resource.ordinal * ROWS_PER_RESOURCE
        for (const [key, value] of resource.tags) {
          if (row > ordinal) yield { ordinal: row, resource, key, value, tags: new Map([[key, value]]) }
          row++
        }
      }
    },
  }
}

function allResources(cloud: Cloud): Resource[] {
  const nowMs = cloud.now()
  return [
    ...cloud.vpcs,
    ...cloud.subnets,
    ...cloud.cidrReservations,
    ...cloud.groups,
    ...cloud.routeTables,
    ...cloud.instances,
    ...cloud.elasticIPs,
    ...[...cloud.interfaces.existing()].filter((iface) => isListed(iface, nowMs)),
  ]
}
