import type { Clock } from '../../src/runtime/clock.ts'

interface Sleeper {
  readonly dueMs: number
  readonly order: number
  readonly wake: () => void
}

/** A clock that moves only when told. `advance` wakes sleepers in the order in which they are due. */
export class ManualClock implements Clock {
  #nowMs: number
  #order = 0
  readonly #epochMs: number
  readonly #sleepers = new Set<Sleeper>()

  constructor(startMs = 0, epochMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs
    this.#epochMs = epochMs
  }

  now(): number {
    return this.#nowMs
  }

  wallTime(): Date {
    return new Date(this.#epochMs + this.#nowMs)
  }

  /** How many sleeps are pending (count). */
  get sleeping(): number {
    return this.#sleepers.size
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error)
        return
      }
      const onAbort = (): void => {
        this.#sleepers.delete(sleeper)
        reject(signal.reason as Error)
      }
      const sleeper: Sleeper = {
        dueMs: this.#nowMs + Math.max(ms, 0),
        order: this.#order++,
        wake: () => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#sleepers.add(sleeper)
    })
  }

  /** Moves time by `ms`; work that a wake-up starts runs before the next sleeper is woken. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    await settle()
    for (;;) {
      const next = this.#nextDue(endMs)
      if (next === undefined) break
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      this.#sleepers.delete(next)
      next.wake()
      await settle()
    }
    this.#nowMs = endMs
    await settle()
  }

  #nextDue(endMs: number): Sleeper | undefined {
    let next: Sleeper | undefined
    for (const sleeper of this.#sleepers) {
      if (sleeper.dueMs > endMs) continue
      if (
        next === undefined ||
        sleeper.dueMs < next.dueMs ||
        (sleeper.dueMs === next.dueMs && sleeper.order < next.order)
      )
        next = sleeper
    }
    return next
  }
}

/** Lets promises that are ready run, a bounded number of turns of the event loop. */
export async function settle(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}
