import { describe, expect, test } from 'vitest'
import { describeFleetReport, fleetReportOf, formatFleetReport } from '../../../src/fleet/fleet-report.ts'
import type { FleetRunFacts } from '../../../src/fleet/fleet-report.ts'
import type { WorldReport } from '../../../src/fleet/report.ts'

const action = (attempts: number, refused = 0, failed = 0) => ({ attempts, refused, failed })

const REPORT: WorldReport = {
  elapsedMs: 99_000,
  nodes: 4,
  nodesConverged: 4,
  nodesEverConverged: 4,
  isPopulated: true,
  pods: 20,
  podsWaiting: 0,
  longestWaitMs: 0,
  longestRecentWaitMs: 0,
  podWaits: { count: 20, p50: 1500, p99: 2500, max: 3000 },
  addressesAvailable: 64,
  addressesUsed: 20,
  interfaces: 6,
  calls: {
    TerminateInstances: action(1),
    DescribeSubnets: action(2),
    CreateNetworkInterface: action(2, 1),
    AssignPrivateIpAddresses: action(3, 0, 1),
  },
  isChurning: false,
  violations: [],
  rssBytes: 1_000_000,
}

const RUN: FleetRunFacts = {
  cloud: 'aws',
  isMutating: (action) => !/^(Describe|Terminate)/.test(action),
  scenario: 'cold-start',
  seed: 3,
  lowerBoundSeconds: 2,
  quotas: { interfaces: 5000 },
  measuredFromMs: 1_000,
  callsBefore: {},
  waits: [
    { joinedMs: 500, servedMs: 90_000 },
    { joinedMs: 1_000, servedMs: 2_000 },
    { joinedMs: 1_000, servedMs: 4_000 },
    { joinedMs: 3_000, servedMs: 5_500 },
    { joinedMs: 3_000, servedMs: 3_400 },
  ],
  wallSeconds: 1.23456,
  cpuSeconds: 2,
}

describe('fleetReportOf', () => {
  test('measures the nodes that joined since the measuring began', () => {
    const { makespanSeconds, nodeWait, podWait } = fleetReportOf(REPORT, RUN)
    expect(makespanSeconds).toBe(4.5)
    expect(nodeWait).toEqual({ p50: 1, p99: 3, max: 3 })
    expect(podWait).toEqual({ p50: 1.5, p99: 2.5, max: 3 })
  })

  test('counts what changes something, and not what the machines do themselves', () => {
    const { callsPerNode, callsPerAddress, refusedShare } = fleetReportOf(REPORT, RUN)
    expect(callsPerNode).toBe(5 / 4)
    expect(callsPerAddress).toBe(5 / 64)
    expect(refusedShare).toBe(1 / 8)
  })

  test('leaves out the calls of before', () => {
    const callsBefore = { AssignPrivateIpAddresses: 1, DescribeSubnets: 2, TerminateInstances: 1 }
    expect(fleetReportOf(REPORT, { ...RUN, callsBefore }).callsPerNode).toBe(1)
  })

  test('has no makespan while a node has no address, and says so', () => {
    const report = fleetReportOf(REPORT, { ...RUN, waits: [...RUN.waits, { joinedMs: 1_000, servedMs: undefined }] })
    expect(report.makespanSeconds).toBeNull()
    expect(describeFleetReport(report)).toContain('Not every node got an address')
  })

  test('without a node that joined nothing is divided by nothing', () => {
    const report = fleetReportOf(REPORT, { ...RUN, measuredFromMs: 50_000 })
    expect(report).toMatchObject({ makespanSeconds: 0, nodeWait: { p50: 0, p99: 0, max: 0 }, callsPerNode: 5 / 4 })
  })
})

test('formatFleetReport writes one line, calls sorted, numbers with four decimals', () => {
  const text = formatFleetReport(fleetReportOf(REPORT, RUN))
  expect(text).not.toContain('\n')
  const parsed = JSON.parse(text) as { calls: object; wallSeconds: number }
  expect(Object.keys(parsed.calls)).toEqual(Object.keys(parsed.calls).toSorted())
  expect(parsed).toMatchObject({ virtual: true, wallSeconds: 1.2346, quotas: { interfaces: 5000 } })
})
