import type { Logger } from '../ipam/contracts.ts'
import type { MalformedPodIPPool, PodIPPool } from '../kubernetes/pod-ip-pools.ts'
import { PoolError } from './errors.ts'
import type { MultiPoolAllocator } from './multi-pool-allocator.ts'
import type { RefusedPool } from './readings.ts'

/**
 * The CiliumPodIPPools as the API server has them, brought into the allocator as far as they make sense. One that does not is left
 * alone, and looked at again whenever another one changes: it may have been in the way.
 */
export class KnownPools {
  readonly #allocator: MultiPoolAllocator
  readonly #log: Logger
  readonly #pools = new Map<string, PodIPPool | MalformedPodIPPool>()
  /** Pool → why it cannot be used as it is. */
  readonly #refused = new Map<string, string>()
  /** Pools that the allocator has. */
  readonly #inForce = new Set<string>()

  constructor(allocator: MultiPoolAllocator, log: Logger) {
    this.#allocator = allocator
    this.#log = log
  }

  /** Sorted by pool. */
  get refused(): readonly RefusedPool[] {
    return [...this.#refused]
      .map(([pool, reason]) => ({ pool, reason }))
      .sort((left, right) => (left.pool < right.pool ? -1 : 1))
  }

  upsert(pool: PodIPPool | MalformedPodIPPool): void {
    this.#pools.set(pool.name, pool)
    this.#apply(pool)
    this.#applyRefused(pool.name)
  }

  delete(name: string): void {
    this.#pools.delete(name)
    this.#refused.delete(name)
    if (!this.#inForce.delete(name)) return
    this.#allocator.deletePool(name)
    this.#log.info({ pool: name }, 'A pool was deleted; what nodes hold of it stays theirs')
    this.#applyRefused(name)
  }

  #applyRefused(changed: string): void {
    for (const name of [...this.#refused.keys()].sort()) {
      const pool = this.#pools.get(name)
      if (pool !== undefined && name !== changed) this.#apply(pool)
    }
  }

  #apply(pool: PodIPPool | MalformedPodIPPool): void {
    const reason = this.#refusalOf(pool)
    if (reason === undefined) {
      this.#refused.delete(pool.name)
      this.#inForce.add(pool.name)
      return
    }
    if (this.#refused.get(pool.name) === reason) return
    this.#refused.set(pool.name, reason)
    this.#log.warn({ pool: pool.name, reason }, 'A CiliumPodIPPool cannot be used as it is, and is left alone')
  }

  /** @returns undefined when the pool is in force now */
  #refusalOf(pool: PodIPPool | MalformedPodIPPool): string | undefined {
    if ('faults' in pool) return pool.faults.join('; ')
    try {
      this.#allocator.upsertPool(pool.name, pool)
      return undefined
    } catch (error) {
      if (!(error instanceof PoolError)) throw error
      return error.message
    }
  }
}
