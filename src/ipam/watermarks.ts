import type { IPAMProfile } from './types.ts'

/**
 * How many unused addresses a node keeps ready when its resource says 0.
 *
 * @source cilium pkg/defaults/defaults.go, IPAMPreAllocation
 */
export const DEFAULT_PRE_ALLOCATE = 8

export interface NeededIPsInput {
  /** Addresses attached and open to pods, used or not (count). */
  readonly availableIPs: number
  readonly usedIPs: number
  /** Effective value, see `effectivePreAllocate` (count). */
  readonly preAllocate: number
  readonly minAllocate: number
  /** Effective ceiling, see `effectiveMaxAllocate` (count); 0 = none. */
  readonly maxAllocate: number
}

/**
 * Addresses to attach so that the watermarks hold: the buffer above the used ones, the floor, below the ceiling.
 *
 * @returns a count, 0 or more
 * @source cilium pkg/ipam/node.go, calculateNeededIPs
 */
export function calculateNeededIPs(input: NeededIPsInput): number {
  const { availableIPs, usedIPs, preAllocate, minAllocate, maxAllocate } = input
  const wanted = Math.max(preAllocate + usedIPs - availableIPs, minAllocate - availableIPs)
  const allowed = maxAllocate > 0 ? Math.min(wanted, maxAllocate - availableIPs) : wanted
  return Math.max(allowed, 0)
}

export interface ExcessIPsInput {
  readonly availableIPs: number
  /** Up to profile 1.18 and with delegated prefixes: `usedIPsWithPrefixes` of usage.ts (count). */
  readonly usedIPs: number
  readonly preAllocate: number
  readonly minAllocate: number
  readonly maxAboveWatermark: number
  readonly profile: IPAMProfile
}

/**
 * Attached addresses above the watermarks.
 *
 * From 1.15 on, a node whose use and buffer fit below the floor keeps the floor, so that releasing the whole excess leaves a
 * need of 0 (for a pre-allocate of 0 or more). Profile 1.14 lacks that rule: it releases, and attaches again.
 *
 * @returns a count, 0 or more
 * @source cilium pkg/ipam/node.go, calculateExcessIPs; the missing rule is cilium issue 27970
 */
export function calculateExcessIPs(input: ExcessIPsInput): number {
  const { availableIPs, usedIPs, preAllocate, minAllocate, maxAboveWatermark, profile } = input
  const floor = minAllocate + maxAboveWatermark
  if (usedIPs <= floor) {
    if (availableIPs <= floor) return 0
    if (profile !== '1.14' && usedIPs + preAllocate <= floor) return availableIPs - floor
  }
  return Math.max(availableIPs - usedIPs - preAllocate - maxAboveWatermark, 0)
}

/** What orders nodes: the need where there is one, else the excess as a negative number while release is enabled. */
export interface WatermarkNumbers {
  readonly neededIPs: number
  readonly excessIPs: number
}

/**
 * @returns positive: addresses missing; negative: addresses too many; 0: neither, or excess that must stay
 * @source cilium pkg/ipam/node.go, GetNeededAddresses
 */
export function signedNeed(input: WatermarkNumbers & { readonly releaseEnabled: boolean }): number {
  if (input.neededIPs > 0) return input.neededIPs
  return input.releaseEnabled && input.excessIPs > 0 ? -input.excessIPs : 0
}

/**
 * Nodes by signed need: deficits first, largest first; then nodes at rest; then excess, largest first.
 * Equal nodes come by name; the reference leaves their order open.
 *
 * @returns a new list
 * @source cilium pkg/ipam/node_manager.go, GetNodesByIPWatermark
 */
export function orderByWatermark<N extends WatermarkNumbers & { readonly name: string }>(
  nodes: Iterable<N>,
  releaseEnabled: boolean,
): N[] {
  return [...nodes]
    .map((node) => {
      const { neededIPs, excessIPs } = node
      return { node, need: signedNeed({ neededIPs, excessIPs, releaseEnabled }) }
    })
    .sort((left, right) => compareSignedNeed(left.need, right.need) || compareText(left.node.name, right.node.name))
    .map(({ node }) => node)
}

function compareSignedNeed(left: number, right: number): number {
  const order = Math.sign(right) - Math.sign(left)
  return order !== 0 ? order : Math.abs(right) - Math.abs(left)
}

/** By code unit, the same on every machine. Names are unique. */
function compareText(left: string, right: string): number {
  return left < right ? -1 : 1
}

/**
 * @param preAllocate `spec.ipam.pre-allocate`, 0 when absent. The resource's schema forbids a negative value; one that comes
 *   nevertheless switches the buffer off.
 * @returns what the arithmetic uses (count)
 */
export function effectivePreAllocate(preAllocate: number): number {
  return preAllocate === 0 ? DEFAULT_PRE_ALLOCATE : preAllocate
}

export interface EffectiveMaxAllocate {
  /** The ceiling in force (count); 0 = none. */
  readonly maxAllocate: number
  /** Present when the resource asks for more than the instance can carry, as far as that is known. */
  readonly warning?: string
}

/**
 * The ceiling of a node: the resource's own, else the instance's. A configured value is used as it is, even above the
 * instance's ceiling; the comparison is plain, so that an unknown ceiling (0) gives the warning too.
 *
 * @param maxAllocate `spec.ipam.max-allocate` (count); 0 = not configured
 * @param instanceMax `NodeOperations.getMaximumAllocatableIPv4()` (count); 0 = unknown or unlimited
 * @source cilium pkg/ipam/node.go, getMaxAllocate
 */
export function effectiveMaxAllocate(maxAllocate: number, instanceMax: number): EffectiveMaxAllocate {
  if (maxAllocate <= 0) return { maxAllocate: instanceMax }
  if (maxAllocate <= instanceMax) return { maxAllocate }
  const ceiling = instanceMax > 0 ? String(instanceMax) : 'unknown'
  return { maxAllocate, warning: `max-allocate ${maxAllocate} is above the instance's ceiling (${ceiling})` }
}

/** What surge allocation reads of a pod. */
export interface PodPhase {
  /** `spec.nodeName`; empty while the pod is not scheduled. */
  readonly nodeName: string
  /** `status.phase`. */
  readonly phase: string
  readonly hostNetwork: boolean
  /** `status.podIP` is set: the pod is `Pending` for another reason than its address. */
  readonly hasAddress?: boolean
}

/**
 * Whether a pod waits for an address of its node.
 *
 * Profile `latest` leaves out pods of the host's network, as the newest operators do, and pods that hold an address already;
 * older ones count every pending pod.
 *
 * @source cilium pkg/ipam/node.go, getPendingPodCount; cilium pull request 47552
 */
export function needsAddress(pod: PodPhase, profile: IPAMProfile): boolean {
  if (pod.nodeName === '' || pod.phase !== 'Pending') return false
  return profile !== 'latest' || !(pod.hostNetwork || pod.hasAddress === true)
}

/** Pods that wait for an address of one node (count). */
export function countPendingPods(nodeName: string, pods: Iterable<PodPhase>, profile: IPAMProfile): number {
  let count = 0
  for (const pod of pods) count += Number(pod.nodeName === nodeName && needsAddress(pod, profile))
  return count
}

export interface SurgeInput {
  readonly neededIPs: number
  readonly maxAboveWatermark: number
  /** `countPendingPods`; undefined while the pods are not known. */
  readonly pendingPods: number | undefined
}

export interface Surge {
  /** Pending pods that the need does not cover (count). */
  readonly surgeIPs: number
  /** need + max-above-watermark + surge (count); no ceiling applied, see `capToMaxAllocate`. */
  readonly maxIPsToAllocate: number
}

/**
 * How much to ask for once there is a need.
 *
 * @source cilium pkg/ipam/node.go, determineMaintenanceAction
 */
export function surge({ neededIPs, maxAboveWatermark, pendingPods }: SurgeInput): Surge {
  const surgeIPs = pendingPods === undefined ? 0 : Math.max(pendingPods - neededIPs, 0)
  return { surgeIPs, maxIPsToAllocate: neededIPs + maxAboveWatermark + surgeIPs }
}

/**
 * Keeps an amount below the node's ceiling. The reference applies the ceiling to the need alone, so that max-above-watermark
 * and surge take a node beyond it.
 *
 * @param input.maxAllocate effective ceiling (count); 0 = none
 * @returns the amount that may be asked for (count, 0 or more)
 */
export function capToMaxAllocate(input: {
  readonly maxIPsToAllocate: number
  readonly availableIPs: number
  readonly maxAllocate: number
}): number {
  if (input.maxAllocate <= 0) return input.maxIPsToAllocate
  return Math.max(Math.min(input.maxIPsToAllocate, input.maxAllocate - input.availableIPs), 0)
}
