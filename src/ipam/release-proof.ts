import { cidrContains, cidrSize, parseIPv4, parseIPv4CIDR } from './ip-range.ts'
import type { AllocationMap, ReleaseAction } from './types.ts'

/** A read of the instance proves what it shows for this long (ms, exclusive). docs/decisions/0010-proof-before-destroy.md */
export const PROOF_LIFETIME_MS = 60_000

export interface Proof {
  /** Start of the newest read that covered the instance (`AllocationImplementation.syncedAtMs`). */
  readonly syncedAtMs: number | undefined
  /** When the agent's word was seen: its acknowledgement, or the version in which it had dropped the CIDR. */
  readonly wordAtMs: number
}

/** Whether something may be given back on this: a read that started after the agent's word and is not old yet. */
export function isProven({ syncedAtMs, wordAtMs }: Proof, nowMs: number): boolean {
  return syncedAtMs !== undefined && syncedAtMs > wordAtMs && nowMs - syncedAtMs < PROOF_LIFETIME_MS
}

/**
 * The action without anything a pod uses, whatever the handshake says: a prefix with one used address stays as a whole, and its
 * addresses with it.
 *
 * @param used `status.ipam.used` of the newest version of the resource
 * @returns undefined when nothing is left
 */
export function withoutUsed(action: ReleaseAction, used: AllocationMap): ReleaseAction | undefined {
  const usedAddresses = [...used.keys()].map(parseIPv4).filter((address) => address !== undefined)
  const isFree = (cidr: string): boolean => {
    const range = parseIPv4CIDR(cidr)
    return range !== undefined && !usedAddresses.some((address) => cidrContains(range, address))
  }
  const ipPrefixesToRelease = action.ipPrefixesToRelease.filter(isFree)
  const kept = action.ipPrefixesToRelease.filter((prefix) => !ipPrefixesToRelease.includes(prefix))
  const withheld = kept.map(parseIPv4CIDR).filter((range) => range !== undefined)
  const ipsToRelease = action.ipsToRelease.filter((text) => {
    const address = parseIPv4(text)
    return !used.has(text) && !(address !== undefined && withheld.some((range) => cidrContains(range, address)))
  })
  const cidrsToRelease = action.cidrsToRelease.filter(isFree)
  if (ipsToRelease.length + ipPrefixesToRelease.length + cidrsToRelease.length === 0) return undefined
  return { ...action, ipsToRelease, ipPrefixesToRelease, cidrsToRelease }
}

/**
 * As many of the action's CIDRs, in order, as leave no new need behind: what is given back only to be attached again wears out the
 * cloud's quota for nothing.
 *
 * @param surplus addresses above what the node wants (count)
 * @returns undefined when nothing is left
 */
export function withinSurplus(action: ReleaseAction, surplus: number): ReleaseAction | undefined {
  const cidrsToRelease = cidrsWithinSurplus(action.cidrsToRelease, surplus)
  return cidrsToRelease.length === 0 ? undefined : { ...action, cidrsToRelease }
}

/** As `withinSurplus`, of CIDRs alone. */
export function cidrsWithinSurplus(cidrs: readonly string[], surplus: number): readonly string[] {
  let left = surplus
  return cidrs.filter((cidr) => {
    const range = parseIPv4CIDR(cidr)
    if (range === undefined || cidrSize(range) > left) return false
    left -= cidrSize(range)
    return true
  })
}

/** Cloud calls that an action takes (count): prefixes and single addresses are given back by separate ones. */
export function destructiveCallCount(action: ReleaseAction): number {
  if (action.cidrsToRelease.length > 0) {
    const prefixes = action.cidrsToRelease.filter((cidr) => !isSingle(cidr)).length
    return Number(prefixes > 0) + Number(prefixes < action.cidrsToRelease.length)
  }
  return Number(action.ipPrefixesToRelease.length > 0) + Number(singleAddresses(action).length > 0)
}

/** Addresses of the action that belong to none of its prefixes: what `releaseIPs` gives back. */
export function singleAddresses(action: ReleaseAction): readonly string[] {
  const prefixes = action.ipPrefixesToRelease.map(parseIPv4CIDR).filter((range) => range !== undefined)
  return action.ipsToRelease.filter((text) => {
    const address = parseIPv4(text)
    return address === undefined || !prefixes.some((range) => cidrContains(range, address))
  })
}

/** @returns the time of the newest word about these addresses (monotonic ms); undefined when one of them has none */
export function wordAtMs(addresses: Iterable<string>, words: ReadonlyMap<string, number>): number | undefined {
  let newestMs = Number.NEGATIVE_INFINITY
  for (const address of addresses) {
    const seenMs = words.get(address)
    if (seenMs === undefined) return undefined
    newestMs = Math.max(newestMs, seenMs)
  }
  return newestMs
}

function isSingle(cidr: string): boolean {
  return cidr.endsWith('/32')
}
