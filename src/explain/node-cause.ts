import type { PendingCall } from '../budget/contracts.ts'
import type { FailureState } from '../ipam/node-state.ts'
import { assertNever } from '../runtime/assert.ts'
import type { ControllerFacts, ManagedNode, NodeFacts } from './node-facts.ts'
import type { Reason, Refusal } from './reasons.ts'
import { codeOfRefusal } from './wait-code.ts'

/**
 * What keeps a node from what it needs, in the order in which the planner decides (`src/ipam/plan-maintenance.ts`): what holds for all
 * nodes, what is known of its instance, the step under way, the last refusal, the way to its next address, and then the write of its
 * resource. `settled` or `release-deferred` when nothing waits.
 *
 * Cheap but for a call that waits in a queue, whose place takes as long to find as the queue is long.
 */
export function causeOf(facts: NodeFacts, place: CallPlace = exactPlace): Reason {
  const { name, controller, faults, node } = facts
  const common = controllerCause(name, controller)
  if (common !== undefined) return common
  if (faults !== undefined) return { code: 'resource-malformed', node: name, faults }
  if (node === undefined) return { code: 'not-managed', node: name }
  if (node.instanceID === '') return { code: 'no-instance-id', node: name }
  const reason = isUnserved(node) ? servingCause(facts, node, place) : undefined
  return reason ?? writeCause(facts, node) ?? podCause(name, node) ?? restCause(facts, node)
}

/** What is said of a call that waits for its quota. */
export type CallPlace = (call: PendingCall) => Reason

/** Where it stands, worked out now. */
export const exactPlace: CallPlace = (call) => {
  const position = call.position()
  if (position === undefined) return { code: 'call-sent', action: call.action, sinceMs: 0 }
  const { bucket, ahead, refillPerSecond, pausedMs } = position
  if (pausedMs > 0) return { code: 'quota-paused', bucket, pausedMs }
  return { code: 'waits-for-quota', action: call.action, bucket, ahead, refillPerSecond, priority: call.priority }
}

/** The reason without the figures, for counting many nodes. @param paused buckets that are left alone at present */
export function roughPlace(paused: ReadonlySet<string>): CallPlace {
  return ({ action, priority, buckets }) => {
    const closed = buckets.find((bucket) => paused.has(bucket))
    if (closed !== undefined) return { code: 'quota-paused', bucket: closed, pausedMs: 0 }
    return { code: 'waits-for-quota', action, bucket: action, ahead: 0, refillPerSecond: 0, priority }
  }
}

function controllerCause(node: string, controller: ControllerFacts): Reason | undefined {
  switch (controller.kind) {
    case 'standby':
      return { code: 'controller-standby', node }
    case 'stopping':
      return { code: 'controller-stopping', node }
    case 'starting':
      return { code: 'controller-starting', what: controller.what }
    case 'contested':
      return { code: 'second-writer', node: controller.node, field: controller.field }
    case 'serving':
      return undefined
    default:
      return assertNever(controller)
  }
}

/** The node needs addresses, or nobody knows whether it does. */
export function isUnserved({ state }: ManagedNode): boolean {
  const { ipv4, ipv6 } = state.statistics
  return ipv4.neededIPs > 0 || ipv6.neededPrefixes > 0 || state.view.kind !== 'known'
}

function servingCause(facts: NodeFacts, node: ManagedNode, place: CallPlace): Reason {
  const { nowMs, name } = facts
  const { state, work } = node
  return (
    stepCause(facts, node, place) ??
    (state.failure !== undefined && state.failure.blocks === 'all' && nowMs < state.failure.retryAtMs
      ? failureCause(facts, state.failure)
      : undefined) ??
    inventoryCause(facts, node) ??
    (work.isPassPending ? { code: 'pass-due', node: name } : undefined) ??
    placementCause(facts, node) ?? { code: 'pass-due', node: name }
  )
}

/** A release under way gives way to a need: it says nothing about it. */
function stepCause({ nowMs }: NodeFacts, node: ManagedNode, place: CallPlace): Reason | undefined {
  const { step } = node.work
  if (step === undefined || step.step.kind === 'release' || step.step.kind === 'releaseCIDRs') return undefined
  const call = node.calls().at(-1)
  if (call === undefined)
    return step.step.kind === 'readInstance'
      ? { code: 'reads-instance', instanceID: node.instanceID }
      : { code: 'call-sent', action: step.step.kind, sinceMs: nowMs - step.sinceMs }
  switch (call.phase) {
    case 'queued':
      return place(call)
    case 'sent':
      return { code: 'call-sent', action: call.action, sinceMs: nowMs - call.phaseSinceMs }
    case 'resting':
      return {
        code: 'call-throttled',
        message: `${call.action} was refused`,
        attempt: call.refusals,
        retryMs: 0,
      }
    default:
      return assertNever(call.phase)
  }
}

function failureCause({ name, nowMs }: NodeFacts, { cause, count, retryAtMs }: FailureState): Reason {
  const retryMs = Math.max(0, retryAtMs - nowMs)
  if (cause === undefined) return { code: 'defect', node: name, retryMs }
  const refusal: Refusal = { message: cause.message, attempt: count, retryMs }
  if (cause.kind === 'exhausted')
    return cause.poolID === '' ? { code: 'no-subnet', node: name } : { code: 'subnet-full', poolID: cause.poolID }
  return { code: codeOfRefusal(cause.kind), ...refusal }
}

function inventoryCause({ nowMs }: NodeFacts, { state, work, instanceID }: ManagedNode): Reason | undefined {
  if (state.power.kind === 'stopped' && nowMs < state.power.untilMs)
    return { code: 'instance-stopped', instanceID, retryMs: state.power.untilMs - nowMs }
  switch (state.view.kind) {
    case 'missing': {
      const { lastPass } = work
      const nextMs = lastPass.kind === 'instanceMissing' ? lastPass.untilMs : state.view.nextReadMs
      return { code: 'instance-missing', instanceID, retryMs: Math.max(0, nextMs - nowMs) }
    }
    case 'limitsUnknown':
      return { code: 'limits-unknown', instanceType: state.view.instanceType }
    case 'none':
    case 'known':
      return undefined
    default:
      return assertNever(state.view)
  }
}

/** How the last pass found the way to the next address closed. */
function placementCause({ name }: NodeFacts, { state, work }: ManagedNode): Reason | undefined {
  const { lastPass } = work
  const { availableIPs, capacity } = state.statistics.ipv4
  if (lastPass.kind === 'atCapacity') return { code: 'at-capacity', node: name, availableIPs, capacity }
  if (lastPass.kind === 'limitsUnknown') return { code: 'limits-unknown', instanceType: lastPass.instanceType }
  if (lastPass.kind !== 'subnetExhausted') return undefined
  return lastPass.poolID === '' ? { code: 'no-subnet', node: name } : { code: 'subnet-full', poolID: lastPass.poolID }
}

function writeCause({ name, nowMs }: NodeFacts, { work }: ManagedNode): Reason | undefined {
  const { isPending, failureCount, retryAtMs, message } = work.write
  if (failureCount > 0)
    return {
      code: 'write-failing',
      message,
      attempt: failureCount,
      retryMs: Math.max(0, (retryAtMs ?? nowMs) - nowMs),
    }
  return isPending ? { code: 'write-pending', node: name } : undefined
}

/** The node is served as its settings say, and pods wait all the same. */
function podCause(name: string, { state, pendingPods = 0, maxAllocate }: ManagedNode): Reason | undefined {
  if (pendingPods === 0) return undefined
  const { availableIPs, usedIPs, capacity } = state.statistics.ipv4
  const unusedIPs = Math.max(availableIPs - usedIPs, 0)
  if (unusedIPs > 0) return { code: 'agent-hands-out', node: name, unusedIPs }
  if (maxAllocate > 0 && availableIPs >= maxAllocate) return { code: 'at-max-allocate', node: name, maxAllocate }
  if (capacity > 0 && availableIPs >= capacity) return { code: 'at-capacity', node: name, availableIPs, capacity }
  return { code: 'agent-hands-out', node: name, unusedIPs }
}

function restCause(facts: NodeFacts, { state, work, isPaused }: ManagedNode): Reason {
  const { name, nowMs } = facts
  const { availableIPs, usedIPs, excessIPs } = state.statistics.ipv4
  if (state.failure !== undefined) return failureCause(facts, state.failure)
  if (work.lastPass.kind === 'releaseDeferred') {
    const { untilMs } = work.lastPass
    const retryMs = untilMs === undefined ? undefined : Math.max(0, untilMs - nowMs)
    return { code: 'release-deferred', node: name, excessIPs, retryMs }
  }
  if (isPaused && excessIPs > 0) return { code: 'release-paused', node: name, excessIPs }
  return { code: 'settled', node: name, availableIPs, usedIPs }
}
