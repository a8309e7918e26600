import { assert } from '../runtime/assert.ts'
import type { CallPriority } from '../runtime/call-priority.ts'
import type { Clock } from '../runtime/clock.ts'
import type { BucketSet } from './bucket-set.ts'
import type { BucketCharge, QueuePosition } from './contracts.ts'
import type { Taking } from './token-holder.ts'
import { WaitingCalls } from './waiting-calls.ts'
import type { WaitingCall } from './waiting-calls.ts'

/** The shortest sleep (ms): timers have no finer grain. */
const TIMER_GRAIN_MS = 1
/** Waits are rounded up to the grain, except for what rounding errors add (ms). */
const ROUNDING_MS = 1e-6
/** Why an alarm was taken back. One for all: an abort without a reason builds an exception with a stack. */
const REARMED = new Error('another alarm took its place')
/** More waiting calls than this are a leak of ours: a node has a few at most (count). */
const MAX_WAITING = 1_000_000

/** A charge that this process has tokens for. */
export interface AdmittedTaking extends Taking {
  /** Those of its tokens that a store shared with other controllers has yet to give (count). */
  readonly asked: number
}

/** A call that asks for its tokens. */
export interface CandidateCall extends WaitingCall {
  /** Its tokens are taken: go, now. Runs synchronously, in the order of admission. */
  readonly admit: (takings: readonly AdmittedTaking[], nowMs: number) => void
  /** The signal was aborted while it waited. */
  readonly abandon: (nowMs: number) => void
}

/** Tokens of a bucket that are promised to more urgent calls which still wait for something. */
interface Promised {
  tokens: number
  /** When the first of those calls has all it needs (ms from now). */
  readyMs: number
}

/**
 * Who goes next. The most urgent call whose buckets all have its tokens is admitted; it takes all of them or none. A less
 * urgent call may pass one that is stuck only with tokens that the stuck one will not miss once it can go (backfilling, as
 * batch schedulers do it). Decides by the passed clock alone.
 */
export class Admission {
  readonly #clock: Clock
  readonly #buckets: BucketSet
  readonly #waiting: WaitingCalls<CandidateCall>
  /** Whether the next call is being chosen: nothing may change the queue then. */
  #isChoosing = false
  #alarm: { readonly dueMs: number; readonly controller: AbortController } | undefined

  constructor(clock: Clock, buckets: BucketSet) {
    this.#clock = clock
    this.#buckets = buckets
    this.#waiting = new WaitingCalls((calls) => {
      const nowMs = clock.now()
      for (const call of calls) call.abandon(nowMs)
      this.dispatch(nowMs)
    })
  }

  /** Queues a call and admits whoever can go. @param nowMs the moment from which its wait counts */
  enqueue(call: CandidateCall, nowMs: number): void {
    assert(this.#waiting.size < MAX_WAITING, `more than ${MAX_WAITING} calls wait for tokens`)
    this.#waiting.add(call)
    this.dispatch(nowMs)
  }

  rerank(signal: AbortSignal, priority: CallPriority): void {
    this.#waiting.rerank(signal, priority)
    this.dispatch(this.#clock.now())
  }

  /** Calls that wait for a bucket, by class (count). */
  waiting(bucket: string): Readonly<Record<CallPriority, number>> {
    return this.#waiting.waiting(bucket)
  }

  /** How long a call of this class would wait, behind all that are as urgent (ms, an estimate). */
  expectedWaitMs(charges: readonly BucketCharge[], priority: CallPriority, nowMs: number): number {
    return charges.reduce((longestMs, { bucket, cost }) => {
      const tokens = this.#waiting.tokensAhead(bucket, priority) + cost
      return Math.max(longestMs, this.#buckets.get(bucket, nowMs).waitMs(tokens, nowMs))
    }, 0)
  }

  /** Where a waiting call stands: in the queue of that of its buckets which lets it wait longest. */
  positionOf(call: CandidateCall, nowMs: number): QueuePosition {
    const positions = call.charges.map(({ bucket: name }): QueuePosition => {
      const bucket = this.#buckets.get(name, nowMs)
      const { refillPerSecond } = bucket
      const firstMs = nowMs + bucket.waitMs(1, nowMs)
      const timeOf = (tokens: number): number => firstMs + ((tokens - 1) / refillPerSecond) * 1000
      const { ahead, behind, tokens } = this.#waiting.placeOf(call, name, timeOf)
      const waitMs = bucket.waitMs(tokens, nowMs)
      return { bucket: name, ahead, behind, refillPerSecond, waitMs, pausedMs: bucket.pausedMs(nowMs) }
    })
    return positions.reduce((worst, position) => (position.waitMs > worst.waitMs ? position : worst))
  }

  /** Admits whoever can go, and sets the alarm for the next moment at which that may change. */
  dispatch(nowMs: number): void {
    let nextMs = this.#admitOne(nowMs)
    while (nextMs === 'admitted') nextMs = this.#admitOne(nowMs)
    this.#setAlarm(nextMs, nowMs)
  }

  /** @returns `admitted`, or the time until the first waiting call has its tokens (ms; Infinity when none waits) */
  #admitOne(nowMs: number): 'admitted' | number {
    const { next, nextMs } = this.#choose(nowMs)
    if (next === undefined) return nextMs
    this.#admit(next, nowMs)
    return 'admitted'
  }

  #choose(nowMs: number): { readonly next: CandidateCall | undefined; readonly nextMs: number } {
    assert(!this.#isChoosing, 'the queue was woken while it chose the next call')
    this.#isChoosing = true
    try {
      return this.#mostUrgent(nowMs)
    } finally {
      this.#isChoosing = false
    }
  }

  #mostUrgent(nowMs: number): { readonly next: CandidateCall | undefined; readonly nextMs: number } {
    const promised = new Map<string, Promised>()
    let nextMs = Number.POSITIVE_INFINITY
    for (const call of this.#waiting.candidates(nowMs)) {
      const ownMs = this.#ownWaitMs(call, nowMs)
      if (ownMs === 0 && this.#fits(call, promised, nowMs)) return { next: call, nextMs: 0 }
      if (ownMs > 0) nextMs = Math.min(nextMs, ownMs)
      promise(call, ownMs, promised)
    }
    return { next: undefined, nextMs }
  }

  /** Time until all buckets have the tokens of this call, other calls apart (ms). */
  #ownWaitMs(call: CandidateCall, nowMs: number): number {
    return call.charges.reduce((longestMs, { bucket: name, cost }) => {
      const bucket = this.#buckets.get(name, nowMs)
      return Math.max(longestMs, bucket.turnMs(Math.min(cost, bucket.size), nowMs))
    }, 0)
  }

  /** Whether the call leaves to more urgent ones what they are promised by the time they need it. */
  #fits(call: CandidateCall, promised: ReadonlyMap<string, Promised>, nowMs: number): boolean {
    return call.charges.every(({ bucket, cost }) => {
      const promise = promised.get(bucket)
      if (promise === undefined) return true
      return this.#buckets.get(bucket, nowMs).waitMs(promise.tokens + cost, nowMs) <= promise.readyMs
    })
  }

  #admit(call: CandidateCall, nowMs: number): void {
    this.#waiting.serve(call, nowMs)
    const takings = call.charges.map(({ bucket: name, cost }): AdmittedTaking => {
      const bucket = this.#buckets.get(name, nowMs)
      const level = Math.max(cost, Math.floor(bucket.available(nowMs) + ROUNDING_MS))
      return { bucket: name, cost, level, asked: bucket.take(cost, nowMs) }
    })
    call.admit(takings, nowMs)
  }

  #setAlarm(waitMs: number, nowMs: number): void {
    if (waitMs === Number.POSITIVE_INFINITY) {
      this.#alarm?.controller.abort(REARMED)
      this.#alarm = undefined
      return
    }
    const sleepMs = Math.max(TIMER_GRAIN_MS, Math.ceil((waitMs - ROUNDING_MS) / TIMER_GRAIN_MS) * TIMER_GRAIN_MS)
    const dueMs = nowMs + sleepMs
    // An alarm that rings too early finds nothing to do and is set again.
    if (this.#alarm !== undefined && this.#alarm.dueMs <= dueMs) return
    this.#alarm?.controller.abort(REARMED)
    const alarm = { dueMs, controller: new AbortController() }
    this.#alarm = alarm
    this.#clock.sleep(sleepMs, alarm.controller.signal).then(
      () => {
        if (this.#alarm !== alarm) return
        this.#alarm = undefined
        this.dispatch(this.#clock.now())
      },
      () => undefined, // aborted: another alarm took its place, or nobody waits
    )
  }
}

/** Notes what a call that cannot go yet will need, and when. */
function promise(call: CandidateCall, ownWaitMs: number, promised: Map<string, Promised>): void {
  const readyMs = call.charges.reduce(
    (latestMs, { bucket }) => Math.max(latestMs, promised.get(bucket)?.readyMs ?? 0),
    ownWaitMs,
  )
  for (const { bucket, cost } of call.charges) {
    const before = promised.get(bucket)
    promised.set(bucket, {
      tokens: (before?.tokens ?? 0) + cost,
      readyMs: Math.min(before?.readyMs ?? Number.POSITIVE_INFINITY, readyMs),
    })
  }
}
