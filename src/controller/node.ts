import type { CiliumNode, ReleaseStatus } from '../ipam/cilium-node.ts'
import type { InterfacesAndIPs, NodeOperations } from '../ipam/contracts.ts'
import { LOOK_AGAIN_MS, nextDueMs } from '../ipam/next-due.ts'
import type { NodeEvent, NodeState } from '../ipam/node-state.ts'
import { INITIAL_NODE_STATE, reduce } from '../ipam/node-state.ts'
import type { IdleReason } from '../ipam/plan-maintenance.ts'
import { publishReleaseIPs } from '../ipam/release-handshake.ts'
import { isOlderVersion, isSameVersion, packResource, unpackResource } from '../ipam/seen-resource.ts'
import { needPriority } from '../ipam/step-priority.ts'
import type { AllocationMap, Statistics } from '../ipam/types.ts'
import { effectiveMaxAllocate, signedNeed } from '../ipam/watermarks.ts'
import { CALL_PRIORITIES } from '../runtime/call-priority.ts'
import type { Timer } from '../runtime/timer.ts'
import type { Triggerable } from '../runtime/trigger.ts'
import { Trigger } from '../runtime/trigger.ts'
import type { FleetServices } from './fleet-services.ts'
import { MaintenancePass } from './maintenance-pass.ts'
import { gatesOf } from './node-gates.ts'
import type { NodeHost } from './node-host.ts'
import type { ControllerConfig } from './options.ts'
import { isPausedByAnnotation, pausedConfig } from './pause.ts'
import type { NodeWork } from './node-work.ts'
import { Publisher } from './publisher.ts'
import { refreshNode } from './snapshot.ts'

/** cilium pkg/ipam/node_manager.go, the minimum interval of `ipam-pool-maintainer` */
const MIN_INTERVAL_MS = 10

const NO_ADDRESSES: AllocationMap = new Map()

/**
 * One CiliumNode: its worker, and the accessors of the reference. It runs one maintenance pass at a time; whatever happens meanwhile
 * folds into one further pass. It looks at the whole recorded state, never at which event woke it, and owns no interval: it sleeps
 * until its next due moment.
 *
 * @source cilium pkg/ipam/node.go
 */
export class Node implements NodeHost {
  readonly name: string
  readonly #services: FleetServices
  readonly #publisher: Publisher
  readonly #pass: MaintenancePass
  readonly #abort = new AbortController()
  #state: NodeState = INITIAL_NODE_STATE
  #operations: NodeOperations | undefined
  /** The agent's part of the resource as the provider was last told of it. */
  #told = ''
  #maintainer: Triggerable
  #isPassPending: () => boolean
  #dueTimer: Timer | undefined
  /** How the last pass ended. */
  #why: IdleReason = { kind: 'settled' }
  #isMalformed = false
  /** By annotation. */
  #isPaused = false
  #ceilingWarning = ''

  constructor(name: string, services: FleetServices) {
    this.name = name
    this.#services = services
    const maintainer = new Trigger({
      run: () => services.passes.run(this, this.#lane(), () => this.maintainIPPool()),
      minIntervalMs: MIN_INTERVAL_MS,
      clock: services.clock,
      timers: services.timers,
      observer: services.observers.poolMaintainer,
      onError: (error) => this.#reportDefect(error),
    })
    this.#maintainer = maintainer
    this.#isPassPending = () => maintainer.isBusy
    this.#publisher = new Publisher(this, services)
    this.#pass = new MaintenancePass(this, services)
  }

  // Accessors of the reference.

  instanceID(): string {
    return this.#state.resource?.instanceID ?? ''
  }

  isRunning(): boolean {
    return this.#state.power.kind !== 'stopped'
  }

  setRunning(isRunning: boolean): void {
    this.apply({ kind: 'powerSet', isRunning, nowMs: this.#services.clock.now() })
  }

  isPrefixDelegationEnabled(): boolean {
    return this.#services.config.prefixDelegation
  }

  stats(): Statistics {
    return this.#state.statistics
  }

  /** The provider's half; undefined while the resource names no instance. */
  ops(): NodeOperations | undefined {
    return this.#operations
  }

  setOpts(operations: NodeOperations): void {
    this.#operations = operations
  }

  setPoolMaintainer(maintainer: Triggerable): void {
    this.#maintainer.shutdown()
    this.#maintainer = maintainer
    this.#isPassPending = () => false
  }

  /** A copy of the addresses that are open to pods, as the provider's cache has them now; empty while it does not know the node. */
  pool(): AllocationMap {
    const { resource } = this.#state
    if (resource === undefined || this.#operations === undefined) return NO_ADDRESSES
    const context = { config: this.config, nowMs: this.#services.clock.now() }
    return refreshNode(this.#state, resource, this.#operations, context).inventory?.available ?? NO_ADDRESSES
  }

  /** A copy of the newest version of the resource, without the owners of used addresses. */
  resourceCopy(): CiliumNode | undefined {
    return this.#state.resource === undefined ? undefined : unpackResource(this.#state.resource)
  }

  /** Positive: addresses missing; negative: too many, while release is enabled. */
  getNeededAddresses(): number {
    const { neededIPs, excessIPs } = this.#state.statistics.ipv4
    return signedNeed({ neededIPs, excessIPs, releaseEnabled: this.#services.config.releaseExcessIPs })
  }

  /** The release map to publish on this version of the resource; null for multi-pool nodes. */
  populateIPReleaseStatus(version: CiliumNode): ReadonlyMap<string, ReleaseStatus> | null {
    if (this.#state.generation === 'multi-pool') return null
    return publishReleaseIPs(this.#state.release, version.status.releaseIPs, this.pool()).releaseIPs
  }

  /** The public address to publish; undefined while none is known. */
  populateStaticIPStatus(): string | undefined {
    return this.#state.statistics.assignedStaticIP || undefined
  }

  get state(): NodeState {
    return this.#state
  }

  get operations(): NodeOperations | undefined {
    return this.#operations
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get isMalformed(): boolean {
    return this.#isMalformed
  }

  /** Nothing of the node is given back: its annotation says so, or the cluster-wide switch. */
  get isPaused(): boolean {
    return this.#isPaused || this.#services.isPaused()
  }

  get config(): ControllerConfig {
    const { config } = this.#services
    return this.isPaused ? pausedConfig(config) : config
  }

  get isStopped(): boolean {
    return this.#abort.signal.aborted
  }

  /** The last write of its resource failed. */
  get isWriteFailing(): boolean {
    return this.#publisher.isFailing
  }

  /** What its worker is at, for who asks why the node waits. */
  get work(): NodeWork {
    const { underWay: step } = this.#pass
    return { lastPass: this.#why, isPassPending: this.#isPassPending(), step, write: this.#publisher.work }
  }

  /** A pass or a write is pending or under way. */
  get isBusy(): boolean {
    return this.#isPassPending() || this.#publisher.isBusy
  }

  /**
   * A version of the resource arrived.
   *
   * @returns whether the node needs addresses
   * @source cilium pkg/ipam/node.go, UpdatedResource
   */
  updatedResource(resource: CiliumNode): boolean {
    const before = this.#state.resource
    if (before !== undefined && isOlderVersion(resource, before)) return false
    this.#isMalformed = false
    this.#isPaused = isPausedByAnnotation(resource)
    // A watch delivers again what our own write was answered with.
    const isKnown = before !== undefined && isSameVersion(resource, before)
    const now = isKnown ? before : packResource(resource, before)
    if (!isKnown) {
      this.apply({ kind: 'resourceSeen', resource: now, nowMs: this.#services.clock.now() })
      this.#publisher.observe(resource, before, now)
    }
    if (resource.spec.instanceID === '') {
      this.apply({ kind: 'waiting', cause: { kind: 'noInstanceID' }, nextTryAt: undefined })
      this.#publisher.request('no instance ID')
      return false
    }
    if (this.#operations === undefined) this.#operations = this.#services.implementation.createNode(resource)
    else if (!isKnown || now.others !== this.#told) this.#operations.updatedNode(resource)
    this.#told = now.others
    this.#warnOfCeiling(resource)
    return this.evaluate('resource update')
  }

  /** The newest version of the resource cannot be read: nothing is done for the node until a readable one arrives. */
  malformed(): void {
    this.#isMalformed = true
  }

  /** Whether a pass may act for this node at all. */
  get isHeld(): boolean {
    return this.#isMalformed || this.#operations === undefined || this.#services.isHeld()
  }

  /** A full sync has covered the instance. */
  resynced(startedAtMs: number, hasChanged: boolean): void {
    this.apply({ kind: 'synced', startedAtMs, hasChanged })
    this.evaluate('resync')
  }

  /** Something that the node may wait for has happened: the controller acts again, the first full sync is done. */
  wake(reason: string): void {
    this.evaluate(reason)
  }

  /** More pods of the node wait for an address. */
  podsWait(): void {
    this.#pass.rerank()
  }

  /** The last pass ended on something that the first full sync decides. */
  get waitsForFullSync(): boolean {
    return this.#why.kind === 'releaseDeferred' || this.#why.kind === 'instanceMissing'
  }

  /** A sync has found room in these subnets. */
  roomSeen(poolIDs: ReadonlySet<string>): void {
    const { failure } = this.#state
    const exhausted = failure?.exhaustedPoolID ?? (this.#why.kind === 'subnetExhausted' ? this.#why.poolID : undefined)
    if (exhausted === undefined || poolIDs.size === 0 || (exhausted !== '' && !poolIDs.has(exhausted))) return
    this.apply({ kind: 'passEnded', failure: undefined })
    this.#maintainer.trigger('room in subnet')
  }

  /** One maintenance pass. */
  async maintainIPPool(): Promise<void> {
    if (this.isStopped || this.#state.resource === undefined || this.isHeld) return
    await this.#pass.run()
  }

  /** No further work is begun. Settles when what is under way has ended and is published, or was abandoned by `stop`. */
  async drain(): Promise<void> {
    this.#maintainer.shutdown()
    this.#dueTimer?.cancel()
    await this.#pass.finished()
    await this.#publisher.drain()
  }

  /** The node is gone, or the process ends: timers, queued work and calls that wait for the cloud's quota end with it. */
  stop(): void {
    this.#abort.abort(new Error(`node ${this.name} is not managed any more`))
    this.#maintainer.shutdown()
    this.#publisher.stop()
    this.#pass.stop()
    this.#dueTimer?.cancel()
    this.#services.passes.cancel(this)
  }

  #lane(): number {
    return CALL_PRIORITIES.indexOf(
      this.#state.statistics.ipv4.neededIPs > 0
        ? needPriority({
            statistics: this.#state.statistics,
            generation: this.#state.generation,
            minAllocate: 0,
            pendingPods: this.#services.pendingPods?.(this.name),
          })
        : 'background',
    )
  }

  recalculate(): InterfacesAndIPs | undefined {
    const { resource } = this.#state
    if (resource === undefined || this.#operations === undefined) return undefined
    const context = { config: this.config, nowMs: this.#services.clock.now() }
    const { event, inventory } = refreshNode(this.#state, resource, this.#operations, context)
    this.apply(event)
    return inventory
  }

  /**
   * Recalculates, asks for a pass where one has something to do, and for a write where something changed.
   *
   * @returns whether the node needs addresses
   */
  evaluate(reason: string): boolean {
    const { resource } = this.#state
    if (resource === undefined || this.isStopped || this.#operations === undefined) return false
    this.recalculate()
    this.#pass.reconsider()
    const state = this.#state
    const gates = gatesOf(state, resource, this.config, this.#services.clock.now())
    const isDoubtful = state.staleSinceMs !== undefined || state.view.kind !== 'known'
    const hasHandshake = state.release.marked.size + state.release.status.size > 0
    const hadCause = state.notice.cause.kind !== 'nothing'
    const isWithholding = state.withheld.size > 0
    if (gates.allocationNeeded || gates.releaseNeeded || isDoubtful || hasHandshake || hadCause || isWithholding) {
      this.#maintainer.trigger(reason)
    }
    // An event may bring a moment of its own, e.g. a CIDR that the agent gave up.
    const dueMs = this.#nextDueMs()
    if (dueMs !== undefined && dueMs < (this.#dueTimer?.dueMs ?? Infinity)) this.#wakeAt(dueMs)
    this.#publisher.request(reason)
    return gates.allocationNeeded
  }

  apply(event: NodeEvent): void {
    const before = this.#state
    this.#state = reduce(before, event)
    if (this.#state !== before && !this.isStopped) this.#services.nodeChanged(this)
  }

  writeFailed(): void {
    if (!this.isStopped) this.#services.nodeChanged(this)
  }

  publish(reason: string): void {
    this.#publisher.request(reason)
  }

  /** The pass is over: sleeps until the next due moment, and publishes what changed. */
  passEnded(why: IdleReason): void {
    this.#why = why
    const dueMs = this.#nextDueMs()
    if (dueMs === undefined) this.#dueTimer?.cancel()
    else this.#wakeAt(dueMs)
    this.#publisher.request('pass')
  }

  #nextDueMs(): number | undefined {
    const { config } = this
    const { clock } = this.#services
    return nextDueMs(this.#state, this.#why, {
      nowMs: clock.now(),
      releaseEnabled: config.releaseExcessIPs,
      releaseDelayMs: config.excessIPReleaseDelayMs,
    })
  }

  #wakeAt(dueMs: number): void {
    this.#dueTimer ??= this.#services.timers.timer(() => this.#maintainer.trigger('due'))
    this.#dueTimer.setAt(dueMs)
  }

  /** Said when it changes, not at every evaluation. */
  #warnOfCeiling(resource: CiliumNode): void {
    const { maxAllocate } = resource.spec.ipam
    if (maxAllocate <= 0) return
    const limit = this.#operations?.getMaximumAllocatableIPv4() ?? 0
    const { warning = '' } = effectiveMaxAllocate(maxAllocate, limit)
    if (warning !== '' && warning !== this.#ceilingWarning) {
      const fields = { node: this.name, wanted: maxAllocate, limit }
      this.#services.log.warn(fields, 'max-allocate of a node is above the ceiling of its instance')
    }
    this.#ceilingWarning = warning
  }

  #reportDefect(error: unknown): void {
    this.#services.log.error({ node: this.name, error }, 'A maintenance pass failed by a defect')
    // The node is not parked by a defect: it is tried again, and the others do not notice.
    const count = (this.#state.failure?.count ?? 0) + 1
    const retryAtMs = this.#services.clock.now() + LOOK_AGAIN_MS
    this.apply({ kind: 'passEnded', failure: { count, retryAtMs, blocks: 'all', exhaustedPoolID: undefined } })
    this.passEnded({ kind: 'settled' })
  }
}
