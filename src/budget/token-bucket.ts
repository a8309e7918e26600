/** Size and refill of a bucket. */
export interface BucketRate {
  /** Most tokens it holds, and holds at the start (count). */
  readonly size: number
  readonly refillPerSecond: number
}

const MS_PER_SECOND = 1000
/** Readings of the same whole number of tokens may differ by this much through rounding. */
const EPSILON = 1e-9

/**
 * A token bucket with reservations: full at the start, refilled continuously, and below zero while calls have reserved
 * tokens that are still to come. Time is an argument and never runs backwards; an earlier `nowMs` brings no tokens.
 *
 * The arithmetic is that of the reference's limiter (golang.org/x/time/rate, `Limiter.Reserve`): each call takes its token
 * at once and waits for exactly as long as that token needs, so a delayed call is delayed once.
 *
 * @source cilium pkg/api/helpers/rate_limit.go
 */
export class TokenBucketState {
  #rate: BucketRate
  #tokens: number
  #updatedMs: number

  constructor(rate: BucketRate, nowMs: number) {
    this.#rate = rate
    this.#tokens = rate.size
    this.#updatedMs = nowMs
  }

  get rate(): BucketRate {
    return this.#rate
  }

  /** When the level was last set; refills count from here (ms). */
  get updatedMs(): number {
    return this.#updatedMs
  }

  /** Tokens at `nowMs` (count, a fraction in general; negative when reserved). */
  tokens(nowMs: number): number {
    const elapsedMs = nowMs - this.#updatedMs
    if (elapsedMs <= 0) return this.#tokens
    return Math.min(this.#rate.size, this.#tokens + (elapsedMs / MS_PER_SECOND) * this.#rate.refillPerSecond)
  }

  /** Time until `cost` tokens are there (ms, 0 = now; Infinity when there is no refill). A cost above the size needs a full bucket. */
  waitMs(cost: number, nowMs: number): number {
    const missing = Math.min(cost, this.#rate.size) - this.tokens(nowMs)
    if (missing <= EPSILON) return 0
    return (missing / this.#rate.refillPerSecond) * MS_PER_SECOND
  }

  /** Takes `cost` tokens whether they are there or not. */
  take(cost: number, nowMs: number): void {
    this.#settle(nowMs)
    this.#tokens -= cost
  }

  /** Takes `cost` tokens now. @returns how long the call has to wait for them (ms) */
  reserve(cost: number, nowMs: number): number {
    const waitMs = this.waitMs(cost, nowMs)
    this.take(cost, nowMs)
    return waitMs
  }

  /** Sets the level, at most the size. */
  setTokens(tokens: number, nowMs: number): void {
    this.#settle(nowMs)
    this.#tokens = Math.min(this.#rate.size, tokens)
  }

  /** What was refilled so far stays; from now on the new rate holds. */
  setRate(rate: BucketRate, nowMs: number): void {
    this.#settle(nowMs)
    this.#rate = rate
    this.#tokens = Math.min(rate.size, this.#tokens)
  }

  #settle(nowMs: number): void {
    this.#tokens = this.tokens(nowMs)
    this.#updatedMs = Math.max(this.#updatedMs, nowMs)
  }
}

/**
 * How long each call waits for its token when all go through one bucket in the given order.
 *
 * @param callsAtMs when each call asks, not decreasing (ms)
 * @returns one delay per call (ms); a delay of 0 is not reported to the rate-limit histogram
 */
export function callDelaysMs(rate: BucketRate, callsAtMs: readonly number[]): readonly number[] {
  const bucket = new TokenBucketState(rate, callsAtMs[0] ?? 0)
  return callsAtMs.map((atMs) => bucket.reserve(1, atMs))
}
