import type { Clock } from './clock.ts'

/** Why a sleep was cut short. One for all: an abort without a reason builds an exception with a stack, at every change of the next due time. */
const REARMED = new Error('the next due time has changed')

/** A moment somebody waits for. One object for its whole life; arming it again moves it. */
export class Timer {
  readonly #queue: TimerQueue
  readonly run: () => void
  /** Monotonic ms; undefined while the timer is not armed. */
  dueMs: number | undefined
  /** Place in the queue's heap; -1 while not armed. Only the queue writes it. */
  index = -1
  /** Breaks ties between equal due times: first armed, first run. Only the queue writes it. */
  order = 0

  constructor(queue: TimerQueue, run: () => void) {
    this.#queue = queue
    this.run = run
  }

  /** Arms the timer for `dueMs` (monotonic), or moves it there. A moment that has passed is due at once. */
  setAt(dueMs: number): void {
    this.#queue.arm(this, dueMs)
  }

  cancel(): void {
    this.#queue.disarm(this)
  }
}

/**
 * All due times of the process in one heap, so that thousands of nodes cost one sleep of the clock and no interval each.
 * Arming, moving and cancelling take O(log n).
 */
export class TimerQueue {
  readonly #clock: Clock
  readonly #onError: (error: unknown) => void
  readonly #heap: Timer[] = []
  #order = 0
  #isStopped = false
  #sleep: { readonly dueMs: number; readonly controller: AbortController } | undefined

  /** @param onError told of a callback that threw; the others run all the same */
  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock
    this.#onError = onError
  }

  /** Armed timers (count). */
  get size(): number {
    return this.#heap.length
  }

  /** A timer that is not armed yet. `run` must return at once: it starts work, it does not do it. */
  timer(run: () => void): Timer {
    return new Timer(this, run)
  }

  /** Disarms everything, for good. */
  stop(): void {
    this.#isStopped = true
    for (const timer of this.#heap.splice(0)) forget(timer)
    this.#sleep?.controller.abort(REARMED)
    this.#sleep = undefined
  }

  arm(timer: Timer, dueMs: number): void {
    if (this.#isStopped || timer.dueMs === dueMs) return
    timer.dueMs = dueMs
    timer.order = this.#order++
    if (timer.index === -1) {
      timer.index = this.#heap.length
      this.#heap.push(timer)
    }
    this.#up(timer.index)
    this.#down(timer.index)
    this.#sleepUntilFirst()
  }

  disarm(timer: Timer): void {
    if (timer.index === -1) return
    const last = this.#heap.pop()
    if (last !== undefined && last !== timer) {
      last.index = timer.index
      this.#heap[timer.index] = last
      this.#up(last.index)
      this.#down(last.index)
    }
    forget(timer)
  }

  /** One sleep for the earliest timer. A sleep that turns out too early is kept: it wakes, finds nothing due, and sleeps on. */
  #sleepUntilFirst(): void {
    const dueMs = this.#heap[0]?.dueMs
    if (dueMs === undefined || (this.#sleep !== undefined && this.#sleep.dueMs <= dueMs)) return
    this.#sleep?.controller.abort(REARMED)
    const controller = new AbortController()
    this.#sleep = { dueMs, controller }
    this.#clock.sleep(dueMs - this.#clock.now(), controller.signal).then(
      () => this.#wake(controller),
      (error: unknown) => {
        if (!controller.signal.aborted) this.#onError(error)
      },
    )
  }

  #wake(controller: AbortController): void {
    if (this.#sleep?.controller !== controller) return
    this.#sleep = undefined
    const nowMs = this.#clock.now()
    for (let first = this.#heap[0]; first?.dueMs !== undefined && first.dueMs <= nowMs; first = this.#heap[0]) {
      this.disarm(first)
      try {
        first.run()
      } catch (error) {
        this.#onError(error)
      }
    }
    this.#sleepUntilFirst()
  }

  #up(start: number): void {
    let index = start
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.#isBefore(index, parent)) return
      this.#swap(index, parent)
      index = parent
    }
  }

  #down(start: number): void {
    let index = start
    for (;;) {
      const left = 2 * index + 1
      let first = index
      if (left < this.#heap.length && this.#isBefore(left, first)) first = left
      if (left + 1 < this.#heap.length && this.#isBefore(left + 1, first)) first = left + 1
      if (first === index) return
      this.#swap(index, first)
      index = first
    }
  }

  #isBefore(left: number, right: number): boolean {
    const one = this.#heap[left]
    const other = this.#heap[right]
    if (one?.dueMs === undefined || other?.dueMs === undefined) return false
    return one.dueMs === other.dueMs ? one.order < other.order : one.dueMs < other.dueMs
  }

  #swap(left: number, right: number): void {
    const one = this.#heap[left]
    const other = this.#heap[right]
    if (one === undefined || other === undefined) return
    this.#heap[left] = other
    this.#heap[right] = one
    other.index = left
    one.index = right
  }
}

function forget(timer: Timer): void {
  timer.index = -1
  timer.dueMs = undefined
}
