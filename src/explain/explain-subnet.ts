import type { Explanation } from './explanation.ts'
import { explanationOf } from './explanation.ts'
import type { Reason } from './reasons.ts'

/** What is known of a subnet. */
export interface SubnetFacts {
  readonly poolID: string
  readonly freeIPs: number
  /** Addresses that instances could have in all (count); undefined where the provider does not say. */
  readonly totalIPs?: number | undefined
  /** Whole /28 blocks that nothing is in (count); undefined where nobody counts them. */
  readonly freeBlocks: number | undefined
  /** At the present rate, until no address is free (ms); undefined while it does not get emptier. */
  readonly emptyMs: number | undefined
}

/** What a subnet can give. @param subnet undefined when it is not known. @param known the IDs of those that are */
export function explainSubnet(
  poolID: string,
  subnet: SubnetFacts | undefined,
  known: readonly string[],
  at: Date,
): Explanation {
  const reason = subnetReason(poolID, subnet, known)
  return explanationOf({ kind: 'subnet', name: poolID, reasons: [reason], estimateMs: undefined, at })
}

function subnetReason(poolID: string, subnet: SubnetFacts | undefined, known: readonly string[]): Reason {
  if (subnet === undefined) return { code: 'subnet-unknown', poolID, known: listOf(known) }
  const { freeIPs, freeBlocks, emptyMs } = subnet
  if (freeIPs === 0) return { code: 'subnet-full', poolID }
  if (freeBlocks === 0) return { code: 'subnet-without-blocks', poolID, freeIPs }
  return { code: 'subnet-has-room', poolID, freeIPs, freeBlocks, emptyMs }
}

/** Names that are told (count): the rest is said as a number. */
const MAX_NAMES = 20

/** Sorted names, shortened. */
export function listOf(names: readonly string[]): string {
  if (names.length === 0) return 'none'
  const told = names.toSorted().slice(0, MAX_NAMES)
  const rest = names.length - told.length
  return rest === 0 ? told.join(', ') : `${told.join(', ')} and ${rest} more`
}
