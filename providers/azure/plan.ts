import type { IPAMProfile } from '../../src/ipam/types.ts'

/** Addresses that one Azure network interface carries, its primary included (count). Azure documentation, networking limits. */
export const INTERFACE_ADDRESS_LIMIT = 256

/** The floor that seeds `spec.ipam.pre-allocate` (count). cilium pkg/azure/ipam/node.go, GetMinimumAllocatableIPv4. */
export const MINIMUM_ALLOCATABLE_IPV4 = 8

/** Up to 1.19 the capacity was a constant that left room for one primary address. cilium pkg/azure/ipam/node.go (1.14-1.19). */
const CAPACITY_UP_TO_1_19 = 255

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
export function maximumAllocatableIPv4(): number {
  return INTERFACE_ADDRESS_LIMIT
}
