import { describe, expect, test } from 'vitest'
import { formatFleetReport } from '../../src/fleet/fleet-report.ts'
import { SCENARIO_NAMES, SCENARIOS } from '../../src/fleet/scenarios.ts'
import type { ScenarioName } from '../../src/fleet/scenarios.ts'
import { runVirtually } from '../../src/fleet/virtual-run.ts'
import type { VirtualRunOptions, VirtualRunResult } from '../../src/fleet/virtual-run.ts'
import { PlanError } from '../../src/fleet/world-plan.ts'

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }
/** Wall time that one run may take on a busy machine (ms). */
const TIMEOUT_MS = 60_000
/** A write runs for up to 30 s and its end is seen up to 10 s later; calls and agents take the rest (s). */
const ONE_WRITE_SECONDS = 45

function run(name: ScenarioName, nodes: number, options: Partial<VirtualRunOptions> = {}): Promise<VirtualRunResult> {
  return runVirtually({
    cloud: 'azure',
    scenario: SCENARIOS[name],
    nodes,
    seed: 1,
    instanceType: 'Standard_D4s_v5',
    prefixDelegation: false,
    log: SILENT,
    resources: () => ({ wallSeconds: 0, cpuSeconds: 0 }),
    ...options,
  })
}

describe('berth fleet --cloud azure', { timeout: TIMEOUT_MS }, () => {
  test('machines of a scale set that join at once are served by one write each, and none is refused', async () => {
    const { report, violations, isSettled } = await run('cold-start', 60)
    expect(violations).toEqual([])
    expect(isSettled).toBe(true)
    expect(report).toMatchObject({ cloud: 'azure', nodes: 60, nodesConverged: 60, podsWaiting: 0, interfaces: 60 })
    expect(report).toMatchObject({ throttled: 0, errors: 0, lowerBoundSeconds: 0 })
    expect(report.makespanSeconds).toBeGreaterThan(5)
    expect(report.makespanSeconds).toBeLessThan(ONE_WRITE_SECONDS)
    // Polls and lists are reads: they do not count as changing.
    expect(report.callsPerNode).toBe((report.calls['VirtualMachineScaleSetVMs.Update'] ?? 0) / 60)
    expect(report.callsPerNode).toBeLessThanOrEqual(2)
  })

  test('the same seed gives the same report, another one another', async () => {
    const textOf = ({ report }: VirtualRunResult): string => formatFleetReport({ ...report, rssBytes: 0 })
    const first = textOf(await run('cold-start', 12, { seed: 5 }))
    expect(textOf(await run('cold-start', 12, { seed: 5 }))).toBe(first)
    expect(textOf(await run('cold-start', 12, { seed: 6 }))).not.toBe(first)
  })

  test.each(SCENARIO_NAMES.filter((name) => name !== 'cold-start'))(
    '%s settles, and keeps its invariants',
    async (name) => {
      const { report, violations, isSettled } = await run(name, 6)
      expect(violations).toEqual([])
      expect(isSettled).toBe(true)
      expect(report.makespanSeconds).not.toBeNull()
    },
  )

  test('agents of the newer generation read their addresses from the interfaces', async () => {
    const scenario = { ...SCENARIOS['cold-start'], agentGeneration: 'multi-pool' } as const
    const { report, violations, isSettled } = await run('cold-start', 6, { scenario })
    expect(violations).toEqual([])
    expect(isSettled).toBe(true)
    expect(report).toMatchObject({ nodesConverged: 6, podsWaiting: 0 })
  })

  test('prefixes come as blocks', async () => {
    const { report, violations, isSettled } = await run('cold-start', 6, { prefixDelegation: true })
    expect(violations).toEqual([])
    expect(isSettled).toBe(true)
    expect(report.addressesAvailable).toBe(6 * 16)
    expect(report.calls['VirtualMachineScaleSetVMs.Update']).toBe(6)
  })

  test('machines of several sizes are in scale sets of their own', async () => {
    const instanceType = 'Standard_D2s_v5:1,Standard_D4s_v5:1'
    const { report, isSettled } = await run('cold-start', 4, { instanceType })
    expect(isSettled).toBe(true)
    expect(report.nodesConverged).toBe(4)
  })

  test('a type of another cloud is refused', async () => {
    await expect(run('cold-start', 1, { instanceType: 'm5.large' })).rejects.toThrow(PlanError)
    await expect(run('cold-start', 1, { instanceType: 'm5.large' })).rejects.toThrow(
      'm5.large is not known to the Azure simulator',
    )
  })
})
