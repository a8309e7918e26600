import { addressesOfPrefix, parseIPv4, PREFIX_SIZE } from '../../src/ipam/ip-range.ts'
import type { ReleaseAction } from '../../src/ipam/types.ts'
import { isExcluded } from './plan.ts'
import type { ENI, ENISpec } from './types.ts'

const NOTHING: ReleaseAction = {
  interfaceID: '',
  poolID: '',
  ipsToRelease: [],
  ipPrefixesToRelease: [],
  cidrsToRelease: [],
}

/** The single address that `cidr` stands for, or undefined when it is a longer range. */
function singleAddress(cidr: string): string | undefined {
  const [address, bits] = cidr.split('/')
  if (address === undefined) return undefined
  return bits === undefined || bits === (address.includes(':') ? '128' : '32') ? address : undefined
}

/** The addresses of `eni` that lie in none of its prefixes, in their order. */
function outsidePrefixes(eni: ENI): readonly string[] {
  if (eni.prefixes.length === 0) return eni.addresses
  const inside = new Set(eni.prefixes.flatMap((prefix) => addressesOfPrefix(prefix)))
  return eni.addresses.filter((address) => !inside.has(address))
}

/**
 * Addresses reordered so that /28 blocks become free of ours and can be delegated again: first blocks of which everything may
 * go, of those the ones with the fewest addresses. Within a block the given order stays.
 *
 * @param free addresses that may go @param held all single addresses of the interface, so that the rest of a block is known
 */
function emptiestBlocksFirst(free: readonly string[], held: readonly string[]): readonly string[] {
  const blockOf = (address: string): number => Math.floor((parseIPv4(address) ?? 0) / PREFIX_SIZE)
  const countByBlock = (addresses: readonly string[]): ((block: number) => number) => {
    const counts = new Map<number, number>()
    for (const address of addresses) counts.set(blockOf(address), (counts.get(blockOf(address)) ?? 0) + 1)
    return (block) => counts.get(block) ?? 0
  }
  const freeCount = countByBlock(free)
  const heldCount = countByBlock(held)
  const stays = (block: number): number => Number(heldCount(block) > freeCount(block))
  return free.toSorted((left, right) => {
    const [a, b] = [blockOf(left), blockOf(right)]
    return stays(a) - stays(b) || freeCount(a) - freeCount(b) || a - b
  })
}

export interface ReleaseFacts {
  readonly spec: ENISpec
  /** The node's view. */
  readonly interfaces: readonly ENI[]
  /** Addresses in use on the node. */
  readonly used: ReadonlySet<string>
  /** Where prefixes are wanted, single addresses are chosen so that blocks become free; else in the interface's order. */
  readonly prefersWholeBlocks: boolean
}

/**
 * What one interface can give back: whole prefixes that nobody uses and, from single addresses, at most `excess`.
 *
 * @param excess addresses above the watermarks (count)
 * @source cilium pkg/aws/ipam/node.go, PrepareIPRelease
 */
export function prepareIPRelease(facts: ReleaseFacts, excess: number): ReleaseAction {
  let best = NOTHING
  const byID = facts.interfaces.toSorted((a, b) => (a.id < b.id ? -1 : Number(a.id > b.id)))
  for (const eni of byID) {
    if (isExcluded(eni, facts.spec)) continue
    const prefixes = unusedPrefixes(eni, facts.used, excess)
    const left = excess - prefixes.length * PREFIX_SIZE
    const free = freeSingles(eni, facts)
    const action: ReleaseAction = {
      interfaceID: eni.id,
      poolID: eni.subnet.id,
      ipsToRelease: [
        ...prefixes.flatMap((prefix) => addressesOfPrefix(prefix)),
        ...free.slice(0, Math.max(Math.min(left, free.length), 0)),
      ],
      ipPrefixesToRelease: prefixes,
      cidrsToRelease: [],
    }
    if (eni.prefixes.length > 0 && (prefixes.length > 0 || free.length > 0)) return action
    if (action.ipsToRelease.length > best.ipsToRelease.length) best = action
  }
  return best
}

/** Whole prefixes without a used address, in order, as many as fit into `excess`. */
function unusedPrefixes(eni: ENI, used: ReadonlySet<string>, excess: number): readonly string[] {
  const room = Math.max(Math.floor(excess / PREFIX_SIZE), 0)
  return eni.prefixes.filter((prefix) => !addressesOfPrefix(prefix).some((address) => used.has(address))).slice(0, room)
}

function freeSingles(eni: ENI, { used, prefersWholeBlocks }: ReleaseFacts): readonly string[] {
  const singles = outsidePrefixes(eni)
  const free = singles.filter((address) => address !== eni.ip && !used.has(address))
  return prefersWholeBlocks ? emptiestBlocksFirst(free, [...singles, eni.ip]) : free
}

/**
 * All CIDRs on the given interfaces: prefixes as they are, every other address as /32.
 *
 * @source cilium pkg/aws/ipam/node.go, GetAttachedCIDRs
 */
export function attachedCIDRs(interfaces: readonly ENI[]): readonly string[] {
  return interfaces.flatMap((eni) => [
    ...eni.prefixes,
    ...eni.ipv6Prefixes,
    ...outsidePrefixes(eni).map((address) => `${address}/${address.includes(':') ? 128 : 32}`),
  ])
}

/**
 * Groups CIDRs by the managed interface that carries them. Left out: unknown CIDRs, primary addresses, IPv6 prefixes.
 *
 * @source cilium pkg/aws/ipam/node.go, PrepareCIDRRelease
 */
export function prepareCIDRRelease(
  { spec, interfaces }: Pick<ReleaseFacts, 'spec' | 'interfaces'>,
  cidrs: readonly string[],
): readonly ReleaseAction[] {
  const wanted = new Set(cidrs)
  return interfaces
    .filter((eni) => !isExcluded(eni, spec))
    .map((eni) => {
      const prefixes = new Set(eni.prefixes)
      const addresses = new Set(eni.addresses)
      const cidrsToRelease = [...wanted].filter((cidr) => {
        const address = singleAddress(cidr)
        return address === undefined ? prefixes.has(cidr) : address !== eni.ip && addresses.has(address)
      })
      return { ...NOTHING, interfaceID: eni.id, poolID: eni.subnet.id, cidrsToRelease }
    })
    .filter((action) => action.cidrsToRelease.length > 0)
}

/** CIDRs apart: whole prefixes, and single addresses as plain text. */
export function splitCIDRs(cidrs: readonly string[]): {
  readonly prefixes: readonly string[]
  readonly addresses: readonly string[]
} {
  const addresses = cidrs.flatMap((cidr) => singleAddress(cidr) ?? [])
  return { prefixes: cidrs.filter((cidr) => singleAddress(cidr) === undefined), addresses }
}

/** The addresses of a release that go one by one: those in none of the released prefixes. */
export function addressesOutside(addresses: readonly string[], prefixes: readonly string[]): readonly string[] {
  const inside = new Set(prefixes.flatMap((prefix) => addressesOfPrefix(prefix)))
  return addresses.filter((address) => !inside.has(address))
}

/** Interfaces as if these prefixes, with their addresses, and these single addresses were not on them. */
export function withoutCIDRs(interfaces: readonly ENI[], cidrs: readonly string[]): readonly ENI[] {
  if (cidrs.length === 0) return interfaces
  const { prefixes, addresses } = splitCIDRs(cidrs)
  const left = new Set([...addresses, ...prefixes.flatMap((prefix) => addressesOfPrefix(prefix))])
  return interfaces.map((eni) => ({
    ...eni,
    prefixes: eni.prefixes.filter((prefix) => !prefixes.includes(prefix)),
    addresses: eni.addresses.filter((address) => address === eni.ip || !left.has(address)),
  }))
}
