import type { Statistics } from '../ipam/types.ts'

/** What one node adds to the fleet's numbers. */
export interface NodeContribution {
  readonly statistics: Statistics
  /** The node needs addresses that it does not have. */
  readonly isInDeficit: boolean
  readonly isInstanceMissing: boolean
  /** Since when it needs them; undefined when it does not. */
  readonly needSinceMs: number | undefined
}

/** Sums over the fleet (counts). */
export interface FleetTotals {
  readonly nodes: number
  readonly inDeficit: number
  /** No interface has room, none can be attached, and every address is used. */
  readonly atCapacity: number
  readonly usedIPs: number
  /** Attached and not used. */
  readonly unusedIPs: number
  readonly neededIPs: number
  readonly remainingInterfaces: number
  readonly interfaceCandidates: number
  readonly emptyInterfaceSlots: number
  readonly missingInstances: number
}

const NO_NODES: FleetTotals = {
  nodes: 0,
  inDeficit: 0,
  atCapacity: 0,
  usedIPs: 0,
  unusedIPs: 0,
  neededIPs: 0,
  remainingInterfaces: 0,
  interfaceCandidates: 0,
  emptyInterfaceSlots: 0,
  missingInstances: 0,
}

/**
 * The fleet's numbers, kept as nodes change: an event of one node costs the same in a fleet of ten and of ten thousand.
 *
 * @source cilium pkg/ipam/node_manager.go, resyncStats
 */
export class TotalsKeeper {
  readonly #contributions = new Map<string, FleetTotals>()
  /** Node → since when it is in need. In the order in which the needs began, so that the first entry is the oldest. */
  readonly #needs = new Map<string, number>()
  #totals = NO_NODES

  get totals(): FleetTotals {
    return this.#totals
  }

  set(node: string, contribution: NodeContribution): void {
    const share = shareOf(contribution)
    this.#totals = combine(this.#totals, share, this.#contributions.get(node) ?? NO_NODES)
    this.#contributions.set(node, share)
    this.#setNeed(node, contribution.needSinceMs)
  }

  delete(node: string): void {
    const share = this.#contributions.get(node)
    if (share === undefined) return
    this.#totals = combine(this.#totals, NO_NODES, share)
    this.#contributions.delete(node)
    this.#needs.delete(node)
  }

  /** Age of the oldest need (ms); 0 when there is none. */
  oldestNeedMs(nowMs: number): number {
    const oldest = this.#needs.values().next().value
    return oldest === undefined ? 0 : Math.max(nowMs - oldest, 0)
  }

  #setNeed(node: string, sinceMs: number | undefined): void {
    if (this.#needs.get(node) === sinceMs) return
    this.#needs.delete(node)
    if (sinceMs !== undefined) this.#needs.set(node, sinceMs)
  }
}

function shareOf({ statistics, isInDeficit, isInstanceMissing }: NodeContribution): FleetTotals {
  const { usedIPs, availableIPs, neededIPs, remainingInterfaces, interfaceCandidates } = statistics.ipv4
  return {
    nodes: 1,
    inDeficit: Number(isInDeficit),
    atCapacity: Number(remainingInterfaces === 0 && availableIPs - usedIPs === 0),
    usedIPs,
    unusedIPs: availableIPs - usedIPs,
    neededIPs,
    remainingInterfaces,
    interfaceCandidates,
    emptyInterfaceSlots: statistics.emptyInterfaceSlots,
    missingInstances: Number(isInstanceMissing),
  }
}

/** totals + added − removed */
function combine(totals: FleetTotals, added: FleetTotals, removed: FleetTotals): FleetTotals {
  return {
    nodes: totals.nodes + added.nodes - removed.nodes,
    inDeficit: totals.inDeficit + added.inDeficit - removed.inDeficit,
    atCapacity: totals.atCapacity + added.atCapacity - removed.atCapacity,
    usedIPs: totals.usedIPs + added.usedIPs - removed.usedIPs,
    unusedIPs: totals.unusedIPs + added.unusedIPs - removed.unusedIPs,
    neededIPs: totals.neededIPs + added.neededIPs - removed.neededIPs,
    remainingInterfaces: totals.remainingInterfaces + added.remainingInterfaces - removed.remainingInterfaces,
    interfaceCandidates: totals.interfaceCandidates + added.interfaceCandidates - removed.interfaceCandidates,
    emptyInterfaceSlots: totals.emptyInterfaceSlots + added.emptyInterfaceSlots - removed.emptyInterfaceSlots,
    missingInstances: totals.missingInstances + added.missingInstances - removed.missingInstances,
  }
}
