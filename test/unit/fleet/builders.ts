import type { WorldReport } from '../../../src/fleet/report.ts'
import type { InterfaceView, NodeView } from '../../../src/fleet/world-view.ts'

export function report(parts: Partial<WorldReport> = {}): WorldReport {
  return {
    elapsedMs: 61_500,
    nodes: 50,
    nodesConverged: 50,
    nodesEverConverged: 50,
    isPopulated: true,
    pods: 500,
    podsWaiting: 0,
    longestWaitMs: 0,
    longestRecentWaitMs: 0,
    podWaits: { count: 0, p50: 0, p99: 0, max: 0 },
    addressesAvailable: 900,
    addressesUsed: 500,
    interfaces: 100,
    calls: {},
    isChurning: false,
    violations: [],
    rssBytes: 0,
    ...parts,
  }
}

export function eni(parts: Partial<InterfaceView> = {}): InterfaceView {
  return { id: 'eni-1', instanceID: 'i-1', addresses: ['10.0.0.4', '10.0.0.5'], prefixes: [], ...parts }
}

export function node(parts: Partial<NodeView> = {}): NodeView {
  return {
    name: 'n1',
    instanceID: 'i-1',
    limits: { interfaces: 3, slotsPerInterface: 10 },
    maxAllocate: 0,
    holdings: [],
    open: new Set(),
    overwrites: 0,
    ...parts,
  }
}
