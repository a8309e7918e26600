import { parseScenario } from '../../src/fleet/scenario-file.ts'
import { playFleet, SEED } from './fleet-bench.ts'
import { runBench } from './harness.ts'

/** Pods come and go for an hour, 50 a second on 10,000 stocked nodes: what a pod's start costs in cloud calls. */

const NODES = Number(process.env['CHURN_NODES'] ?? 10_000)
const PODS_PER_SECOND_AND_NODE = 0.005
const STARTS = NODES * PODS_PER_SECOND_AND_NODE * 3600

const scenario = parseScenario(
  {
    podsPerNode: 10,
    steps: [
      'startController',
      { join: 'all' },
      'settle',
      'measure',
      { churn: { podsPerSecondAndNode: PODS_PER_SECOND_AND_NODE, for: '1h' } },
    ],
  },
  'churn of a stocked fleet',
)

function sum(counts: Readonly<Record<string, number>> = {}): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

await runBench('churn', SEED, async (bench) => {
  const size = NODES.toLocaleString('en-US')
  for (const prefixDelegation of [true, false]) {
    const { report, samples, measuredFromSeconds } = await playFleet(scenario, { nodes: NODES, prefixDelegation })
    const before = samples.findLast(({ atSeconds }) => atSeconds <= measuredFromSeconds)
    const calls = sum(samples.at(-1)?.calls) - sum(before?.calls)
    const name = `${size} nodes, ${prefixDelegation ? 'prefixes' : 'single addresses'}`
    const gate = prefixDelegation ? { gate: { atMost: 0.02 } } : {}
    bench.record({ name: `${name}: calls for a pod's start`, unit: 'calls', ...gate }, calls / STARTS)
    bench.record({ name: `${name}: a pod's wait, p99`, unit: 's' }, report.podWait.p99)
  }
})
