import type { PoolRequest } from '../ipam/cilium-node.ts'
import type { JSONObject } from '../ipam/types.ts'
import type { LocalNode, NodePool } from './local-node.ts'

/** What an agent of multi-pool mode writes to `spec.ipam.pools`; both lists sorted by pool. */
export interface PoolsToWrite {
  readonly requested: readonly PoolRequest[]
  /** CIDRs: IPv4 sorted as text, then IPv6. */
  readonly allocated: readonly NodePool[]
}

/**
 * The merge patch that makes `spec.ipam.pools` of exactly the seen version say this.
 *
 * @returns undefined when it does
 */
export function poolsPatch(seen: LocalNode, wanted: PoolsToWrite): JSONObject | undefined {
  const pools = poolsJSON(wanted)
  if (JSON.stringify(pools) === JSON.stringify(poolsJSON(seen))) return undefined
  return { metadata: { resourceVersion: seen.resourceVersion }, spec: { ipam: { pools } } }
}

/** Wire form: zeros and false are left out, as Go does. */
function poolsJSON({ requested, allocated }: PoolsToWrite): JSONObject {
  return {
    requested: requested.map(({ pool, ipv4Addrs, ipv6Addrs }) => ({
      pool,
      needed: { ...(ipv4Addrs > 0 && { 'ipv4-addrs': ipv4Addrs }), ...(ipv6Addrs > 0 && { 'ipv6-addrs': ipv6Addrs }) },
    })),
    allocated: allocated.map(({ pool, cidrs, allowFirstIP, allowLastIP }) => ({
      pool,
      cidrs: [...cidrs],
      ...(allowFirstIP && { allowFirstIP }),
      ...(allowLastIP && { allowLastIP }),
    })),
  }
}
