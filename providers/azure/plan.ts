import { addressesOfPrefix, PREFIX_SIZE } from '../../src/ipam/ip-range.ts'
import type { InterfacesAndIPs } from '../../src/ipam/contracts.ts'
import { firstSubnetWithAvailableAddresses } from '../../src/ipam/subnets.ts'
import type { AllocationAction, AllocationIP, IPAMProfile, Subnet } from '../../src/ipam/types.ts'
import { keyOf } from './resource-id.ts'
import type { AzureSpec, IPConfiguration, NIC } from './types.ts'

/** Addresses that one Azure network interface carries, its primary included (count). Azure documentation, networking limits. */
export const INTERFACE_ADDRESS_LIMIT = 256

/** The floor that seeds `spec.ipam.pre-allocate` (count). cilium pkg/azure/ipam/node.go, GetMinimumAllocatableIPv4. */
export const MINIMUM_ALLOCATABLE_IPV4 = 8

/** The one size of blocks that a configuration can hold (bits). Azure documentation, Virtual Network, private IP address prefixes. */
export const PREFIX_LENGTH = 28

/** Up to 1.19 the capacity was a constant that left room for one primary address. cilium pkg/azure/ipam/node.go (1.14-1.19). */
const CAPACITY_UP_TO_1_19 = 255

/** The state of a configuration whose address can be used. */
const SUCCEEDED = 'succeeded'

/** What is known of a node when something is planned for it. */
export interface NodeFacts {
  readonly spec: AzureSpec
  readonly usePrimaryAddress: boolean
  /** Whether blocks are wanted in place of single addresses. */
  readonly prefixes: boolean
  readonly profile: IPAMProfile
  /** All interfaces of the machine, by ID. */
  readonly interfaces: readonly NIC[]
}

/** Configurations with an address that pods may use once it is provisioned: the primary one only where that is wanted. */
export function podConfigurations(nic: NIC, usePrimaryAddress: boolean): readonly IPConfiguration[] {
  if (!usePrimaryAddress || nic.ip === '') return nic.configurations
  return [{ name: '', ip: nic.ip, prefix: '', state: nic.primaryState }, ...nic.configurations]
}

/** The addresses of a configuration: one, or all of its block. */
export function addressesOf({ ip, prefix }: IPConfiguration): readonly string[] {
  return prefix === '' ? [ip] : addressesOfPrefix(prefix)
}

export function isUsable({ state }: IPConfiguration): boolean {
  return state === SUCCEEDED
}

/** Whether the node takes and gives addresses on this interface. @source cilium pkg/azure/ipam/node.go, isAvailableInterface */
export function isManaged(nic: NIC, spec: AzureSpec): boolean {
  return spec.interfaceName === '' || nic.name === spec.interfaceName
}

/**
 * Upper bound of a node's pod addresses.
 *
 * @param input.usePrimaryAddress pods may take a NIC's primary address
 * @param input.nicsWithPrimary NICs of the node that have a primary address (count)
 * @returns a count, 0 or more
 * @source cilium pkg/azure/ipam/node.go, ResyncInterfacesAndIPs (1.20 and later)
 */
export function nodeCapacity(input: {
  readonly usePrimaryAddress: boolean
  readonly nicsWithPrimary: number
  readonly profile: IPAMProfile
}): number {
  if (input.profile !== 'latest') return CAPACITY_UP_TO_1_19
  const unusable = input.usePrimaryAddress ? 0 : input.nicsWithPrimary
  return Math.max(INTERFACE_ADDRESS_LIMIT - unusable, 0)
}

/** Ceiling of the instance (count). @source cilium pkg/azure/ipam/node.go, GetMaximumAllocatableIPv4 */
export function maximumAllocatableIPv4(prefixes = false): number {
  return INTERFACE_ADDRESS_LIMIT * (prefixes ? PREFIX_SIZE : 1)
}

/**
 * Addresses that an interface still takes (count). A configuration takes one of its 256 slots, whether it holds an address or a block;
 * so do the hidden primary one, since 1.20, and one that waits for its address.
 *
 * @source cilium pkg/azure/ipam/node.go, PrepareIPAllocation
 */
export function interfaceRoom(nic: NIC, facts: Pick<NodeFacts, 'usePrimaryAddress' | 'prefixes' | 'profile'>): number {
  const isHidden = nic.ip !== '' && !facts.usePrimaryAddress && facts.profile === 'latest'
  const taken = podConfigurations(nic, facts.usePrimaryAddress).length + nic.pendingCount + Number(isHidden)
  return Math.max(INTERFACE_ADDRESS_LIMIT - taken, 0) * (facts.prefixes ? PREFIX_SIZE : 1)
}

/**
 * The interface that receives the next addresses: the first managed one with room whose subnet has any.
 *
 * An interface stays in its subnet. The reference tries any other subnet when that one is full or not known, which Azure refuses; here
 * only an interface without any subnet takes one with room.
 *
 * @param subnets by `keyOf` of their ID
 * @source cilium pkg/azure/ipam/node.go, PrepareIPAllocation
 */
export function prepareIPAllocation(
  facts: NodeFacts,
  subnets: ReadonlyMap<string, Pick<Subnet, 'id' | 'availableAddresses'>>,
): AllocationAction {
  let selected: { readonly nic: NIC; readonly poolID: string; readonly available: number } | undefined
  let interfaceCandidates = 0
  for (const nic of facts.interfaces) {
    const room = isManaged(nic, facts.spec) ? interfaceRoom(nic, facts) : 0
    if (room === 0) continue
    interfaceCandidates += 1
    const { poolID, availableAddresses } = poolOf(nic, subnets)
    if (selected === undefined && availableAddresses > 0)
      selected = { nic, poolID, available: Math.min(availableAddresses, room) }
  }
  return {
    interfaceID: selected?.nic.id ?? '',
    poolID: selected?.poolID ?? '',
    ipv4: { availableForAllocation: selected?.available ?? 0, maxIPsToAllocate: 0, interfaceCandidates },
    ipv6: { maxPrefixesToAllocate: 0 },
    emptyInterfaceSlots: 0,
  }
}

function poolOf(
  { subnet }: NIC,
  subnets: ReadonlyMap<string, Pick<Subnet, 'id' | 'availableAddresses'>>,
): { readonly poolID: string; readonly availableAddresses: number } {
  if (subnet.id !== '')
    return { poolID: subnet.id, availableAddresses: subnets.get(keyOf(subnet.id))?.availableAddresses ?? 0 }
  const { poolID, availableAddresses } = firstSubnetWithAvailableAddresses([], subnets)
  return { poolID: subnets.get(poolID)?.id ?? '', availableAddresses }
}

/**
 * The node's pod addresses and its capacity. Addresses of all interfaces count, those of interfaces that get no new ones too.
 *
 * @source cilium pkg/azure/ipam/node.go, ResyncInterfacesAndIPs
 */
export function interfacesAndIPs(facts: NodeFacts): InterfacesAndIPs {
  const available = new Map<string, AllocationIP>()
  let prefixCount = 0
  for (const nic of facts.interfaces) {
    for (const configuration of podConfigurations(nic, facts.usePrimaryAddress)) {
      if (configuration.prefix !== '') prefixCount += 1
      if (!isUsable(configuration)) continue
      for (const address of addressesOf(configuration)) available.set(address, { resource: nic.id })
    }
  }
  const remaining = facts.interfaces.filter((nic) => isManaged(nic, facts.spec) && interfaceRoom(nic, facts) > 0).length
  const slots = nodeCapacity({
    usePrimaryAddress: facts.usePrimaryAddress,
    nicsWithPrimary: facts.interfaces.filter((nic) => nic.ip !== '').length,
    profile: facts.profile,
  })
  return {
    available,
    stats: {
      nodeCapacity: facts.prefixes ? slots * PREFIX_SIZE : slots + prefixCount * (PREFIX_SIZE - 1),
      remainingAvailableInterfaceCount: remaining,
      interfaceCandidates: remaining,
      emptyInterfaceSlots: 0,
      nodeIPv6Prefixes: 0,
      assignedStaticIP: '',
    },
  }
}

/** A node without a machine: nothing is attached and nothing can be. */
export const NOTHING_ATTACHED: InterfacesAndIPs = {
  available: new Map(),
  stats: {
    nodeCapacity: 0,
    remainingAvailableInterfaceCount: 0,
    interfaceCandidates: 0,
    emptyInterfaceSlots: 0,
    nodeIPv6Prefixes: 0,
    assignedStaticIP: '',
  },
}
