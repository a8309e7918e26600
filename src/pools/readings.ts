import type { PoolUsage } from './multi-pool-allocator.ts'

/** How writes of CiliumNodes ended since the start (counts). */
export interface WriteCounts {
  ok: number
  conflict: number
  failed: number
}

/** A pool that cannot be used, and why. */
export interface RefusedPool {
  readonly pool: string
  readonly reason: string
}

/** How the pools stand, for metrics and readiness. */
export interface PoolReadings {
  readonly usage: readonly PoolUsage[]
  /** Nodes that got less than they asked for, sorted. */
  readonly waiting: readonly string[]
  /** Nodes whose last write failed and will be tried again, sorted. */
  readonly failing: readonly string[]
  /** Sorted by pool. */
  readonly refused: readonly RefusedPool[]
  readonly writes: Readonly<WriteCounts>
}
