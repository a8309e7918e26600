import type { Limits } from '../../src/ipam/types.ts'

/** The floor that seeds `spec.ipam.pre-allocate` (count). cilium pkg/alibabacloud/eni/node.go, GetMinimumAllocatableIPv4. */
export const MINIMUM_ALLOCATABLE_IPV4 = 8

type AddressLimits = Pick<Limits, 'adapters' | 'ipv4'>

/**
 * Ceiling of the instance: every interface but the primary one, which carries no pod addresses.
 *
 * @param limits undefined when the instance type is not known
 * @returns a count; 0 = unknown
 * @source cilium pkg/alibabacloud/eni/node.go, GetMaximumAllocatableIPv4
 */
export function maximumAllocatableIPv4(limits: AddressLimits | undefined): number {
  return limits === undefined ? 0 : Math.max(limits.adapters - 1, 0) * limits.ipv4
}

/**
 * Upper bound of a node's pod addresses.
 *
 * @param primaryAddressesOnSecondaryInterfaces taken by the interfaces themselves (count)
 * @returns a count, 0 or more
 * @source cilium pkg/alibabacloud/eni/node.go, ResyncInterfacesAndIPs
 */
export function nodeCapacity(limits: AddressLimits | undefined, primaryAddressesOnSecondaryInterfaces: number): number {
  return Math.max(maximumAllocatableIPv4(limits) - primaryAddressesOnSecondaryInterfaces, 0)
}
