import type { Clock } from '../runtime/clock.ts'
import type { Family } from './family.ts'
import type { Pool } from './pool.ts'

/** How long an owner that asked in vain counts as demand (ms). Cilium pkg/ipam/multipool.go, pendingAllocationTTL. */
export const PENDING_TTL_MS = 5 * 60_000

interface Entry {
  readonly pool: Pool
  readonly family: Family
  readonly expiresMs: number
}

/**
 * Owners that asked for an address in vain and may ask again. One owner counts once for a pool and family, however often it asks.
 *
 * @source cilium pkg/ipam/multipool.go, pendingAllocationsPerPool
 */
export class PendingDemand {
  readonly #clock: Clock
  /** In the order of their time, since all live equally long. */
  readonly #entries = new Map<string, Entry>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Remembers the request, or renews it. */
  upsert(pool: Pool, owner: string, family: Family): void {
    const key = keyOf(pool, owner, family)
    this.#entries.delete(key)
    this.#entries.set(key, { pool, family, expiresMs: this.#clock.now() + PENDING_TTL_MS })
  }

  markAsAllocated(pool: Pool, owner: string, family: Family): void {
    this.#entries.delete(keyOf(pool, owner, family))
  }

  /** Forgets requests whose time has passed; one whose time is just now stays. */
  removeExpired(): void {
    const nowMs = this.#clock.now()
    for (const [key, { expiresMs }] of this.#entries) {
      if (expiresMs >= nowMs) return
      this.#entries.delete(key)
    }
  }

  /** Owners that wait (count). */
  count(pool: Pool, family: Family): number {
    let count = 0
    for (const entry of this.#entries.values()) if (entry.pool === pool && entry.family === family) count += 1
    return count
  }

  /** Pools with demand, of any family. */
  pools(): ReadonlySet<Pool> {
    return new Set([...this.#entries.values()].map(({ pool }) => pool))
  }

  /** When the first request is over (monotonic ms), the first moment at which `removeExpired` forgets it. */
  get nextExpiryMs(): number | undefined {
    const [first] = this.#entries.values()
    return first === undefined ? undefined : first.expiresMs + 1
  }
}

function keyOf(pool: Pool, owner: string, family: Family): string {
  return JSON.stringify([pool, family, owner])
}
