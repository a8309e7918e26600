import type { CallContext } from '../runtime/call-priority.ts'

/** What one call draws from one bucket (tokens). */
export interface BucketCharge {
  /** Name of the bucket, e.g. `DescribeSubnets` or `DescribeNetworkInterfaces:unfiltered`. */
  readonly bucket: string
  readonly cost: number
}

export interface BudgetRequest extends CallContext {
  /** The cloud's action, for the ledger and the metrics. */
  readonly action: string
  /** Every bucket must have its tokens before the call is made. Never empty. */
  readonly buckets: readonly BucketCharge[]
}

/** Calls counted by action and reason since the start. */
export interface LedgerEntry {
  readonly action: string
  readonly reason: string
  /** Attempts, refused ones included (count). */
  readonly calls: number
  /** Attempts refused by the cloud for their rate (count). */
  readonly refused: number
  /** Sum of the time spent waiting for tokens (ms). */
  readonly waitedMs: number
}

/**
 * The one door to a cloud API: a call waits here until each of its buckets has a token, the most urgent first.
 * docs/decisions/0005-api-budget.md
 */
export interface APIBudget {
  /**
   * Runs `call` once its tokens are there. A call refused for its rate had no effect: the bucket learns from it and the call
   * is queued again, a bounded number of times.
   *
   * @returns what `call` returns
   * @throws what `call` throws; the signal's reason when aborted while waiting
   */
  run<T>(request: BudgetRequest, call: () => Promise<T>): Promise<T>
  /**
   * How long a call of this priority would wait from now, given who is queued (ms, an estimate; 0 = at once).
   * Lets a planner choose the action whose bucket serves it earlier, and a status say what a node waits for.
   */
  expectedWaitMs(request: Pick<BudgetRequest, 'buckets' | 'priority'>): number
  ledger(): readonly LedgerEntry[]
}
