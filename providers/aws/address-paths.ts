import type { APIBudget, BucketCharge } from '../../src/budget/contracts.ts'
import type { AllocationStep, CallInStep, StepRemainder } from '../../src/ipam/contracts.ts'
import { CALL_PRIORITIES } from '../../src/runtime/call-priority.ts'
import type { CallPriority } from '../../src/runtime/call-priority.ts'
import { bucketsOf } from './buckets.ts'
import type { EC2Action } from './buckets.ts'

/**
 * The two ways to an address, and how long each would wait for the account's quota: assigning to an attached interface, and creating an
 * interface with addresses and attaching it (docs/decisions/0030-two-paths.md). One for all nodes.
 */
export class AddressPaths {
  readonly #budget: Pick<APIBudget, 'expectedWaitMs'>
  /**
   * Creations that have not asked for their attachment yet, by the class in which they will: those that are as urgent are ahead of a
   * new one there, and the budget cannot see them (counts).
   */
  readonly #unattached = new Map<CallPriority, number>()

  constructor(budget: Pick<APIBudget, 'expectedWaitMs'>) {
    this.#budget = budget
  }

  /** How long the calls of the step would wait from now (ms, an estimate; 0 = at once). */
  expectedWaitMs(step: AllocationStep, priority: CallPriority): number {
    if (step === 'allocate')
      return this.#budget.expectedWaitMs({ buckets: bucketsOf('AssignPrivateIpAddresses', true), priority })
    const attach = attachments(1 + this.#unattachedAhead(priority))
    return this.#budget.expectedWaitMs({ buckets: [...bucketsOf('CreateNetworkInterface', true), ...attach], priority })
  }

  /** What is left of a step under way. An interface that waits to be created is then attached, behind those that are created before it. */
  remaining(step: AllocationStep, call: CallInStep, priority: CallPriority): StepRemainder {
    const { action, ahead, behind, isQueued, waitMs } = call
    if (step !== 'createInterface' || action !== ('CreateNetworkInterface' satisfies EC2Action))
      return { waitMs, callCount: 1 }
    const created = isQueued ? Math.max(this.#unattachedAhead(priority) - (ahead + behind + 1), 0) : 0
    const attachMs = this.#budget.expectedWaitMs({ buckets: attachments(1 + created + ahead), priority })
    return { waitMs: Math.max(waitMs, attachMs), callCount: 2 }
  }

  /** A creation begins. @returns to be called when it asks for its attachment, and when it ends; once is enough */
  creationStarted(priority: CallPriority): () => void {
    this.#count(priority, 1)
    let isCounted = true
    return () => {
      if (isCounted) this.#count(priority, -1)
      isCounted = false
    }
  }

  #count(priority: CallPriority, change: 1 | -1): void {
    this.#unattached.set(priority, (this.#unattached.get(priority) ?? 0) + change)
  }

  #unattachedAhead(priority: CallPriority): number {
    const asUrgent = CALL_PRIORITIES.slice(0, CALL_PRIORITIES.indexOf(priority) + 1)
    return asUrgent.reduce((sum, one) => sum + (this.#unattached.get(one) ?? 0), 0)
  }
}

/** What so many attachments in a row draw. */
function attachments(count: number): readonly BucketCharge[] {
  return bucketsOf('AttachNetworkInterface', true).map(({ bucket, cost }) => ({ bucket, cost: cost * count }))
}
