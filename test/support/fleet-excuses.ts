import type { BackoffLimits } from './fleet-backoff-limits.ts'

/** A wait is due a moment after its pause, and the call that it leads to has to begin (ms). */
const SLACK_MS = 1_000

/**
 * Until when something that went wrong may keep somebody waiting. Failures in a row lead to pauses that double, so the excuse of a first
 * failure is short: a wait that outlasts it has no cause.
 */
export class Excuses {
  readonly #untilMs = new Map<string, number>()
  readonly #failures = new Map<string, number>()

  /** One more failure in a row. @param key who or what is kept waiting. @param afterMs when its pause begins (clock) */
  failed(key: string, { firstMs, longestMs }: BackoffLimits, afterMs: number): void {
    const count = (this.#failures.get(key) ?? 0) + 1
    this.#failures.set(key, count)
    this.excuse(key, afterMs + Math.min(firstMs * 2 ** (count - 1), longestMs) + SLACK_MS)
  }

  /** It has what it wants: the next failure is a first one. Pauses that were begun go on. */
  recovered(key: string): void {
    this.#failures.delete(key)
  }

  excuse(key: string, untilMs: number): void {
    this.#untilMs.set(key, Math.max(this.#untilMs.get(key) ?? 0, untilMs))
  }

  holds(key: string, nowMs: number): boolean {
    return (this.#untilMs.get(key) ?? 0) > nowMs
  }

  /** Forgets whom it is about. */
  forget(key: string): void {
    this.#untilMs.delete(key)
    this.#failures.delete(key)
  }
}
