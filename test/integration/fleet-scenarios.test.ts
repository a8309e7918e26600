import { describe, expect, test } from 'vitest'
import type { Scenario } from '../../src/fleet/scenario.ts'
import { SCENARIOS } from '../../src/fleet/scenarios.ts'
import type { ScenarioName } from '../../src/fleet/scenarios.ts'
import { runVirtually } from '../../src/fleet/virtual-run.ts'

/** Every scenario with 1,000 nodes: none breaks an invariant, and none takes much longer than the cloud's buckets make it. */

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }
const NODES = 1_000
/** Wall time that one run may take on a busy machine (ms). */
const TIMEOUT_MS = 600_000
/** What lasts longer in a scenario is cut to this (ms): an hour of pods that come and go finds no more than ten minutes of it. */
const LONGEST_MS = 600_000

/** What nodes may wait beyond what the bound allows (share), and what calls and agents take that it does not count (s). */
const LIMITS: Readonly<Record<ScenarioName, { readonly share: number; readonly seconds: number }>> = {
  'cold-start': { share: 1.05, seconds: 0 },
  burst: { share: 1.05, seconds: 0 },
  churn: { share: 1.1, seconds: 0 },
  'rolling-replacement': { share: 1.05, seconds: 5 },
  'subnet-exhaustion': { share: 1.05, seconds: 600 },
  throttled: { share: 1.2, seconds: 0 },
  'unknown-buckets': { share: 1.15, seconds: 0 },
  restart: { share: 1, seconds: 0 },
}

function shortened(scenario: Scenario): Scenario {
  const steps = scenario.steps.map((step) =>
    step.kind === 'churn' ? { ...step, forMs: Math.min(step.forMs, LONGEST_MS) } : step,
  )
  return { ...scenario, steps }
}

describe(`berth fleet --nodes ${NODES}`, () => {
  test.each(Object.entries(LIMITS))('%s', { timeout: TIMEOUT_MS }, async (name, { share, seconds }) => {
    const { report, violations, isSettled } = await runVirtually({
      cloud: 'aws',
      nodes: NODES,
      instanceType: 'm5.large',
      prefixDelegation: true,
      scenario: shortened(SCENARIOS[name as ScenarioName]),
      seed: 1,
      log: SILENT,
      resources: () => ({ wallSeconds: 0, cpuSeconds: 0 }),
    })
    expect(violations).toEqual([])
    expect(isSettled).toBe(true)
    expect(report.nodesConverged).toBe(NODES)
    expect(report.makespanSeconds).toBeLessThanOrEqual(report.lowerBoundSeconds * share + seconds)
    expect(report.refusedShare).toBeLessThan(0.01)
  })
})
