import type { AllocationStep } from './contracts.ts'

/** By how much a new interface must be sooner before it is made: it costs two calls and a slot of the instance (ms). A choice. */
export const SECOND_PATH_MARGIN_MS = 1_000

export interface SecondPathInput {
  /** Addresses on the node, and those in use or asked for (counts). */
  readonly availableIPs: number
  readonly usedIPs: number
  /** The last pass failed: the usual way is taken until one gets through. */
  readonly hasFailed: boolean
  /** How long the calls of a step would wait (ms). */
  readonly expectedWaitMs: (step: AllocationStep) => number
}

/**
 * Whether a node's next addresses come sooner with a new interface than on an attached one. Only for a node that has none left to give
 * to a pod: for all others waiting costs nobody anything, and assigning is the cheaper way.
 *
 * The reference knows one way, and its rate limit is one for all actions. docs/decisions/0030-two-paths.md
 */
export function isNewInterfaceSooner(input: SecondPathInput): boolean {
  if (input.availableIPs > input.usedIPs || input.hasFailed) return false
  const allocateMs = input.expectedWaitMs('allocate')
  return (
    allocateMs > SECOND_PATH_MARGIN_MS && input.expectedWaitMs('createInterface') + SECOND_PATH_MARGIN_MS < allocateMs
  )
}
