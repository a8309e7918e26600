import { assert } from '../runtime/assert.ts'
import { LearnedRate } from './learned-rate.ts'
import type { BucketGate } from './shared-level.ts'
import type { BucketRate } from './token-bucket.ts'
import { TokenBucketState } from './token-bucket.ts'

const EPSILON = 1e-9
/** Pause after the second refusal in a row, doubled by each further one (ms, before jitter). */
const FIRST_PAUSE_MS = 500
/** The longest pause of our own choice (ms); a longer Retry-After is honoured. */
const LONGEST_PAUSE_MS = 30_000
/** A longer Retry-After is taken as this: nobody should wait for hours because of one odd answer (ms). */
const LONGEST_RETRY_AFTER_MS = 15 * 60_000

/**
 * How long to leave a bucket, or one call, alone after refusals in a row: exponential with jitter, as AWS asks of clients.
 *
 * @param refusals in a row after the first (count, at least 1). @param jitter in [0, 1)
 * @source AWS documentation, Amazon EC2 Developer Guide, Retries and exponential backoff
 */
export function pauseMs(refusals: number, jitter: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (refusals - 1)) * (0.5 + jitter / 2)
}

export interface BucketOptions {
  readonly name: string
  /** What to start from. */
  readonly rate: BucketRate
  /** The rate may be learned up to this (tokens per second). */
  readonly ceilingPerSecond: number
  /**
   * How much later than in a continuously refilled bucket a token may come back, and a call may arrive (ms). 1,000 and more
   * for buckets that are refilled in steps of a second whose moment we do not know.
   */
  readonly lagMs: number
  readonly nowMs: number
}

/** Tokens taken at one moment. */
interface Taking {
  readonly atMs: number
  cost: number
}

/**
 * What we believe of one of the cloud's buckets. Decides; makes no call. Time is an argument and never runs backwards.
 *
 * A bucket refilled in steps gives, in any window of w seconds, at least refill × (w − 1) tokens and at most its size more. So
 * the tokens that are there for certain are those of a continuously refilled bucket one second ago, less what was taken
 * since. The whole size can be taken at once, the long-run rate is the full one, and no call is refused whatever the moment
 * of the steps.
 */
export class Bucket {
  readonly name: string
  /** How much later than in a continuously refilled bucket a token may come back (ms). */
  readonly lagMs: number
  /** What to start from, and what a store shares (size and tokens per second). */
  fullRate: BucketRate
  #learned: LearnedRate
  /** The bucket as it was `lagMs` ago. */
  readonly #state: TokenBucketState
  /** Taken since then, oldest first, one entry per moment: at most as many as the bucket has tokens. */
  #recent: Taking[] = []
  #recentCost = 0
  #pausedUntilMs = Number.NEGATIVE_INFINITY
  #refusedAtMs = Number.NEGATIVE_INFINITY
  /** When the latest of the accepted calls was admitted. */
  #acceptedAdmittedAtMs = Number.NEGATIVE_INFINITY
  #refusalsInARow = 0
  /** Part of the bucket that is ours, in (0, 1]. */
  #share = 1
  #gate: BucketGate | undefined

  constructor(options: BucketOptions) {
    this.name = options.name
    this.lagMs = options.lagMs
    this.fullRate = options.rate
    this.#learned = new LearnedRate({
      startPerSecond: options.rate.refillPerSecond,
      ceilingPerSecond: options.ceilingPerSecond,
    })
    this.#state = new TokenBucketState(options.rate, options.nowMs - options.lagMs)
  }

  get size(): number {
    return this.#state.rate.size
  }

  get refillPerSecond(): number {
    return this.#learned.perSecond * this.#share
  }

  /** Tokens that can be taken now (count, may be a fraction; 0 while paused; never negative). */
  available(nowMs: number): number {
    this.#settle(nowMs)
    const own = nowMs < this.#pausedUntilMs ? 0 : Math.max(0, this.#tokens(nowMs))
    return this.#gate === undefined ? own : Math.min(own, this.#gate.available(nowMs))
  }

  /**
   * Time until `cost` tokens are there, if nobody takes any before (ms; 0 = now). What exceeds the size is taken to be drawn
   * by others first, at the rate of the refill.
   */
  waitMs(cost: number, nowMs: number): number {
    return Math.max(this.#ownMs(cost, nowMs), this.#gate?.waitMs(cost, nowMs) ?? 0)
  }

  /** How much longer the bucket is left alone after refusals, whatever it holds (ms; 0 = not at all). */
  pausedMs(nowMs: number): number {
    return Math.max(0, this.#pausedUntilMs - nowMs)
  }

  /** As `waitMs`, for a call that is next: one in a shared bucket may ask for its tokens before they are certain. */
  turnMs(cost: number, nowMs: number): number {
    return Math.max(this.#ownMs(cost, nowMs), this.#gate?.turnMs(cost, nowMs) ?? 0)
  }

  /** @returns tokens that the shared store has yet to give (count; 0 where the bucket is not shared) */
  take(cost: number, nowMs: number): number {
    this.#settle(nowMs)
    const last = this.#recent.at(-1)
    if (last !== undefined && last.atMs === nowMs) last.cost += cost
    else this.#recent.push({ atMs: nowMs, cost })
    this.#recentCost += cost
    return this.#gate?.take(cost, nowMs) ?? 0
  }

  /** Tokens taken for a call that was not made after all. What belongs to a shared store goes back there by another way. */
  giveBack(cost: number, nowMs: number): void {
    this.#settle(nowMs)
    let left = cost
    for (let taking = this.#recent.at(-1); taking !== undefined && left > 0; taking = this.#recent.at(-1)) {
      const part = Math.min(left, taking.cost)
      taking.cost -= part
      this.#recentCost -= part
      left -= part
      if (taking.cost <= EPSILON) this.#recent.pop()
      else break
    }
    const seenMs = nowMs - this.lagMs
    if (left > 0) this.#state.setTokens(this.#state.tokens(seenMs) + left, seenMs)
  }

  /** The cloud served a call. @param isLimiting whether it had to wait for tokens */
  accepted(call: { admittedAtMs: number; nowMs: number; isLimiting: boolean }): void {
    this.#acceptedAdmittedAtMs = Math.max(this.#acceptedAdmittedAtMs, call.admittedAtMs)
    this.#refusalsInARow = 0
    this.#learned.accepted(call.isLimiting)
    this.#followRate(call.nowMs)
  }

  /** Whether a call admitted after `atMs` was accepted: then a bucket that was empty at `atMs` does not explain what follows. */
  hasAcceptedSince(atMs: number): boolean {
    return this.#acceptedAdmittedAtMs > atMs
  }

  /** Whether a refusal showed the bucket empty since `atMs`: then tokens taken at `atMs` were none. */
  hasRefusedSince(atMs: number): boolean {
    return this.#refusedAtMs >= atMs
  }

  /**
   * The cloud refused a call for its rate: the bucket is empty, and slower than assumed. Calls that were already admitted at
   * the previous refusal teach nothing new.
   *
   * @param refusal `jitter` in [0, 1) spreads the pauses of several controllers
   */
  refused(refusal: { admittedAtMs: number; nowMs: number; retryAfterMs: number; jitter: number }): void {
    const { admittedAtMs, nowMs, retryAfterMs, jitter } = refusal
    this.#settle(nowMs)
    this.#pauseUntil(nowMs + Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS))
    if (this.hasRefusedSince(admittedAtMs)) return
    this.#refusedAtMs = nowMs
    this.#refusalsInARow += 1
    if (this.#refusalsInARow > 1) this.#pauseUntil(nowMs + pauseMs(this.#refusalsInARow - 1, jitter))
    this.#learned.refused()
    this.#followRate(nowMs)
    this.#setTokens(0, nowMs)
  }

  /** The cloud said how many tokens are left. */
  observeRemaining(tokens: number, nowMs: number): void {
    this.#settle(nowMs)
    if (tokens < this.#tokens(nowMs)) this.#setTokens(Math.max(0, tokens), nowMs)
  }

  /** From now on tokens come through the gate of a shared store, as far as the bucket itself has them too. */
  shareThrough(gate: BucketGate): void {
    this.#gate = gate
  }

  /**
   * From now on a part of the bucket is ours alone: all of it, or what is fair among controllers that cannot talk.
   *
   * @param share in (0, 1]. A smaller one cuts the level down to the smaller size; a larger one fills up with time
   */
  keepShare(share: number, nowMs: number): void {
    assert(share > 0 && share <= 1, `the share of ${this.name} must be in (0, 1], not ${share}`)
    this.#gate = undefined
    if (share === this.#share) return
    this.#share = share
    this.#followRate(nowMs)
  }

  /** Somebody who knows says that the bucket is another one: what was learned so far is forgotten, the level stays. */
  rebase(rate: BucketRate, ceilingPerSecond: number, nowMs: number): void {
    this.#settle(nowMs)
    this.fullRate = rate
    this.#learned = new LearnedRate({ startPerSecond: rate.refillPerSecond, ceilingPerSecond })
    const size = Math.max(1, Math.floor(rate.size * this.#share))
    this.#state.setRate({ size, refillPerSecond: this.refillPerSecond }, nowMs - this.lagMs)
  }

  #pauseUntil(untilMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, untilMs)
  }

  /** As of now there are `tokens` in the cloud, and the next ones come after the lag. */
  #setTokens(tokens: number, nowMs: number): void {
    this.#recent = []
    this.#recentCost = 0
    this.#state.setTokens(tokens, nowMs)
  }

  #tokens(nowMs: number): number {
    return this.#state.tokens(nowMs - this.lagMs) - this.#recentCost
  }

  #followRate(nowMs: number): void {
    const { refillPerSecond } = this
    if (refillPerSecond === this.#state.rate.refillPerSecond) return
    this.#settle(nowMs)
    const size = Math.max(1, Math.floor(this.fullRate.size * this.#share))
    this.#state.setRate({ size, refillPerSecond }, nowMs - this.lagMs)
  }

  /** Time until `cost` tokens are there as far as this process knows (ms). */
  #ownMs(cost: number, nowMs: number): number {
    this.#settle(nowMs)
    return Math.max(0, this.#pausedUntilMs - nowMs, this.#tokensMs(cost, nowMs))
  }

  /** What was taken before the lag becomes part of the state. */
  #settle(nowMs: number): void {
    const seenMs = nowMs - this.lagMs
    let settled = 0
    for (const taking of this.#recent) {
      if (taking.atMs > seenMs) break
      this.#state.take(taking.cost, taking.atMs)
      this.#recentCost -= taking.cost
      settled += 1
    }
    if (settled > 0) this.#recent.splice(0, settled)
    if (this.#recent.length === 0) this.#recentCost = 0
  }

  /** As `waitMs`, without pauses. Follows the state through the takings that it has not seen yet, since a full bucket gains nothing. */
  #tokensMs(cost: number, nowMs: number): number {
    const { size } = this
    const perMs = this.#state.rate.refillPerSecond / 1000
    const wanted = Math.min(cost, size)
    const othersMs = (cost - wanted) / perMs
    if (wanted - this.#tokens(nowMs) <= EPSILON) return othersMs
    const seenMs = nowMs - this.lagMs
    let level = this.#state.tokens(seenMs)
    let pending = this.#recentCost
    let atMs = Math.max(seenMs, this.#state.updatedMs)
    for (const taking of this.#recent) {
      const reachedAtMs = atMs + (wanted + pending - level) / perMs
      if (wanted + pending <= size + EPSILON && reachedAtMs <= taking.atMs) return reachedAtMs - seenMs + othersMs
      level = Math.min(size, level + (taking.atMs - atMs) * perMs) - taking.cost
      pending -= taking.cost
      atMs = taking.atMs
    }
    return atMs + Math.max(0, wanted - level) / perMs - seenMs + othersMs
  }
}
