/** What a refusal leaves of the assumed rate (factor). As in TCP's CUBIC (RFC 9438, section 4.6): milder than one half. */
const DECREASE_FACTOR = 0.7
/** What one accepted call adds, as part of the rate that the last refusal left (factor). One refusal costs about 290 calls of climbing: 0.4 %. */
const STEP_SHARE = 0.0015
/** After so many accepted calls without a refusal, longer than one such climb, the steps double: whoever took the tokens has left. */
const CALLS_PER_DOUBLING = 350
/** The largest step (part of the rate that the last refusal left). */
const MAX_STEP_SHARE = 0.05
/** The assumed rate never falls below this part of the first guess, so that a bucket always learns of better times. */
const FLOOR_SHARE = 0.05

export interface LearnedRateLimits {
  /** The first guess: documented or conservative (tokens per second). */
  readonly startPerSecond: number
  /** Never above this (tokens per second, at least the start). */
  readonly ceilingPerSecond: number
}

/**
 * The refill rate that we assume of one bucket: additive increase, multiplicative decrease.
 *
 * Steps count accepted calls, not seconds, so that the share of refused calls stays below 1 % however slow the bucket is.
 */
export class LearnedRate {
  readonly #limits: LearnedRateLimits
  readonly #floorPerSecond: number
  #perSecond: number
  /** The rate that the steps are a part of. */
  #basePerSecond: number
  #acceptedSinceRefusal = 0

  constructor(limits: LearnedRateLimits) {
    this.#limits = limits
    this.#floorPerSecond = limits.startPerSecond * FLOOR_SHARE
    this.#perSecond = limits.startPerSecond
    this.#basePerSecond = limits.startPerSecond
  }

  /** Tokens per second. */
  get perSecond(): number {
    return this.#perSecond
  }

  /**
   * A call was accepted.
   *
   * @param isLimiting whether calls had to wait for this bucket: beyond the first guess only such calls are evidence, a
   *   rate that nobody used proves nothing
   */
  accepted(isLimiting: boolean): void {
    if (this.#perSecond >= this.#limits.startPerSecond && !isLimiting) return
    if (this.#perSecond >= this.#limits.ceilingPerSecond) return
    this.#acceptedSinceRefusal += 1
    const doublings = Math.floor(this.#acceptedSinceRefusal / CALLS_PER_DOUBLING)
    const stepShare = Math.min(MAX_STEP_SHARE, STEP_SHARE * 2 ** doublings)
    this.#perSecond = Math.min(this.#limits.ceilingPerSecond, this.#perSecond + stepShare * this.#basePerSecond)
  }

  /** The cloud refused a call that was sent at this rate. */
  refused(): void {
    this.#acceptedSinceRefusal = 0
    this.#perSecond = Math.max(this.#floorPerSecond, this.#perSecond * DECREASE_FACTOR)
    this.#basePerSecond = this.#perSecond
  }
}
