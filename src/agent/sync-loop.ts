import type { Clock } from '../runtime/clock.ts'
import type { Timer, TimerQueue } from '../runtime/timer.ts'

export interface SyncLoopOptions {
  /** Rejects when it should be tried again. */
  readonly run: () => Promise<void>
  /** From the start of a requested run to the start of the next (ms). The first is not delayed. */
  readonly minIntervalMs: number
  /** A run without a request, this long after the last one (ms); undefined: never. */
  readonly repeatMs?: number | undefined
  /** After the n-th failure in a row the next try comes n times this later (ms), whatever the minimum interval. */
  readonly retryBaseMs: number
  readonly clock: Clock
  readonly timers: TimerQueue
  readonly onError: (error: unknown, attempt: number) => void
}

/**
 * One write loop: requests fold into one further run, failed runs are tried again, and a run comes from time to time anyway.
 *
 * @source cilium pkg/trigger/trigger.go and pkg/controller/controller.go, as pkg/ipam/multipool.go uses them together
 */
export class SyncLoop {
  readonly #options: SyncLoopOptions
  readonly #timer: Timer
  #isRunning = false
  #isRequested = false
  #isStopped = false
  #lastStartMs: number | undefined
  /** In a row (count). */
  #failures = 0
  /** When the failed run is tried again (monotonic ms). */
  #retryMs: number | undefined

  constructor(options: SyncLoopOptions) {
    this.#options = options
    this.#timer = options.timers.timer(() => this.#schedule())
  }

  request(): void {
    this.#isRequested = true
    this.#schedule()
  }

  stop(): void {
    this.#isStopped = true
    this.#timer.cancel()
  }

  #schedule(): void {
    if (this.#isRunning || this.#isStopped) return
    const dueMs = this.#dueMs()
    if (dueMs === undefined) return
    if (dueMs <= this.#options.clock.now()) this.#start()
    else this.#timer.setAt(dueMs)
  }

  #dueMs(): number | undefined {
    const { clock, minIntervalMs, repeatMs } = this.#options
    const last = this.#lastStartMs
    const due = [
      this.#retryMs,
      this.#isRequested ? (last === undefined ? clock.now() : last + minIntervalMs) : undefined,
      repeatMs !== undefined && last !== undefined ? last + repeatMs : undefined,
    ].filter((ms) => ms !== undefined)
    return due.length === 0 ? undefined : Math.min(...due)
  }

  #start(): void {
    this.#timer.cancel()
    this.#isRunning = true
    this.#isRequested = false
    this.#retryMs = undefined
    this.#lastStartMs = this.#options.clock.now()
    // Not at once: who asks may be half-way through a change of both families, which must be seen as a whole.
    const running = Promise.resolve().then(() => this.#options.run())
    running.then(
      () => this.#end(undefined),
      (error: unknown) => this.#end({ error }),
    )
  }

  #end(failure: { readonly error: unknown } | undefined): void {
    const { clock, retryBaseMs, onError } = this.#options
    this.#isRunning = false
    if (failure === undefined) this.#failures = 0
    else if (!this.#isStopped) {
      this.#failures += 1
      this.#retryMs = clock.now() + this.#failures * retryBaseMs
      onError(failure.error, this.#failures)
    }
    this.#schedule()
  }
}
