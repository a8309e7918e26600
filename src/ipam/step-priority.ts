import type { CallPriority } from '../runtime/call-priority.ts'
import type { MaintenanceStep } from './plan-maintenance.ts'
import type { Statistics } from './types.ts'
import type { AgentGeneration } from './usage.ts'

export interface PriorityInput {
  readonly statistics: Statistics
  readonly generation: AgentGeneration
  /** `spec.ipam.min-allocate` (count). */
  readonly minAllocate: number
  /** Pods of the node that wait for an address (count); undefined while not known. */
  readonly pendingPods: number | undefined
}

/**
 * How urgent a node's need is. A multi-pool agent asks for its waiting pods too: when the demand without the buffer is above what is
 * attached, a pod waits.
 */
export function needPriority(
  input: PriorityInput,
): Extract<CallPriority, 'pod-waiting' | 'below-minimum' | 'watermark'> {
  const { availableIPs, usedIPs } = input.statistics.ipv4
  const hasNoFreeAddress = availableIPs <= usedIPs
  const isAskedForMore = input.generation === 'multi-pool' && usedIPs > availableIPs
  if (isAskedForMore || ((input.pendingPods ?? 0) > 0 && hasNoFreeAddress)) return 'pod-waiting'
  return availableIPs === 0 || availableIPs < input.minAllocate ? 'below-minimum' : 'watermark'
}

/** The class in which a step's calls wait for the cloud's quota. */
export function stepPriority(step: MaintenanceStep, input: PriorityInput): CallPriority {
  switch (step.kind) {
    case 'allocate':
    case 'createInterface':
      return needPriority(input)
    case 'assignStaticIP':
      return 'watermark'
    case 'release':
    case 'releaseCIDRs':
      return 'release'
    case 'readInstance':
      if (step.why === 'proof') return 'release'
      // With addresses left and nothing needed, the read only repairs our view.
      return input.statistics.ipv4.neededIPs > 0 || input.statistics.ipv4.availableIPs === 0
        ? needPriority(input)
        : 'background'
    default:
      return step satisfies never
  }
}
