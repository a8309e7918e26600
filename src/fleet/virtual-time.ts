import { install } from '@sinonjs/fake-timers'
import type { Clock } from '../runtime/clock.ts'
import { TimerQueue } from '../runtime/timer.ts'

/** What the wall clock shows at the start of every virtual run. */
const EPOCH_MS = Date.UTC(2026, 0, 1)

/** Work of the event loop that goes on without time passing, by the names that Node gives it: while there is any, time stands. */
const RUNNING = new Set(['Immediate', 'FSReqCallback', 'FSReqPromise', 'CloseReq'])

/** Turns at one moment after which a loop is taken to wait for nothing (count). A fleet of 100,000 that joins at once needs some 10,000. */
const MAX_TURNS_AT_ONCE = 5_000_000

const realSetImmediate = globalThis.setImmediate
const RealDate = globalThis.Date

/**
 * Virtual time for the whole process (docs/decisions/0004-one-clock.md): third-party code is driven through the replaced globals
 * `setTimeout`, `clearTimeout`, `setInterval`, `clearInterval` and `Date`, our own through `clock`, whose sleepers share one of those
 * timers: replaced ones are searched one by one. Immediates, ticks and microtasks stay real.
 *
 * Time moves in `run` alone, to the next timer, and only once nothing is left that can go on without it: no promise, no immediate,
 * no file. The in-process simulators answer in promises and timers, so a request that is under way holds time back exactly as long as
 * it does not wait for time itself.
 */
export class VirtualTime {
  readonly clock: Clock
  readonly #timers: ReturnType<typeof install>

  constructor() {
    const timers = install({
      now: EPOCH_MS,
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'],
      shouldClearNativeTimers: true,
    })
    this.#timers = timers
    const base: Clock = {
      now: () => timers.now - EPOCH_MS,
      wallTime: () => new RealDate(timers.now),
      sleep: (ms, signal) =>
        new Promise<void>((resolve) => {
          const timer = timers.setTimeout(() => resolve(), Math.max(ms, 0))
          signal.addEventListener('abort', () => timers.clearTimeout(timer), { once: true })
        }),
    }
    const sleepers = new TimerQueue(base, (error) => {
      throw error
    })
    this.clock = { ...base, sleep: (ms, signal) => sleep(ms, signal, base, sleepers) }
  }

  /**
   * Lets time pass until the work is done.
   *
   * @returns what the work resolves to
   * @throws what the work rejects with; Error when everything waits and no timer is armed, or when a loop keeps time from passing
   */
  async run<T>(work: Promise<T>): Promise<T> {
    let isDone = false
    const noteEnd = (): void => {
      isDone = true
    }
    work.then(noteEnd, noteEnd)
    let turns = 0
    for (;;) {
      turns += await settled()
      if (isDone) return work
      const beforeMs = this.#timers.now
      if (this.#timers.countTimers() === 0) throw new Error('time stands still: everything waits and no timer is armed')
      this.#timers.next()
      this.#timers.tick(0)
      if (this.#timers.now > beforeMs) turns = 0
      if (turns > MAX_TURNS_AT_ONCE)
        throw new Error(`time stands still at ${this.clock.now()} ms: a loop waits for nothing`)
    }
  }

  /** Gives the globals back. */
  uninstall(): void {
    this.#timers.uninstall()
  }
}

/** Whole milliseconds, rounded up: who sleeps until a moment finds that it has come. */
function sleep(ms: number, signal: AbortSignal, clock: Clock, sleepers: TimerQueue): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error)
      return
    }
    const onAbort = (): void => {
      timer.cancel()
      reject(signal.reason as Error)
    }
    const timer = sleepers.timer(() => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    })
    timer.setAt(clock.now() + Math.ceil(Math.max(ms, 0)))
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

/**
 * Resolves once the event loop has nothing left to do but wait. Looked at from within an immediate: all microtasks and ticks have run
 * by then, so what is to go on is either listed or waits for time.
 *
 * @returns turns of the event loop that it took (count)
 */
function settled(): Promise<number> {
  return new Promise((resolve) => {
    let turns = 0
    const look = (): void => {
      turns += 1
      if (process.getActiveResourcesInfo().some((kind) => RUNNING.has(kind))) realSetImmediate(look)
      else resolve(turns)
    }
    realSetImmediate(look)
  })
}
