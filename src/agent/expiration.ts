import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { Timer, TimerQueue } from '../runtime/timer.ts'
import { IPAMError } from './errors.ts'
import type { Pool } from './pool.ts'
import { randomUUID } from './uuid.ts'

interface Expiration {
  readonly uuid: string
  readonly timer: Timer
  readonly dueMs: number
}

/** A running expiration, for debugging. */
export interface ExpirationEntry {
  readonly pool: Pool
  readonly ip: string
  readonly uuid: string
  /** From now (ms). */
  readonly remainingMs: number
}

/**
 * Addresses whose requester may vanish before it says that it uses them: each has a token, and is given back when its time is up
 * without the token having been shown. At most one for an address of a pool.
 *
 * @source cilium pkg/ipam/ipam.go, StartExpirationTimer and StopExpirationTimer
 */
export class ExpirationTimers {
  readonly #clock: Clock
  readonly #timers: TimerQueue
  readonly #random: Random
  readonly #onExpire: (ip: string, pool: Pool) => void
  /** Pool → canonical address → expiration. */
  readonly #running = new Map<Pool, Map<string, Expiration>>()

  /** @param onExpire called once the expiration is over and forgotten; must not throw */
  constructor(
    deps: { readonly clock: Clock; readonly timers: TimerQueue; readonly random: Random },
    onExpire: (ip: string, pool: Pool) => void,
  ) {
    this.#clock = deps.clock
    this.#timers = deps.timers
    this.#random = deps.random
    this.#onExpire = onExpire
  }

  /** @returns the token. @throws IPAMError TIMER_EXISTS */
  start(ip: string, pool: Pool, timeoutMs: number): string {
    const ofPool = this.#running.get(pool) ?? new Map<string, Expiration>()
    if (ofPool.has(ip)) throw new IPAMError('TIMER_EXISTS', 'expiration timer already registered', { ip, pool })
    const uuid = randomUUID(this.#random)
    const dueMs = this.#clock.now() + timeoutMs
    // Cancelled with the expiration, so that it can only ever fire for the allocation it was started for.
    const timer = this.#timers.timer(() => {
      this.#forget(ip, pool)
      this.#onExpire(ip, pool)
    })
    ofPool.set(ip, { uuid, timer, dueMs })
    this.#running.set(pool, ofPool)
    timer.setAt(dueMs)
    return uuid
  }

  /** The address is in use: it stays. @throws IPAMError TIMER_NOT_FOUND, TIMER_UUID_MISMATCH */
  stop(ip: string, pool: Pool, uuid: string): void {
    const expiration = this.#running.get(pool)?.get(ip)
    if (expiration === undefined) throw new IPAMError('TIMER_NOT_FOUND', 'no expiration timer registered', { ip, pool })
    if (expiration.uuid !== uuid)
      throw new IPAMError('TIMER_UUID_MISMATCH', `the expiration timer has another UUID than ${uuid}`, { ip, pool })
    this.cancel(ip, pool)
  }

  /** The address was released: nothing to expire. Does nothing where none runs. */
  cancel(ip: string, pool: Pool): void {
    const ofPool = this.#running.get(pool)
    ofPool?.get(ip)?.timer.cancel()
    this.#forget(ip, pool)
  }

  /** Sorted by pool and address. */
  entries(): readonly ExpirationEntry[] {
    const nowMs = this.#clock.now()
    return [...this.#running]
      .flatMap(([pool, ofPool]) =>
        [...ofPool].map(([ip, { uuid, dueMs }]) => ({ pool, ip, uuid, remainingMs: dueMs - nowMs })),
      )
      .sort((left, right) => (`${left.pool}/${left.ip}` < `${right.pool}/${right.ip}` ? -1 : 1))
  }

  #forget(ip: string, pool: Pool): void {
    const ofPool = this.#running.get(pool)
    ofPool?.delete(ip)
    if (ofPool?.size === 0) this.#running.delete(pool)
  }
}
