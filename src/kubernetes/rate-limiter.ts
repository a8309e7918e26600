import type { Clock } from '../runtime/clock.ts'

/**
 * A token bucket in front of the API server: callers are served in the order in which they came.
 *
 * @source client-go util/flowcontrol, NewTokenBucketRateLimiter
 */
export class RateLimiter {
  readonly #clock: Clock
  readonly #tokensPerMs: number
  readonly #burst: number
  /** Below zero: reserved by callers that still wait. */
  #tokens: number
  #filledAtMs: number

  /** @param qps tokens per second, above 0. @param burst size of the bucket, at least 1 */
  constructor(options: { readonly clock: Clock; readonly qps: number; readonly burst: number }) {
    this.#clock = options.clock
    this.#tokensPerMs = options.qps / 1000
    this.#burst = Math.max(1, options.burst)
    this.#tokens = this.#burst
    this.#filledAtMs = options.clock.now()
  }

  /** How long until so many further callers may have gone on (ms). Reserves nothing. */
  waitMs(count: number): number {
    const refilled = (this.#clock.now() - this.#filledAtMs) * this.#tokensPerMs
    const tokens = Math.min(this.#burst, this.#tokens + refilled)
    return Math.max(0, count - tokens) / this.#tokensPerMs
  }

  /** Resolves when the caller may go on. An aborted wait gives its token back. */
  async acquire(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const nowMs = this.#clock.now()
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#filledAtMs) * this.#tokensPerMs)
    this.#filledAtMs = nowMs
    this.#tokens -= 1
    if (this.#tokens >= 0) return
    try {
      await this.#clock.sleep(-this.#tokens / this.#tokensPerMs, signal)
    } catch (error) {
      this.#tokens += 1
      throw error
    }
  }
}
