import { formatIPv4CIDR, parseIPv4CIDR } from './ip-range.ts'
import type { ReleaseAction } from './types.ts'

/**
 * Which CIDRs a multi-pool agent has given up. It removes them from `spec.ipam.pools.allocated`; the controller detaches them
 * after a delay. Single addresses are /32, delegated prefixes /28; IPv6 is never released.
 *
 * @source cilium pkg/ipam/node.go, CIDR release (1.20 and later)
 */
export interface CIDRReleaseState {
  /** What the agent held at the last version of the resource; undefined before the first one. Canonical IPv4 CIDRs. */
  readonly previous: ReadonlySet<string> | undefined
  /** CIDR → when it was first seen as given up (monotonic ms). */
  readonly marked: ReadonlyMap<string, number>
}

export const NO_CIDR_RELEASE: CIDRReleaseState = { previous: undefined, marked: new Map() }

export interface CIDRView {
  /** All CIDRs of all pools in `spec.ipam.pools.allocated`; invalid ones are left out. */
  readonly current: Iterable<string>
  /** CIDRs on the node's interfaces (`CIDROperations.getAttachedCIDRs`). */
  readonly attached: Iterable<string>
  readonly nowMs: number
}

/**
 * Follows one version of a multi-pool node's resource. The first one marks whatever is attached and not held, which recovers
 * releases that a restart interrupted; afterwards only what the agent has dropped is marked, and keeps its first time. What the
 * agent holds again, or what is not attached any more, is unmarked.
 */
export function trackCIDRs(state: CIDRReleaseState, view: CIDRView): CIDRReleaseState {
  const current = canonicalIPv4(view.current)
  const attached = canonicalIPv4(view.attached)
  const candidates = state.previous ?? attached
  const marked = new Map<string, number>()
  for (const cidr of [...new Set([...state.marked.keys(), ...candidates])].sort()) {
    if (!current.has(cidr) && attached.has(cidr)) marked.set(cidr, state.marked.get(cidr) ?? view.nowMs)
  }
  return { previous: current, marked }
}

/** Marked CIDRs whose delay has passed, exactly on it included; sorted. */
export function dueCIDRs(state: CIDRReleaseState, nowMs: number, delayMs: number): string[] {
  return [...state.marked]
    .filter(([, sinceMs]) => nowMs - sinceMs >= delayMs)
    .map(([cidr]) => cidr)
    .sort()
}

/**
 * A planned action without the members that are not marked any more: the agent may have taken them back since. To be called
 * immediately before the release.
 *
 * @returns undefined when nothing is left
 */
export function narrowToMarked(state: CIDRReleaseState, action: ReleaseAction): ReleaseAction | undefined {
  const cidrsToRelease = action.cidrsToRelease.filter((cidr) => state.marked.has(cidr))
  return cidrsToRelease.length === 0 ? undefined : { ...action, cidrsToRelease }
}

/** These CIDRs were released. */
export function unmark(state: CIDRReleaseState, cidrs: Iterable<string>): CIDRReleaseState {
  const marked = new Map(state.marked)
  for (const cidr of cidrs) marked.delete(cidr)
  return { ...state, marked }
}

function canonicalIPv4(cidrs: Iterable<string>): Set<string> {
  const canonical = new Set<string>()
  for (const text of cidrs) {
    const cidr = parseIPv4CIDR(text)
    if (cidr !== undefined) canonical.add(formatIPv4CIDR(cidr))
  }
  return canonical
}
