import { SCENARIOS } from '../../src/fleet/scenarios.ts'
import { playFleet, refusedShareAfter, SEED } from './fleet-bench.ts'
import { runBench } from './harness.ts'

/** Accounts that are not as documented, and bursts: 1,000 nodes that join at once, with prefixes. */

const NODES = 1_000
/** By then a controller has to know what it may call (s). */
const LEARNED_AFTER_S = 60

await runBench('fleet-scenarios', SEED, async (bench) => {
  const unknown = await playFleet(SCENARIOS['unknown-buckets'], { nodes: NODES })
  bench.record(
    { name: 'half of the documented rates: last first address / bound', unit: '×', gate: { atMost: 1.15 } },
    unknown.ratio,
  )
  bench.record(
    { name: `the same: refused after ${LEARNED_AFTER_S} s`, unit: '%', gate: { atMost: 1 } },
    100 * refusedShareAfter(unknown.samples, LEARNED_AFTER_S),
  )
  bench.record({ name: 'the same: refused in all', unit: '%' }, 100 * unknown.report.refusedShare)

  const throttled = await playFleet(SCENARIOS.throttled, { nodes: NODES })
  bench.record(
    { name: 'a neighbour takes 30 %: last first address / reduced bound', unit: '×', gate: { atMost: 1.2 } },
    throttled.ratio,
  )
  bench.record({ name: 'the same: refused in all', unit: '%' }, 100 * throttled.report.refusedShare)

  const { report } = await playFleet(SCENARIOS.burst, { nodes: NODES })
  bench.record(
    { name: 'burst, pods wait on 300: first address of a node, p99', unit: 's', gate: { atMost: 90 } },
    report.nodeWait.p99,
  )
  bench.record({ name: 'the same: pods that wait, p99', unit: 's', gate: { atMost: 20 } }, report.podWait.p99)
})
