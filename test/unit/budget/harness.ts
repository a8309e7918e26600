import { createAPIBudget } from '../../../src/budget/api-budget.ts'
import type { AdaptiveAPIBudget, APIBudgetOptions, Refusal } from '../../../src/budget/api-budget.ts'
import type { BucketTable } from '../../../src/budget/bucket-table.ts'
import type { BudgetRequest } from '../../../src/budget/contracts.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { directHolder } from '../../support/direct-holder.ts'
import { ManualClock } from '../../support/manual-clock.ts'

/** How the tests' cloud refuses for its rate. */
export class Throttled extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal = {}) {
    super('Request limit exceeded.')
    this.refusal = refusal
  }
}

/** Refilled continuously, so that a test can say exactly when a token comes. */
export function table(buckets: BucketTable['buckets'], refill: BucketTable['refill'] = 'continuous'): BucketTable {
  return { refill, buckets, families: {}, fallback: { size: 1, refillPerSecond: 1 } }
}

export interface Harness {
  readonly clock: ManualClock
  readonly budget: AdaptiveAPIBudget
  /** Names of the calls made, with the time at which each was made. */
  readonly made: { readonly name: string; readonly atMs: number }[]
  /** Starts a call that succeeds at once. */
  readonly call: (name: string, request?: Partial<BudgetRequest>) => Promise<string>
}

/** A budget on a manual clock, without jitter and without timers besides the clock. */
export function harness(options: Partial<APIBudgetOptions> = {}): Harness {
  const clock = new ManualClock()
  const made: { name: string; atMs: number }[] = []
  const budget = createAPIBudget({
    table: table({ Assign: { size: 1, refillPerSecond: 1 } }),
    clock,
    random: seededRandom(1),
    isThrottled: (error) => (error instanceof Throttled ? error.refusal : undefined),
    jitterMs: 0,
    holder: directHolder,
    ...options,
  })
  return {
    clock,
    budget,
    made,
    call(name, request = {}) {
      return budget.run(requestOf(request), () => {
        made.push({ name, atMs: clock.now() })
        return Promise.resolve(name)
      })
    },
  }
}

export function requestOf(request: Partial<BudgetRequest> = {}): BudgetRequest {
  return {
    action: 'Assign',
    buckets: [{ bucket: 'Assign', cost: 1 }],
    priority: 'watermark',
    reason: 'resolve-deficit',
    signal: new AbortController().signal,
    ...request,
  }
}
