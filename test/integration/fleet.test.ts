import { describe, expect, test } from 'vitest'
import { formatFleetReport } from '../../src/fleet/fleet-report.ts'
import { SCENARIO_NAMES, SCENARIOS } from '../../src/fleet/scenarios.ts'
import type { ScenarioName } from '../../src/fleet/scenarios.ts'
import { runVirtually } from '../../src/fleet/virtual-run.ts'
import type { VirtualRunResult } from '../../src/fleet/virtual-run.ts'

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }
/** Wall time that one run may take on a busy machine (ms). */
const TIMEOUT_MS = 60_000

function run(name: ScenarioName, nodes: number, options: { seed?: number; instanceType?: string } = {}) {
  const { seed = 1, instanceType = 'm5.large' } = options
  const resources = (): { wallSeconds: number; cpuSeconds: number } => ({ wallSeconds: 0, cpuSeconds: 0 })
  return runVirtually({
    cloud: 'aws',
    scenario: SCENARIOS[name],
    nodes,
    seed,
    instanceType,
    prefixDelegation: true,
    log: SILENT,
    resources,
  })
}

function textOf({ report }: VirtualRunResult): string {
  return formatFleetReport({ ...report, rssBytes: 0 })
}

describe('berth fleet', { timeout: TIMEOUT_MS }, () => {
  test('100 nodes that join at once are served out of full buckets, with one changing call each', async () => {
    const { report, violations, isSettled } = await run('cold-start', 100)
    expect(violations).toEqual([])
    expect(isSettled).toBe(true)
    expect(report).toMatchObject({ nodes: 100, nodesConverged: 100, podsWaiting: 0, throttled: 0, errors: 0 })
    expect(report).toMatchObject({ virtual: true, lowerBoundSeconds: 0, callsPerNode: 1, callsPerAddress: 1 / 16 })
    expect(report.makespanSeconds).toBeGreaterThan(0)
    expect(report.makespanSeconds).toBeLessThan(5)
  })

  test('300 nodes are served over both paths, close to the bound', async () => {
    const { report, isSettled } = await run('cold-start', 300)
    expect(isSettled).toBe(true)
    expect(report.lowerBoundSeconds).toBe(15)
    // One path alone takes 40 s. Three seconds are calls and agents, which the bound does not count.
    expect(report.makespanSeconds).toBeLessThan(15 * 1.05 + 3)
    expect(report.makespanSeconds).toBeGreaterThanOrEqual(15)
    expect(report.throttled).toBe(0)
    expect(report.callsPerNode).toBeLessThanOrEqual(2.05)
    expect(report.calls['CreateNetworkInterface']).toBeGreaterThan(50)
  })

  test('the same seed gives the same report, another one another', async () => {
    const first = textOf(await run('cold-start', 40, { seed: 5 }))
    expect(textOf(await run('cold-start', 40, { seed: 5 }))).toBe(first)
    expect(textOf(await run('cold-start', 40, { seed: 6 }))).not.toBe(first)
  })

  test('nodes may be of several types', async () => {
    const { report, isSettled } = await run('cold-start', 8, { instanceType: 'm5.large:3,m5.xlarge:1' })
    expect(isSettled).toBe(true)
    expect(report.nodesConverged).toBe(8)
  })

  test('an unknown type, and a share that is none, are refused', async () => {
    await expect(run('cold-start', 8, { instanceType: 'm5.lagre' })).rejects.toThrow('m5.lagre is not known')
    await expect(run('cold-start', 8, { instanceType: 'm5.large:0' })).rejects.toThrow('must be TYPE')
  })

  test.each(SCENARIO_NAMES.filter((name) => name !== 'cold-start'))(
    '%s settles, and keeps its invariants',
    async (name) => {
      const { report, violations, isSettled } = await run(name, 20)
      expect(violations).toEqual([])
      expect(isSettled).toBe(true)
      expect(report.makespanSeconds).not.toBeNull()
    },
  )

  test('a restarted controller changes nothing in a settled fleet', async () => {
    const { report } = await run('restart', 20)
    expect(report.callsPerNode).toBe(0)
    expect(report.nodesConverged).toBe(20)
  })
})
