import type { AdaptiveAPIBudget } from '../budget/api-budget.ts'
import type { PendingCall } from '../budget/contracts.ts'
import type { NodeManager } from '../controller/node-manager.ts'
import type { NodeObserver } from '../controller/node-work.ts'
import type { Node } from '../controller/node.ts'
import type { PodView } from '../explain/explain-pod.ts'
import type { SubnetFacts } from '../explain/explain-subnet.ts'
import { causeOf, roughPlace } from '../explain/node-cause.ts'
import type { ReasonCode } from '../explain/reasons.ts'
import { REASONS } from '../explain/reasons.ts'
import { codeOfNotice } from '../explain/wait-code.ts'
import { NO_NOTICE } from '../ipam/node-status.ts'
import type { WaitNotice } from '../ipam/node-status.ts'
import type { FreeSample } from '../ipam/subnet-trend.ts'
import { timeToEmptyMs, withSample } from '../ipam/subnet-trend.ts'
import type { PoolQuotaMap } from '../ipam/types.ts'
import type { Clock } from '../runtime/clock.ts'
import type { ControllerMetrics } from '../telemetry/controller-metrics.ts'
import type { Route } from '../telemetry/server.ts'
import { nodeFacts } from './explain-facts.ts'
import { actionRows, bucketRow, nodeRow, subnetRow } from './fleet-status.ts'
import { pageRoutes } from '../status-page/page-routes.ts'
import { StatusFeed } from '../status-page/status-feed.ts'
import type { BudgetMoment, HappeningRow, NodeRow } from '../status-page/status-source.ts'
import { explainRoute } from './explain-routes.ts'
import type { ExplainSources } from './explain-routes.ts'
import { podCapacity } from './node-hints.ts'

/** How often subnets and buckets are noted (ms): their course is there when somebody asks. */
const SAMPLE_MS = 30_000
/** Moments of the budget that are kept (count): an hour. */
const MAX_MOMENTS = 120
/** Happenings that are kept (count). */
const MAX_HAPPENINGS = 50
/** Nodes that are looked at before the event loop gets its turn (count). */
const LOOKS_PER_TURN = 100
/** Nodes whose resource cannot be read that are remembered (count). */
const MAX_MALFORMED = 1_000

/** What is asked of the leader. */
export interface LeaderView {
  readonly manager: NodeManager
  prefixDelegation(): boolean
  /** Free addresses by subnet, as the provider's cache has them. */
  quota(): PoolQuotaMap
  /** Pods on the node that wait for an address (count); undefined while not known. */
  pendingPods(node: string): number | undefined
  nodesWithPendingPods(): Iterable<string>
  findPod(namespace: string, name: string, signal: AbortSignal): Promise<PodView | undefined>
  /** How long until so many further requests to the API server may have been sent (ms). */
  requestWaitMs(count: number): number
}

/** Told of every change of a node's numbers, at once. */
export interface NodeFollower {
  changed(node: Node): void
  gone(name: string): void
}

/** Says that a node waits, beside its resource. */
export interface WaitReporter {
  waits(node: string, code: ReasonCode, message: string): void
}

export interface InsightOptions {
  readonly clock: Clock
  readonly metrics: ControllerMetrics
}

/**
 * What the controller tells about itself: why nodes, pods and calls wait, and how subnets fill. Everything is worked out when somebody
 * asks; a change of a node costs a look at what was noted of that node.
 */
export class ControllerInsight implements NodeObserver {
  readonly routes: readonly Route[]
  readonly sources: ExplainSources
  readonly #clock: Clock
  /** Nodes that may be waiting, whatever for. */
  readonly #waiting = new Set<string>()
  readonly #notices = new Map<string, WaitNotice>()
  readonly #malformed = new Map<string, string>()
  readonly #freeIPs = new Map<string, readonly FreeSample[]>()
  readonly #moments: BudgetMoment[] = []
  readonly #happenings: HappeningRow[] = []
  readonly #feed: StatusFeed
  #budget: AdaptiveAPIBudget | undefined
  #leader: LeaderView | undefined
  #reporter: WaitReporter | undefined
  #follower: NodeFollower | undefined
  readonly #metrics: ControllerMetrics
  /** Pods that can have an address, by node, as the metric has it (count). */
  readonly #capacities = new Map<string, number>()

  constructor({ clock, metrics }: InsightOptions) {
    this.#clock = clock
    this.sources = {
      manager: () => this.#leader?.manager,
      budget: () => this.#budget,
      pendingPods: (node) => this.#leader?.pendingPods(node),
      quota: () => this.#leader?.quota() ?? new Map(),
      malformed: this.#malformed,
      clock,
      requestWaitMs: (count) => this.#leader?.requestWaitMs(count) ?? 0,
      prefixDelegation: () => this.#leader?.prefixDelegation() ?? false,
      findPod: (namespace, name, signal) =>
        this.#leader?.findPod(namespace, name, signal) ?? Promise.resolve(undefined),
      subnets: () => this.subnets(),
    }
    this.#feed = new StatusFeed(
      {
        isLeading: () => this.#leader !== undefined,
        troubles: () => this.#leader?.manager.readiness().reasons ?? ['this replica stands by: another one leads'],
        nodes: () => (this.#leader?.manager.getNames() ?? []).map((name) => this.#row(name)).filter(isDefined),
        node: (name) => this.#row(name),
        subnets: () => this.subnets().map(subnetRow),
        budget: () => this.#moment(),
        history: () => this.#moments,
        happenings: () => this.#happenings,
      },
      clock,
    )
    this.routes = [explainRoute(this.sources), ...pageRoutes(this.#feed)]
    this.#metrics = metrics
    metrics.watchWaiting({ nodes: () => this.waitingNodes(), subnets: () => this.subnets() })
  }

  setBudget(budget: AdaptiveAPIBudget): void {
    this.#budget = budget
  }

  /** This replica leads from now on. @param signal ends it */
  lead(
    leader: LeaderView,
    signal: AbortSignal,
    others: { reporter?: WaitReporter; follower?: NodeFollower } = {},
  ): void {
    this.#leader = leader
    this.#reporter = others.reporter
    this.#follower = others.follower
    signal.addEventListener('abort', () => (this.#leader = undefined), { once: true })
    void this.#takeSamples(signal)
  }

  changed(node: Node): void {
    const { state, name } = node
    this.#feed.changed(name)
    const { notice } = state
    const isUnserved = state.needSinceMs !== undefined || state.view.kind !== 'known'
    const isWaiting = isUnserved || notice !== NO_NOTICE || node.isWriteFailing
    if (isWaiting) this.#waiting.add(name)
    else this.#waiting.delete(name)
    this.#follower?.changed(node)
    this.#noteCapacity(node)
    if (!node.isMalformed && this.#malformed.size > 0) this.#malformed.delete(name)
    if ((this.#notices.get(name) ?? NO_NOTICE) !== notice) this.#noteNotice(node, notice)
  }

  gone(node: Node): void {
    this.deleted(node.name)
  }

  /** A resource cannot be read; its node may not be known for that. */
  malformed(name: string, faults: readonly string[]): void {
    if (this.#malformed.size < MAX_MALFORMED || this.#malformed.has(name)) this.#malformed.set(name, faults.join('; '))
  }

  /** A CiliumNode is gone. */
  deleted(name: string): void {
    this.#waiting.delete(name)
    this.#notices.delete(name)
    this.#malformed.delete(name)
    this.#feed.changed(name)
    this.#follower?.gone(name)
    if (this.#capacities.delete(name)) this.#metrics.deletePodCapacity(name)
  }

  /** How many nodes wait, by reason. In slices: however many wait, the event loop gets its turn. */
  async waitingNodes(): Promise<ReadonlyMap<ReasonCode, number>> {
    const counts = new Map<ReasonCode, number>()
    const closed = (this.#budget?.buckets() ?? []).filter(({ pausedMs }) => pausedMs > 0)
    const place = roughPlace(new Set(closed.map(({ bucket }) => bucket)))
    let looks = 0
    const withPods = this.#leader?.nodesWithPendingPods() ?? []
    for (const name of new Set([...this.#waiting, ...this.#malformed.keys(), ...withPods])) {
      if (this.#leader === undefined) return new Map()
      const { code } = causeOf(nodeFacts(name, this.sources), place)
      const { effect } = REASONS[code]
      // A pod may wait for its image as well: what its agent has to give is not counted.
      const isWaiting =
        (effect === 'passes' || effect === 'stops') && code !== 'agent-hands-out' && code !== 'not-managed'
      if (isWaiting) counts.set(code, (counts.get(code) ?? 0) + 1)
      looks += 1
      if (looks % LOOKS_PER_TURN === 0) await nextTurn()
    }
    return counts
  }

  /** The subnets as they are now, by ID. */
  subnets(): readonly SubnetFacts[] {
    this.#sample()
    return [...(this.#leader?.quota() ?? [])]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([poolID, { availableIPs, totalIPs, freeBlocks }]) => ({
        poolID,
        freeIPs: availableIPs,
        totalIPs,
        freeBlocks,
        emptyMs: timeToEmptyMs(this.#freeIPs.get(poolID) ?? []),
      }))
  }

  #noteCapacity(node: Node): void {
    const capacity = podCapacity(node)
    if ((this.#capacities.get(node.name) ?? 0) === capacity) return
    this.#capacities.set(node.name, capacity)
    this.#metrics.setPodCapacity(node.name, capacity)
  }

  #noteNotice(node: Node, notice: WaitNotice): void {
    if (notice === NO_NOTICE) {
      this.#notices.delete(node.name)
      this.#happened(node.name, 'settled', 'goes on')
      return
    }
    this.#notices.set(node.name, notice)
    const code = codeOfNotice(node.state)
    if (code === undefined) return
    this.#happened(node.name, code, notice.text)
    this.#reporter?.waits(node.name, code, notice.text)
  }

  #happened(node: string, code: ReasonCode, text: string): void {
    this.#happenings.unshift([this.#clock.wallTime().getTime(), node, code, text])
    if (this.#happenings.length > MAX_HAPPENINGS) this.#happenings.pop()
  }

  #row(name: string): NodeRow | undefined {
    const node = this.#leader?.manager.get(name)
    return node === undefined ? undefined : nodeRow(node)
  }

  #moment(): BudgetMoment {
    const budget = this.#budget
    const atMs = this.#clock.wallTime().getTime()
    if (budget === undefined) return { atMs, buckets: [], actions: [] }
    return { atMs, buckets: budget.buckets().map(bucketRow), actions: actionRows(budget.ledger()) }
  }

  async #takeSamples(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        this.#sample()
        this.#moments.push(this.#moment())
        if (this.#moments.length > MAX_MOMENTS) this.#moments.shift()
        await this.#clock.sleep(SAMPLE_MS, signal)
      }
    } catch {
      // The signal: somebody else leads, or the process ends.
    }
  }

  #sample(): void {
    const atMs = this.#clock.now()
    const quota = this.#leader?.quota() ?? new Map()
    for (const [poolID, { availableIPs }] of quota)
      this.#freeIPs.set(poolID, withSample(this.#freeIPs.get(poolID) ?? [], { atMs, freeIPs: availableIPs }))
    for (const poolID of this.#freeIPs.keys()) if (!quota.has(poolID)) this.#freeIPs.delete(poolID)
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function isDefined<T>(value: T | undefined): value is T {
  return value !== undefined
}

/** The bucket that the newest of these calls waits for, and for how long; undefined when it waits for none. */
export function quotaWaitOf(
  calls: readonly PendingCall[],
): { readonly bucket: string; readonly waitMs: number } | undefined {
  return calls.at(-1)?.position()
}
