import type { Clock } from '../runtime/clock.ts'
import type { Timer, TimerQueue } from '../runtime/timer.ts'
import type { Lease } from './journal-record.ts'
import { leaseKey } from './journal-record.ts'

/**
 * Ends leases whose time is up. Not the facade's own timers: a token must mean the same after a restart, and the end of a lease goes
 * into the journal.
 */
export class LeaseExpirations {
  readonly #clock: Clock
  readonly #timers: TimerQueue
  readonly #onExpire: (lease: Lease) => void
  readonly #armed = new Map<string, Timer>()

  /** @param onExpire must return at once, and not throw */
  constructor(deps: { readonly clock: Clock; readonly timers: TimerQueue }, onExpire: (lease: Lease) => void) {
    this.#clock = deps.clock
    this.#timers = deps.timers
    this.#onExpire = onExpire
  }

  isOver(lease: Lease): boolean {
    const remainingMs = this.#remainingMs(lease)
    return remainingMs !== undefined && remainingMs <= 0
  }

  /** Does nothing for a lease that does not expire. */
  arm(lease: Lease): void {
    const remainingMs = this.#remainingMs(lease)
    if (remainingMs === undefined) return
    const key = leaseKey(lease)
    this.#armed.get(key)?.cancel()
    const timer = this.#timers.timer(() => {
      this.#armed.delete(key)
      this.#onExpire(lease)
    })
    this.#armed.set(key, timer)
    timer.setAt(this.#clock.now() + remainingMs)
  }

  cancel(lease: Lease): void {
    const key = leaseKey(lease)
    this.#armed.get(key)?.cancel()
    this.#armed.delete(key)
  }

  /** Nothing ends any more in this process. */
  stop(): void {
    for (const timer of this.#armed.values()) timer.cancel()
    this.#armed.clear()
  }

  /** Never longer than the lease was given for, whatever the wall clock did meanwhile (ms). */
  #remainingMs({ expiration }: Lease): number | undefined {
    if (expiration === undefined) return undefined
    return Math.min(expiration.atMs - this.#clock.wallTime().getTime(), expiration.timeoutMs)
  }
}
