import type { Clock } from '../runtime/clock.ts'
import type { Bucket } from './bucket.ts'
import type { RedisReservoir, RedisSession } from './redis-session.ts'
import { SharedLevel } from './shared-level.ts'
import type { BucketGate } from './shared-level.ts'
import type { BucketRate } from './token-bucket.ts'

/** How often a controller that stands in line looks whether those before it have gone (ms). */
const LOOK_AGAIN_MS = 250
/** While a bucket is being opened nothing can be asked for; that takes a few round trips (ms, an estimate). */
const OPENING_MS = 10

const OPENING: BucketGate = {
  turnMs: () => OPENING_MS,
  waitMs: () => OPENING_MS,
  available: () => 0,
  take: () => 0,
}

/** A question that is not sent yet: the calls admitted at one moment ask together. */
interface Question {
  readonly tokens: number
  readonly answer: (isPaid: boolean) => void
}

/** One bucket while Redis answers. */
interface Shared {
  readonly reservoir: RedisReservoir
  readonly level: SharedLevel
}

export interface RedisBucketOptions {
  readonly bucket: Bucket
  readonly wake: () => void
  readonly clock: Clock
  /** Aborted when the store is closed. */
  readonly signal: AbortSignal
}

/**
 * One bucket of this controller and its counterpart in Redis. While Redis answers, calls draw on the counterpart; while it does
 * not, on this controller's part of the bucket. No call is lost in between: it takes its place in the queue again.
 */
export class RedisBucket {
  readonly #options: RedisBucketOptions
  readonly #rate: BucketRate
  #shared: Shared | undefined
  #questions: Question[] = []
  #controllers = 1
  /** Whether this controller has drawn on its part, and not on Redis. */
  #isAlone = false
  /** The counterpart when Redis was last seen; undefined: never. */
  #lastSeen: { readonly level: number; readonly atMs: number } | undefined

  constructor(options: RedisBucketOptions) {
    this.#options = options
    this.#rate = sharedRate(options.bucket)
  }

  get name(): string {
    return this.#options.bucket.name
  }

  /** Whether Redis keeps its tokens at present. */
  get isShared(): boolean {
    return this.#shared !== undefined
  }

  /** Controllers that use the bucket, this one included, as last seen (count). */
  get controllers(): number {
    return this.#controllers
  }

  set controllers(count: number) {
    this.#controllers = Math.max(1, count)
  }

  /** Opens the counterpart. A bucket used for the first time waits for it; one that was alone goes on alone until then. */
  async join(session: RedisSession): Promise<void> {
    const { bucket, clock, wake } = this.#options
    if (!this.#isAlone) bucket.shareThrough(OPENING)
    const reservoir = await session.reservoir(bucket.name, this.#rate)
    const [count = 1] = await session.controllers([bucket.name])
    let level = await reservoir.level()
    if (this.#isAlone) level = await this.#settleUp(reservoir, level)
    else this.controllers = count
    if (session.isOver) return
    const nowMs = clock.now()
    this.#shared = { reservoir, level: new SharedLevel(this.#rate, level, nowMs) }
    this.#isAlone = false
    bucket.keepShare(1, nowMs)
    bucket.shareThrough(this.#shared.level)
    wake()
  }

  /** Redis is away: this controller's part of the bucket, and of what was left in it, is what it may use. */
  leave(): void {
    this.keepShare()
    this.#options.wake()
  }

  /** As `leave`, for a bucket that is just being made: nobody waits for it yet, and its queue is busy. */
  keepShare(): void {
    const { bucket, clock } = this.#options
    const nowMs = clock.now()
    if (this.#shared !== undefined) this.#lastSeen = { level: this.#shared.level.tokens(nowMs), atMs: nowMs }
    bucket.keepShare(1 / this.#controllers, nowMs)
    if (this.#shared !== undefined) {
      bucket.observeRemaining(this.#shared.level.available(nowMs) / this.#controllers, nowMs)
    }
    this.#shared = undefined
    this.#isAlone = true
    for (const { answer } of this.#questions.splice(0)) answer(false)
  }

  /** @returns whether the tokens are this controller's now */
  ask(tokens: number): Promise<boolean> {
    return new Promise((resolve) => {
      this.#questions.push({ tokens, answer: resolve })
      if (this.#questions.length === 1) queueMicrotask(() => this.#send())
    })
  }

  /** Tokens of a call that was not sent. */
  giveBack(tokens: number): void {
    if (this.#shared !== undefined) this.#return(this.#shared, tokens)
  }

  /**
   * While Redis was away it went on refilling, or lost its data and began anew, and the controllers went on taking. Each takes
   * out what its part of the refilled level is above what its part of the bucket has left.
   *
   * @returns the level after it
   */
  async #settleUp(reservoir: RedisReservoir, level: number): Promise<number> {
    const { bucket, clock } = this.#options
    const { size, refillPerSecond } = this.#rate
    const nowMs = clock.now()
    const seen = this.#lastSeen
    const refilled =
      seen === undefined ? size : Math.min(size, seen.level + ((nowMs - seen.atMs) / 1000) * refillPerSecond)
    const begunAnew = Math.max(0, level - Math.ceil(refilled))
    const drawn = Math.max(0, Math.ceil(refilled / this.#controllers - bucket.available(nowMs)))
    return begunAnew + drawn > 0 ? reservoir.add(-begunAnew - drawn) : level
  }

  #send(): void {
    const questions = this.#questions.splice(0)
    const shared = this.#shared
    if (shared === undefined) {
      for (const { answer } of questions) answer(false)
      return
    }
    const tokens = questions.reduce((sum, question) => sum + question.tokens, 0)
    shared.reservoir.add(-tokens).then(
      (level) => this.#answered(shared, questions, level),
      // The session ends with the first failure; all calls queue again, for this controller's part of the bucket.
      () => questions.forEach(({ answer }) => answer(false)),
    )
  }

  /** @param level of the counterpart after all questions took their tokens */
  #answered(shared: Shared, questions: readonly Question[], level: number): void {
    const { clock, wake } = this.#options
    const nowMs = clock.now()
    const asked = questions.reduce((sum, { tokens }) => sum + tokens, 0)
    shared.level.answered(asked, level, nowMs)
    let left = asked + Math.min(0, level)
    const firstUnpaid = questions.findIndex(({ tokens }) => (left -= tokens) < 0)
    if (firstUnpaid >= 0) this.#overdrawn(shared, questions.slice(firstUnpaid), level)
    questions.forEach(({ answer }, index) => answer(firstUnpaid < 0 || index < firstUnpaid))
    wake()
  }

  /** Not all got their tokens: the first of the others stands in line for its controller, what the rest took goes back. */
  #overdrawn(shared: Shared, unpaid: readonly Question[], level: number): void {
    const tokens = unpaid.reduce((sum, question) => sum + question.tokens, 0)
    const isFree = shared.level.place === undefined && this.#shared === shared
    const first = isFree ? (unpaid[0]?.tokens ?? 0) : 0
    if (tokens > first) this.#return(shared, tokens - first)
    if (first === 0) return
    const debt = -(level + tokens - first)
    shared.level.standInLine({ tokens: first, dueMs: this.#options.clock.now() + this.#refillMs(debt) })
    void this.#waitInLine(shared)
  }

  /** Until the tokens are due; then they are the most urgent call's, or nobody's. */
  async #waitInLine(shared: Shared): Promise<void> {
    const { clock, signal, wake } = this.#options
    const { level, reservoir } = shared
    let place = level.place
    try {
      while (place !== undefined && place.dueMs > clock.now()) {
        const waitMs = place.dueMs - clock.now()
        await clock.sleep(Math.min(waitMs, LOOK_AGAIN_MS), signal)
        if (level.place !== place) break
        if (waitMs <= LOOK_AGAIN_MS) continue
        const tokens = await reservoir.level()
        level.answered(0, tokens, clock.now())
        if (level.place !== place) break
        // Those before us may have gone back: then our turn comes earlier.
        place = { ...place, dueMs: Math.min(place.dueMs, clock.now() + this.#refillMs(-tokens)) }
        level.standInLine(place)
      }
    } catch {
      return // closed, or the session has ended: who took over knows
    }
    if (this.#shared !== shared) return
    wake()
    if (level.place === undefined || level.place.dueMs > clock.now()) return
    this.#return(shared, level.leaveLine())
  }

  #return(shared: Shared, tokens: number): void {
    shared.level.returned(tokens, this.#options.clock.now())
    shared.reservoir.add(tokens).then(
      (level) => shared.level.answered(0, level, this.#options.clock.now()),
      () => undefined, // the session has ended
    )
  }

  /** Time in which Redis adds so many tokens, whatever the moment of its next one (ms). */
  #refillMs(tokens: number): number {
    return Math.max(0, (Math.ceil(tokens) * 1000) / this.#rate.refillPerSecond)
  }
}

/**
 * The rate of the counterpart: refilled continuously, and smaller by what the cloud may be late with. So it never gives what the
 * cloud might refuse, whatever the moment of the cloud's refills, and a long queue ends at the same moment as with a larger bucket.
 */
function sharedRate({ fullRate: { size, refillPerSecond }, lagMs }: Bucket): BucketRate {
  return { size: Math.max(1, Math.floor(size - (refillPerSecond * lagMs) / 1000)), refillPerSecond }
}
