import { CLOUDS } from '../../src/fleet/clouds.ts'
import { parseScenario } from '../../src/fleet/scenario-file.ts'
import { playFleet, SEED } from './fleet-bench.ts'
import type { FleetBenchOptions } from './fleet-bench.ts'
import { runBench } from './harness.ts'
import type { Bench } from './harness.ts'

/**
 * A fleet's first day: 1,000 nodes join, are stocked, and live for 24 hours while pods come and go, 17 a day on each node. Calls for each address
 * that is open to pods at the end.
 */

const NODES = 1_000
/** Floors of the nodes with prefixes: seven blocks of 16. */
const PREFIX_FLOORS = [97, 100, 104, 108, 112]
/** Floors of the four types in turn: what the instance carries, or as many as pods fit on a node. An agent waits for its floor for ever. */
const SECONDARY_FLOORS = [27, 56, 56, 110]

const day = (floors: readonly number[]) => ({
  podsPerNode: 10,
  nodeIPAM: floors.map((floor) => ({ 'min-allocate': floor })),
  steps: ['startController', { join: 'all' }, { churn: { podsPerSecondAndNode: 0.0002, for: '24h' } }],
})

async function measure(
  bench: Bench,
  {
    name,
    floors,
    gates,
    ...options
  }: {
    readonly name: string
    readonly floors: readonly number[]
    readonly gates: { readonly changing: number; readonly all: number }
  } & Omit<FleetBenchOptions, 'nodes'>,
): Promise<void> {
  const { report } = await playFleet(parseScenario(day(floors), name), { nodes: NODES, ...options })
  const all = Object.values(report.calls).reduce((sum, count) => sum + count, 0)
  bench.record(
    { name: `${name}: changing calls an address`, unit: 'calls', gate: { atMost: gates.changing } },
    report.callsPerAddress,
  )
  bench.record(
    { name: `${name}: calls an address`, unit: 'calls', gate: { atMost: gates.all } },
    all / report.addressesAvailable,
  )
  bench.record({ name: `${name}: addresses`, unit: 'addresses' }, report.addressesAvailable)
}

await runBench('calls-per-address', SEED, async (bench) => {
  await measure(bench, {
    name: 'prefixes, floor 97 to 112',
    floors: PREFIX_FLOORS,
    gates: { changing: 0.01, all: 0.03 },
    prefixDelegation: true,
  })
  await measure(bench, {
    name: 'single addresses, four types',
    floors: SECONDARY_FLOORS,
    gates: { changing: 0.155, all: 0.25 },
    prefixDelegation: false,
    instanceType: CLOUDS.aws.mixedInstanceTypes,
  })
})
