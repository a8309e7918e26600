import type { PoolRequest } from './cilium-node.ts'
import { DEFAULT_POOL } from './cilium-node.ts'
import type { IPv4CIDR } from './ip-range.ts'
import { cidrContains, parseIPv4, parseIPv4CIDR, PREFIX_SIZE } from './ip-range.ts'
import type { ResourceDemand } from './resource-demand.ts'
import type { AllocationMap, IPAMProfile } from './types.ts'

/**
 * How a node's agent states its demand.
 *
 * - `multi-pool`: it requests addresses in `spec.ipam.pools.requested` (agents from 1.20 on)
 * - `crd-pool`: it reports used addresses in `status.ipam.used` (agents up to 1.19)
 * - `undecided`: neither has been seen yet; served as `crd-pool`
 */
export type AgentGeneration = 'multi-pool' | 'crd-pool' | 'undecided'

export interface Usage {
  readonly generation: AgentGeneration
  /** Addresses in use by pods (count). */
  readonly usedIPs: number
  /** IPv6 prefixes to attach (count, 0 or 1). */
  readonly neededIPv6Prefixes: number
}

export interface PoolDemand {
  /** In use plus pre-allocate (counts of addresses). */
  readonly ipv4: number
  readonly ipv6: number
}

/**
 * What the agent requests from the pool named `default`; the first entry of that name counts.
 *
 * @returns undefined when there is no such entry
 * @source cilium pkg/ipam/node.go, recalculate (1.20 and later)
 */
export function poolRequested(requested: readonly PoolRequest[]): PoolDemand | undefined {
  const entry = requested.find((request) => request.pool === DEFAULT_POOL)
  return entry === undefined ? undefined : { ipv4: entry.ipv4Addrs, ipv6: entry.ipv6Addrs }
}

/**
 * Which generation the agent is of, and what its pods use.
 *
 * Profiles up to 1.19 know only the `used` map: every node is `crd-pool` there.
 *
 * @param options.preAllocate effective value (count): a multi-pool agent requests in-use plus pre-allocate
 * @param options.availableIPv6Prefixes IPv6 prefixes on the node's interfaces (count)
 */
export function usageOf(
  resource: ResourceDemand,
  options: { readonly preAllocate: number; readonly availableIPv6Prefixes: number; readonly profile: IPAMProfile },
): Usage {
  const usedCount = resource.status.used.size
  if (options.profile !== 'latest' || usedCount > 0)
    return { generation: 'crd-pool', usedIPs: usedCount, neededIPv6Prefixes: 0 }
  const demand = poolRequested(resource.spec.ipam.requested)
  if (demand === undefined) return { generation: 'undecided', usedIPs: 0, neededIPv6Prefixes: 0 }
  return {
    generation: 'multi-pool',
    usedIPs: Math.max(demand.ipv4 - options.preAllocate, 0),
    neededIPv6Prefixes: demand.ipv6 > 0 && options.availableIPv6Prefixes === 0 ? 1 : 0,
  }
}

/**
 * Used addresses as the excess formula of profiles up to 1.18 counts them on a prefix-delegated node: a prefix with a used
 * address counts as a whole, a used address outside of the prefixes of its interface as one, and a used address of an interface
 * that is not listed not at all.
 *
 * @param prefixesByInterface interface ID → its delegated prefixes (CIDR texts), every interface of the node listed
 * @param used `status.ipam.used`
 * @returns a count of addresses
 * @source cilium pkg/aws/ipam/node.go, GetUsedIPWithPrefixes (up to 1.18)
 */
export function usedIPsWithPrefixes(
  prefixesByInterface: ReadonlyMap<string, readonly string[]>,
  used: AllocationMap,
): number {
  const networks = new Map<string, readonly IPv4CIDR[]>()
  for (const [interfaceID, prefixes] of prefixesByInterface)
    networks.set(
      interfaceID,
      prefixes.map((prefix) => parseIPv4CIDR(prefix)).filter((network) => network !== undefined),
    )
  const touched = new Set<IPv4CIDR>()
  let singleCount = 0
  for (const [address, { resource }] of used) {
    const candidates = networks.get(resource ?? '')
    if (candidates === undefined) continue
    const value = parseIPv4(address)
    const prefix = value === undefined ? undefined : candidates.find((network) => cidrContains(network, value))
    if (prefix === undefined) singleCount += 1
    else touched.add(prefix)
  }
  return touched.size * PREFIX_SIZE + singleCount
}
