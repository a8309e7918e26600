import type { Allocator } from '../../../src/agent/allocator.ts'
import { DaemonCore } from '../../../src/agent/daemon-core.ts'
import { LeaseTable } from '../../../src/agent/daemon-leases.ts'
import { HostScopeAllocator } from '../../../src/agent/host-scope.ts'
import { IPAM } from '../../../src/agent/ipam.ts'
import { Journal, readLeases } from '../../../src/agent/journal.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { TimerQueue } from '../../../src/runtime/timer.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { MemoryStorage } from './memory-storage.ts'

export interface AgentOptions {
  readonly ipv4?: string
  readonly ipv6?: string
  readonly storage?: MemoryStorage
  readonly clock?: ManualClock
  readonly seed?: number
  /** In place of host-scope allocators over the CIDRs. */
  readonly ipv4Allocator?: Allocator
}

/** One life of an agent: what a process has between its start and its end. */
export interface AgentLife {
  readonly core: DaemonCore
  readonly ipam: IPAM
  readonly storage: MemoryStorage
  readonly clock: ManualClock
  readonly logged: string[]
}

/** An agent over host-scope allocators that has restored what its storage holds. Not open yet. */
export async function restoredAgent(options: AgentOptions = {}): Promise<AgentLife> {
  const { ipv4, ipv6, storage = new MemoryStorage(), clock = new ManualClock(), seed = 1 } = options
  const logged: string[] = []
  const log = (_: object, message: string): void => void logged.push(message)
  const logger = { debug: () => undefined, info: log, warn: log, error: log }
  const random = seededRandom(seed)
  const timers = new TimerQueue(clock, (error) => {
    throw error
  })
  const range = { random, clock, cooldownMs: 0, smallCIDR: 'usable' } as const
  const ipam = new IPAM({
    ipv4Allocator:
      options.ipv4Allocator ?? (ipv4 === undefined ? undefined : new HostScopeAllocator('ipv4', [ipv4], range)),
    ipv6Allocator: ipv6 === undefined ? undefined : new HostScopeAllocator('ipv6', [ipv6], range),
    clock,
    timers,
    random,
    log: logger,
  })
  const table = new LeaseTable()
  const { leases } = await readLeases(storage, 'node-a')
  const journal = new Journal({ storage, node: 'node-a', leases: () => table.leases() })
  const core = new DaemonCore({ ipam, table, journal, clock, timers, random, log: logger })
  core.restore(leases)
  return { core, ipam, storage, clock, logged }
}

/** An agent that serves. */
export async function openAgent(options: AgentOptions = {}): Promise<AgentLife> {
  const life = await restoredAgent(options)
  await life.core.open()
  return life
}

/** The same node after its agent was killed and started again: the disk and the clock go on. */
export function restarted(life: AgentLife, options: AgentOptions): Promise<AgentLife> {
  return openAgent({ ...options, storage: life.storage, clock: life.clock, seed: (options.seed ?? 1) + 1 })
}
