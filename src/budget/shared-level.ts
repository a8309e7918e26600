import type { BucketRate } from './token-bucket.ts'
import { TokenBucketState } from './token-bucket.ts'

/**
 * Between a bucket and the store in which it is shared: whether it is worth asking the store for tokens. The bucket's own
 * level stays an upper bound.
 */
export interface BucketGate {
  /** Time until a call of this cost may ask for its tokens (ms; 0 = now). */
  turnMs(cost: number, nowMs: number): number
  /** Time until `cost` tokens are there, if nobody takes any before (ms, an estimate; 0 = now). */
  waitMs(cost: number, nowMs: number): number
  /** Tokens that may be there now (count, never negative). */
  available(nowMs: number): number
  /** A call is on its way. @returns tokens that the store has yet to give (count); the others were paid before */
  take(cost: number, nowMs: number): number
}

/** A place in line: tokens taken from the store ahead of its refill. */
export interface Place {
  readonly tokens: number
  /** From when on the refill covers them, at the latest (ms). */
  readonly dueMs: number
}

/**
 * What one controller knows of a bucket in the store: its level in the last answer, refilled since, less what was asked for
 * meanwhile. Others take from the store too, so this is an upper bound; asking tells.
 *
 * Who finds too few tokens leaves those of one call taken, so that the store's level is below zero: that is a place in line
 * among the controllers, first come, first served. The tokens belong to the controller and not to the call: once the refill
 * covers them, the most urgent call gets them.
 */
export class SharedLevel implements BucketGate {
  /** As if every unanswered question had been answered. */
  readonly #state: TokenBucketState
  /** Tokens asked for in questions that are not answered yet (count). */
  #asked = 0
  #place: Place | undefined

  /** @param level the store's present level (tokens; negative while controllers stand in line) */
  constructor(rate: BucketRate, level: number, nowMs: number) {
    this.#state = new TokenBucketState(rate, nowMs)
    this.#state.setTokens(level, nowMs)
  }

  get place(): Place | undefined {
    return this.#place
  }

  /** While nobody of ours stands in line, a call may join it, whatever the level: the place may be an early one. */
  turnMs(cost: number, nowMs: number): number {
    const missing = cost - this.#paid(nowMs)
    if (missing <= 0 || (this.#place === undefined && this.#asked === 0)) return 0
    const freshMs = this.#state.waitMs(missing, nowMs)
    const isEnough = this.#place !== undefined && this.#place.tokens >= cost
    return isEnough ? Math.min(this.#placeInMs(nowMs), freshMs) : freshMs
  }

  waitMs(cost: number, nowMs: number): number {
    const fromStore = cost - (this.#place?.tokens ?? 0)
    if (fromStore <= 0) return this.#placeInMs(nowMs)
    const missing = fromStore - this.#state.tokens(nowMs)
    return Math.max(this.#placeInMs(nowMs), (missing / this.#state.rate.refillPerSecond) * 1000)
  }

  available(nowMs: number): number {
    return Math.max(0, this.tokens(nowMs)) + this.#paid(nowMs)
  }

  /** The store's level, as far as known (tokens; negative while controllers stand in line). */
  tokens(nowMs: number): number {
    return this.#state.tokens(nowMs)
  }

  take(cost: number, nowMs: number): number {
    const paid = Math.min(cost, this.#paid(nowMs))
    if (this.#place !== undefined && paid > 0) {
      const left = this.#place.tokens - paid
      this.#place = left > 0 ? { ...this.#place, tokens: left } : undefined
    }
    const asked = cost - paid
    this.#asked += asked
    this.#state.take(asked, nowMs)
    return asked
  }

  /** The store answered a question for `asked` tokens (0: a mere look) with its level after it (tokens). */
  answered(asked: number, level: number, nowMs: number): void {
    this.#asked -= asked
    this.#state.setTokens(level - this.#asked, nowMs)
  }

  /** Tokens go back to the store. */
  returned(tokens: number, nowMs: number): void {
    this.#state.take(-tokens, nowMs)
  }

  /** Takes a place in line, or has it become due earlier. */
  standInLine(place: Place): void {
    this.#place = place
  }

  /** Leaves the line. @returns tokens that nobody needed (count) */
  leaveLine(): number {
    const tokens = this.#place?.tokens ?? 0
    this.#place = undefined
    return tokens
  }

  #paid(nowMs: number): number {
    return this.#place !== undefined && this.#place.dueMs <= nowMs ? this.#place.tokens : 0
  }

  #placeInMs(nowMs: number): number {
    return Math.max(0, (this.#place?.dueMs ?? nowMs) - nowMs)
  }
}
