import type { CiliumNode, OwnedSpec, OwnedStatus, ProviderStatus } from './cilium-node.ts'
import { assertNever } from '../runtime/assert.ts'
import type { IdleReason } from './plan-maintenance.ts'
import type { ResourceStates } from './release-handshake.ts'
import type { AllocationMap } from './types.ts'
import type { AgentGeneration } from './usage.ts'

/** What a node waits for, as a person reading its resource should learn it. */
export type WaitCause =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'noInstanceID' }
  | { readonly kind: 'instanceMissing'; readonly instanceID: string }
  | { readonly kind: 'instanceStopped'; readonly instanceID: string }
  | { readonly kind: 'limitsUnknown'; readonly instanceType: string }
  | { readonly kind: 'atCapacity' }
  | { readonly kind: 'subnetExhausted'; readonly poolID: string }
  | { readonly kind: 'refused'; readonly poolID: string; readonly interfaceID: string; readonly message: string }
  /** a call has not been answered for a while: it waits for its turn in a bucket of the API's quota, or (empty) for the cloud */
  | { readonly kind: 'callPending'; readonly step: string; readonly poolID: string; readonly bucket: string }

/** The text in force, and the cause it was written for. */
export interface WaitNotice {
  readonly cause: WaitCause
  /** `status.ipam.operator-status.error`; empty when the node waits for nothing. */
  readonly text: string
}

export const NO_NOTICE: WaitNotice = { cause: { kind: 'nothing' }, text: '' }

/** Failures in a row before a refusal is worth a write to the resource (count): a single one is usually over at once. */
const REFUSALS_BEFORE_NOTICE = 2

/**
 * The cause that the end of a pass leaves behind.
 *
 * @param failureCount failures in a row, this pass included
 * @param hasBeenRead the cloud was asked for this very instance since it is missing: until then a node has only just joined
 * @param current what was said before: what a pass that could not find out anything new leaves as it is
 */
export function waitCauseOf(
  why: IdleReason,
  context: {
    readonly instanceID: string
    readonly failureCount: number
    readonly hasBeenRead: boolean
    readonly current: WaitCause
  },
): WaitCause {
  const { instanceID, failureCount } = context
  // The call has ended, one way or another.
  const current: WaitCause = context.current.kind === 'callPending' ? { kind: 'nothing' } : context.current
  switch (why.kind) {
    case 'settled':
    case 'releaseDeferred':
      return { kind: 'nothing' }
    case 'held':
    case 'backoff':
      return current
    case 'instanceStopped':
      return { kind: 'instanceStopped', instanceID }
    case 'instanceMissing':
      return context.hasBeenRead ? { kind: 'instanceMissing', instanceID } : current
    case 'limitsUnknown':
      return { kind: 'limitsUnknown', instanceType: why.instanceType }
    case 'atCapacity':
      return { kind: 'atCapacity' }
    case 'subnetExhausted':
      return { kind: 'subnetExhausted', poolID: why.poolID }
    case 'failed': {
      const { kind, poolID, interfaceID, message } = why.step
      if (kind === 'exhausted') return { kind: 'subnetExhausted', poolID }
      return failureCount < REFUSALS_BEFORE_NOTICE ? current : { kind: 'refused', poolID, interfaceID, message }
    }
    default:
      return assertNever(why)
  }
}

/**
 * Rewritten only when the cause changes, so that a node which waits does not write its resource at every try.
 *
 * @param nextTryAt wall-clock time of the next try (ISO 8601); undefined where there is no set time
 */
export function noticeOf(cause: WaitCause, current: WaitNotice, nextTryAt: string | undefined): WaitNotice {
  if (sameCause(cause, current.cause)) return current
  const what = describeCause(cause)
  if (what === '') return NO_NOTICE
  return { cause, text: nextTryAt === undefined ? what : `${what}; ${describeNext(cause, nextTryAt)}` }
}

function describeNext(cause: WaitCause, at: string): string {
  return cause.kind === 'callPending' ? `its turn is expected at ${at}` : `next try at ${at}, then at growing intervals`
}

function sameCause(left: WaitCause, right: WaitCause): boolean {
  if (left.kind === 'refused' && right.kind === 'refused')
    return left.poolID === right.poolID && left.interfaceID === right.interfaceID && left.message === right.message
  return JSON.stringify(left) === JSON.stringify(right)
}

function describeCause(cause: WaitCause): string {
  switch (cause.kind) {
    case 'nothing':
      return ''
    case 'noInstanceID':
      return 'spec.instance-id is empty: the node cannot be managed until its agent or its owner sets it'
    case 'instanceMissing':
      return `waiting for instance ${cause.instanceID} to appear in the cloud`
    case 'instanceStopped':
      return `instance ${cause.instanceID} is not running`
    case 'limitsUnknown':
      return `the network limits of instance type '${cause.instanceType}' are not known`
    case 'atCapacity':
      return 'at capacity: every interface that may be used is full and no further one can be attached to the instance'
    case 'subnetExhausted':
      return cause.poolID === '' ? 'no subnet with a free address' : `subnet ${cause.poolID} has no free address`
    case 'refused':
      return [cause.message, cause.interfaceID, cause.poolID].filter((part) => part !== '').join(', ')
    case 'callPending': {
      const what = cause.poolID === '' ? cause.step : `${cause.step}, subnet ${cause.poolID}`
      return cause.bucket === ''
        ? `waiting for the cloud's API (${what}): no answer yet`
        : `waiting for the cloud's API quota (${what}): queued for bucket ${cause.bucket}`
    }
    default:
      return assertNever(cause)
  }
}

export interface StatusInput {
  readonly generation: AgentGeneration
  /** Undefined while the inventory does not know the node: what the resource says stays. */
  readonly provider: ProviderStatus | undefined
  /** `publishReleaseIPs` on the resource that is about to be written. */
  readonly releaseIPs: ResourceStates
  /** Empty: unknown, leave alone. */
  readonly assignedStaticIP: string
  readonly operatorError: string
}

/** The status that the resource should have. Nodes of multi-pool agents have no release map. */
export function wantedStatus(input: StatusInput): OwnedStatus {
  return {
    ...(input.provider !== undefined && { provider: input.provider }),
    releaseIPs: input.generation === 'multi-pool' ? null : input.releaseIPs,
    ...(input.assignedStaticIP !== '' && { assignedStaticIP: input.assignedStaticIP }),
    operatorError: input.operatorError,
  }
}

/**
 * The spec that the resource should have. Agents of the multi-pool generation read the provider's status instead of the pool.
 *
 * @param pool snapshot of the available addresses, taken before the status was written
 * @param floor `NodeOperations.getMinimumAllocatableIPv4()` (count): seeds a pre-allocate of 0
 */
export function wantedSpec(
  seen: CiliumNode,
  input: { readonly generation: AgentGeneration; readonly pool: AllocationMap; readonly floor: number },
): OwnedSpec {
  return {
    pool: input.generation === 'multi-pool' ? null : input.pool,
    ...(seen.spec.ipam.preAllocate === 0 && { preAllocate: input.floor }),
  }
}
