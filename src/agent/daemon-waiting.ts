import type { Clock } from '../runtime/clock.ts'
import { IPAMError } from './errors.ts'
import type { IPAMErrorCode } from './errors.ts'

/** Requests that wait for an address at once (count); the next one is answered at once. */
const MAX_WAITING = 256

/** A look without a notice (ms): what is held back after its release becomes free without one. */
const RETRY_MS = 1_000

/** Failures that more addresses, or one given back, can end. */
const WAITS_FOR: ReadonlySet<IPAMErrorCode> = new Set<IPAMErrorCode>([
  'NODE_UNAVAILABLE',
  'NO_IPS',
  'NO_MORE_IPS',
  'POOL_NOT_READY',
  'POD_CIDRS_EXHAUSTED',
  'RANGE_FULL',
])

/** Whether the failure is one of having no address now, which may pass. */
export function isShortage(error: unknown): boolean {
  return error instanceof IPAMError && WAITS_FOR.has(error.code)
}

/**
 * Requests that wait inside of their call until there is an address: a runtime that is refused comes back only after many seconds,
 * although the address that its demand causes is there sooner.
 */
export class AddressWaiters {
  readonly #clock: Clock
  #change = Promise.withResolvers<void>()
  #waiting = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Requests that wait now (count). */
  get waiting(): number {
    return this.#waiting
  }

  /** Addresses may have become available: all who wait try again, in the order in which they came. */
  notify(): void {
    if (this.#waiting === 0) return
    this.#change.resolve()
    this.#change = Promise.withResolvers<void>()
  }

  /**
   * Tries until it succeeds, fails for another reason than a shortage, or the time is up.
   *
   * @param signal aborted when nobody waits for the answer any more
   * @throws what `attempt` threw last, or the signal's reason
   */
  async untilAvailable<T>(attempt: () => T, timeoutMs: number, signal: AbortSignal): Promise<T> {
    const deadlineMs = this.#clock.now() + timeoutMs
    for (;;) {
      signal.throwIfAborted()
      try {
        return attempt()
      } catch (error) {
        const restMs = deadlineMs - this.#clock.now()
        if (!isShortage(error) || restMs <= 0 || this.#waiting >= MAX_WAITING) throw error
        await this.#changeWithin(Math.min(restMs, RETRY_MS), signal)
      }
    }
  }

  async #changeWithin(ms: number, signal: AbortSignal): Promise<void> {
    const sleep = new AbortController()
    const onAbort = (): void => sleep.abort(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    this.#waiting += 1
    const elapsed = this.#clock.sleep(ms, sleep.signal).catch(() => undefined) // ended by the change, or by the signal
    try {
      await Promise.race([this.#change.promise, elapsed])
    } finally {
      this.#waiting -= 1
      signal.removeEventListener('abort', onAbort)
      sleep.abort()
    }
  }
}
