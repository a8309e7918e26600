import type { Clock } from '../../src/runtime/clock.ts'

interface Timer {
  readonly dueMs: number
  readonly order: number
  readonly run: () => void
  isCancelled: boolean
}

/** Rounds of one moment, and turns of the event loop in one round (counts): more than that is a loop that waits for nothing. */
const MAX_ROUNDS_AT_ONCE = 20_000
const MAX_TURNS = 100_000
/** Turns of the event loop without any sign of life after which everything is taken to wait for time (count). */
const CALM_TURNS = 2

const realSetImmediate = globalThis.setImmediate
const realClearImmediate = globalThis.clearImmediate
const realTimers = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  setImmediate: realSetImmediate,
  clearImmediate: realClearImmediate,
}

/**
 * Virtual time for a whole process: the clock of everything that has one passed in, and of third-party code through the faked timer
 * globals. It moves only in `advance`, and only once nothing is left that could go on without time passing: no promise, no
 * immediate. A timer of 0 ms is due at once.
 *
 * Unlike `ManualClock` it finds its next timer in O(log n) and knows when to stop settling, so that minutes of a fleet pass in seconds.
 */
export class FleetClock implements Clock {
  readonly #epochMs: number
  #nowMs = 0
  #order = 0
  #heap: Timer[] = []
  #activity = 0
  readonly #immediates = new Set<NodeJS.Immediate>()

  constructor(epochMs = Date.UTC(2026, 0, 1)) {
    this.#epochMs = epochMs
  }

  now(): number {
    return this.#nowMs
  }

  wallTime(): Date {
    return new Date(this.#epochMs + this.#nowMs)
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error)
        return
      }
      const timer = this.#arm(ms, () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      })
      const onAbort = (): void => {
        this.#cancel(timer)
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Something happened that other code may go on from: settling starts anew. */
  noteActivity(): void {
    this.#activity++
  }

  /** Moves time by `ms` (0 or more); whatever falls due on the way runs at its moment, in order. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    let rounds = 0
    await this.settle()
    for (;;) {
      const first = this.#first()
      if (first === undefined || first.dueMs > endMs) break
      rounds = first.dueMs > this.#nowMs ? 0 : rounds + 1
      if (rounds > MAX_ROUNDS_AT_ONCE)
        throw new Error(`time stands still at ${this.#nowMs} ms: a loop waits for nothing`)
      this.#nowMs = Math.max(this.#nowMs, first.dueMs)
      this.#runDue()
      await this.settle()
    }
    this.#nowMs = endMs
  }

  /** Lets everything run that can go on without time passing. */
  async settle(): Promise<void> {
    let calm = 0
    for (let turn = 0; calm < CALM_TURNS; turn++) {
      if (turn > MAX_TURNS) throw new Error(`the event loop does not come to rest at ${this.#nowMs} ms`)
      const before = this.#activity
      await new Promise<void>((resolve) => realSetImmediate(resolve))
      calm = this.#immediates.size === 0 && this.#activity === before ? calm + 1 : 0
    }
  }

  /** Puts this clock behind the timer globals until `uninstall`. Immediates stay real, and are counted. */
  install(): void {
    const setTimer = (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): object => {
      const timer = this.#arm(ms, () => run(...args))
      return { ref: () => timer, unref: () => timer, hasRef: () => true, timer }
    }
    const clearTimer = (handle?: { readonly timer?: Timer }): void => {
      if (handle?.timer !== undefined) this.#cancel(handle.timer)
    }
    const immediate = (run: (...args: unknown[]) => void, ...args: unknown[]): NodeJS.Immediate => {
      const handle = realSetImmediate(() => {
        this.#immediates.delete(handle)
        this.#activity++
        run(...args)
      })
      this.#immediates.add(handle)
      return handle
    }
    Object.assign(globalThis, {
      setTimeout: setTimer,
      clearTimeout: clearTimer,
      setInterval: () => {
        throw new Error('nothing here owns an interval')
      },
      setImmediate: immediate,
      clearImmediate: (handle: NodeJS.Immediate | undefined) => {
        if (handle !== undefined) this.#immediates.delete(handle)
        realClearImmediate(handle)
      },
    })
  }

  uninstall(): void {
    Object.assign(globalThis, realTimers)
  }

  #arm(ms: number, run: () => void): Timer {
    const timer = { dueMs: this.#nowMs + Math.max(ms, 0), order: this.#order++, run, isCancelled: false }
    this.#activity++
    this.#heap.push(timer)
    let index = this.#heap.length - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.#isBefore(index, parent)) break
      this.#swap(index, parent)
      index = parent
    }
    return timer
  }

  #cancel(timer: Timer): void {
    timer.isCancelled = true
    this.#activity++
  }

  /** All timers that are due now and were armed before. */
  #runDue(): void {
    const due: Timer[] = []
    for (let first = this.#first(); first !== undefined && first.dueMs <= this.#nowMs; first = this.#first()) {
      this.#pop()
      due.push(first)
    }
    for (const timer of due) if (!timer.isCancelled) timer.run()
  }

  #first(): Timer | undefined {
    while (this.#heap[0]?.isCancelled === true) this.#pop()
    return this.#heap[0]
  }

  #pop(): void {
    const last = this.#heap.pop()
    if (last === undefined || this.#heap.length === 0) return
    this.#heap[0] = last
    for (let index = 0; ;) {
      const left = 2 * index + 1
      let least = index
      if (left < this.#heap.length && this.#isBefore(left, least)) least = left
      if (left + 1 < this.#heap.length && this.#isBefore(left + 1, least)) least = left + 1
      if (least === index) return
      this.#swap(index, least)
      index = least
    }
  }

  #isBefore(left: number, right: number): boolean {
    const one = this.#heap[left]!
    const other = this.#heap[right]!
    return one.dueMs === other.dueMs ? one.order < other.order : one.dueMs < other.dueMs
  }

  #swap(left: number, right: number): void {
    const one = this.#heap[left]!
    this.#heap[left] = this.#heap[right]!
    this.#heap[right] = one
  }
}
