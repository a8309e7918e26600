import { detachable, dueCIDRs, narrowToMarked, withholdTimes } from '../ipam/cidr-release.ts'
import type { InterfacesAndIPs, NodeOperations } from '../ipam/contracts.ts'
import { InstanceNotFoundError, LimitsNotFoundError } from '../ipam/errors.ts'
import type { NodeEvent, NodeState } from '../ipam/node-state.ts'
import type { DestroyPermit, FailedStep, NodeSnapshot } from '../ipam/plan-maintenance.ts'
import { withAmounts } from '../ipam/plan-maintenance.ts'
import type { ReleaseStepResult } from '../ipam/release-handshake.ts'
import { releaseStep } from '../ipam/release-handshake.ts'
import {
  cidrsWithinSurplus,
  destructiveCallCount,
  withinSurplus,
  withoutUsed,
  wordAtMs,
} from '../ipam/release-proof.ts'
import type { ResourceDemand } from '../ipam/resource-demand.ts'
import { isNewInterfaceSooner } from '../ipam/second-path.ts'
import type { SeenResource } from '../ipam/seen-resource.ts'
import { allocatedCIDRs, unpackResource } from '../ipam/seen-resource.ts'
import { calculateStatistics, countsTouchedPrefixes, staticIPNeedsResolution } from '../ipam/statistics.ts'
import { needPriority } from '../ipam/step-priority.ts'
import type { AllocationAction, AllocationMap, ReleaseAction, Tags } from '../ipam/types.ts'
import type { AgentGeneration } from '../ipam/usage.ts'
import { usageOf } from '../ipam/usage.ts'
import { capToMaxAllocate, effectiveMaxAllocate, effectivePreAllocate, surge } from '../ipam/watermarks.ts'
import type { ControllerConfig } from './options.ts'

/** A look at the provider's cache: the event for the node's state, and what was seen where there is a view. */
export interface Refresh {
  readonly event: NodeEvent
  readonly inventory: InterfacesAndIPs | undefined
}

/**
 * Looks at the provider's cache; no cloud call, and nothing is unpacked for profiles from 1.19 on.
 *
 * @source cilium pkg/ipam/node.go, recalculate
 */
export function refreshNode(
  state: NodeState,
  seen: SeenResource,
  operations: NodeOperations,
  { config, nowMs }: { readonly config: ControllerConfig; readonly nowMs: number },
): Refresh {
  try {
    const inventory = operations.resyncInterfacesAndIPs()
    const { stats } = inventory
    const statistics = calculateStatistics({
      resource: seen.demand,
      available: { size: inventory.availableCount ?? inventory.available.size },
      interfaceStats: stats,
      instanceMax: operations.getMaximumAllocatableIPv4(),
      rememberedStaticIP: state.statistics.assignedStaticIP,
      usedIPsWithPrefixes:
        countsTouchedPrefixes(config.profile) && operations.isPrefixDelegated()
          ? operations.prefixes?.getUsedIPWithPrefixes(unpackResource(seen).status.used)
          : undefined,
      profile: config.profile,
    })
    const generation = generationOf(seen.demand, config, stats.nodeIPv6Prefixes)
    const cidrs = generation === 'multi-pool' ? cidrView(seen, operations) : undefined
    return { event: { kind: 'refreshed', statistics, generation, cidrs, nowMs }, inventory }
  } catch (error) {
    if (error instanceof InstanceNotFoundError)
      return { event: { kind: 'instanceMissing', nowMs }, inventory: undefined }
    if (error instanceof LimitsNotFoundError) {
      return { event: { kind: 'limitsUnknown', instanceType: error.instanceType, nowMs }, inventory: undefined }
    }
    throw error
  }
}

export function generationOf(
  resource: ResourceDemand,
  config: Pick<ControllerConfig, 'profile'>,
  availableIPv6Prefixes: number,
): AgentGeneration {
  const preAllocate = effectivePreAllocate(resource.spec.ipam.preAllocate)
  return usageOf(resource, { preAllocate, availableIPv6Prefixes, profile: config.profile }).generation
}

function cidrView(
  seen: SeenResource,
  { cidrs }: NodeOperations,
): { readonly current: readonly string[]; readonly attached: readonly string[] } | undefined {
  if (cidrs === undefined) return undefined
  return { current: allocatedCIDRs(seen), attached: cidrs.getAttachedCIDRs() }
}

const NO_ADDRESSES: AllocationMap = new Map()

/** Any read answers the question (monotonic ms). */
const BEFORE_ANY_READ_MS = -1

export interface HandshakeInput {
  readonly seen: SeenResource
  readonly inventory: Pick<InterfacesAndIPs, 'available'>
  readonly operations: NodeOperations
  readonly config: ControllerConfig
  readonly nowMs: number
}

/** Takes the handshake one step on; undefined where there is none and nothing to begin one for. */
export function stepHandshake(state: NodeState, input: HandshakeInput): ReleaseStepResult | undefined {
  const { seen, inventory, operations, config, nowMs } = input
  const { excessIPs, neededIPs } = state.statistics.ipv4
  const wantsRelease = config.releaseExcessIPs && state.generation !== 'multi-pool' && excessIPs > 0 && neededIPs === 0
  const plan = wantsRelease ? operations.prepareIPRelease(excessIPs) : undefined
  const { marked, status } = state.release
  if (plan === undefined && marked.size + status.size + state.resourceStates.size === 0) return undefined
  return releaseStep({
    records: state.release,
    resourceStates: state.resourceStates,
    pool: unpackResource(seen).spec.ipam.pool ?? NO_ADDRESSES,
    attached: inventory.available,
    plan,
    releaseEnabled: config.releaseExcessIPs,
    nowMs,
    delayMs: config.excessIPReleaseDelayMs,
    profile: config.profile,
  })
}

export interface SnapshotInput {
  readonly seen: SeenResource
  readonly operations: NodeOperations
  readonly config: ControllerConfig
  readonly nowMs: number
  readonly isHeld: boolean
  readonly pendingPods: number | undefined
  /** What the agent has agreed to, of `stepHandshake`. */
  readonly agreed: ReleaseAction | undefined
  readonly syncedAtMs: number | undefined
  readonly destroyPermit: (callCount: number) => DestroyPermit
  readonly missingReadsFromMs: number
  readonly failures: readonly FailedStep[]
  readonly reads: number
  readonly proofReads: number
}

/** Gathers what the planner decides on, of the state of now and of the provider's plans. No cloud call. */
export function snapshotOf(state: NodeState, input: SnapshotInput): NodeSnapshot {
  const { nowMs } = input
  const { neededIPs } = state.statistics.ipv4
  const neededIPv6Prefixes = state.statistics.ipv6.neededPrefixes
  const isInNeed = state.view.kind === 'known' && (neededIPs > 0 || neededIPv6Prefixes > 0)
  const allocation = isInNeed ? prepareAllocation(state, input) : { action: undefined }
  const release = releaseOf(state, input)
  const cidrRelease = cidrReleaseOf(state, input)
  const destruction = cidrRelease ?? release
  return {
    nowMs,
    isHeld: input.isHeld,
    backoff:
      state.failure === undefined ? undefined : { untilMs: state.failure.retryAtMs, blocks: state.failure.blocks },
    stoppedUntilMs: state.power.kind === 'stopped' ? state.power.untilMs : undefined,
    missing:
      state.view.kind === 'missing'
        ? { nextReadMs: Math.max(state.view.nextReadMs, input.missingReadsFromMs) }
        : undefined,
    limitsUnknownOf: state.view.kind === 'limitsUnknown' ? state.view.instanceType : allocation.limitsUnknownOf,
    staleSinceMs: state.staleSinceMs ?? (isInNeed && isUnverified(input) ? BEFORE_ANY_READ_MS : undefined),
    neededIPs,
    neededIPv6Prefixes,
    allocation: allocation.action,
    isNewInterfaceSooner: isInNeed && prefersNewInterface(state, input),
    release,
    cidrRelease,
    destroyPermit:
      destruction === undefined ? { kind: 'allowed' } : input.destroyPermit(destructiveCallCount(destruction.action)),
    staticIPTags: wantedStaticIPTags(state, input),
    failures: input.failures,
    reads: input.reads,
    proofReads: input.proofReads,
  }
}

function prefersNewInterface(state: NodeState, { seen, operations, pendingPods }: SnapshotInput): boolean {
  const { pace } = operations
  if (pace === undefined) return false
  const { statistics, generation } = state
  const { minAllocate } = seen.demand.spec.ipam
  const priority = needPriority({ statistics, generation, minAllocate, pendingPods })
  const { availableIPs, usedIPs } = statistics.ipv4
  return isNewInterfaceSooner({
    availableIPs,
    usedIPs,
    hasFailed: state.failure !== undefined,
    expectedWaitMs: (step) => pace.expectedWaitMs(step, priority),
  })
}

/**
 * A node that is known from its own status alone, as after a restart, may have more than the status says. Where a ceiling was set it is
 * read before anything is added; the others are served at once (docs/decisions/0009-start.md).
 */
function isUnverified({ seen, syncedAtMs }: SnapshotInput): boolean {
  return syncedAtMs === undefined && seen.demand.spec.ipam.maxAllocate > 0
}

function prepareAllocation(
  state: NodeState,
  { seen, operations, config, pendingPods }: SnapshotInput,
): { readonly action: AllocationAction | undefined; readonly limitsUnknownOf?: string } {
  const { neededIPs, availableIPs } = state.statistics.ipv4
  const { maxAboveWatermark, maxAllocate: configured } = seen.demand.spec.ipam
  const plain = surge({ neededIPs, maxAboveWatermark, pendingPods }).maxIPsToAllocate
  const { maxAllocate } = effectiveMaxAllocate(configured, operations.getMaximumAllocatableIPv4())
  const maxIPsToAllocate =
    config.profile === 'latest' ? capToMaxAllocate({ maxIPsToAllocate: plain, availableIPs, maxAllocate }) : plain
  const neededIPv6Prefixes = state.statistics.ipv6.neededPrefixes
  try {
    return {
      action: withAmounts(operations.prepareIPAllocation(), { neededIPs, neededIPv6Prefixes, maxIPsToAllocate }),
    }
  } catch (error) {
    if (error instanceof LimitsNotFoundError) return { action: undefined, limitsUnknownOf: error.instanceType }
    // Gone from the inventory since the state was made: the next look at it tells.
    if (error instanceof InstanceNotFoundError) return { action: undefined }
    throw error
  }
}

function releaseOf(state: NodeState, { agreed, seen, syncedAtMs }: SnapshotInput): NodeSnapshot['release'] {
  const action = agreed === undefined ? undefined : withoutUsed(agreed, unpackResource(seen).status.used)
  if (action === undefined) return undefined
  const wordMs = wordAtMs(action.ipsToRelease, state.readySinceMs)
  return wordMs === undefined ? undefined : { action, proof: { syncedAtMs, wordAtMs: wordMs } }
}

/** The first interface's worth; the next round takes the next. */
function cidrReleaseOf(
  state: NodeState,
  { config, operations, seen, nowMs, syncedAtMs }: SnapshotInput,
): NodeSnapshot['cidrRelease'] {
  if (!config.releaseExcessIPs || state.generation !== 'multi-pool' || operations.cidrs === undefined) return undefined
  const delayMs = config.excessIPReleaseDelayMs
  const due = dueCIDRs(state.cidrs, nowMs, delayMs)
  if (due.length === 0) return undefined
  const { used } = unpackResource(seen).status
  const [action] = operations.cidrs
    .prepareCIDRRelease(due)
    .map((planned) => narrowToMarked(state.cidrs, planned))
    .filter((planned) => planned !== undefined)
    .map((planned) => withoutUsed(planned, used))
    .filter((planned) => planned !== undefined)
    .map((planned) => ({
      ...planned,
      cidrsToRelease: detachable(state.withheld, planned.cidrsToRelease, { nowMs, delayMs }),
    }))
    .map((planned) => withinSurplus(planned, surplusOf(state, seen.demand)))
    .filter((planned) => planned !== undefined)
  if (action === undefined) return undefined
  const wordMs = wordAtMs(action.cidrsToRelease, new Map([...state.withheld].filter(isWritten)))
  return wordMs === undefined ? undefined : { action, proof: { syncedAtMs, wordAtMs: wordMs } }
}

/**
 * Given-up CIDRs that the resource must not list any more, so that nobody takes them up while they are being detached: those that will
 * be due soon and can go without a new need.
 */
export function cidrsToWithhold(
  state: NodeState,
  { config, operations, seen, nowMs }: Omit<HandshakeInput, 'inventory'>,
): readonly string[] {
  if (state.cidrs.marked.size === 0) return []
  const { releaseExcessIPs, destructiveCallsPerMinute, excessIPReleaseDelayMs } = config
  if (!releaseExcessIPs || destructiveCallsPerMinute === 0 || state.generation !== 'multi-pool') return []
  const due = dueCIDRs(state.cidrs, nowMs, withholdTimes(excessIPReleaseDelayMs).afterMs)
  const planned = operations.cidrs?.prepareCIDRRelease(due).flatMap(({ cidrsToRelease }) => cidrsToRelease) ?? []
  const marked = planned.filter((cidr) => state.cidrs.marked.has(cidr))
  return cidrsWithinSurplus(marked, surplusOf(state, seen.demand))
}

function isWritten(entry: readonly [string, number | undefined]): entry is [string, number] {
  return entry[1] !== undefined
}

/** Addresses that can go without a new need (count). An agent drops CIDRs without knowing of the floor of its node. */
function surplusOf(state: NodeState, { spec }: ResourceDemand): number {
  const { availableIPs, usedIPs } = state.statistics.ipv4
  const { preAllocate, minAllocate } = spec.ipam
  return availableIPs - Math.max(usedIPs + effectivePreAllocate(preAllocate), minAllocate)
}

function wantedStaticIPTags(state: NodeState, { seen, operations, config }: SnapshotInput): Tags | undefined {
  const tags = seen.demand.spec.ipam.staticIPTags
  if (operations.staticIP === undefined || config.profile === '1.14' || Object.keys(tags).length === 0) return undefined
  return staticIPNeedsResolution(state.statistics.assignedStaticIP, config.profile) ? tags : undefined
}
