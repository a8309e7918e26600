import { detachable, dueCIDRs, narrowToMarked, withholdTimes } from '../ipam/cidr-release.ts'
import type { CiliumNode } from '../ipam/cilium-node.ts'
import type { NodeOperations } from '../ipam/contracts.ts'
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
import { isNewInterfaceSooner } from '../ipam/second-path.ts'
import { calculateStatistics, countsTouchedPrefixes, staticIPNeedsResolution } from '../ipam/statistics.ts'
import { needPriority } from '../ipam/step-priority.ts'
import type { AllocationAction, AllocationMap, ReleaseAction, Tags } from '../ipam/types.ts'
import type { AgentGeneration } from '../ipam/usage.ts'
import { usageOf } from '../ipam/usage.ts'
import { capToMaxAllocate, effectiveMaxAllocate, effectivePreAllocate, surge } from '../ipam/watermarks.ts'
import type { ControllerConfig } from './options.ts'

/** A look at the provider's cache: the event for the node's state, and the addresses where there is a view. */
export interface Refresh {
  readonly event: NodeEvent
  readonly available: AllocationMap | undefined
}

/**
 * Looks at the provider's cache; no cloud call.
 *
 * @source cilium pkg/ipam/node.go, recalculate
 */
export function refreshNode(
  state: NodeState,
  resource: CiliumNode,
  operations: NodeOperations,
  { config, nowMs }: { readonly config: ControllerConfig; readonly nowMs: number },
): Refresh {
  try {
    const { available, stats } = operations.resyncInterfacesAndIPs()
    const statistics = calculateStatistics({
      resource,
      available,
      interfaceStats: stats,
      instanceMax: operations.getMaximumAllocatableIPv4(),
      rememberedStaticIP: state.statistics.assignedStaticIP,
      usedIPsWithPrefixes:
        countsTouchedPrefixes(config.profile) && operations.isPrefixDelegated()
          ? operations.prefixes?.getUsedIPWithPrefixes(resource.status.used)
          : undefined,
      profile: config.profile,
    })
    const generation = generationOf(resource, config, stats.nodeIPv6Prefixes)
    const cidrs = generation === 'multi-pool' ? cidrView(resource, operations) : undefined
    return { event: { kind: 'refreshed', statistics, generation, cidrs, nowMs }, available }
  } catch (error) {
    if (error instanceof InstanceNotFoundError)
      return { event: { kind: 'instanceMissing', nowMs }, available: undefined }
    if (error instanceof LimitsNotFoundError) {
      return { event: { kind: 'limitsUnknown', instanceType: error.instanceType, nowMs }, available: undefined }
    }
    throw error
  }
}

export function generationOf(
  resource: CiliumNode,
  config: Pick<ControllerConfig, 'profile'>,
  availableIPv6Prefixes: number,
): AgentGeneration {
  const preAllocate = effectivePreAllocate(resource.spec.ipam.preAllocate)
  return usageOf(resource, { preAllocate, availableIPv6Prefixes, profile: config.profile }).generation
}

function cidrView(
  resource: CiliumNode,
  { cidrs }: NodeOperations,
): { readonly current: readonly string[]; readonly attached: readonly string[] } | undefined {
  if (cidrs === undefined) return undefined
  const current = resource.spec.ipam.allocated.flatMap((allocation) => allocation.cidrs)
  return { current, attached: cidrs.getAttachedCIDRs() }
}

/** Any read answers the question (monotonic ms). */
const BEFORE_ANY_READ_MS = -1

export interface HandshakeInput {
  readonly resource: CiliumNode
  readonly available: AllocationMap
  readonly operations: NodeOperations
  readonly config: ControllerConfig
  readonly nowMs: number
}

/** Takes the handshake one step on; undefined where there is none and nothing to begin one for. */
export function stepHandshake(state: NodeState, input: HandshakeInput): ReleaseStepResult | undefined {
  const { resource, available, operations, config, nowMs } = input
  const { excessIPs, neededIPs } = state.statistics.ipv4
  const wantsRelease = config.releaseExcessIPs && state.generation !== 'multi-pool' && excessIPs > 0 && neededIPs === 0
  const plan = wantsRelease ? operations.prepareIPRelease(excessIPs) : undefined
  const { marked, status } = state.release
  if (plan === undefined && marked.size + status.size + state.resourceStates.size === 0) return undefined
  return releaseStep({
    records: state.release,
    resourceStates: state.resourceStates,
    pool: resource.spec.ipam.pool ?? new Map(),
    attached: available,
    plan,
    releaseEnabled: config.releaseExcessIPs,
    nowMs,
    delayMs: config.excessIPReleaseDelayMs,
    profile: config.profile,
  })
}

export interface SnapshotInput {
  readonly resource: CiliumNode
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

function prefersNewInterface(state: NodeState, { resource, operations, pendingPods }: SnapshotInput): boolean {
  const { pace } = operations
  if (pace === undefined) return false
  const { statistics, generation } = state
  const { minAllocate } = resource.spec.ipam
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
function isUnverified({ resource, syncedAtMs }: SnapshotInput): boolean {
  return syncedAtMs === undefined && resource.spec.ipam.maxAllocate > 0
}

function prepareAllocation(
  state: NodeState,
  { resource, operations, config, pendingPods }: SnapshotInput,
): { readonly action: AllocationAction | undefined; readonly limitsUnknownOf?: string } {
  const { neededIPs, availableIPs } = state.statistics.ipv4
  const { maxAboveWatermark, maxAllocate: configured } = resource.spec.ipam
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
    throw error
  }
}

function releaseOf(state: NodeState, { agreed, resource, syncedAtMs }: SnapshotInput): NodeSnapshot['release'] {
  const action = agreed === undefined ? undefined : withoutUsed(agreed, resource.status.used)
  if (action === undefined) return undefined
  const wordMs = wordAtMs(action.ipsToRelease, state.readySinceMs)
  return wordMs === undefined ? undefined : { action, proof: { syncedAtMs, wordAtMs: wordMs } }
}

/** The first interface's worth; the next round takes the next. */
function cidrReleaseOf(
  state: NodeState,
  { config, operations, resource, nowMs, syncedAtMs }: SnapshotInput,
): NodeSnapshot['cidrRelease'] {
  if (!config.releaseExcessIPs || state.generation !== 'multi-pool' || operations.cidrs === undefined) return undefined
  const delayMs = config.excessIPReleaseDelayMs
  const due = dueCIDRs(state.cidrs, nowMs, delayMs)
  if (due.length === 0) return undefined
  const [action] = operations.cidrs
    .prepareCIDRRelease(due)
    .map((planned) => narrowToMarked(state.cidrs, planned))
    .filter((planned) => planned !== undefined)
    .map((planned) => withoutUsed(planned, resource.status.used))
    .filter((planned) => planned !== undefined)
    .map((planned) => ({
      ...planned,
      cidrsToRelease: detachable(state.withheld, planned.cidrsToRelease, { nowMs, delayMs }),
    }))
    .map((planned) => withinSurplus(planned, surplusOf(state, resource)))
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
  { config, operations, resource, nowMs }: Omit<HandshakeInput, 'available'>,
): readonly string[] {
  if (state.cidrs.marked.size === 0) return []
  const { releaseExcessIPs, destructiveCallsPerMinute, excessIPReleaseDelayMs } = config
  if (!releaseExcessIPs || destructiveCallsPerMinute === 0 || state.generation !== 'multi-pool') return []
  const due = dueCIDRs(state.cidrs, nowMs, withholdTimes(excessIPReleaseDelayMs).afterMs)
  const planned = operations.cidrs?.prepareCIDRRelease(due).flatMap(({ cidrsToRelease }) => cidrsToRelease) ?? []
  const marked = planned.filter((cidr) => state.cidrs.marked.has(cidr))
  return cidrsWithinSurplus(marked, surplusOf(state, resource))
}

function isWritten(entry: readonly [string, number | undefined]): entry is [string, number] {
  return entry[1] !== undefined
}

/** Addresses that can go without a new need (count). An agent drops CIDRs without knowing of the floor of its node. */
function surplusOf(state: NodeState, { spec }: CiliumNode): number {
  const { availableIPs, usedIPs } = state.statistics.ipv4
  const { preAllocate, minAllocate } = spec.ipam
  return availableIPs - Math.max(usedIPs + effectivePreAllocate(preAllocate), minAllocate)
}

function wantedStaticIPTags(state: NodeState, { resource, operations, config }: SnapshotInput): Tags | undefined {
  const tags = resource.spec.ipam.staticIPTags
  if (operations.staticIP === undefined || config.profile === '1.14' || Object.keys(tags).length === 0) return undefined
  return staticIPNeedsResolution(state.statistics.assignedStaticIP, config.profile) ? tags : undefined
}
