import type { CallContext, CallPriority } from '../runtime/call-priority.ts'

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

/** Where a call stands in the queue of a bucket. */
export interface QueuePosition {
  readonly bucket: string
  /** Calls that are expected to go before it, and those after it (counts). */
  readonly ahead: number
  readonly behind: number
  /** The rate assumed at present. */
  readonly refillPerSecond: number
  /** Until it goes, if nobody more urgent comes (ms, an estimate). */
  readonly waitMs: number
  /** How much longer the bucket is left alone after refusals (ms; 0 = not at all). */
  readonly pausedMs: number
}

/**
 * - `queued`: it waits for its tokens
 * - `sent`: it is with the cloud, or about to be
 * - `resting`: it was refused for its rate and waits by itself before it queues again
 */
export type CallPhase = 'queued' | 'sent' | 'resting'

/** A call that was asked for and has not come to its end, at one moment. */
export interface PendingCall {
  readonly action: string
  readonly reason: string
  readonly priority: CallPriority
  /** Since when it was asked for, and since when it is in this phase (monotonic ms). */
  readonly sinceMs: number
  readonly phase: CallPhase
  readonly phaseSinceMs: number
  /** Attempts that the cloud refused for their rate (count). */
  readonly refusals: number
  /** What it draws on. */
  readonly buckets: readonly string[]
  /** Works out where it stands now; undefined unless it is queued. Costs as much as the queue is long. */
  position(): QueuePosition | undefined
}

/** What can be seen of the calls of a budget. Looking changes nothing. */
export interface BudgetCalls {
  /** Calls under this signal (that is, of this node) that have not ended, oldest first. */
  pendingCalls(signal: AbortSignal): readonly PendingCall[]
  /** How long calls of this action take from being sent to their answer (ms, a moving mean); undefined before the first one. */
  durationMs(action: string): number | undefined
}
