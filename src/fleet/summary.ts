import type { WorldReport } from './report.ts'

/** What a run has come to, as `berth up --json` prints it. The names are a contract with scripts. */
export interface Summary {
  readonly cloud: string
  /** Nodes in the cluster (count). */
  readonly nodes: number
  /** Of them those whose resource holds all the addresses they need (count). */
  readonly nodesConverged: number
  readonly pods: number
  /** Pods that are scheduled and have no address (count). */
  readonly podsWaiting: number
  /** Addresses open to pods, used ones included (count). */
  readonly addressesAvailable: number
  readonly addressesUsed: number
  /** Attached interfaces, the first one of each instance included (count). */
  readonly interfaces: number
  /** Attempts by action, refused ones included, as the cloud counted them. */
  readonly calls: Readonly<Record<string, number>>
  /** Attempts that the cloud refused as too many (count). */
  readonly throttled: number
  /** Attempts that failed for another reason (count). */
  readonly errors: number
  /** Whether time was virtual. */
  readonly virtual: boolean
  readonly wallSeconds: number
  readonly seed: number
}

/** What a report comes to. Calls are those that the cloud counted, whatever the controller may think. */
export function summaryOf(
  report: WorldReport,
  run: { readonly cloud: string; readonly seed: number; readonly wallSeconds: number },
): Summary {
  const calls = Object.entries(report.calls)
  return {
    cloud: run.cloud,
    nodes: report.nodes,
    nodesConverged: report.nodesConverged,
    pods: report.pods,
    podsWaiting: report.podsWaiting,
    addressesAvailable: report.addressesAvailable,
    addressesUsed: report.addressesUsed,
    interfaces: report.interfaces,
    calls: Object.fromEntries(calls.map(([action, { attempts }]) => [action, attempts])),
    throttled: calls.reduce((sum, [, { refused }]) => sum + refused, 0),
    errors: calls.reduce((sum, [, { failed }]) => sum + failed, 0),
    virtual: false,
    wallSeconds: run.wallSeconds,
    seed: run.seed,
  }
}

/** One line of JSON, fields in the order of the contract, seconds with one decimal. */
export function formatSummary(summary: Summary): string {
  const { cloud, nodes, nodesConverged, pods, podsWaiting, addressesAvailable, addressesUsed, interfaces } = summary
  const calls = Object.fromEntries(Object.entries(summary.calls).sort(([a], [b]) => (a < b ? -1 : 1)))
  const { throttled, errors, virtual, seed } = summary
  const wallSeconds = Math.round(summary.wallSeconds * 10) / 10
  return JSON.stringify({
    cloud,
    nodes,
    nodesConverged,
    pods,
    podsWaiting,
    addressesAvailable,
    addressesUsed,
    interfaces,
    calls,
    throttled,
    errors,
    virtual,
    wallSeconds,
    seed,
  })
}

/** The same for people: a few lines. */
export function describeSummary(summary: Summary): string {
  const { nodes, nodesConverged, pods, podsWaiting, addressesAvailable, addressesUsed, interfaces } = summary
  const calls = Object.values(summary.calls).reduce((sum, count) => sum + count, 0)
  return [
    `${nodesConverged} of ${nodes} nodes have the addresses they need, on ${interfaces} interfaces.`,
    `${pods} pods, ${podsWaiting} waiting; ${addressesUsed} of ${addressesAvailable} addresses used.`,
    `${calls} cloud calls, ${summary.throttled} throttled, ${summary.errors} failed; ${Math.round(summary.wallSeconds)} s.`,
  ].join('\n')
}
