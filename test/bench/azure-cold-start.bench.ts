import { SCENARIOS } from '../../src/fleet/scenarios.ts'
import { runVirtually } from '../../src/fleet/virtual-run.ts'
import { check, runBench } from './harness.ts'

/**
 * Machines of an Azure scale set that join at once, under the documented buckets and in virtual time: the last first address against the
 * largest bound over all buckets, each machine's write being looked at as seldom as `Retry-After` allows at best, once.
 */

const SEED = 1
const NODES = 1_000
/** A write runs for 5 to 30 s, and its end is seen up to 10 s later: `Retry-After` (s). No bucket has part in that. */
const LONGEST_WRITE_SECONDS = 40
const INSTANCE_TYPE = 'Standard_D4s_v5'
const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

await runBench('azure-cold-start', SEED, async (bench) => {
  const sinceMs = performance.now()
  const before = process.cpuUsage()
  const { report, violations, isSettled } = await runVirtually({
    cloud: 'azure',
    nodes: NODES,
    instanceType: INSTANCE_TYPE,
    prefixDelegation: false,
    scenario: SCENARIOS['cold-start'],
    seed: SEED,
    log: SILENT,
    resources: () => {
      const { user, system } = process.cpuUsage(before)
      return { wallSeconds: (performance.now() - sinceMs) / 1000, cpuSeconds: (user + system) / 1e6 }
    },
  })
  check(isSettled, `the fleet of ${NODES} machines did not settle`)
  check(violations.length === 0, violations.join('; '))
  const { makespanSeconds, lowerBoundSeconds, calls, nodeWait } = report
  check(makespanSeconds !== null, 'not every machine was served')
  const size = NODES.toLocaleString('en-US')
  const count = (pattern: RegExp): number =>
    Object.entries(calls).reduce((sum, [name, attempts]) => (pattern.test(name) ? sum + attempts : sum), 0)
  bench.record({ name: `${size} scale-set VMs: lower bound`, unit: 's' }, lowerBoundSeconds)
  bench.record({ name: `${size} scale-set VMs: last first address`, unit: 's' }, makespanSeconds)
  bench.record({ name: 'last first address / bound', unit: '×' }, makespanSeconds / lowerBoundSeconds)
  bench.record(
    {
      name: `last first address / (bound + ${LONGEST_WRITE_SECONDS} s of the last write)`,
      unit: '×',
      gate: { atMost: 1.05 },
    },
    makespanSeconds / (lowerBoundSeconds + LONGEST_WRITE_SECONDS),
  )
  bench.record({ name: 'wait of a machine for its first address, p50', unit: 's' }, nodeWait.p50)
  bench.record({ name: 'refused', unit: 'calls', gate: { atMost: 0 } }, report.throttled)
  bench.record({ name: 'failed', unit: 'calls', gate: { atMost: 0 } }, report.errors)
  bench.record({ name: 'writes a machine', unit: 'calls', gate: { atMost: 2.05 } }, report.callsPerNode)
  bench.record({ name: 'looks at a write', unit: 'calls' }, count(/^Operations/) / count(/\.Update$/))
  bench.record({ name: 'reads a machine', unit: 'calls' }, (count(/./) - count(/\.Update$/)) / NODES)
  bench.record({ name: 'CPU', unit: 's' }, report.cpuSeconds)
})
