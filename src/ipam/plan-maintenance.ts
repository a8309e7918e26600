import type { CloudErrorKind } from './errors.ts'
import type { Proof } from './release-proof.ts'
import { isProven } from './release-proof.ts'
import { staticIPNeedsResolution } from './statistics.ts'
import type { AllocationAction, IPAMProfile, ReleaseAction, Tags } from './types.ts'

/** What a node does next. A value: it can be printed, compared and tested without a cloud. */
export type MaintenancePlan =
  | { readonly kind: 'idle'; readonly why: IdleReason }
  /** Only a read that starts after `afterMs` answers the question; undefined: any does. */
  | { readonly kind: 'readInstance'; readonly why: ReadReason; readonly afterMs: number | undefined }
  | { readonly kind: 'releaseCIDRs'; readonly action: ReleaseAction; readonly proof: Proof }
  | { readonly kind: 'assignStaticIP'; readonly tags: Tags }
  | { readonly kind: 'release'; readonly action: ReleaseAction; readonly proof: Proof }
  | { readonly kind: 'allocate'; readonly action: AllocationAction }
  | { readonly kind: 'createInterface'; readonly action: AllocationAction }

/** A plan that has an effect. */
export type MaintenanceStep = Exclude<MaintenancePlan, { readonly kind: 'idle' }>
export type StepKind = MaintenanceStep['kind']

/**
 * - `missing`: the inventory does not show the instance
 * - `stale`: the last step failed in a way that says our view is old, or that the call may have had an effect
 * - `proof`: nothing is given back on an old view
 */
export type ReadReason = 'missing' | 'stale' | 'proof'

/** Why a pass ends. */
export type IdleReason =
  | { readonly kind: 'settled' }
  /** the controller does not act at all: not prepared yet, another writer, stopping */
  | { readonly kind: 'held' }
  | { readonly kind: 'backoff'; readonly untilMs: number }
  | { readonly kind: 'instanceStopped'; readonly untilMs: number }
  | { readonly kind: 'instanceMissing'; readonly untilMs: number }
  | { readonly kind: 'limitsUnknown'; readonly instanceType: string }
  /** no interface has room and no further one can be attached */
  | { readonly kind: 'atCapacity' }
  /** interfaces have room, their subnets have none */
  | { readonly kind: 'subnetExhausted'; readonly poolID: string }
  /** something may be given back, but not now */
  | { readonly kind: 'releaseDeferred'; readonly untilMs: number | undefined }
  /** a step failed and nothing else is left to try in this pass */
  | { readonly kind: 'failed'; readonly step: FailedStep }

export interface FailedStep {
  readonly step: StepKind
  /** Empty where the step concerns no interface. */
  readonly interfaceID: string
  readonly poolID: string
  readonly kind: CloudErrorKind
  /** One line for people. */
  readonly message: string
}

/** Whether the fleet lets this node give something back now (docs/decisions/0010-proof-before-destroy.md). */
export type DestroyPermit =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'deferred'; readonly untilMs: number | undefined }

/** Everything a decision depends on, gathered at one moment. */
export interface NodeSnapshot {
  readonly nowMs: number
  readonly isHeld: boolean
  /** Failed passes before: what waits, and until when. */
  readonly backoff: { readonly untilMs: number; readonly blocks: 'all' | 'upkeep' } | undefined
  readonly stoppedUntilMs: number | undefined
  /** The inventory does not show the instance: when to read it again. */
  readonly missing: { readonly nextReadMs: number } | undefined
  readonly limitsUnknownOf: string | undefined
  /** The view may be older than this moment; undefined: it is trusted. */
  readonly staleSinceMs: number | undefined
  readonly neededIPs: number
  readonly neededIPv6Prefixes: number
  /** The provider's plan with the amounts filled in (`withAmounts`); undefined where nothing is needed. */
  readonly allocation: AllocationAction | undefined
  /** A new interface would bring addresses sooner than an attached one (`second-path.ts`). */
  readonly isNewInterfaceSooner: boolean
  /** What the agent has agreed to give back, nothing of it in use. */
  readonly release: { readonly action: ReleaseAction; readonly proof: Proof } | undefined
  /** What a multi-pool agent has dropped, one interface's worth. */
  readonly cidrRelease: { readonly action: ReleaseAction; readonly proof: Proof } | undefined
  readonly destroyPermit: DestroyPermit
  /** Tags of the public address to bind; undefined where none is wanted. */
  readonly staticIPTags: Tags | undefined
  /** What failed in this pass so far, oldest first. */
  readonly failures: readonly FailedStep[]
  /** Reads made in this pass (count), and those of them for a proof. */
  readonly reads: number
  readonly proofReads: number
}

/** Reads of one pass that may fail to catch up with a stale view (count): each failed step costs one, and a second try is granted. */
const MAX_READS = 3

/** After these the instance is read again before the node plans again: our view was wrong, or the effect is not known. */
const REREAD_KINDS: ReadonlySet<CloudErrorKind> = new Set(['limit', 'stale', 'unavailable', 'conflict', 'notFound'])

/** After these another call of the same kind cannot help either: a new interface would only add to the harm. */
const NO_FALLBACK_KINDS: ReadonlySet<CloudErrorKind> = new Set(['throttled', 'denied'])

/** Whether a failed step makes the node's view doubtful. */
export function needsReread(kind: CloudErrorKind): boolean {
  return REREAD_KINDS.has(kind)
}

/**
 * The next step of a maintenance pass. A pass repeats plan → execute → reduce, a failed step being part of the next snapshot,
 * until the plan is idle.
 *
 * Order as in the reference: giving back comes before taking. Other than there, a failed release or static address does not keep
 * a node from getting addresses.
 *
 * @source cilium pkg/ipam/node.go, maintainIPPool and determineMaintenanceAction
 */
export function planMaintenance(node: NodeSnapshot): MaintenancePlan {
  const { nowMs } = node
  if (node.isHeld) return idle({ kind: 'held' })
  const failedRead = node.failures.find((failure) => failure.step === 'readInstance')
  if (failedRead !== undefined && (node.staleSinceMs !== undefined || node.missing !== undefined))
    return idle({ kind: 'failed', step: failedRead })
  if (node.backoff?.blocks === 'all' && nowMs < node.backoff.untilMs)
    return idle({ kind: 'backoff', untilMs: node.backoff.untilMs })
  if (node.stoppedUntilMs !== undefined && nowMs < node.stoppedUntilMs)
    return idle({ kind: 'instanceStopped', untilMs: node.stoppedUntilMs })
  if (node.missing !== undefined) {
    const { nextReadMs } = node.missing
    if (nowMs < nextReadMs) return idle({ kind: 'instanceMissing', untilMs: nextReadMs })
    return { kind: 'readInstance', why: 'missing', afterMs: undefined }
  }
  if (node.staleSinceMs !== undefined) return planReread(node, node.staleSinceMs)
  if (node.limitsUnknownOf !== undefined) return idle({ kind: 'limitsUnknown', instanceType: node.limitsUnknownOf })
  const deferred: IdleReason[] = []
  return (
    planDestruction(node, 'releaseCIDRs', node.cidrRelease, deferred) ??
    planStaticIP(node, deferred) ??
    planDestruction(node, 'release', node.release, deferred) ??
    planAllocation(node) ??
    idle(failedUpkeep(node) ?? deferred[0] ?? { kind: 'settled' })
  )
}

/** The reads of a pass all began before the moment that they should show. */
const UNREADABLE: FailedStep = {
  step: 'readInstance',
  interfaceID: '',
  poolID: '',
  kind: 'stale',
  message: 'the reads of the instance do not catch up',
}

/** A stale view is read once in a pass for each failed step; a step that fails again ends the pass. */
function planReread(node: NodeSnapshot, afterMs: number): MaintenancePlan {
  const last = node.failures.at(-1)
  const isRepeated = last !== undefined && node.failures.filter((failure) => failure.step === last.step).length > 1
  if (last !== undefined && (last.step === 'createInterface' || (isRepeated && last.kind !== 'limit')))
    return idle({ kind: 'failed', step: last })
  if (node.reads >= MAX_READS) return idle({ kind: 'failed', step: last ?? UNREADABLE })
  return { kind: 'readInstance', why: 'stale', afterMs }
}

function planDestruction(
  node: NodeSnapshot,
  step: 'release' | 'releaseCIDRs',
  wanted: NodeSnapshot['release'],
  deferred: IdleReason[],
): MaintenancePlan | undefined {
  if (wanted === undefined || hasFailed(node, step) || hasFailed(node, 'readInstance')) return undefined
  if (isUpkeepBlocked(node, deferred)) return undefined
  if (node.destroyPermit.kind === 'deferred') {
    deferred.push({ kind: 'releaseDeferred', untilMs: node.destroyPermit.untilMs })
    return undefined
  }
  if (isProven(wanted.proof, node.nowMs)) return { kind: step, action: wanted.action, proof: wanted.proof }
  if (node.proofReads === 0) return { kind: 'readInstance', why: 'proof', afterMs: wanted.proof.wordAtMs }
  deferred.push({ kind: 'releaseDeferred', untilMs: undefined })
  return undefined
}

function planStaticIP(node: NodeSnapshot, deferred: IdleReason[]): MaintenancePlan | undefined {
  if (node.staticIPTags === undefined || hasFailed(node, 'assignStaticIP') || isUpkeepBlocked(node, deferred))
    return undefined
  return { kind: 'assignStaticIP', tags: node.staticIPTags }
}

/** What the allocation step reads of a snapshot. */
export type AllocationSnapshot = Pick<
  NodeSnapshot,
  'neededIPs' | 'neededIPv6Prefixes' | 'allocation' | 'isNewInterfaceSooner' | 'failures'
>

/**
 * Addresses on an attached interface where one has room, else on a new interface; on a new one at once where that is sooner.
 *
 * Where the first call fails the failure decides: a subnet without room, or a refusal without further meaning, leads to a
 * new interface in the same pass, and a new interface that was to be sooner and failed leads back; throttling and missing permission end the pass; anything that says our view is wrong is followed
 * by a read and one more try, and only an interface that is refused as full twice is given up for a new one.
 *
 * @returns undefined when nothing is needed
 * @source cilium pkg/ipam/node.go, handleIPAllocation; for the read in between, cilium issues 36428 and 15877
 */
export function planAllocation(node: AllocationSnapshot): MaintenancePlan | undefined {
  const action = node.allocation
  if (action === undefined || (node.neededIPs === 0 && node.neededIPv6Prefixes === 0)) return undefined
  const failed = node.failures.filter((failure) => failure.step === 'allocate')
  const failedCreate = node.failures.find((failure) => failure.step === 'createInterface')
  const last = failedCreate ?? failed.at(-1)
  // An IPv6 prefix needs an interface to go on; where the provider named none, a new one brings it.
  const hasRoom =
    action.ipv4.availableForAllocation > 0 || (action.ipv6.maxPrefixesToAllocate > 0 && action.interfaceID !== '')
  const canGoBack = failedCreate !== undefined && failedCreate.kind !== 'throttled' && failed.length === 0 && hasRoom
  if (last !== undefined && !canGoBack && (last.step === 'createInterface' || NO_FALLBACK_KINDS.has(last.kind)))
    return idle({ kind: 'failed', step: last })
  if (hasRoom && node.isNewInterfaceSooner && last === undefined && action.emptyInterfaceSlots > 0)
    return { kind: 'createInterface', action }
  if (hasRoom) {
    const here = failed.filter((failure) => failure.interfaceID === action.interfaceID)
    const before = here.at(-1)
    if (before === undefined || (here.length === 1 && needsReread(before.kind))) return { kind: 'allocate', action }
    if (needsReread(before.kind) && before.kind !== 'limit') return idle({ kind: 'failed', step: before })
  }
  if (action.emptyInterfaceSlots > 0) return { kind: 'createInterface', action }
  if (last !== undefined) return idle({ kind: 'failed', step: last })
  const { interfaceCandidates, emptyPoolIDs } = action.ipv4
  if (interfaceCandidates === 0 || emptyPoolIDs?.length === 0) return idle({ kind: 'atCapacity' })
  // Where there are several, room in any of them ends the wait.
  const [emptyPoolID = '', ...others] = emptyPoolIDs ?? []
  return idle({ kind: 'subnetExhausted', poolID: action.poolID || (others.length === 0 ? emptyPoolID : '') })
}

function hasFailed(node: NodeSnapshot, step: StepKind): boolean {
  return node.failures.some((failure) => failure.step === step)
}

function isUpkeepBlocked({ backoff, nowMs }: NodeSnapshot, deferred: IdleReason[]): boolean {
  if (backoff === undefined || nowMs >= backoff.untilMs) return false
  deferred.push({ kind: 'backoff', untilMs: backoff.untilMs })
  return true
}

/** A failed allocation is no failure of the pass once the need is met another way. */
function failedUpkeep(node: NodeSnapshot): IdleReason | undefined {
  const step = node.failures.findLast((failure) => failure.step !== 'allocate' && failure.step !== 'createInterface')
  return step === undefined ? undefined : { kind: 'failed', step }
}

function idle(why: IdleReason): MaintenancePlan {
  return { kind: 'idle', why }
}

export interface AllocationAmounts {
  readonly neededIPs: number
  readonly neededIPv6Prefixes: number
  /** need + max-above-watermark + surge, under the ceiling (count). */
  readonly maxIPsToAllocate: number
}

/**
 * The provider's plan with the amounts to ask for. An IPv6-only need asks for no IPv4 address; in the reference
 * max-above-watermark and surge are attached as a side effect.
 */
export function withAmounts(plan: AllocationAction, amounts: AllocationAmounts): AllocationAction {
  const maxIPsToAllocate = amounts.neededIPs > 0 ? amounts.maxIPsToAllocate : 0
  return {
    ...plan,
    ipv4: {
      ...plan.ipv4,
      availableForAllocation: Math.max(0, Math.min(plan.ipv4.availableForAllocation, maxIPsToAllocate)),
      maxIPsToAllocate,
    },
    ipv6: { maxPrefixesToAllocate: Math.min(amounts.neededIPv6Prefixes, 1) },
  }
}

export interface GateInput {
  /** A pass has been requested and has not finished. */
  readonly isWaiting: boolean
  readonly isStale: boolean
  readonly neededIPs: number
  readonly neededIPv6Prefixes: number
  /** Entries of `spec.ipam.static-ip-tags` (count). */
  readonly staticIPTagCount: number
  readonly assignedStaticIP: string
  readonly releaseEnabled: boolean
  readonly excessIPs: number
  /** Entries of `status.ipam.release-ips` (count). */
  readonly releaseEntryCount: number
  /** Given-up CIDRs older than the release delay (count). */
  readonly dueCIDRCount: number
  readonly profile: IPAMProfile
}

/**
 * Whether a node has something to do. A handshake in flight is looked after whatever the rest says, also to abort it after the
 * feature was switched off.
 *
 * @source cilium pkg/ipam/node.go, allocationNeeded and releaseNeeded
 */
export function maintenanceGates(input: GateInput): {
  readonly allocationNeeded: boolean
  readonly releaseNeeded: boolean
} {
  const { profile } = input
  const isOpen = !input.isWaiting && !input.isStale
  const knowsStaticIPs = profile === 'latest' || profile === '1.19'
  const wantsStaticIP =
    knowsStaticIPs && input.staticIPTagCount > 0 && staticIPNeedsResolution(input.assignedStaticIP, profile)
  const wantsPrefix = profile === 'latest' && input.neededIPv6Prefixes > 0
  return {
    allocationNeeded: isOpen && (input.neededIPs > 0 || wantsStaticIP || wantsPrefix),
    releaseNeeded:
      (input.releaseEnabled && isOpen && input.excessIPs > 0) ||
      input.releaseEntryCount > 0 ||
      (profile === 'latest' && input.dueCIDRCount > 0),
  }
}
