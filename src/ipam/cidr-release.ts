import { formatIPv4CIDR, parseIPv4CIDR } from './ip-range.ts'
import type { IPAMSpec } from './cilium-node.ts'
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
 * How long a CIDR is out of the resource before it is detached, as far as the release delay reaches (ms). An agent may take a CIDR up
 * again as long as the resource lists it, and tells so within its update interval of 15 s (`ipam-cilium-node-update-rate`). The
 * reference detaches what is still listed, and a pod that was given an address in that moment loses it.
 */
const WITHHELD_MS = 20_000

/** CIDR that the resource is not to list any more → since when it does not (monotonic ms); undefined: not written yet. */
export type WithheldCIDRs = ReadonlyMap<string, number | undefined>

export const NO_WITHHELD_CIDRS: WithheldCIDRs = new Map()

/** Age of a mark at which its CIDR leaves the resource, and how long it stays out of it before it is detached (ms). */
export function withholdTimes(delayMs: number): { readonly afterMs: number; readonly forMs: number } {
  return { afterMs: Math.max(delayMs - WITHHELD_MS, 0), forMs: Math.min(delayMs, WITHHELD_MS) }
}

/** Exactly these CIDRs are withheld from now on; the same map when nothing changes. */
export function withhold(withheld: WithheldCIDRs, cidrs: readonly string[]): WithheldCIDRs {
  if (cidrs.length === withheld.size && cidrs.every((cidr) => withheld.has(cidr))) return withheld
  return cidrs.length === 0 ? NO_WITHHELD_CIDRS : new Map(cidrs.map((cidr) => [cidr, withheld.get(cidr)]))
}

/** The resource was seen not to list these. */
export function withheldWritten(withheld: WithheldCIDRs, cidrs: readonly string[], nowMs: number): WithheldCIDRs {
  const news = cidrs.filter((cidr) => withheld.has(cidr) && withheld.get(cidr) === undefined)
  return news.length === 0 ? withheld : new Map([...withheld, ...news.map((cidr) => [cidr, nowMs] as const)])
}

/** Those of the CIDRs that have been out of the resource for long enough. */
export function detachable(
  withheld: WithheldCIDRs,
  cidrs: readonly string[],
  { nowMs, delayMs }: { readonly nowMs: number; readonly delayMs: number },
): readonly string[] {
  const { forMs } = withholdTimes(delayMs)
  return cidrs.filter((cidr) => nowMs - (withheld.get(cidr) ?? Number.POSITIVE_INFINITY) >= forMs)
}

/** The CIDRs that a version of the resource says its agent holds; canonical, IPv4. */
export function heldCIDRs(spec: Pick<IPAMSpec, 'allocated'>): ReadonlySet<string> {
  return canonicalIPv4(spec.allocated.flatMap(({ cidrs }) => cidrs))
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
