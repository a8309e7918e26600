import type { PendingCall } from '../budget/contracts.ts'
import type { ManagedNode, NodeFacts } from './node-facts.ts'
import type { Reason, ReasonCode } from './reasons.ts'

/** An answered call that was never timed is taken to need so long (ms). A choice: EC2 answers most changes within half a second. */
const USUAL_CALL_MS = 500
/** What a write takes when nobody is before it (ms): its own pause and two patches. A choice. */
const WRITE_MS = 50
/** Writes under way beside those that wait (count, at most). `src/controller/node-manager.ts` */
const CONCURRENT_WRITES = 32

/**
 * How long until the node's resource has what it lacks (ms): the wait of its next calls for their quota, the calls themselves and the
 * write. What arrives later and is more urgent cannot be known.
 *
 * @param cause of `causeOf`
 * @returns undefined where it depends on somebody else
 */
export function estimateOf(facts: NodeFacts, cause: Reason): number | undefined {
  const { node } = facts
  if (node === undefined) return undefined
  if (isOneOf(cause, STEP_UNDER_WAY)) return written(facts, stepMs(facts, node))
  if (isOneOf(cause, STEP_TO_COME)) return written(facts, nextStepMs(node))
  if (isOneOf(cause, TRIED_AGAIN)) return written(facts, cause.retryMs + nextStepMs(node))
  return cause.code === 'write-pending' ? writeMs(facts, node) : undefined
}

/** The write of the addresses that are there after `ms`: behind others that open addresses and are not through by then. */
function written({ writesMs, urgentWriteCount }: NodeFacts, ms: number): number {
  return Math.max(ms, writesMs(urgentWriteCount)) + WRITE_MS
}

/** A write that waits for its turn, or is under way among others. Those under way still have their second requests to make. */
function writeMs({ writesMs }: NodeFacts, { work }: ManagedNode): number {
  const ahead = work.write.ahead()
  return writesMs(ahead === undefined ? 1 : ahead + CONCURRENT_WRITES / 2 + 1) + WRITE_MS
}

/** The reasons whose end can be told; all others depend on somebody else. */
const STEP_UNDER_WAY = ['waits-for-quota', 'quota-paused', 'call-sent'] as const
const STEP_TO_COME = ['pass-due', 'reads-instance'] as const
const TRIED_AGAIN = ['cloud-unavailable', 'call-throttled', 'call-failed'] as const

function isOneOf<C extends ReasonCode>(
  reason: Reason,
  codes: readonly C[],
): reason is Extract<Reason, { readonly code: C }> {
  return codes.some((code) => code === reason.code)
}

/** What is left of the step under way. */
function stepMs(facts: NodeFacts, node: ManagedNode): number {
  const { step } = node.work
  const call = node.calls().at(-1)
  if (step === undefined) return nextStepMs(node)
  const { kind } = step.step
  if (kind !== 'allocate' && kind !== 'createInterface') return nextStepMs(node)
  if (call === undefined) return USUAL_CALL_MS
  const position = call.position()
  const waitMs = position?.waitMs ?? 0
  const place = { action: call.action, ahead: position?.ahead ?? 0, behind: position?.behind ?? 0, waitMs }
  const isQueued = position !== undefined
  const { pace } = node
  const remainder = pace?.remaining?.(kind, { ...place, isQueued }, call.priority) ?? { waitMs, callCount: 1 }
  return remainder.waitMs + callsMs(facts, call, remainder.callCount)
}

/** The present call, and those after it, which are taken to be as long. */
function callsMs({ durationMs, nowMs }: NodeFacts, call: PendingCall, callCount: number): number {
  const wholeMs = durationMs(call.action) ?? USUAL_CALL_MS
  const leftMs = call.phase === 'sent' ? Math.max(wholeMs - (nowMs - call.phaseSinceMs), 0) : wholeMs
  return leftMs + (callCount - 1) * wholeMs
}

/** A step that has not begun: it takes the way that serves it sooner. */
function nextStepMs(node: ManagedNode): number {
  const { pace } = node
  const priority = node.priority()
  const waitMs =
    pace === undefined
      ? 0
      : Math.min(pace.expectedWaitMs('allocate', priority), pace.expectedWaitMs('createInterface', priority))
  return waitMs + 2 * USUAL_CALL_MS
}
