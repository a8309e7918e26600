import type { Clock } from './clock.ts'
import type { Timer, TimerQueue } from './timer.ts'

/** What can be asked to run: the part of a trigger that others see. */
export interface Triggerable {
  trigger(reason?: string): void
  /** No further run; one that is under way goes on. */
  shutdown(): void
}

/** Told of every request and every run; `TriggerObserver` of the metrics interface has this form. */
export interface RunObserver {
  queueEvent(reason: string): void
  /** @param runSeconds duration of the run. @param latencySeconds first folded request → start. @param folds requests it serves */
  postRun(runSeconds: number, latencySeconds: number, folds: number): void
}

export interface TriggerOptions {
  /** Called for every run; a run that rejects is reported and forgotten. */
  readonly run: (reasons: readonly string[]) => Promise<void>
  /** From the start of a run to the earliest start of the next (ms). The first run is never delayed. */
  readonly minIntervalMs: number
  readonly clock: Clock
  readonly timers: TimerQueue
  readonly observer?: RunObserver
  readonly onError: (error: unknown) => void
}

/** Different reasons that one pending run remembers (count); more are counted as folds only. */
const MAX_REASONS = 8

/**
 * Runs a function in the background, one run at a time. Requests that arrive while a run is pending or active fold into one
 * further run, so that a lost wake-up is impossible and a storm of requests costs two runs.
 *
 * @source cilium pkg/trigger/trigger.go
 */
export class Trigger implements Triggerable {
  readonly #options: TriggerOptions
  #timer: Timer | undefined
  #isRunning = false
  #isShutdown = false
  #folds = 0
  #firstRequestMs = 0
  #lastStartMs: number | undefined
  #reasons: string[] = []

  constructor(options: TriggerOptions) {
    this.#options = options
  }

  /** A run is pending or active. */
  get isBusy(): boolean {
    return this.#isRunning || this.#folds > 0
  }

  trigger(reason = ''): void {
    if (this.#isShutdown) return
    this.#options.observer?.queueEvent(reason)
    if (this.#folds === 0) this.#firstRequestMs = this.#options.clock.now()
    this.#folds += 1
    if (reason !== '' && this.#reasons.length < MAX_REASONS && !this.#reasons.includes(reason))
      this.#reasons.push(reason)
    this.#schedule()
  }

  shutdown(): void {
    this.#isShutdown = true
    this.#folds = 0
    this.#timer?.cancel()
  }

  #schedule(): void {
    if (this.#isRunning || this.#folds === 0) return
    const { clock, timers, minIntervalMs } = this.#options
    const earliestMs = this.#lastStartMs === undefined ? clock.now() : this.#lastStartMs + minIntervalMs
    if (earliestMs <= clock.now()) {
      this.#start()
      return
    }
    this.#timer ??= timers.timer(() => this.#schedule())
    this.#timer.setAt(earliestMs)
  }

  #start(): void {
    const { clock, run } = this.#options
    const startMs = clock.now()
    const taken = { startMs, folds: this.#folds, latencyMs: startMs - this.#firstRequestMs }
    const reasons = this.#reasons
    this.#timer?.cancel()
    this.#folds = 0
    this.#reasons = []
    this.#isRunning = true
    this.#lastStartMs = startMs
    // A new function scope: a `run` that throws before its first await must not leave the trigger running.
    const running = (async () => await run(reasons))()
    running.then(
      () => this.#end(taken),
      (error: unknown) => {
        this.#options.onError(error)
        this.#end(taken)
      },
    )
  }

  #end(taken: { readonly startMs: number; readonly folds: number; readonly latencyMs: number }): void {
    this.#isRunning = false
    const runMs = this.#options.clock.now() - taken.startMs
    this.#options.observer?.postRun(runMs / 1000, taken.latencyMs / 1000, taken.folds)
    this.#schedule()
  }
}
