import { PREFIX_SIZE } from '../../src/ipam/ip-range.ts'
import { tagsMatch } from '../../src/ipam/subnets.ts'
import type {
  AllocationAction,
  AllocationIP,
  AllocationMap,
  InterfaceStats,
  Limits,
  Subnet,
} from '../../src/ipam/types.ts'
import type { ENI, ENISpec } from './types.ts'

/** Pre-allocate of a node whose limits say nothing else (count). @source cilium pkg/defaults, IPAMPreAllocation */
const DEFAULT_PRE_ALLOCATE = 8

/** What is known of a node when something is planned for it. */
export interface NodeFacts {
  /** Undefined while the instance type is unknown. */
  readonly limits: Limits | undefined
  readonly spec: ENISpec
  /** Whether the operator wants prefixes at all. */
  readonly prefixDelegation: boolean
  /** The node's view: all its interfaces, managed or not, without primary addresses unless pods may use them. */
  readonly interfaces: readonly ENI[]
}

/**
 * An interface as its node sees it: without its primary address, unless pods may use that. The given record stays as it is.
 *
 * @source cilium pkg/aws/ipam/node.go, ResyncInterfacesAndIPs
 */
export function interfaceView(eni: ENI, usesPrimaryAddress: boolean): ENI {
  if (usesPrimaryAddress || !eni.addresses.includes(eni.ip)) return eni
  return { ...eni, addresses: eni.addresses.filter((address) => address !== eni.ip) }
}

/** The fixed order of a node's interfaces: network card, device index, ID. The reference walks a map in random order. */
export function compareInterfaces(a: ENI, b: ENI): number {
  return a.networkCardIndex - b.networkCardIndex || a.number - b.number || (a.id < b.id ? -1 : Number(a.id > b.id))
}

/** The interface the instance was launched with. */
export function primaryInterface(interfaces: Iterable<ENI>): ENI | undefined {
  for (const eni of interfaces) if (eni.number === 0 && eni.networkCardIndex === 0) return eni
  return undefined
}

/**
 * Whether an interface is left to others: its device index is below the first managed one, it carries all exclusion tags, or the operator
 * leaves out its type.
 *
 * @source cilium pkg/aws/eni/types/types.go, IsExcludedBySpec; for types cilium/cilium#42600
 */
export function isExcluded(eni: ENI, spec: ENISpec): boolean {
  if (isLeftOut(eni, spec)) return true
  if (spec.firstInterfaceIndex !== undefined && eni.number < spec.firstInterfaceIndex) return true
  return Object.keys(spec.excludeInterfaceTags).length > 0 && tagsMatch(spec.excludeInterfaceTags, eni.tags)
}

/** Whether the operator leaves interfaces of its type to others. No agent can tell its type: it is not told of the interface. */
export function isLeftOut({ interfaceType }: ENI, { excludedInterfaceTypes }: ENISpec): boolean {
  return excludedInterfaceTypes.includes(interfaceType)
}

/**
 * Whether the node gets /28 prefixes rather than single addresses. One interface with plain secondary addresses, managed or
 * not, keeps the whole node on single addresses until it is drained to its primary address.
 *
 * Always evaluated on the complete set of interfaces; the reference evaluates it on a view that is half rebuilt.
 *
 * @source cilium pkg/aws/ipam/node.go, IsPrefixDelegated
 */
export function isPrefixDelegated(facts: NodeFacts): boolean {
  return prefixObstacle(facts) === undefined
}

/** Why a node gets no prefixes, in a few constant words for the log; undefined when it gets them. */
export function prefixObstacle({ limits, spec, prefixDelegation, interfaces }: NodeFacts): PrefixObstacle | undefined {
  if (!prefixDelegation) return 'not wanted by the operator'
  if (spec.isPrefixDelegationDisabled) return 'not wanted by the node'
  if (limits === undefined) return 'limits of the instance type are not known'
  if (limits.hypervisorType !== 'nitro' && !limits.isBareMetal) return 'the instance type takes none'
  return interfaces.every(isOpenToPrefixes) ? undefined : 'an interface has single addresses only'
}

export type PrefixObstacle =
  | 'not wanted by the operator'
  | 'not wanted by the node'
  | 'limits of the instance type are not known'
  | 'the instance type takes none'
  | 'an interface has single addresses only'

function isOpenToPrefixes({ prefixes, addresses, ip }: ENI): boolean {
  return prefixes.length > 0 || addresses.length === 0 || (addresses.length === 1 && addresses[0] === ip)
}

/** Whether only single addresses on its interfaces can keep this node from prefixes. */
export function wouldBePrefixDelegated(facts: NodeFacts): boolean {
  return isPrefixDelegated({ ...facts, interfaces: [] })
}

/** How many pod addresses one interface can carry. */
export interface EffectiveLimit {
  /** Pod addresses (count). */
  readonly limit: number
  /** Part of `limit` that exists only through prefixes left from an earlier prefix phase (count). */
  readonly leftOver: number
}

/**
 * @param prefixCount prefixes on the interface (count); 0 for an interface that does not exist yet
 * @source cilium pkg/aws/ipam/node.go, getEffectiveIPLimits
 */
export function effectiveLimit(node: {
  readonly ipv4: number
  readonly usesPrimaryAddress: boolean
  readonly prefixDelegated: boolean
  readonly prefixCount: number
}): EffectiveLimit {
  const slots = node.ipv4 - 1 + Number(node.usesPrimaryAddress)
  if (node.prefixDelegated) return { limit: slots * PREFIX_SIZE, leftOver: 0 }
  const leftOver = node.prefixCount * (PREFIX_SIZE - 1)
  return { limit: slots + leftOver, leftOver }
}

/** An interface reduced to what capacity depends on. */
export interface InterfaceCounts {
  /** Pod addresses (count), primary only when pods may use it. */
  readonly addressCount: number
  /** Delegated /28 blocks (count). */
  readonly prefixCount: number
  readonly isExcluded: boolean
}

/**
 * The pod addresses that an instance can carry at most, and where there is room.
 *
 * @returns `capacity` in addresses; `interfaceCandidates`, `emptyInterfaceSlots`, `remainingInterfaces` in interfaces. An
 * instance with more interfaces than its type allows (counted over all cards) has no empty slot.
 * @source cilium pkg/aws/ipam/node.go, ResyncInterfacesAndIPs
 */
export function interfaceCapacity(node: {
  readonly adapters: number
  readonly ipv4: number
  readonly usesPrimaryAddress: boolean
  readonly prefixDelegated: boolean
  readonly interfaces: readonly InterfaceCounts[]
}): {
  readonly capacity: number
  readonly remainingInterfaces: number
  readonly interfaceCandidates: number
  readonly emptyInterfaceSlots: number
} {
  let capacity = effectiveLimit({ ...node, prefixCount: 0 }).limit * node.adapters
  let interfaceCandidates = 0
  for (const eni of node.interfaces) {
    const { limit, leftOver } = effectiveLimit({ ...node, prefixCount: eni.prefixCount })
    if (eni.isExcluded) {
      capacity -= limit
      continue
    }
    capacity += leftOver
    if (limit > eni.addressCount) interfaceCandidates += 1
  }
  const emptyInterfaceSlots = node.adapters - node.interfaces.length
  return {
    capacity,
    remainingInterfaces: interfaceCandidates + emptyInterfaceSlots,
    interfaceCandidates,
    emptyInterfaceSlots: Math.max(emptyInterfaceSlots, 0),
  }
}

/** The node's pod addresses and its capacity. @param facts with known limits */
export function interfacesAndIPs(facts: NodeFacts & { readonly limits: Limits }): {
  readonly available: AllocationMap
  readonly stats: InterfaceStats
} {
  const available = new Map<string, AllocationIP>()
  let nodeIPv6Prefixes = 0
  for (const eni of facts.interfaces) {
    if (isExcluded(eni, facts.spec)) continue
    nodeIPv6Prefixes += eni.ipv6Prefixes.length
    const entry: AllocationIP = { resource: eni.id }
    for (const address of eni.addresses) available.set(address, entry)
  }
  const capacity = interfaceCapacity({
    adapters: facts.limits.adapters,
    ipv4: facts.limits.ipv4,
    usesPrimaryAddress: facts.spec.usesPrimaryAddress,
    prefixDelegated: isPrefixDelegated(facts),
    interfaces: facts.interfaces.map((eni) => ({
      addressCount: eni.addresses.length,
      prefixCount: eni.prefixes.length,
      isExcluded: isExcluded(eni, facts.spec),
    })),
  })
  return {
    available,
    stats: {
      nodeCapacity: capacity.capacity,
      remainingAvailableInterfaceCount: capacity.remainingInterfaces,
      interfaceCandidates: capacity.interfaceCandidates,
      emptyInterfaceSlots: capacity.emptyInterfaceSlots,
      nodeIPv6Prefixes,
      assignedStaticIP: primaryInterface(facts.interfaces)?.publicIP ?? '',
    },
  }
}

/** What ceiling and floor depend on. */
export interface AllocatableFacts {
  readonly limits: Pick<Limits, 'adapters' | 'ipv4'> | undefined
  readonly firstInterfaceIndex: number | undefined
}

/**
 * The instance's ceiling (count of addresses); 0 = unknown, so unlimited. Neither the primary-address switch nor excluded
 * interfaces are considered.
 *
 * @source cilium pkg/aws/ipam/node.go, GetMaximumAllocatableIPv4
 */
export function maximumAllocatableIPv4(node: AllocatableFacts & { readonly prefixDelegated: boolean }): number {
  const { limits, firstInterfaceIndex } = node
  if (firstInterfaceIndex === undefined || limits === undefined || limits.adapters < firstInterfaceIndex) return 0
  const perInterface = Math.max(limits.ipv4 - 1, 0) * (node.prefixDelegated ? PREFIX_SIZE : 1)
  return (limits.adapters - firstInterfaceIndex) * perInterface
}

/**
 * What to seed pre-allocate with (count of addresses).
 *
 * @source cilium pkg/aws/ipam/node.go, GetMinimumAllocatableIPv4
 */
export function minimumAllocatableIPv4({ limits, firstInterfaceIndex }: AllocatableFacts): number {
  if (firstInterfaceIndex === undefined || limits === undefined) return DEFAULT_PRE_ALLOCATE
  if (firstInterfaceIndex >= limits.adapters) return 0
  return Math.min(DEFAULT_PRE_ALLOCATE, (limits.adapters - firstInterfaceIndex) * Math.max(limits.ipv4 - 1, 0))
}

/**
 * The interface that receives the next addresses: the first with room whose subnet has any.
 *
 * @param subnets the cached subnets; an interface of an unknown or empty one is a candidate but cannot be selected
 * @source cilium pkg/aws/ipam/node.go, PrepareIPAllocation
 */
export function prepareIPAllocation(
  facts: NodeFacts & { readonly limits: Limits },
  subnets: ReadonlyMap<string, Pick<Subnet, 'availableAddresses'>>,
): AllocationAction {
  const prefixDelegated = isPrefixDelegated(facts)
  let selected: { readonly eni: ENI; readonly available: number } | undefined
  let interfaceCandidates = 0
  const emptyPoolIDs = new Set<string>()
  for (const eni of facts.interfaces) {
    if (isExcluded(eni, facts.spec)) continue
    const room =
      effectiveLimit({
        ipv4: facts.limits.ipv4,
        usesPrimaryAddress: facts.spec.usesPrimaryAddress,
        prefixDelegated,
        prefixCount: eni.prefixes.length,
      }).limit - eni.addresses.length
    if (room <= 0) continue
    interfaceCandidates += 1
    const free = subnets.get(eni.subnet.id)?.availableAddresses ?? 0
    if (free === 0 && subnets.has(eni.subnet.id)) emptyPoolIDs.add(eni.subnet.id)
    if (selected === undefined && free > 0) selected = { eni, available: Math.min(free, room) }
  }
  return {
    interfaceID: selected?.eni.id ?? '',
    poolID: selected?.eni.subnet.id ?? '',
    ipv4: {
      availableForAllocation: selected?.available ?? 0,
      maxIPsToAllocate: 0,
      interfaceCandidates,
      emptyPoolIDs: [...emptyPoolIDs],
    },
    ipv6: { maxPrefixesToAllocate: 0 },
    emptyInterfaceSlots: Math.max(facts.limits.adapters - facts.interfaces.length, 0),
  }
}

/**
 * Single addresses to ask for on an interface after its subnet had no free block: the wanted count, cut to the free slots.
 *
 * @returns count; 0 = the interface is full
 * @source cilium pkg/aws/ipam/node.go, AllocateIPs (cilium/cilium#48193)
 */
export function fallbackCount(eni: ENI, wanted: number, limits: Limits, usesPrimaryAddress: boolean): number {
  const slots = limits.ipv4 - 1 + Number(usesPrimaryAddress)
  const taken = eni.addresses.length - eni.prefixes.length * (PREFIX_SIZE - 1)
  return Math.max(Math.min(wanted, slots - taken), 0)
}

/** What to create an interface with. */
export interface InterfacePlan {
  /** Pod addresses (count); 0 together with no IPv6 means that nothing has to be created. */
  readonly addressCount: number
  /** /28 blocks that carry them (count); 0 = single addresses. */
  readonly prefixCount: number
}

/**
 * @param wanted addresses the core asks for at most (count)
 * @source cilium pkg/aws/ipam/node.go, CreateInterface
 */
export function planInterface(wanted: number, limits: Limits, prefixDelegated: boolean): InterfacePlan {
  const slots = Math.max(limits.ipv4 - 1, 0)
  if (!prefixDelegated) return { addressCount: Math.max(Math.min(wanted, slots), 0), prefixCount: 0 }
  const addressCount = Math.max(Math.min(wanted, slots * PREFIX_SIZE), 0)
  return { addressCount, prefixCount: Math.ceil(addressCount / PREFIX_SIZE) }
}

/**
 * The smallest device index at or above `from` that is not in use on network card 0, the card we attach to.
 *
 * @source cilium pkg/aws/ipam/node.go, findNextIndex
 */
export function nextDeviceIndex(interfaces: readonly ENI[], from: number): number {
  const used = new Set(interfaces.filter((eni) => eni.networkCardIndex === 0).map((eni) => eni.number))
  let index = from
  while (used.has(index)) index += 1
  return index
}
