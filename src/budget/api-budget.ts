import type { CallPriority } from '../runtime/call-priority.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { BucketTable } from './bucket-table.ts'
import type { APIBudget } from './contracts.ts'
import type { BucketRate } from './token-bucket.ts'
import type { TokenHolder } from './token-holder.ts'

/** The cloud refused a call for its rate: the call had no effect. */
export interface Refusal {
  /** What the cloud asked to wait (ms). */
  readonly retryAfterMs?: number
  /** The bucket that was empty, where the answer names it; otherwise every bucket of the call is suspected. */
  readonly bucket?: string
}

export interface APIBudgetOptions {
  readonly table: BucketTable
  readonly clock: Clock
  readonly random: Random
  /** Classifies what a call threw: a refusal for the rate, or undefined for everything else. */
  readonly isThrottled: (error: unknown) => Refusal | undefined
  /** Lines that replace the table's, from the configuration. */
  readonly overrides?: Readonly<Record<string, BucketRate>>
  /** Cilium's `limit-ipam-api-qps` and `limit-ipam-api-burst`: one more bucket, drawn on by every call. */
  readonly globalLimit?: { readonly qps: number; readonly burst: number }
  /** Part of every bucket left to the account's other tenants, in [0, 1). Default 0. */
  readonly reserveShare?: number
  /** How far above the table a documented bucket may grow while the cloud does not refuse (factor, at least 1). Default 1. */
  readonly raisedLimitFactor?: number
  /** Called for calls that had to wait for a token, once per attempt. */
  readonly onWait?: (action: string, seconds: number) => void
  /** Who keeps the tokens; by default Bottleneck in this process. */
  readonly holder?: TokenHolder
}

/** One bucket as it stands. */
export interface BucketView {
  readonly bucket: string
  /** Tokens that could be taken now (count, may be a fraction). */
  readonly tokens: number
  /** The rate assumed at present, after what refusals taught. */
  readonly refillPerSecond: number
  readonly size: number
  /** Calls waiting for this bucket, by priority (count). */
  readonly waiting: Readonly<Record<CallPriority, number>>
}

export interface AdaptiveAPIBudget extends APIBudget {
  /** Ranks every call that waits under this signal anew, e.g. when a pod began to wait on its node. */
  rerank(signal: AbortSignal, priority: CallPriority): void
  /** The cloud told how many tokens are left (a rate header): never assume more than that. */
  observeRemaining(bucket: string, tokens: number): void
  /** Every bucket used so far, by name: for metrics and for reports. */
  buckets(): readonly BucketView[]
}

/** docs/decisions/0005-api-budget.md */
export function createAPIBudget(_options: APIBudgetOptions): AdaptiveAPIBudget {
  throw new Error('not built yet')
}
