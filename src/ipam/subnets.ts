import type { Subnet, Tags } from './types.ts'

/**
 * @returns true when every required key is present with the same value; an empty requirement matches everything
 * @source cilium pkg/ipam/types/types.go, Tags.Match
 */
export function tagsMatch(required: Tags, tags: Tags): boolean {
  return Object.entries(required).every(([key, value]) => Object.hasOwn(tags, key) && tags[key] === value)
}

export interface SubnetWithRoom {
  /** Empty when no subnet has room. */
  readonly poolID: string
  /** Free IPv4 addresses (count). */
  readonly availableAddresses: number
}

/**
 * The first of the preferred subnets that exists and has room, else the first other one with room by ID. The reference walks a
 * Go map for the latter, so that any may win; a fixed order is one of its possible outcomes.
 *
 * @param subnets by ID
 * @source cilium pkg/ipam/types/types.go, SubnetMap.FirstSubnetWithAvailableAddresses
 */
export function firstSubnetWithAvailableAddresses(
  preferredIDs: readonly string[],
  subnets: ReadonlyMap<string, Pick<Subnet, 'availableAddresses'>>,
): SubnetWithRoom {
  for (const poolID of [...preferredIDs, ...[...subnets.keys()].sort()]) {
    const availableAddresses = subnets.get(poolID)?.availableAddresses ?? 0
    if (availableAddresses > 0) return { poolID, availableAddresses }
  }
  return { poolID: '', availableAddresses: 0 }
}
