import { CLOUDS } from '../../src/fleet/clouds.ts'
import { scenarioBound } from '../../src/fleet/scenario-bound.ts'
import { SCENARIOS } from '../../src/fleet/scenarios.ts'
import { seedGlobalChance } from '../../src/fleet/virtual-chance.ts'
import { VirtualFleet } from '../../src/fleet/virtual-fleet.ts'
import { VirtualTime } from '../../src/fleet/virtual-time.ts'
import { SEED, SILENT } from './fleet-bench.ts'
import { check, runBench } from './harness.ts'
import { CONTENDERS } from './rivals/contenders.ts'
import type { Contender } from './rivals/contenders.ts'

/**
 * A cold start of a fleet with prefixes, served by four policies in the same simulated account: how long until the last node has its
 * first addresses, what share of the calls is refused, and how many calls a node costs.
 */

const NODES = 1_000
const LOOK_MS = 500
const LIMIT_MS = 4 * 3_600_000
const AGENT_UPDATE_INTERVAL_MS = 15_000

interface Outcome {
  readonly makespanSeconds: number
  readonly p50Seconds: number
  readonly refusedShare: number
  readonly callsPerNode: number
}

async function compete(contender: Contender): Promise<Outcome> {
  const restoreChance = seedGlobalChance(SEED)
  await CLOUDS.aws.loadProvider()
  const time = new VirtualTime()
  try {
    return await time.run(coldStart(contender, time))
  } finally {
    time.uninstall()
    restoreChance()
  }
}

async function coldStart(contender: Contender, { clock }: VirtualTime): Promise<Outcome> {
  const plan = {
    cloud: 'aws',
    nodes: NODES,
    instanceType: 'm5.large',
    prefixDelegation: true,
    podsPerNode: 5,
    podsPerSecond: 0,
    agentGeneration: 'pool',
    throttle: 'documented',
    seed: SEED,
    agentUpdateIntervalMs: AGENT_UPDATE_INTERVAL_MS,
  } as const
  const fleet = new VirtualFleet({ plan, clock, log: SILENT })
  try {
    await contender.start(fleet)
    await fleet.world.joinNodes(NODES)
    const endMs = clock.now() + LIMIT_MS
    while (fleet.world.waits().some(({ servedMs }) => servedMs === undefined)) {
      check(clock.now() < endMs, `${contender.name} serves all nodes within four hours`)
      await clock.sleep(LOOK_MS, fleet.closing)
    }
    const report = await fleet.world.verifiedReport()
    check(report.violations.length === 0, `${contender.name}: ${report.violations.join('; ')}`)
    const waits = fleet.world
      .waits()
      .map(({ joinedMs, servedMs = Number.NaN }) => servedMs - joinedMs)
      .sort((a, b) => a - b)
    const calls = Object.values(report.calls)
    const attempts = calls.reduce((sum, one) => sum + one.attempts, 0)
    const refused = calls.reduce((sum, one) => sum + one.refused, 0)
    return {
      makespanSeconds: (waits.at(-1) ?? 0) / 1000,
      p50Seconds: (waits[Math.floor(waits.length / 2)] ?? 0) / 1000,
      refusedShare: refused / attempts,
      callsPerNode: attempts / NODES,
    }
  } finally {
    await fleet.close()
  }
}

await runBench('rivals', SEED, async (bench) => {
  const bound = scenarioBound(SCENARIOS['cold-start'], NODES, CLOUDS.aws).seconds
  bench.record({ name: `${NODES} nodes, lower bound`, unit: 's' }, bound)
  for (const contender of CONTENDERS) {
    const { makespanSeconds, p50Seconds, refusedShare, callsPerNode } = await compete(contender)
    const gate = contender.name === 'berth' ? { gate: { atMost: 1.05 * bound } } : {}
    bench.record({ name: `${contender.name}: last first address`, unit: 's', ...gate }, makespanSeconds)
    bench.record({ name: `${contender.name}: median node`, unit: 's' }, p50Seconds)
    bench.record({ name: `${contender.name}: refused`, unit: '%' }, 100 * refusedShare)
    bench.record({ name: `${contender.name}: calls a node`, unit: 'calls' }, callsPerNode)
  }
})
