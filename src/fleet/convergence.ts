/** What decides whether a node has what it needs. Counts of addresses. */
export interface SupplyView {
  /** Open to pods, used ones included. */
  readonly available: number
  readonly used: number
  /** As the resource says; 0 = Cilium's default. */
  readonly preAllocate: number
  readonly minAllocate: number
  /** 0 = none. */
  readonly maxAllocate: number
  /** Most addresses that the instance can carry for pods. */
  readonly capacity: number
}

/** @source cilium pkg/defaults/node.go, IPAMPreAllocation */
const DEFAULT_PRE_ALLOCATE = 8

/**
 * Addresses that the node lacks to hold its watermarks, 0 when it holds them or cannot take more.
 *
 * Written apart from the controller's own arithmetic on purpose: a world that asked the controller's code would agree with its
 * mistakes.
 *
 * @source cilium pkg/ipam/node.go, calculateNeededIPs
 */
export function missingAddresses(supply: SupplyView): number {
  const { available, used, minAllocate, maxAllocate, capacity } = supply
  const target = Math.max(used + (supply.preAllocate || DEFAULT_PRE_ALLOCATE), minAllocate)
  const ceiling = maxAllocate > 0 ? Math.min(maxAllocate, capacity) : capacity
  return Math.max(Math.min(target, ceiling) - available, 0)
}
