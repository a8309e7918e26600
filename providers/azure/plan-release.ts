import { addressesOfPrefix, parseIPv4, PREFIX_SIZE } from '../../src/ipam/ip-range.ts'
import type { ReleaseAction } from '../../src/ipam/types.ts'
import { addressesOf, isManaged, isUsable } from './plan.ts'
import type { AzureSpec, IPConfiguration, NIC } from './types.ts'

const NOTHING: ReleaseAction = {
  interfaceID: '',
  poolID: '',
  ipsToRelease: [],
  ipPrefixesToRelease: [],
  cidrsToRelease: [],
}

export interface ReleaseFacts {
  readonly spec: AzureSpec
  /** All interfaces of the machine, by ID. */
  readonly interfaces: readonly NIC[]
  /** Addresses in use on the node. */
  readonly used: ReadonlySet<string>
}

/**
 * What one interface can give back: whole blocks that nobody uses first, then single addresses, at most `excess` addresses in all. Never
 * a primary address, and nothing that is not provisioned. The interface with most to give wins, the first of equals by ID.
 *
 * @param excess addresses above the watermarks (count)
 * @source cilium pkg/azure/ipam/node.go, PrepareIPRelease (cilium/cilium#45690, proposed)
 */
export function prepareIPRelease({ spec, interfaces, used }: ReleaseFacts, excess: number): ReleaseAction {
  let best = NOTHING
  for (const nic of interfaces) {
    if (!isManaged(nic, spec)) continue
    const free = freeConfigurations(nic, used)
    const room = Math.max(Math.floor(excess / PREFIX_SIZE), 0)
    const blocks = free.filter(({ prefix }) => prefix !== '').slice(0, room)
    const left = Math.max(excess - blocks.length * PREFIX_SIZE, 0)
    const singles = free.filter(({ prefix }) => prefix === '').slice(0, left)
    const ipsToRelease = [...blocks, ...singles].flatMap((one) => addressesOf(one))
    if (ipsToRelease.length <= best.ipsToRelease.length) continue
    best = {
      ...NOTHING,
      interfaceID: nic.id,
      poolID: nic.subnet.id,
      ipsToRelease,
      ipPrefixesToRelease: blocks.map(({ prefix }) => prefix),
    }
  }
  return best
}

/**
 * Every IPv4 address beside the primary ones, as /32, whatever its state. The addresses of a block come one by one, as the node's
 * agent knows no blocks on Azure.
 *
 * @source cilium pkg/azure/ipam/node.go, GetAttachedCIDRs
 */
export function attachedCIDRs(interfaces: readonly NIC[]): readonly string[] {
  return interfaces.flatMap(({ configurations }) => configurations.filter(isIPv4).flatMap((one) => cidrsOf(one)))
}

/**
 * Groups CIDRs by the managed interface that carries them, each block of an interface by itself. Left out: what is not known or not
 * provisioned, primary addresses, IPv6, and blocks of which anything is not among the CIDRs.
 *
 * @source cilium pkg/azure/ipam/node.go, PrepareCIDRRelease (cilium/cilium#48449)
 */
export function prepareCIDRRelease(
  { spec, interfaces }: Pick<ReleaseFacts, 'spec' | 'interfaces'>,
  cidrs: readonly string[],
): readonly ReleaseAction[] {
  const wanted = new Set(cidrs)
  return interfaces
    .filter((nic) => isManaged(nic, spec))
    .flatMap((nic) => {
      const going = nic.configurations.filter(
        (one) => isReleasable(one) && cidrsOf(one).every((cidr) => wanted.has(cidr)),
      )
      const singles = going.filter(({ prefix }) => prefix === '').flatMap((one) => cidrsOf(one))
      const blocks = going.filter(({ prefix }) => prefix !== '').map((one) => cidrsOf(one))
      return [singles, ...blocks]
        .filter((group) => group.length > 0)
        .map((cidrsToRelease) => ({ ...NOTHING, interfaceID: nic.id, poolID: nic.subnet.id, cidrsToRelease }))
    })
}

/**
 * The first address of each configuration that goes when these addresses go: a block only as a whole.
 *
 * @returns `heads`: first addresses, in order of the interface; `covered`: all addresses that go with them
 */
export function configurationsToRelease(
  nic: NIC,
  addresses: readonly string[],
): { readonly heads: readonly string[]; readonly covered: ReadonlySet<string> } {
  const wanted = new Set(addresses)
  const going = nic.configurations.filter((one) => addressesOf(one).every((address) => wanted.has(address)))
  const known = new Set(nic.configurations.flatMap((one) => addressesOf(one)))
  // What the inventory does not have is left to the interface's own document to know.
  const unknown = addresses.filter((address) => !known.has(address))
  return {
    heads: [...going.map(({ ip }) => ip), ...unknown],
    covered: new Set([...going.flatMap((one) => addressesOf(one)), ...unknown]),
  }
}

/** The addresses of /32 CIDRs; others, which Azure nodes do not have, are left out. */
export function addressesOfCIDRs(cidrs: readonly string[]): readonly string[] {
  return cidrs.filter((cidr) => cidr.endsWith('/32')).map((cidr) => cidr.slice(0, -'/32'.length))
}

/** The addresses of a release that go one by one: those in none of the released blocks. */
export function addressesOutside(addresses: readonly string[], prefixes: readonly string[]): readonly string[] {
  const inside = new Set(prefixes.flatMap((prefix) => addressesOfPrefix(prefix)))
  return addresses.filter((address) => !inside.has(address))
}

/** An interface as if these addresses were not on it; blocks go as a whole. */
export function withoutAddresses(nic: NIC, addresses: ReadonlySet<string>): NIC {
  const configurations = nic.configurations.filter(
    (one) => !addressesOf(one).every((address) => addresses.has(address)),
  )
  return configurations.length === nic.configurations.length ? nic : { ...nic, configurations }
}

function isReleasable(configuration: IPConfiguration): boolean {
  return isUsable(configuration) && isIPv4(configuration)
}

function isIPv4({ ip }: IPConfiguration): boolean {
  return parseIPv4(ip) !== undefined
}

function cidrsOf(configuration: IPConfiguration): readonly string[] {
  return addressesOf(configuration).map((address) => `${address}/32`)
}

/** What may go and nobody uses, in the order of the addresses. */
function freeConfigurations({ configurations }: NIC, used: ReadonlySet<string>): readonly IPConfiguration[] {
  return configurations
    .flatMap((one) => {
      const value = parseIPv4(one.ip)
      const isFree = isUsable(one) && !addressesOf(one).some((address) => used.has(address))
      return value !== undefined && isFree ? [{ one, value }] : []
    })
    .sort((a, b) => a.value - b.value)
    .map(({ one }) => one)
}
