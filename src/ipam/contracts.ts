import type { CallContext, CallPriority } from '../runtime/call-priority.ts'
import type { CiliumNode, ProviderStatus } from './cilium-node.ts'
import type { DestructiveContext } from './destruction.ts'
import type { CloudAPIError } from './errors.ts'
import type { AllocationAction, AllocationMap, InterfaceStats, PoolQuotaMap, ReleaseAction, Tags } from './types.ts'

/** A log line: fields first (names from `src/telemetry/log-fields.ts`), then a constant message. pino's own shape. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/**
 * The fixed words that label a failed interface creation in the metrics.
 *
 * @source cilium pkg/aws/ipam/node.go and pkg/alibabacloud/eni/node.go
 */
export type CreateInterfaceCondition =
  | 'unableToDetermineLimits'
  | 'unableToFindSubnet'
  | 'unableToGetSecurityGroups'
  | 'unableToCreateENI'
  | 'unableToAttachENI'
  | 'unableToMarkENIForDeletion'

/** What a provider's read of the cloud covers. */
export interface SyncResult {
  /** Taken before the first call of the read, on the clock that was passed in: what it shows is at least this fresh. */
  readonly startedAtMs: number
  /** Instances whose recorded interfaces changed through this read; the others need no work. */
  readonly changedInstanceIDs: readonly string[]
}

/** How many addresses a successful write attached, as the cloud answered (prefixes counted by their addresses). */
export interface AllocateIPsSuccess {
  readonly kind: 'allocated'
  readonly addressCount: number
}

export interface AllocateIPsFailure {
  readonly kind: 'failed'
  readonly error: CloudAPIError
  /** False when the cloud's answer says that the instance is stopped or gone. */
  readonly isInstanceRunning: boolean
}

export type AllocateIPsOutcome = AllocateIPsSuccess | AllocateIPsFailure

export interface CreateInterfaceSuccess {
  readonly kind: 'created'
  /** Empty when nothing had to be created. */
  readonly interfaceID: string
  readonly poolID: string
  /** Addresses that came with the interface, as the cloud answered; the reference's `toAllocate`. */
  readonly addressCount: number
}

export interface CreateInterfaceFailure {
  readonly kind: 'failed'
  readonly condition: CreateInterfaceCondition
  /** The chosen subnet, empty when the choice itself failed. */
  readonly poolID: string
  readonly error: Error
  readonly isInstanceRunning: boolean
}

export type CreateInterfaceOutcome = CreateInterfaceSuccess | CreateInterfaceFailure

/** CIDRs given back, in whole or in part; `error` is what stopped the rest. */
export interface ReleaseCIDRsOutcome {
  readonly released: readonly string[]
  readonly error?: CloudAPIError
}

/** The provider's per-node refresh: a view of the cache, no cloud call. */
export interface InterfacesAndIPs {
  /** May be made when it is asked for: most looks need only its size. */
  readonly available: AllocationMap
  /** Size of `available`, where it is known without making it. */
  readonly availableCount?: number
  readonly stats: InterfaceStats
}

/** Delegated prefixes of a node. A cloud without them leaves the capability out. */
export interface PrefixOperations {
  /** Gives whole prefixes back (`action.ipPrefixesToRelease`). @throws CloudAPIError */
  releaseIPPrefixes(action: ReleaseAction, context: DestructiveContext): Promise<void>
  /**
   * Used addresses with every touched prefix counted as 16: the excess formula of profiles up to 1.18.
   *
   * @param used `status.ipam.used` of the resource
   */
  getUsedIPWithPrefixes(used: AllocationMap): number
}

/** A public address bound to the node. A cloud without it leaves the capability out. */
export interface StaticIPOperations {
  /** @returns the public address now bound to the node. @throws CloudAPIError, or Error when no address matches */
  allocateStaticIP(tags: Tags, context: CallContext): Promise<string>
}

/** The release of multi-pool nodes. A cloud without it leaves the capability out. */
export interface CIDROperations {
  /** All CIDRs on the node's interfaces: prefixes as they are, other addresses as /32 or /128. */
  getAttachedCIDRs(): readonly string[]
  /** Groups CIDRs by interface; what cannot be placed is left out. */
  prepareCIDRRelease(cidrs: readonly string[]): readonly ReleaseAction[]
  /** Gives `action.cidrsToRelease` back: prefixes first, then single addresses. Never throws for a cloud failure. */
  releaseCIDRs(action: ReleaseAction, context: DestructiveContext): Promise<ReleaseCIDRsOutcome>
}

/** The steps that bring addresses. */
export type AllocationStep = 'allocate' | 'createInterface'

/** How scarce the cloud's quota is. A cloud whose ways to an address share one quota leaves the capability out. */
export interface PaceOperations {
  /** How long the calls of a step would wait for their quota from now (ms, an estimate; 0 = at once). */
  expectedWaitMs(step: AllocationStep, priority: CallPriority): number
  /** What is left of a step under way. A cloud whose steps are one call each leaves it out: then it is that call. */
  remaining?(step: AllocationStep, call: CallInStep, priority: CallPriority): StepRemainder
}

export interface StepRemainder {
  /** How long the calls of the step still wait for their quota (ms, an estimate). */
  readonly waitMs: number
  /** Calls that have no answer yet, the present one included (count). */
  readonly callCount: number
}

/** The call that a step is at. */
export interface CallInStep {
  readonly action: string
  readonly isQueued: boolean
  /** Calls before it in its bucket, and after it (counts); 0 when it is not queued. */
  readonly ahead: number
  readonly behind: number
  /** How long it waits itself (ms). */
  readonly waitMs: number
}

/**
 * What a provider does for one node. It knows its node, and never calls back into the controller: what it needs comes as
 * arguments, what it learned goes back as a return value.
 *
 * @source cilium pkg/ipam/node_manager.go, NodeOperations
 */
export interface NodeOperations {
  /** A new version of the resource arrived. Only what the provider needs of it is kept. */
  updatedNode(resource: CiliumNode): void
  /**
   * The provider's part of the status, sorted, in wire form. Undefined while the instance is not in the inventory.
   *
   * @param withheld attached CIDRs that are left out, because they are about to be released; canonical, IPv4
   */
  populateStatusFields(withheld?: readonly string[]): ProviderStatus | undefined
  /** Plan only, no cloud call. @throws LimitsNotFoundError, InstanceNotFoundError */
  prepareIPAllocation(): AllocationAction
  /** Attaches `action.ipv4.availableForAllocation` addresses, and up to one IPv6 prefix, to `action.interfaceID`. */
  allocateIPs(action: AllocationAction, context: CallContext): Promise<AllocateIPsOutcome>
  /**
   * Creates, attaches and fills an interface with up to `action.ipv4.maxIPsToAllocate` addresses; undone on failure. A cloud whose
   * machines cannot get one while they run leaves it out, and never plans with `emptyInterfaceSlots`.
   */
  createInterface?(action: AllocationAction, context: CallContext): Promise<CreateInterfaceOutcome>
  /** Plan only, no cloud call: at most `excess` addresses, all of one interface. */
  prepareIPRelease(excess: number): ReleaseAction
  /** Gives single addresses back (`action.ipsToRelease` outside of its prefixes). @throws CloudAPIError */
  releaseIPs(action: ReleaseAction, context: DestructiveContext): Promise<void>
  /** Rebuilds the node's view from the cache. @throws InstanceNotFoundError, LimitsNotFoundError */
  resyncInterfacesAndIPs(): InterfacesAndIPs
  /** Ceiling of the instance (count); 0 = unknown or unlimited. */
  getMaximumAllocatableIPv4(): number
  /** Value to seed `spec.ipam.pre-allocate` with (count). */
  getMinimumAllocatableIPv4(): number
  isPrefixDelegated(): boolean
  readonly prefixes?: PrefixOperations
  readonly staticIP?: StaticIPOperations
  readonly cidrs?: CIDROperations
  readonly pace?: PaceOperations
}

/**
 * The right to calls that give something back, shared by all that make such calls in one controller
 * (docs/decisions/0010-proof-before-destroy.md).
 */
export interface DestructivePermits {
  /** When `count` calls may be made (monotonic ms): now or earlier = at once; undefined = never. */
  allowedAtMs(nowMs: number, count?: number): number | undefined
  /** Takes the right to make `count` calls now; false when there is none. */
  take(nowMs: number, count?: number): boolean
}

/** Collects what we created and what nothing uses or tracks any more. A cloud without it, or where it is off, leaves it out. */
export interface LeftoverCollection {
  /** Round after round until the signal is aborted. Never rejects for a failure of the cloud. */
  run(permits: DestructivePermits, signal: AbortSignal): Promise<void>
}

/**
 * What a cloud does for the whole cluster.
 *
 * @source cilium pkg/ipam/node_manager.go, AllocationImplementation
 */
export interface AllocationImplementation {
  /**
   * Called once per newly seen node. Where the inventory does not know the instance yet, it is restored from the
   * resource's own status, so that the node can be served before the first read of the cloud
   * (docs/decisions/0009-start.md). Nothing is destroyed on such knowledge: `syncedAtMs` stays undefined.
   */
  createNode(resource: CiliumNode): NodeOperations
  /** Free addresses per subnet, for metrics. */
  getPoolQuota(): PoolQuotaMap
  /**
   * The little that must be known before the first node is served: one read of subnets (with what hangs on them) and one of
   * limits. @throws CloudAPIError
   */
  prepare(context: CallContext): Promise<void>
  /** Full sync, paged; instances of live nodes that a filtered listing misses are kept. @throws CloudAPIError */
  resync(context: CallContext): Promise<SyncResult>
  /** Reads one instance; calls within a short time share one listing. @throws CloudAPIError */
  instanceSync(instanceID: string, context: CallContext): Promise<SyncResult>
  hasInstance(instanceID: string): boolean
  deleteInstance(instanceID: string): void
  /** Start of the newest read that covered this instance (monotonic ms), undefined when none did. */
  syncedAtMs(instanceID: string): number | undefined
  /** Waits for work that no pod waits for (attributes, tags), e.g. before a process ends. */
  settle(signal: AbortSignal): Promise<void>
  readonly leftovers?: LeftoverCollection
}

export type AllocationType = 'allocateIP' | 'createInterfaceAndAllocateIP'
export type ReleaseType = 'releaseIP' | 'releaseIPPrefixes'

/** Observes one kind of trigger: every request for a run, and every run. */
export interface TriggerObserver {
  queueEvent(reason: string): void
  /** @param runSeconds without backoff. @param latencySeconds first folded request → start. @param folds requests folded into it */
  postRun(runSeconds: number, latencySeconds: number, folds: number): void
}

/**
 * Metrics of the core, names as in the reference.
 *
 * @source cilium pkg/ipam/metrics/metrics.go, and pkg/ipam/node_manager.go, MetricsAPI
 */
export interface MetricsAPI {
  allocationAttempt(type: AllocationType, status: string, subnetID: string, seconds: number): void
  releaseAttempt(type: ReleaseType, status: string, subnetID: string, seconds: number): void
  incInterfaceAllocation(subnetID: string): void
  addIPAllocation(subnetID: string, count: number): void
  addIPRelease(subnetID: string, count: number): void
  /** Until 1.19. */
  setAllocatedIPs(type: 'used' | 'available' | 'needed', count: number): void
  /** Until 1.19. */
  setAvailableInterfaces(count: number): void
  setInterfaceCandidates(count: number): void
  setEmptyInterfaceSlots(count: number): void
  /** `deleteSubnet` removes a subnet that is gone; the reference keeps its last value. */
  setAvailableIPsPerSubnet(subnetID: string, availabilityZone: string, count: number): void
  deleteSubnet(subnetID: string): void
  setNodes(category: 'total' | 'in-deficit' | 'at-capacity', count: number): void
  incResyncCount(): void
  observeBackgroundSync(status: 'success' | 'failed', seconds: number): void
  setIPAvailable(node: string, capacity: number): void
  setIPUsed(node: string, used: number): void
  setIPNeeded(node: string, needed: number): void
  deleteNode(node: string): void
  poolMaintainerTrigger(): TriggerObserver
  k8sSyncTrigger(): TriggerObserver
  resyncTrigger(): TriggerObserver
  /** Age of the oldest need that is not served yet, seconds; 0 when there is none. `berth_oldest_unserved_need_seconds`. */
  setOldestUnservedNeed(seconds: number): void
  /** Nodes whose instance the cloud does not show although the node is alive. `berth_missing_instances`. */
  setMissingInstances(count: number): void
}

/** Observes every cloud call; labels as in the reference (`operation`, `response_code`). */
export interface CloudCallMetrics {
  /** @param responseCode `OK`, the status line of a refusal (`400 Bad Request`), or `Failed` when there was no answer */
  observeAPICall(operation: string, responseCode: string, seconds: number): void
  /** Only for calls that had to wait for a token. */
  observeRateLimit(operation: string, seconds: number): void
}
