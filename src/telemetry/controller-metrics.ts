import { cpuUsage, memoryUsage } from 'node:process'
import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { EventLoopDelay } from './event-loop.ts'

/** One bucket of the API budget as it stands. */
export interface BucketLevel {
  readonly bucket: string
  readonly tokens: number
  readonly refillPerSecond: number
  /** Calls that wait, by priority (count). */
  readonly waiting: Readonly<Record<string, number>>
}

/** Calls by action and reason since the start. */
export interface CallCount {
  readonly action: string
  readonly reason: string
  readonly calls: number
  readonly refused: number
  readonly waitedMs: number
}

/** What is read of the API budget; the budget itself has this shape. */
export interface BudgetReadings {
  buckets(): readonly BucketLevel[]
  ledger(): readonly CallCount[]
}

/** A subnet as it stands. */
export interface SubnetLevel {
  readonly poolID: string
  readonly freeBlocks: number | undefined
  /** At the present rate, until no address is free (ms); undefined while it does not get emptier. */
  readonly emptyMs: number | undefined
}

export interface WaitingReadings {
  /** Nodes that wait, by reason (count). */
  nodes(): Promise<ReadonlyMap<string, number>>
  subnets(): readonly SubnetLevel[]
}

export interface ControllerMetrics {
  /** `berth_leader`: 1 while this process leads. */
  setLeader(isLeader: boolean): void
  /** `berth_second_writer`: 1 while somebody else writes the same fields. */
  setSecondWriter(isPresent: boolean): void
  /** `berth_destructive_paused`: 1 while the cluster-wide switch holds back everything that releases, detaches or deletes. */
  setDestructivePaused(isPaused: boolean): void
  /** `berth_destructive_calls_total`: calls that release, detach or delete, by action; `withheld` ones were not sent. */
  incDestructiveCall(outcome: 'sent' | 'withheld', action: string): void
  /** Read at every scrape: `berth_budget_*` by bucket, `berth_cloud_calls_*` by action and reason. Once in a process. */
  watchBudget(budget: BudgetReadings): void
  /** Read at every scrape: `berth_waiting_nodes` by reason, `berth_subnet_*` by subnet. Once in a process. */
  watchWaiting(readings: WaitingReadings): void
  /** `berth_node_pod_capacity`: pods that can have an address on the node. */
  setPodCapacity(node: string, count: number): void
  deletePodCapacity(node: string): void
  /** Read at every scrape: `berth_event_loop_delay_seconds` by quantile, 1 being the longest. Once in a process. */
  watchEventLoop(read: () => EventLoopDelay): void
}

/** Our own metrics, and the process metrics that every dashboard expects. */
export function createControllerMetrics(registry: Registry): ControllerMetrics {
  const registers = [registry]
  const leader = new Gauge({ name: 'berth_leader', help: '1 while this process leads', registers })
  const secondWriter = new Gauge({
    name: 'berth_second_writer',
    help: '1 while somebody else writes the same fields of CiliumNodes',
    registers,
  })
  const paused = new Gauge({
    name: 'berth_destructive_paused',
    help: '1 while nothing is released, detached or deleted, by the cluster-wide switch',
    registers,
  })
  const destructive = new Counter({
    name: 'berth_destructive_calls_total',
    help: 'calls that release, detach or delete, by action and outcome',
    labelNames: ['action', 'outcome'],
    registers,
  })
  const capacity = new Gauge({
    name: 'berth_node_pod_capacity',
    help: 'pods that can have an address on the node',
    labelNames: ['target_node'],
    registers,
  })
  declareProcess(registers)
  return {
    setLeader: (isLeader) => leader.set(isLeader ? 1 : 0),
    setSecondWriter: (isPresent) => secondWriter.set(isPresent ? 1 : 0),
    setDestructivePaused: (isPaused) => paused.set(isPaused ? 1 : 0),
    incDestructiveCall: (outcome, action) => destructive.inc({ action, outcome }),
    watchBudget(budget) {
      declareBuckets(registers, budget)
      declareCalls(registers, budget)
    },
    setPodCapacity: (node, count) => capacity.set({ target_node: node }, count),
    deletePodCapacity: (node) => capacity.remove({ target_node: node }),
    watchWaiting: (readings) => declareWaiting(registers, readings),
    watchEventLoop(read) {
      const delay = new Gauge({
        name: 'berth_event_loop_delay_seconds',
        help: 'by how much the event loop was late, by quantile, since the scrape before the last one',
        labelNames: ['quantile'],
        registers,
        collect() {
          const { p50Ms, p99Ms, p999Ms, maxMs } = read()
          for (const [quantile, ms] of Object.entries({ '0.5': p50Ms, '0.99': p99Ms, '0.999': p999Ms, '1': maxMs }))
            delay.set({ quantile }, ms / 1000)
        },
      })
    },
  }
}

function declareBuckets(registers: Registry[], budget: BudgetReadings): void {
  const tokens = new Gauge({
    name: 'berth_budget_tokens',
    help: 'tokens that could be taken now',
    labelNames: ['bucket'],
    registers,
    collect() {
      for (const view of budget.buckets()) tokens.set({ bucket: view.bucket }, view.tokens)
    },
  })
  const refill = new Gauge({
    name: 'berth_budget_refill_per_second',
    help: 'refill that is assumed of the bucket at present',
    labelNames: ['bucket'],
    registers,
    collect() {
      for (const view of budget.buckets()) refill.set({ bucket: view.bucket }, view.refillPerSecond)
    },
  })
  const waiting = new Gauge({
    name: 'berth_budget_waiting_calls',
    help: 'calls that wait for tokens',
    labelNames: ['bucket', 'priority'],
    registers,
    collect() {
      for (const { bucket, waiting: calls } of budget.buckets())
        for (const [priority, count] of Object.entries(calls)) waiting.set({ bucket, priority }, count)
    },
  })
}

function declareCalls(registers: Registry[], budget: BudgetReadings): void {
  const declare = (name: string, help: string, value: (entry: CallCount) => number): void => {
    const counter = new Counter({
      name,
      help,
      labelNames: ['action', 'reason'],
      registers,
      collect() {
        // The ledger holds totals; a counter can only be raised.
        counter.reset()
        for (const entry of budget.ledger()) counter.inc({ action: entry.action, reason: entry.reason }, value(entry))
      },
    })
  }
  declare('berth_cloud_calls_total', 'calls of the cloud, refused ones included', (entry) => entry.calls)
  declare('berth_cloud_calls_refused_total', 'calls that the cloud refused for their rate', (entry) => entry.refused)
  declare(
    'berth_cloud_calls_waited_seconds_total',
    'time that calls waited for tokens',
    (entry) => entry.waitedMs / 1000,
  )
}

function declareWaiting(registers: Registry[], readings: WaitingReadings): void {
  const nodes = new Gauge({
    name: 'berth_waiting_nodes',
    help: 'nodes that wait for addresses, by reason (docs/explain.md)',
    labelNames: ['reason'],
    registers,
    async collect() {
      const counts = await readings.nodes()
      nodes.reset()
      for (const [reason, count] of counts) nodes.set({ reason }, count)
    },
  })
  const blocks = new Gauge({
    name: 'berth_subnet_free_blocks',
    help: 'whole /28 blocks of the subnet of which nothing is known to be taken',
    labelNames: ['subnet_id'],
    registers,
    collect() {
      blocks.reset()
      for (const { poolID, freeBlocks } of readings.subnets())
        if (freeBlocks !== undefined) blocks.set({ subnet_id: poolID }, freeBlocks)
    },
  })
  const empty = new Gauge({
    name: 'berth_subnet_time_to_empty_seconds',
    help: 'until the subnet has no free address at the rate of the last quarter of an hour; absent while it does not get emptier',
    labelNames: ['subnet_id'],
    registers,
    collect() {
      empty.reset()
      for (const { poolID, emptyMs } of readings.subnets())
        if (emptyMs !== undefined) empty.set({ subnet_id: poolID }, emptyMs / 1000)
    },
  })
}

function declareProcess(registers: Registry[]): void {
  const memory = new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'resident memory size in bytes',
    registers,
    collect() {
      memory.set(memoryUsage.rss())
    },
  })
  const cpu = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'user and system CPU time spent in seconds',
    registers,
    collect() {
      const { user, system } = cpuUsage()
      cpu.reset()
      cpu.inc((user + system) / 1e6)
    },
  })
}
