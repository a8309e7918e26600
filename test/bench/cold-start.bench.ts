import { SCENARIOS } from '../../src/fleet/scenarios.ts'
import { playFleet, SEED } from './fleet-bench.ts'
import { runBench } from './harness.ts'

/** All nodes join at once, with prefixes: how close the last first address is to the lower bound, and what it costs in calls. */

const FLEETS = [1_000, 5_000]
const INTERFACES_PER_PAGE = 150
/** Pages that every controller reads whatever the size of the fleet: subnets, networks, groups, limits, and second looks. */
const SHARED_READS = 10

await runBench('cold-start', SEED, async (bench) => {
  for (const nodes of FLEETS) {
    const { report, ratio } = await playFleet(SCENARIOS['cold-start'], { nodes })
    const size = nodes.toLocaleString('en-US')
    bench.record({ name: `${size} nodes: last first address / bound`, unit: '×', gate: { atMost: 1.05 } }, ratio)
    bench.record({ name: `${size} nodes: last first address`, unit: 's' }, report.makespanSeconds ?? Number.NaN)
    bench.record({ name: `${size} nodes: refused`, unit: 'calls', gate: { atMost: 0 } }, report.throttled)
    bench.record(
      { name: `${size} nodes: changing calls a node`, unit: 'calls', gate: { atMost: 2.05 } },
      report.callsPerNode,
    )
    const reads = Object.entries(report.calls).reduce(
      (sum, [name, count]) => (/^(Describe|Get)/.test(name) ? sum + count : sum),
      0,
    )
    const pages = Math.ceil(report.interfaces / INTERFACES_PER_PAGE) + SHARED_READS
    bench.record({ name: `${size} nodes: reads`, unit: 'calls', gate: { atMost: pages } }, reads)
  }
})
