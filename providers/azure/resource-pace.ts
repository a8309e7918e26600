import { TokenBucketState } from '../../src/budget/token-bucket.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { resourceRate, type ComputePolicy } from './buckets.ts'

/** Buckets kept before those that are full again are forgotten (count): a few for each of 10,000 machines. */
const MAX_BUCKETS = 20_000
/** A refusal of the same policy on another resource within this time speaks of the subscription's bucket (ms): the longest refill of one token. */
const SUSPICION_MS = 15_000

interface ResourceBucket {
  readonly tokens: TokenBucketState
  pausedUntilMs: number
}

/**
 * The Compute provider's buckets of single resources, 12 writes and then 4 a minute for one machine. Each resource has one writer,
 * so that nobody competes for its tokens: a call waits for its own before it queues in the API budget, and the budget's queue, its
 * metrics and its shared store know only the buckets of the subscription (docs/decisions/0060-azure-resource-buckets.md).
 */
export class ResourcePace {
  readonly #clock: Clock
  readonly #buckets = new Map<string, ResourceBucket>()
  readonly #refused = new Map<ComputePolicy, { readonly resource: string; readonly atMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes one token, and waits until it is there. @param resource key of the resource. @throws the signal's reason */
  async take(policy: ComputePolicy, resource: string, signal: AbortSignal): Promise<void> {
    const nowMs = this.#clock.now()
    const bucket = this.#bucket(policy, resource, nowMs)
    const waitMs = Math.max(bucket.tokens.reserve(1, nowMs), bucket.pausedUntilMs - nowMs)
    if (waitMs > 0) await this.#clock.sleep(waitMs, signal)
  }

  /** Azure told how many tokens are left. */
  observeRemaining(policy: ComputePolicy, resource: string, remaining: number): void {
    const nowMs = this.#clock.now()
    const { tokens } = this.#bucket(policy, resource, nowMs)
    if (remaining < tokens.tokens(nowMs)) tokens.setTokens(remaining, nowMs)
  }

  /**
   * Compute refused a call for its rate, and does not say whose bucket is empty. The resource's own is far smaller; but where
   * another resource was refused just before, it is the subscription's.
   *
   * @returns whether it is the resource's own
   */
  refused(policy: ComputePolicy, resource: string, retryAfterMs: number): boolean {
    const nowMs = this.#clock.now()
    const before = this.#refused.get(policy)
    this.#refused.set(policy, { resource, atMs: nowMs })
    if (before !== undefined && before.resource !== resource && nowMs - before.atMs < SUSPICION_MS) return false
    const bucket = this.#bucket(policy, resource, nowMs)
    bucket.tokens.setTokens(0, nowMs)
    bucket.pausedUntilMs = Math.max(bucket.pausedUntilMs, nowMs + retryAfterMs)
    return true
  }

  #bucket(policy: ComputePolicy, resource: string, nowMs: number): ResourceBucket {
    const key = `${policy}/${resource}`
    const found = this.#buckets.get(key)
    if (found !== undefined) return found
    if (this.#buckets.size >= MAX_BUCKETS) this.#forgetFull(nowMs)
    const made: ResourceBucket = {
      tokens: new TokenBucketState(resourceRate(policy), nowMs),
      pausedUntilMs: Number.NEGATIVE_INFINITY,
    }
    this.#buckets.set(key, made)
    return made
  }

  /** A full bucket is as good as a new one. */
  #forgetFull(nowMs: number): void {
    for (const [key, { tokens, pausedUntilMs }] of this.#buckets)
      if (pausedUntilMs <= nowMs && tokens.tokens(nowMs) >= tokens.rate.size) this.#buckets.delete(key)
  }
}
