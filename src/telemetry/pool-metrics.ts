import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'

/** What is read of the pools; those who know them have this shape. */
export interface PoolMetricsReadings {
  /** Node CIDRs in all and handed out, by pool and family (counts). */
  readonly usage: readonly {
    readonly pool: string
    readonly family: string
    readonly size: number
    readonly used: number
  }[]
  /** Nodes that got less than they asked for. */
  readonly waiting: readonly string[]
  /** Nodes whose last write failed. */
  readonly failing: readonly string[]
  /** Pools that cannot be used as they are. */
  readonly refused: readonly { readonly pool: string }[]
  /** Writes of CiliumNodes by how they ended (counts since the start). */
  readonly writes: Readonly<Record<'ok' | 'conflict' | 'failed', number>>
}

/** Our own metrics of the modes that give nodes CIDRs, read at every scrape: the reference has none. Once in a registry. */
export function declarePoolMetrics(registry: Registry, read: () => PoolMetricsReadings): void {
  const registers = [registry]
  const cidrs = new Gauge({
    name: 'berth_pool_node_cidrs',
    help: 'node CIDRs of the pool, by what became of them',
    labelNames: ['pool', 'family', 'state'],
    registers,
    collect() {
      // A pool that is gone leaves no series behind.
      cidrs.reset()
      for (const { pool, family, size, used } of read().usage) {
        cidrs.set({ pool, family, state: 'used' }, used)
        cidrs.set({ pool, family, state: 'free' }, size - used)
      }
    },
  })
  const waiting = new Gauge({
    name: 'berth_pool_waiting_nodes',
    help: 'nodes that got fewer CIDRs than they asked for',
    registers,
    collect() {
      waiting.set(read().waiting.length)
    },
  })
  const failing = new Gauge({
    name: 'berth_pool_failing_nodes',
    help: 'nodes whose last write failed and will be tried again',
    registers,
    collect() {
      failing.set(read().failing.length)
    },
  })
  const refused = new Gauge({
    name: 'berth_pool_refused',
    help: 'CiliumPodIPPools that cannot be used as they are, 1 each',
    labelNames: ['pool'],
    registers,
    collect() {
      refused.reset()
      for (const { pool } of read().refused) refused.set({ pool }, 1)
    },
  })
  const writes = new Counter({
    name: 'berth_pool_node_writes_total',
    help: 'writes of CiliumNodes by how they ended',
    labelNames: ['result'],
    registers,
    collect() {
      writes.reset()
      for (const [result, count] of Object.entries(read().writes)) writes.inc({ result }, count)
    },
  })
}
