import type { Clock } from './clock.ts'

interface Sleeper {
  readonly dueMs: number
  readonly order: number
  wake(): void
}

/** Wall time of a manual clock at its start, unless told otherwise: a fixed date, so that snapshots compare equal. */
const DEFAULT_START_ISO = '2026-01-01T00:00:00.000Z'

/** A clock that stands still until it is told to advance: for tests, and behind the control path `/_berth/clock`. */
export class ManualClock implements Clock {
  readonly #startWallMs: number
  #nowMs = 0
  #order = 0
  #sleepers: Sleeper[] = []

  /** @param startWallTime wall time at `now() === 0` */
  constructor(startWallTime: Date = new Date(DEFAULT_START_ISO)) {
    this.#startWallMs = startWallTime.getTime()
  }

  now(): number {
    return this.#nowMs
  }

  wallTime(): Date {
    return new Date(this.#startWallMs + this.#nowMs)
  }

  /** Sleeps that are waiting (count). */
  get sleeping(): number {
    return this.#sleepers.length
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (ms <= 0) return
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        reject(signal.reason as Error)
      }
      const sleeper: Sleeper = {
        dueMs: this.#nowMs + ms,
        order: this.#order++,
        wake: () => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      this.#sleepers.push(sleeper)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  /**
   * Moves time forward by `ms` (>= 0), waking sleepers in the order in which they fall due. Between two wakes everything that the
   * woken code does without waiting for real time is carried out, so that a sleep it starts takes part in the same advance.
   */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new RangeError(`cannot advance a clock by ${ms} ms`)
    const targetMs = this.#nowMs + ms
    await settle()
    for (;;) {
      const next = this.#earliest()
      if (next === undefined || next.dueMs > targetMs) break
      this.#sleepers = this.#sleepers.filter((sleeper) => sleeper !== next)
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      next.wake()
      await settle()
    }
    this.#nowMs = targetMs
    await settle()
  }

  #earliest(): Sleeper | undefined {
    return this.#sleepers.reduce<Sleeper | undefined>(
      (best, one) =>
        best === undefined || one.dueMs < best.dueMs || (one.dueMs === best.dueMs && one.order < best.order)
          ? one
          : best,
      undefined,
    )
  }
}

/** One turn of the event loop: all promise callbacks that are ready run before it ends. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
