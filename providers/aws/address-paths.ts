import type { APIBudget } from '../../src/budget/contracts.ts'
import type { AllocationStep } from '../../src/ipam/contracts.ts'
import type { CallPriority } from '../../src/runtime/call-priority.ts'
import { bucketsOf } from './buckets.ts'

/**
 * The two ways to an address, and how long each would wait for the account's quota: assigning to an attached interface, and creating an
 * interface with addresses and attaching it (docs/decisions/0030-two-paths.md). One for all nodes.
 */
export class AddressPaths {
  readonly #budget: Pick<APIBudget, 'expectedWaitMs'>
  /** Creations that have not asked for their attachment yet: they are ahead of a new one there, and the budget cannot see them (count). */
  #unattached = 0

  constructor(budget: Pick<APIBudget, 'expectedWaitMs'>) {
    this.#budget = budget
  }

  /** How long the calls of the step would wait from now (ms, an estimate; 0 = at once). */
  expectedWaitMs(step: AllocationStep, priority: CallPriority): number {
    if (step === 'allocate')
      return this.#budget.expectedWaitMs({ buckets: bucketsOf('AssignPrivateIpAddresses', true), priority })
    const attach = bucketsOf('AttachNetworkInterface', true).map(({ bucket, cost }) => ({
      bucket,
      cost: cost * (1 + this.#unattached),
    }))
    return this.#budget.expectedWaitMs({ buckets: [...bucketsOf('CreateNetworkInterface', true), ...attach], priority })
  }

  /** A creation begins. @returns to be called when it asks for its attachment, and when it ends; once is enough */
  creationStarted(): () => void {
    this.#unattached += 1
    let isCounted = true
    return () => {
      if (isCounted) this.#unattached -= 1
      isCounted = false
    }
  }
}
