import { withholdTimes } from './cidr-release.ts'
import type { NodeState } from './node-state.ts'
import type { IdleReason } from './plan-maintenance.ts'

/** A node that waits for room in a subnet looks at the provider's cache again after this (ms). No cloud call. */
export const LOOK_AGAIN_MS = 60_000
/** So does a node whose instance type has no known limits: the provider fetches them in the background (ms). No cloud call. */
export const LIMITS_LOOK_AGAIN_MS = 5_000

/**
 * When a node must be looked at again without any event: everything that expires or falls due by itself. There is no interval
 * besides: a node at rest costs nothing.
 *
 * @param why how the last pass ended
 * @returns monotonic ms; undefined: only an event can change anything
 */
export function nextDueMs(
  state: NodeState,
  why: IdleReason,
  context: { readonly nowMs: number; readonly releaseEnabled: boolean; readonly releaseDelayMs: number },
): number | undefined {
  const due: number[] = []
  if (state.failure !== undefined) due.push(state.failure.retryAtMs)
  if (state.power.kind === 'stopped') due.push(state.power.untilMs)
  // A pass may put the read off further than the node itself would: the fleet reads everything at the start anyway.
  if (why.kind === 'instanceMissing') due.push(why.untilMs)
  else if (state.view.kind === 'missing') due.push(state.view.nextReadMs)
  if (context.releaseEnabled) due.push(...releaseDues(state, context.releaseDelayMs).filter((ms) => ms > context.nowMs))
  if (why.kind === 'limitsUnknown') due.push(context.nowMs + LIMITS_LOOK_AGAIN_MS)
  if (why.kind === 'subnetExhausted') due.push(context.nowMs + LOOK_AGAIN_MS)
  if (why.kind === 'releaseDeferred') due.push(why.untilMs ?? context.nowMs + LOOK_AGAIN_MS)
  return due.length === 0 ? undefined : Math.max(Math.min(...due), context.nowMs)
}

/** When marked addresses and given-up CIDRs have waited long enough. */
function releaseDues(state: NodeState, delayMs: number): number[] {
  const { afterMs, forMs } = withholdTimes(delayMs)
  const given = [...state.cidrs.marked.values()]
  const withheld = [...state.withheld.values()].filter((sinceMs) => sinceMs !== undefined)
  return [
    ...[...state.release.marked.values(), ...given].map((sinceMs) => sinceMs + delayMs),
    ...given.map((sinceMs) => sinceMs + afterMs),
    ...withheld.map((sinceMs) => sinceMs + forMs),
  ]
}
