import type { ReleaseStatus } from '../ipam/cilium-node.ts'
import type { Logger } from '../ipam/contracts.ts'
import type { AllocationIP, JSONObject } from '../ipam/types.ts'
import type { Clock } from '../runtime/clock.ts'
import { isOlderVersion } from '../runtime/resource-version.ts'
import type { TimerQueue } from '../runtime/timer.ts'
import { Trigger } from '../runtime/trigger.ts'
import type { AllocationResult } from './allocator.ts'
import { ChangeSignal } from './change-signal.ts'
import { cloudResult, validateENIConfig } from './cloud-result.ts'
import type { AgentProfile, CiliumNodeSubscriber, Configuration, K8sEventRegister } from './configuration.ts'
import { IPAMError } from './errors.ts'
import type { Family } from './family.ts'
import { parseFamily } from './family.ts'
import type { LocalNode } from './local-node.ts'
import { decodeLocalNode, identityOf, isSameContent } from './local-node.ts'
import type { MinimumIPs } from './minimum-ips.ts'
import { minimumIPs } from './minimum-ips.ts'
import type { NodeInterface } from './node-interfaces.ts'
import type { NodeWriter, UnreachableRoutes } from './node-writer.ts'
import { answerReleases, answersToSend, isWithheld } from './release-answers.ts'
import type { AgentStatus } from './status-patch.ts'
import { statusPatch } from './status-patch.ts'
import { deriveVPCCIDRs, listVPCCIDRs, nativeRoutingCIDR } from './vpc-cidrs.ts'

/** The part of an allocator that the store asks. One for each family. */
export interface StoreAllocator {
  readonly family: Family
  /** Canonical address → entry with the owner. */
  held(): Iterable<readonly [ip: string, entry: AllocationIP]>
  isHeld(ip: string): boolean
  /** The pool may have changed. */
  poolChanged(node: LocalNode | undefined): void
}

export interface NodeStoreOptions {
  readonly nodeName: string
  readonly configuration: Configuration
  readonly events: Pick<K8sEventRegister, 'k8sEventReceived' | 'k8sEventProcessed'>
  readonly writer: NodeWriter
  readonly clock: Clock
  readonly timers: TimerQueue
  readonly log: Logger
  readonly profile: AgentProfile
  /** Flag `ipam-cilium-node-update-rate`: between two writes of the status (ms). */
  readonly updateIntervalMs: number
  /** Absent: unreachable routes are not enabled. */
  readonly unreachableRoutes?: UnreachableRoutes | undefined
  /** Told of ENIs that were not there before; returns at once. */
  readonly onInterfaces?: ((interfaces: ReadonlyMap<string, NodeInterface>, eniSpec: JSONObject) => void) | undefined
  /** Ends writes that are under way. */
  readonly signal: AbortSignal
}

/** As the reference names the resource in its event counters. */
const API_GROUP_RESOURCE = 'cilium/v2::CiliumNode'
const SCOPE = 'CiliumNode'

const NO_STATES: ReadonlyMap<string, ReleaseStatus> = new Map()
const CLOUD_MODES: readonly string[] = ['eni', 'azure', 'alibabacloud']

/**
 * What both families' allocators share in the modes where the node's addresses are listed in its own CiliumNode: the last version
 * seen, our answers in the release handshake, and the one writer of the status.
 *
 * All decisions are made from the newest version in one synchronous step; what is written is computed when it is written.
 *
 * @source cilium pkg/ipam/crd.go, nodeStore
 */
export class NodeStore implements CiliumNodeSubscriber {
  readonly mode: string
  readonly #options: NodeStoreOptions
  readonly #allocators = new Map<Family, StoreAllocator>()
  readonly #trigger: Trigger
  readonly #change = new ChangeSignal()
  #node: LocalNode | undefined
  /** `release-ips` of `#node`, with our answers. */
  #states: ReadonlyMap<string, ReleaseStatus> = NO_STATES
  #restored = false
  /** What was set as native routing CIDR because none was configured. */
  #detectedRoutingCIDR: string | undefined

  constructor(options: NodeStoreOptions) {
    const { clock, timers, log, configuration, updateIntervalMs } = options
    this.mode = configuration.ipamMode()
    this.#options = options
    this.#trigger = new Trigger({
      run: (reasons) => this.#write(reasons),
      minIntervalMs: updateIntervalMs,
      clock,
      timers,
      onError: (error) => log.error({ error }, 'Writing the status of the own node failed unexpectedly'),
    })
  }

  /** The last version seen; undefined while there is none. */
  get node(): LocalNode | undefined {
    return this.#node
  }

  /** Before `restoreFinished` nothing is written, and what is marked for release may still turn out to be held. */
  get isRestored(): boolean {
    return this.#restored
  }

  addAllocator(allocator: StoreAllocator): void {
    this.#allocators.set(allocator.family, allocator)
    allocator.poolChanged(this.#node)
  }

  onAdd(json: JSONObject): void {
    this.#learn(json, 'create')
  }

  onUpdate(_old: JSONObject | undefined, json: JSONObject): void {
    this.#learn(json, 'update')
  }

  onDelete(json: JSONObject): void {
    if (!this.#isOwn(json)) return
    this.#options.events.k8sEventProcessed(SCOPE, 'delete', true)
    this.#options.events.k8sEventReceived(API_GROUP_RESOURCE, SCOPE, 'delete', true, false)
    this.#node = undefined
    this.#states = NO_STATES
    for (const allocator of this.#allocators.values()) allocator.poolChanged(undefined)
    this.#options.log.warn({ node: this.#options.nodeName }, 'The own CiliumNode was deleted: held addresses stay held')
  }

  /** The address is being given back to the cloud. */
  isInReleaseHandshake(ip: string): boolean {
    return isWithheld(this.#states.get(ip))
  }

  /** We have said, or were told, that the address goes: also a pod of before the restart cannot have it back. */
  isReleaseAgreed(ip: string): boolean {
    const status = this.#node?.releaseIPs.get(ip)
    return status === 'ready-for-release' || status === 'released'
  }

  /** Addresses of a family in the pool, in use or not (count). */
  poolSize(family: Family): number {
    let size = 0
    for (const entry of this.#node?.pool?.values() ?? []) if (entry.family === family) size += 1
    return size
  }

  /** @throws IPAMError ENI_NOT_FOUND */
  resultOf(ip: string, resource: string): AllocationResult {
    const node = this.#node
    if (node === undefined) return { ip }
    const nativeRoutingCIDR = this.#options.configuration.getIPv4NativeRoutingCIDR()
    const isDetected = nativeRoutingCIDR !== undefined && nativeRoutingCIDR === this.#detectedRoutingCIDR
    return cloudResult({
      ip,
      resource,
      mode: this.mode,
      node,
      // Until 1.14 an Azure address knows its subnet alone.
      nativeRoutingCIDR: this.mode === 'azure' && this.#options.profile !== 'later' ? undefined : nativeRoutingCIDR,
      isNativeRoutingCIDRDetected: isDetected,
    })
  }

  /** Asks for a write of the status, soon; never waits for it. Before `restoreFinished` there is none. */
  requestSync(reason: string): void {
    if (this.#restored) this.#trigger.trigger(reason)
  }

  /** Opens the writer. Either family's call does, once. */
  restoreFinished(): void {
    if (this.#restored) return
    this.#restored = true
    this.requestSync('initial sync')
  }

  /** What would be written now; undefined while there is no node. */
  statusToWrite(): AgentStatus | undefined {
    if (this.#node === undefined) return undefined
    const used = new Map<string, AllocationIP>()
    for (const allocator of this.#allocators.values()) for (const [ip, entry] of allocator.held()) used.set(ip, entry)
    this.#states = answersToSend(this.#states, (ip) => this.#isHeld(ip))
    return { used, releaseIPs: this.#states }
  }

  minimumIPs(): MinimumIPs {
    return minimumIPs({
      node: this.#node,
      states: this.#states,
      healthChecking: this.#options.configuration.healthCheckingEnabled(),
      isCloudMode: this.#isCloudMode,
      waitsForStaticIP: this.#options.profile === 'later',
    })
  }

  /** The VPC's CIDRs, the primary one last; null when unknown. */
  vpcCIDRs(): readonly string[] | null {
    if (!this.#isCloudMode || this.#node === undefined) return null
    return listVPCCIDRs(deriveVPCCIDRs(this.#node))
  }

  /**
   * Waits, for as long as it takes, until the node has the addresses it needs to start and, in the cloud modes, the native routing
   * CIDR is settled. Looks with every version of the resource.
   *
   * @throws IPAMError NATIVE_ROUTING_CIDR_MISMATCH, which no waiting heals; the signal's reason
   */
  async waitForMinimum(signal: AbortSignal): Promise<void> {
    const { log } = this.#options
    for (;;) {
      const { reached, required, available } = this.minimumIPs()
      if (reached) {
        this.#settleNativeRoutingCIDR()
        return
      }
      log.info(
        { wanted: required, availableIPs: available },
        this.mode === 'crd'
          ? 'Waiting for addresses in spec.ipam.pool of the own CiliumNode: whoever writes it must add some'
          : 'Waiting for addresses in spec.ipam.pool of the own CiliumNode: see the operator and its log',
      )
      await this.#change.next(signal)
    }
  }

  /** No further writes. */
  stop(): void {
    this.#trigger.shutdown()
  }

  get #isCloudMode(): boolean {
    return CLOUD_MODES.includes(this.mode)
  }

  #isOwn(json: JSONObject): boolean {
    return identityOf(json).name === this.#options.nodeName
  }

  #learn(json: JSONObject, action: 'create' | 'update'): void {
    const { events } = this.#options
    if (!this.#isOwn(json)) return
    const { resourceVersion } = identityOf(json)
    // The version of an own write comes twice: with its reply, and through the watch.
    const isKnown = resourceVersion !== '' && this.#node?.resourceVersion === resourceVersion
    const node = action === 'update' && isKnown ? this.#node : decodeLocalNode(json)
    if (node === undefined) return
    const isEqual = action === 'update' && this.#node !== undefined && isSameContent(this.#node, node)
    if (isEqual) {
      this.#adoptVersion(node)
      events.k8sEventReceived(API_GROUP_RESOURCE, SCOPE, action, true, true)
      return
    }
    this.update(node)
    events.k8sEventProcessed(SCOPE, action, true)
    events.k8sEventReceived(API_GROUP_RESOURCE, SCOPE, action, true, false)
  }

  /** Only its version is new. Without it every later write would be refused. */
  #adoptVersion(node: LocalNode): void {
    if (this.#node !== undefined && !isOlderVersion(node.resourceVersion, this.#node.resourceVersion))
      this.#node = { ...this.#node, resourceVersion: node.resourceVersion }
  }

  /** Takes over a new version of the own node. An incomplete one is left alone as a whole, until a complete one comes. */
  update(node: LocalNode): void {
    const { log, profile } = this.#options
    if (this.#node !== undefined && isOlderVersion(node.resourceVersion, this.#node.resourceVersion)) return
    if (this.mode === 'eni' && profile === 'later' && !this.#isComplete(node)) return
    if (this.mode === 'eni') this.#options.onInterfaces?.(node.eni, node.eniSpec)
    const { states, gone } = answerReleases(node, (ip) => this.#isHeld(ip))
    this.#node = node
    this.#states = states
    for (const allocator of this.#allocators.values()) allocator.poolChanged(node)
    for (const ip of gone) this.#forgetRoute(ip)
    const isAnswered = [...node.releaseIPs].some(([ip, status]) => states.get(ip) !== status)
    if (isAnswered) this.requestSync('excess IP release')
    log.debug({ resourceVersion: node.resourceVersion, count: node.pool?.size ?? 0 }, 'Took over the own CiliumNode')
    this.#change.notify()
  }

  #isComplete(node: LocalNode): boolean {
    try {
      validateENIConfig(node)
      return true
    } catch (error) {
      if (!(error instanceof IPAMError)) throw error
      this.#options.log.warn({ error }, 'The ENI status of the own CiliumNode is not complete yet: it is left alone')
      return false
    }
  }

  #isHeld(ip: string): boolean | undefined {
    const family = parseFamily(ip)
    return family === undefined ? undefined : this.#allocators.get(family)?.isHeld(ip)
  }

  #forgetRoute(ip: string): void {
    const routes = this.#options.unreachableRoutes
    if (routes === undefined) return
    const cidr = `${ip}/${parseFamily(ip) === 'ipv6' ? 128 : 32}`
    routes
      .deleteUnreachable(cidr)
      .catch((error: unknown) => this.#options.log.warn({ cidr, error }, 'Unable to delete the unreachable route'))
  }

  #settleNativeRoutingCIDR(): void {
    const { configuration } = this.#options
    if (!this.#isCloudMode || this.#node === undefined || !configuration.ipv4Enabled()) return
    const vpc = deriveVPCCIDRs(this.#node)
    if (vpc === undefined) return
    const detected = nativeRoutingCIDR(configuration.getIPv4NativeRoutingCIDR(), vpc)
    if (detected === undefined) return
    this.#detectedRoutingCIDR = detected
    configuration.setIPv4NativeRoutingCIDR(detected)
  }

  async #write(reasons: readonly string[]): Promise<void> {
    const { log, writer, signal } = this.#options
    // Not at once: who asked may be half-way through a change of both families, which one write should tell.
    await Promise.resolve()
    if (signal.aborted) return
    const seen = this.#node
    const wanted = this.statusToWrite()
    if (seen === undefined || wanted === undefined) return
    const patch = statusPatch(seen, wanted)
    if (patch === undefined) return
    try {
      const written = decodeLocalNode(await writer.patchStatus(patch, signal))
      log.debug(
        { trigger: reasons, resourceVersion: written.resourceVersion },
        'Wrote the status of the own CiliumNode',
      )
      // The reply is a version like any other, unless a newer one has arrived, or the node went away, while it was under way.
      if (this.#node !== undefined) this.update(written)
    } catch (error) {
      if (signal.aborted) return
      log.warn({ trigger: reasons, error }, 'Unable to write the status of the own CiliumNode')
      // Waits for the next slot, by which time the watch has brought the version that was in the way.
      this.requestSync('retry after error')
    }
  }
}
