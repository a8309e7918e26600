import type { WorldReport } from './report.ts'
import { summaryOf } from './summary.ts'
import type { Summary } from './summary.ts'
import type { NodeWait } from './world.ts'

/** Quantiles of a wait (s); 0 without samples. */
export interface WaitQuantiles {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** What a virtual run has come to, as `berth fleet --json` prints it. The names are a contract with scripts. */
export interface FleetReport extends Summary {
  readonly scenario: string
  /** From the first join that counts to the last first address (s); null while a node has none. */
  readonly makespanSeconds: number | null
  /** What the documented buckets allow at best (s). */
  readonly lowerBoundSeconds: number
  /** From joining until an address is open in the node's resource. */
  readonly nodeWait: WaitQuantiles
  /** From binding until the agent's answer; quantiles are at most 5 % above the true ones. */
  readonly podWait: WaitQuantiles
  /** Refused attempts of all (share, 0 to 1). */
  readonly refusedShare: number
  /** Attempts that change something, for each node that joined (count). */
  readonly callsPerNode: number
  /** The same for each address open to pods at the end (count). */
  readonly callsPerAddress: number
  readonly rssBytes: number
  readonly cpuSeconds: number
  /** Limits of the account that were raised for the fleet (counts). */
  readonly quotas: { readonly interfaces: number }
}

/** Calls by action, attempts (count). */
export type CallCounts = Readonly<Record<string, number>>

export interface FleetRunFacts {
  readonly cloud: string
  /** Whether an action changes something, and is one that a controller calls. */
  readonly isMutating: (action: string) => boolean
  readonly scenario: string
  readonly seed: number
  readonly lowerBoundSeconds: number
  readonly quotas: { readonly interfaces: number }
  /** When what is measured began (clock, ms). */
  readonly measuredFromMs: number
  /** Calls by then. */
  readonly callsBefore: CallCounts
  readonly waits: readonly NodeWait[]
  readonly wallSeconds: number
  readonly cpuSeconds: number
}

/** Numbers of a report have so many decimals. */
const DECIMALS = 4

/** @param report of the end, verified */
export function fleetReportOf(report: WorldReport, run: FleetRunFacts): FleetReport {
  const { waits, measuredFromMs, callsBefore } = run
  const summary = summaryOf(report, run)
  const measured = waits.filter(({ joinedMs }) => joinedMs >= measuredFromMs)
  const served = measured.flatMap(({ servedMs }) => servedMs ?? [])
  const nodeWaits = measured.flatMap(({ joinedMs, servedMs }) => (servedMs === undefined ? [] : servedMs - joinedMs))
  const mutating = mutatingCalls(summary.calls, run.isMutating) - mutatingCalls(callsBefore, run.isMutating)
  const attempts = Object.values(summary.calls).reduce((sum, count) => sum + count, 0)
  const { p50, p99, max } = report.podWaits
  return {
    ...summary,
    virtual: true,
    scenario: run.scenario,
    makespanSeconds:
      served.length < measured.length
        ? null
        : (served.reduce((a, b) => Math.max(a, b), measuredFromMs) - measuredFromMs) / 1000,
    lowerBoundSeconds: run.lowerBoundSeconds,
    nodeWait: quantilesOf(nodeWaits),
    podWait: { p50: p50 / 1000, p99: p99 / 1000, max: max / 1000 },
    refusedShare: share(summary.throttled, attempts),
    callsPerNode: share(mutating, measured.length === 0 ? report.nodes : measured.length),
    callsPerAddress: share(mutating, report.addressesAvailable),
    rssBytes: report.rssBytes,
    cpuSeconds: run.cpuSeconds,
    quotas: run.quotas,
  }
}

/** One line of JSON, fields in the order of the contract. */
export function formatFleetReport(report: FleetReport): string {
  const calls = Object.fromEntries(Object.entries(report.calls).sort(([a], [b]) => (a < b ? -1 : 1)))
  return JSON.stringify({ ...report, calls }, (_, value: unknown) =>
    typeof value === 'number' ? rounded(value) : value,
  )
}

/** The same for people. */
export function describeFleetReport(report: FleetReport): string {
  const { nodes, nodesConverged, scenario, makespanSeconds, lowerBoundSeconds, nodeWait, podWait } = report
  const seconds = (value: number): string => `${Math.round(value * 10) / 10} s`
  const total = Object.values(report.calls).reduce((sum, count) => sum + count, 0)
  return [
    `${scenario}: ${nodesConverged} of ${nodes} nodes have the addresses they need, on ${report.interfaces} interfaces.`,
    makespanSeconds === null
      ? 'Not every node got an address.'
      : `Last first address after ${seconds(makespanSeconds)}; the buckets allow ${seconds(lowerBoundSeconds)} at best.`,
    `Nodes waited ${seconds(nodeWait.p50)} (p50), ${seconds(nodeWait.p99)} (p99), ${seconds(nodeWait.max)} at most; pods ${seconds(podWait.p50)}, ${seconds(podWait.p99)}, ${seconds(podWait.max)}.`,
    `${report.pods} pods, ${report.podsWaiting} waiting; ${report.addressesUsed} of ${report.addressesAvailable} addresses used.`,
    `${total} cloud calls, ${report.throttled} throttled, ${report.errors} failed; ${rounded(report.callsPerNode)} changing calls a node.`,
    `${seconds(report.wallSeconds)} of wall time, ${seconds(report.cpuSeconds)} of CPU time, ${Math.round(report.rssBytes / 1e6)} MB; interface quota ${report.quotas.interfaces}.`,
  ].join('\n')
}

/** @param share of the samples that are at most the answer, in [0, 1] */
function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.max(Math.ceil(sorted.length * part) - 1, 0)] ?? 0
}

function quantilesOf(waitsMs: readonly number[]): WaitQuantiles {
  const sorted = waitsMs.toSorted((a, b) => a - b)
  return { p50: quantile(sorted, 0.5) / 1000, p99: quantile(sorted, 0.99) / 1000, max: quantile(sorted, 1) / 1000 }
}

/** Attempts of the controller that change something (count). */
function mutatingCalls(calls: CallCounts, isMutating: FleetRunFacts['isMutating']): number {
  return Object.entries(calls).reduce((sum, [action, count]) => sum + (isMutating(action) ? count : 0), 0)
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}

function rounded(value: number): number {
  return Math.round(value * 10 ** DECIMALS) / 10 ** DECIMALS
}
