import process from 'node:process'
import { seedGlobalChance } from '../../src/fleet/virtual-chance.ts'
import { VirtualFleet } from '../../src/fleet/virtual-fleet.ts'
import { VirtualTime } from '../../src/fleet/virtual-time.ts'
import type { WorldPlan } from '../../src/fleet/world-plan.ts'
import { SILENT } from '../conformance/adapters/aws-node.ts'

/** One count for `berth_waiting_nodes`. */
export interface TimedCount {
  /** Nodes that were counted. */
  readonly waiting: number
  /** Real time of the count for each of them (µs), with what else the process does between its slices. */
  readonly microseconds: number
}

export interface CostOptions {
  readonly nodes: number
  readonly counts: number
  readonly seed: number
}

/** Time between two counts (ms of virtual time), as scrapes go, but closer: nodes change their place in line in between. */
const SCRAPE_MS = 2_000
/** Counts of fewer nodes say little about each of them (count). */
const FEWEST_WAITING = 100

/** Lets all nodes of a cluster join at once, and counts those that wait while they are served. The first counts run code that is new. */
export async function timeCounts({ nodes, counts, seed }: CostOptions): Promise<readonly TimedCount[]> {
  const restoreChance = seedGlobalChance(seed)
  await import('../../providers/aws/index.ts')
  const time = new VirtualTime()
  try {
    const plan: WorldPlan = {
      cloud: 'aws',
      nodes,
      instanceType: 'm5.large',
      prefixDelegation: true,
      podsPerNode: 5,
      podsPerSecond: 0,
      agentGeneration: 'pool',
      throttle: 'documented',
      seed,
      agentUpdateIntervalMs: 15_000,
    }
    return await time.run(count(new VirtualFleet({ plan, clock: time.clock, log: SILENT }), counts))
  } finally {
    time.uninstall()
    restoreChance()
  }
}

async function count(fleet: VirtualFleet, wanted: number): Promise<readonly TimedCount[]> {
  const timed: TimedCount[] = []
  try {
    await fleet.startController()
    await fleet.world.populate()
    for (let round = 0; round < wanted; round++) {
      const startedAt = process.hrtime.bigint()
      const byReason = await fleet.controller!.insight.waitingNodes()
      const microseconds = Number(process.hrtime.bigint() - startedAt) / 1000
      const waiting = [...byReason.values()].reduce((sum, one) => sum + one, 0)
      if (waiting >= FEWEST_WAITING) timed.push({ waiting, microseconds: microseconds / waiting })
      await fleet.clock.sleep(SCRAPE_MS, fleet.closing)
    }
    return timed
  } finally {
    await fleet.close()
  }
}
