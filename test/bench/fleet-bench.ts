import type { Logger } from '../../src/ipam/contracts.ts'
import { RunSeries } from '../../src/fleet/run-series.ts'
import type { SeriesSample } from '../../src/fleet/run-series.ts'
import type { Scenario } from '../../src/fleet/scenario.ts'
import { runVirtually } from '../../src/fleet/virtual-run.ts'
import type { VirtualRunResult } from '../../src/fleet/virtual-run.ts'
import { check } from './harness.ts'

/** What the benchmarks on whole fleets share. Virtual time is the same on every machine: one round says all. */

export const SEED = 1
export const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} }

export interface FleetBenchOptions {
  readonly nodes: number
  readonly instanceType?: string
  readonly prefixDelegation?: boolean
}

export interface FleetBenchResult extends VirtualRunResult {
  readonly samples: readonly SeriesSample[]
  /** Last first address over lower bound. */
  readonly ratio: number
}

/** Plays a scenario; a run that does not settle or breaks an invariant ends the benchmark. */
export async function playFleet(scenario: Scenario, options: FleetBenchOptions): Promise<FleetBenchResult> {
  const { nodes, instanceType = 'm5.large', prefixDelegation = true } = options
  const series = new RunSeries()
  const sinceMs = performance.now()
  const before = process.cpuUsage()
  const result = await runVirtually({
    cloud: 'aws',
    nodes,
    instanceType,
    prefixDelegation,
    scenario,
    seed: SEED,
    log: SILENT,
    series,
    resources: () => {
      const { user, system } = process.cpuUsage(before)
      return { wallSeconds: (performance.now() - sinceMs) / 1000, cpuSeconds: (user + system) / 1e6 }
    },
  })
  check(result.isSettled, `${scenario.name}: the fleet of ${nodes} nodes did not settle`)
  check(result.violations.length === 0, `${scenario.name}: ${result.violations.join('; ')}`)
  const { makespanSeconds, lowerBoundSeconds } = result.report
  check(makespanSeconds !== null, `${scenario.name}: not every node was served`)
  return { ...result, samples: series.samples, ratio: makespanSeconds / lowerBoundSeconds }
}

/** Refused attempts of all from a moment on (share). @param fromSeconds of the run */
export function refusedShareAfter(samples: readonly SeriesSample[], fromSeconds: number): number {
  const sum = (counts: Readonly<Record<string, number>> = {}): number =>
    Object.values(counts).reduce((total, count) => total + count, 0)
  const first = samples.findLast(({ atSeconds }) => atSeconds <= fromSeconds)
  const last = samples.at(-1)
  const calls = sum(last?.calls) - sum(first?.calls)
  return calls === 0 ? 0 : (sum(last?.refused) - sum(first?.refused)) / calls
}
