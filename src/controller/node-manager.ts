import type { CiliumNode } from '../ipam/cilium-node.ts'
import type { SyncResult } from '../ipam/contracts.ts'
import type { DestructionSubject } from '../ipam/destruction.ts'
import { clusterSizeDependentInterval } from '../runtime/backoff.ts'
import { CALL_PRIORITIES } from '../runtime/call-priority.ts'
import { KeyedQueue } from '../runtime/keyed-queue.ts'
import { TimerQueue } from '../runtime/timer.ts'
import type { RateLimitedWarning } from '../telemetry/rate-limited-warning.ts'
import { rateLimitedWarning } from '../telemetry/rate-limited-warning.ts'
import { byWatermark } from './by-watermark.ts'
import { DestructiveLimiter } from './destructive-limiter.ts'
import { FleetGauges } from './fleet-gauges.ts'
import type { FleetServices } from './fleet-services.ts'
import { FullSync } from './full-sync.ts'
import { Node } from './node.ts'
import type { CollectableNode } from './node-gc.ts'
import type { NodeManagerOptions } from './options.ts'
import { prepareProvider } from './prepare-provider.ts'
import type { OwnField } from './second-writer.ts'
import type { Readiness } from './serving-state.ts'
import { ServingState } from './serving-state.ts'

/** Nodes with this annotation are not managed. cilium operator/watchers/cilium_node.go (1.18 and later) */
export const IGNORE_ANNOTATION = 'ipam.cilium.io/ignore'

/** Writes to the API server under way at once (count): the rest is computed late, on the newest versions. */
const CONCURRENT_WRITES = 32
/** Writes that open addresses, and all others (count). */
const WRITE_LANES = 2
/** A warning that would repeat is written once in this time (ms). cilium pkg/ipam/node.go, the warning of handleIPAllocation */
const REPEATED_WARNING_MS = 3_600_000

/**
 * The fleet: one `Node` for each CiliumNode, the background read of the inventory, and what the nodes share. An event of one node
 * costs work for that node alone, and no node waits for a call of another.
 *
 * Feeding it: `upsert` and `delete` as versions arrive, `listed` once the initial list is complete. Nodes are served as they arrive
 * once `start` has prepared the provider (docs/decisions/0009-start.md).
 *
 * @source cilium pkg/ipam/node_manager.go, NodeManager
 */
export class NodeManager {
  readonly #options: NodeManagerOptions
  readonly #services: FleetServices
  readonly #gauges: FleetGauges
  readonly #timers: TimerQueue
  readonly #fullSync: FullSync
  readonly #walks: KeyedQueue<object>
  readonly #ranks: KeyedQueue<object>
  readonly #warnings: RateLimitedWarning
  readonly #nodes = new Map<string, Node>()
  readonly #byInstanceID = new Map<string, Node>()
  readonly #stopping = new AbortController()
  readonly #serving: ServingState
  /** The destructive calls of the whole controller; garbage collectors count in. */
  readonly destructiveLimiter: DestructiveLimiter
  #background: Promise<void> = Promise.resolve()

  constructor(options: NodeManagerOptions) {
    this.#options = options
    const { clock, config, implementation, log, metrics, random } = options
    this.#timers = new TimerQueue(clock, (error) => log.error({ error }, 'A timer failed by a defect'))
    this.#gauges = new FleetGauges(metrics, clock, this.#timers)
    this.destructiveLimiter = new DestructiveLimiter(config.destructiveCallsPerMinute)
    this.#serving = new ServingState(this.destructiveLimiter)
    this.#walks = new KeyedQueue({ concurrency: Math.max(config.parallelAllocWorkers, 1), laneCount: 1 })
    this.#ranks = new KeyedQueue({ concurrency: Number.POSITIVE_INFINITY, laneCount: 1 })
    this.#warnings = rateLimitedWarning({ log, clock, intervalMs: REPEATED_WARNING_MS })
    this.#fullSync = new FullSync({
      implementation,
      metrics,
      log,
      clock,
      random,
      nodeCount: () => this.#nodes.size,
      onSynced: (result) => this.#afterFullSync(result),
      onFailed: () => this.#wakeMissing(),
    })
    this.#services = {
      ...options,
      timers: this.#timers,
      passes: new KeyedQueue({ concurrency: Number.POSITIVE_INFINITY, laneCount: CALL_PRIORITIES.length }),
      writes: new KeyedQueue({ concurrency: CONCURRENT_WRITES, laneCount: WRITE_LANES }),
      limiter: this.destructiveLimiter,
      warnings: this.#warnings,
      observers: {
        poolMaintainer: metrics.poolMaintainerTrigger(),
        k8sSync: metrics.k8sSyncTrigger(),
        instanceSync: metrics.resyncTrigger(),
      },
      nodeCount: () => this.#nodes.size,
      isHeld: () => this.#serving.isSilent || this.#stopping.signal.aborted,
      isSilent: () => this.#serving.isSilent,
      isPaused: () => this.destructiveLimiter.isPaused,
      destroyPermit: (nowMs, callCount) => this.#serving.destroyPermit(nowMs, callCount),
      missingReadsFromMs: () => this.#serving.missingReadsFromMs(this.#fullSync.startedAtMs),
      nodeChanged: (node) => this.#nodeChanged(node),
      contested: (node, field) => this.#stopWriting(node, field),
    }
  }

  /**
   * Prepares the provider, then serves; the inventory is read in the background.
   *
   * @throws CloudAPIError or ConfigError when the provider cannot be prepared: at once where trying again cannot help (permission,
   *   credentials, a request that is wrong), else after a bounded number of tries. The process should then end.
   */
  async start(): Promise<void> {
    const noteFailure = (error: unknown): void =>
      this.#serving.notePrepareFailure(error instanceof Error ? error.message : String(error))
    if (!(await prepareProvider(this.#options, this.#stopping.signal, noteFailure))) return
    this.setInstancesAPIReadiness(true)
    this.#background = this.#fullSync.run(this.#stopping.signal)
  }

  /**
   * Takes no more work. Passes and writes under way end, or are abandoned when `signal` is aborted.
   */
  async stop(signal: AbortSignal): Promise<void> {
    if (this.#stopping.signal.aborted) return
    this.#stopping.abort(new Error('the controller stops'))
    const nodes = [...this.#nodes.values()]
    const abandon = (): void => {
      for (const node of nodes) node.stop()
    }
    if (signal.aborted) abandon()
    signal.addEventListener('abort', abandon, { once: true })
    // A change that was sent is not taken back, and its answer may be long in coming: nobody waits for it beyond the grace period.
    await Promise.race([Promise.all(nodes.map((node) => node.drain())), whenAborted(signal)])
    signal.removeEventListener('abort', abandon)
    abandon()
    this.#timers.stop()
    await this.#background
    try {
      await this.#options.implementation.settle(signal)
    } catch (error) {
      // What is left of the background work is abandoned with the rest: the lease must still be released.
      if (!signal.aborted) throw error
    }
  }

  /** A CiliumNode appeared or changed. Never throws: a resource that cannot be handled concerns its node alone. */
  upsert(resource: CiliumNode): void {
    if (this.#stopping.signal.aborted) return
    if (resource.isBeingDeleted) return this.delete(resource)
    if (resource.annotations[IGNORE_ANNOTATION]?.toLowerCase() === 'true') return this.#ignore(resource.name)
    try {
      const node = this.#nodeFor(resource)
      node.updatedResource(resource)
      if (resource.spec.instanceID !== '') this.#byInstanceID.set(resource.spec.instanceID, node)
    } catch (error) {
      this.#options.log.error({ node: resource.name, error }, 'Unable to handle a CiliumNode')
    }
  }

  /** As `upsert`; the reference's older name. */
  create(resource: CiliumNode): void {
    this.upsert(resource)
  }

  /** As `upsert`; the reference's older name. */
  update(resource: CiliumNode): void {
    this.upsert(resource)
  }

  /** The newest version of a resource cannot be read: that node is left alone until a readable one arrives. */
  malformed(name: string, faults: readonly string[]): void {
    this.#nodes.get(name)?.malformed()
    // Its agent goes on writing: every version of it arrives here.
    const key = `malformed/${name}/${faults.join('; ')}`
    this.#warnings.warn(key, { node: name, faults }, 'A CiliumNode is malformed and is left alone')
  }

  /** More pods wait for an address on this node: its call that waits for the cloud's quota moves up. */
  podsWait(name: string): void {
    const node = this.#nodes.get(name)
    if (node !== undefined) this.#look(this.#ranks, node, () => node.podsWait())
  }

  /** A CiliumNode is gone. Its instance leaves the cache, so that one which joins again is read afresh. */
  delete(resource: CiliumNode): void {
    const node = this.#nodes.get(resource.name)
    const instanceID = resource.spec.instanceID || node?.instanceID() || ''
    if (node !== undefined) this.#forget(node)
    const isShared = this.#byInstanceID.has(instanceID)
    if (instanceID !== '' && !isShared) this.#options.implementation.deleteInstance(instanceID)
  }

  /** The initial list of CiliumNodes is complete. */
  listed(): void {
    this.#serving.setListed()
    this.#gauges.begin()
  }

  get(name: string): Node | undefined {
    return this.#nodes.get(name)
  }

  getNames(): string[] {
    return [...this.#nodes.keys()].sort()
  }

  /** Most needy first. */
  getNodesByIPWatermark(): Node[] {
    return byWatermark(this.#nodes.values(), this.#options.config.releaseExcessIPs)
  }

  /**
   * Takes a sync's result to the nodes that it concerns: those whose instance changed, and those that wait for a read. The most
   * needy come first, a bounded number at once; the others cost nothing.
   *
   * @source cilium pkg/ipam/node_manager.go, Resync
   */
  async resync(result: SyncResult): Promise<void> {
    this.#options.metrics.incResyncCount()
    const changed = new Set<Node>()
    for (const instanceID of result.changedInstanceIDs) {
      const node = this.#byInstanceID.get(instanceID)
      if (node !== undefined) changed.add(node)
    }
    const concerned = [...this.#nodes.values()].filter(
      ({ state }) => state.staleSinceMs !== undefined || state.view.kind === 'missing',
    )
    const ordered = byWatermark(new Set([...changed, ...concerned]), this.#options.config.releaseExcessIPs)
    const walks = ordered.map((node) =>
      // A key of its own: folded into a look that waits already, the result would be lost.
      this.#walks.run({}, 0, async () => {
        if (!node.isStopped) node.resynced(result.startedAtMs, changed.has(node))
      }),
    )
    await Promise.all(walks)
    this.#updateQuota()
  }

  /** @returns the interval stretched by the size of the cluster (ms) */
  clusterSizeDependantInterval(baseMs: number): number {
    return clusterSizeDependentInterval(baseMs, this.#nodes.size)
  }

  /** Whether passes may act; they wait, and nothing is lost, while it is false. */
  setInstancesAPIReadiness(isReady: boolean): void {
    // Passes begin by urgency whatever the order here.
    if (this.#serving.setPrepared(isReady) && isReady) this.#wake([...this.#nodes.values()], 'ready')
  }

  instancesAPIIsReady(): boolean {
    return this.#serving.isPrepared
  }

  readiness(): Readiness {
    return this.#serving.readiness()
  }

  /** How far the start has come, and whether somebody else writes. */
  get serving(): Pick<ServingState, 'isPrepared' | 'isListed' | 'secondWriter'> {
    return this.#serving
  }

  /** Writes that open addresses and wait, and all that are under way (count). */
  get urgentWriteCount(): number {
    return this.#services.writes.urgentSize
  }

  get isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  /** Age of the oldest need that is not served (ms); 0 when there is none. */
  oldestNeedMs(): number {
    return this.#gauges.oldestNeedMs()
  }

  /** What garbage collection reads of a CiliumNode. */
  collectable(name: string): CollectableNode | undefined {
    return this.#nodes.get(name)?.resourceCopy()
  }

  /** Nothing of the fleet is pending or under way, timers apart. */
  isQuiet(): boolean {
    return ![...this.#nodes.values()].some((node) => node.isBusy)
  }

  /** The node of a resource. One that now names another instance, or was created anew, begins anew. */
  #nodeFor(resource: CiliumNode): Node {
    const known = this.#nodes.get(resource.name)
    const before = known?.state.resource
    const isReplaced =
      before !== undefined &&
      (before.uid !== resource.uid || (before.instanceID !== '' && before.instanceID !== resource.spec.instanceID))
    if (known !== undefined && !isReplaced) return known
    if (known !== undefined) {
      this.#forget(known)
      const instanceID = before?.instanceID ?? ''
      const isAbandoned = instanceID !== '' && instanceID !== resource.spec.instanceID
      if (isAbandoned) this.#options.implementation.deleteInstance(instanceID)
    }
    const node = new Node(resource.name, this.#services)
    this.#nodes.set(resource.name, node)
    this.#options.log.info({ node: resource.name, instanceID: resource.spec.instanceID }, 'Discovered a new CiliumNode')
    return node
  }

  #ignore(name: string): void {
    const node = this.#nodes.get(name)
    if (node === undefined) return
    this.#forget(node)
    this.#options.log.info({ node: name }, 'A CiliumNode is to be ignored from now on')
  }

  #forget(node: Node): void {
    node.stop()
    this.#options.observer?.gone(node)
    this.#nodes.delete(node.name)
    const instanceID = node.instanceID()
    if (this.#byInstanceID.get(instanceID) === node) this.#byInstanceID.delete(instanceID)
    this.#gauges.delete(node.name)
  }

  #nodeChanged(node: Node): void {
    this.#options.observer?.changed(node)
    const { state } = node
    const { ipv4, ipv6 } = state.statistics
    this.#gauges.set(node.name, {
      statistics: state.statistics,
      isInDeficit: ipv4.neededIPs > 0 || ipv6.neededPrefixes > 0,
      isInstanceMissing: state.view.kind === 'missing',
      needSinceMs: state.needSinceMs,
    })
  }

  async #afterFullSync(result: SyncResult): Promise<void> {
    const isFirst = this.#serving.noteFullSync()
    await this.resync(result)
    // What waited for the first sync: releases, and nodes whose instance it did not show.
    const waiting = [...this.#nodes.values()].filter((node) => node.waitsForFullSync)
    if (isFirst) this.#wake(waiting, 'first full sync')
  }

  /**
   * The cluster-wide switch: nothing is given back while it is on. Handshakes in flight are taken back, calls that wait for their turn
   * are withdrawn, everything else goes on.
   */
  setPaused(isPaused: boolean): void {
    if (this.destructiveLimiter.isPaused === isPaused) return
    this.destructiveLimiter.setPaused(isPaused)
    this.#wake([...this.#nodes.values()], isPaused ? 'paused' : 'resumed')
  }

  /** Whether nothing may be taken from this node now. What belongs to no node of ours is not paused by an annotation. */
  isPaused({ node = '', instanceID = '' }: DestructionSubject): boolean {
    const found = this.#nodes.get(node) ?? this.#byInstanceID.get(instanceID)
    return found?.isPaused ?? this.destructiveLimiter.isPaused
  }

  #wakeMissing(): void {
    const missing = [...this.#nodes.values()].filter(({ state }) => state.view.kind === 'missing')
    this.#wake(missing, 'full sync failed')
  }

  #wake(nodes: readonly Node[], reason: string): void {
    for (const node of nodes) this.#look(this.#walks, node, () => node.wake(reason))
  }

  /** In slices: however many nodes there are, the event loop gets its turn. */
  #look(queue: KeyedQueue<object>, node: Node, work: () => void): void {
    const done = queue.run(node, 0, () => {
      work()
      return Promise.resolve()
    })
    done.catch((error: unknown) => {
      this.#options.log.error({ node: node.name, error }, 'Looking at a node failed by a defect')
    })
  }

  /** Room in a subnet ends the wait of the nodes that found it full, be it by the last sync or by a call since. */
  #updateQuota(): void {
    const quota = this.#options.implementation.getPoolQuota()
    this.#gauges.setQuota(quota)
    const open = new Set([...quota].filter(([, { availableIPs }]) => availableIPs > 0).map(([poolID]) => poolID))
    for (const node of this.#nodes.values()) node.roomSeen(open)
  }

  #stopWriting(node: string, field: OwnField): void {
    if (this.#options.toleratesOtherWriters === true || !this.#serving.noteSecondWriter(node, field)) return
    this.#options.onSecondWriter?.()
    this.#options.log.error(
      { node, field },
      'Another controller writes the same fields of a CiliumNode; stop its IPAM, then restart this one. Nothing is written from now on',
    )
  }
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
