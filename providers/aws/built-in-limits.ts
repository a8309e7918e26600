import type { Limits } from '../../src/ipam/types.ts'
import table from './data/instance-limits.json' with { type: 'json' }

interface Row {
  /** Over all network cards. */
  readonly adapters: number
  readonly ipv4: number
  readonly ipv6: number
  readonly hypervisor: string
  readonly bareMetal: boolean
  /** Absent: one. Types with several spread their interfaces evenly. */
  readonly cards?: number
}

/**
 * Limits of common types, for as long as EC2 has not answered: an account that may not call DescribeInstanceTypes, or a region
 * whose API is down at our start, is served all the same.
 *
 * @param countsOnlyFirstNetworkCard count the interfaces of card 0 only
 * @source cilium pkg/aws/limits (up to 1.17 a built-in table, refreshed from EC2)
 */
export function builtInLimits(countsOnlyFirstNetworkCard: boolean): ReadonlyMap<string, Limits> {
  return new Map(
    Object.entries<Row>(table.types).map(([type, { adapters, ipv4, ipv6, hypervisor, bareMetal, cards = 1 }]) => [
      type,
      {
        adapters: countsOnlyFirstNetworkCard ? adapters / cards : adapters,
        ipv4,
        ipv6,
        hypervisorType: hypervisor,
        isBareMetal: bareMetal,
      },
    ]),
  )
}
