import type { ReleaseStatus } from './cilium-node.ts'
import { addressesOfPrefix } from './ip-range.ts'
import type { IPAMProfile, ReleaseAction } from './types.ts'

/*
 * The release of one address, in agreement with the node's agent:
 *
 *   excess, the delay runs ─► marked-for-release ─► ready-for-release ─► detached in the cloud ─► released ─► gone
 *        (controller)            (controller)            (agent)             (controller)                    (agent)
 *
 * `do-not-release` is the agent's refusal. The controller's memory is `ReleaseRecords`; the agent's words are the resource's
 * `status.ipam.release-ips`. Nothing is persisted but the latter: after a restart every handshake starts anew.
 */

/** The states that a controller writes. */
export type OwnReleaseStatus = Extract<ReleaseStatus, 'marked-for-release' | 'released'>

/** The controller's memory of a node's handshakes, by canonical address. */
export interface ReleaseRecords {
  /** When the address was first seen as excess, without a break since (monotonic ms). */
  readonly marked: ReadonlyMap<string, number>
  /** What the controller decided last; addresses here are what gets published. */
  readonly status: ReadonlyMap<string, OwnReleaseStatus>
}

/** `status.ipam.release-ips` of the stored resource. */
export type ResourceStates = ReadonlyMap<string, ReleaseStatus>

export const NO_RELEASE_RECORDS: ReleaseRecords = { marked: new Map(), status: new Map() }

/** Anything that can say whether it holds an address: an `AllocationMap` or a set. */
export interface AddressSet {
  has(address: string): boolean
}

export interface ReleaseStepInput {
  readonly records: ReleaseRecords
  readonly resourceStates: ResourceStates
  /** `spec.ipam.pool` of the stored resource. */
  readonly pool: AddressSet
  /** Addresses on the node's interfaces, open to pods, after the last refresh. */
  readonly attached: AddressSet
  readonly profile: IPAMProfile
  /** The provider's plan; undefined when there is no excess, or when release is not enabled. */
  readonly plan: ReleaseAction | undefined
  readonly releaseEnabled: boolean
  readonly nowMs: number
  /** How long an address must be excess before the agent is asked (ms). */
  readonly delayMs: number
}

export interface ReleaseStepResult {
  readonly records: ReleaseRecords
  /** The plan cut to what the agent has agreed to, undefined when that is nothing. Report a success with `released`. */
  readonly toRelease: ReleaseAction | undefined
  /** The stored resource's states without repaired entries. */
  readonly resourceStates: ResourceStates
}

/**
 * One step of every handshake of a node, to be taken once in a maintenance pass whatever the pass decides.
 *
 * Two things are better than in the reference: an address that is not listed loses its clock and its unpublished mark at once,
 * also where the pass ends early (the delay cannot be skipped later); and a delegated prefix goes only when the agent
 * has agreed to every one of its addresses.
 *
 * @source cilium pkg/ipam/node.go, handleIPRelease, removeStaleReleaseIPs and abortNoLongerExcessIPs
 */
export function releaseStep(input: ReleaseStepInput): ReleaseStepResult {
  const { nowMs, delayMs, releaseEnabled } = input
  const known = releaseEnabled ? forgetAcknowledged(input.records, input.resourceStates) : input.records
  const repaired = repairReturned({ ...input, records: known })
  const plan = releaseEnabled ? input.plan : undefined

  const listed = new Set(plan?.ipsToRelease)
  const { marked, status } = editable(keepListed(repaired.records, listed))
  const agreed: string[] = []
  for (const address of [...listed].sort()) {
    const sinceMs = marked.get(address) ?? nowMs
    marked.set(address, sinceMs)
    if (nowMs - sinceMs < delayMs) continue
    const answer = repaired.resourceStates.get(address)
    if (answer === undefined) status.set(address, 'marked-for-release')
    else if (answer === 'ready-for-release') agreed.push(address)
    else if (answer === 'do-not-release') {
      marked.delete(address)
      status.delete(address)
    }
  }
  return {
    records: { marked, status },
    toRelease: plan === undefined ? undefined : cutToAgreed(plan, new Set(agreed)),
    resourceStates: repaired.resourceStates,
  }
}

/**
 * The cloud has detached these addresses.
 *
 * @param addresses `toRelease.ipsToRelease` of the step
 */
export function released(records: ReleaseRecords, addresses: Iterable<string>): ReleaseRecords {
  const { marked, status } = editable(records)
  for (const address of addresses) {
    marked.delete(address)
    status.set(address, 'released')
  }
  return { marked, status }
}

/**
 * The map to publish as `status.ipam.release-ips`, which replaces the resource's as a whole. The agent's word about a marked
 * address is kept; what the controller does not know disappears.
 *
 * One thing is better than in the reference: an address in a handshake that is not attached any more is published as `released`,
 * whatever the controller remembers. Its release succeeded before a restart, or its answer was lost. The pool of the resource
 * shows it until the spec is written, after the status, and without the entry the agent could hand it to a pod meanwhile.
 *
 * @param resourceStates the map of the resource that is about to be written
 * @param attached the addresses that are about to be written as the resource's pool
 * @returns the map, sorted by address, and the records without the releases that the agent has acknowledged
 * @source cilium pkg/ipam/node.go, PopulateIPReleaseStatus
 */
export function publishReleaseIPs(
  records: ReleaseRecords,
  resourceStates: ResourceStates,
  attached: AddressSet,
): { readonly records: ReleaseRecords; readonly releaseIPs: ResourceStates } {
  const kept = forgetAcknowledged(records, resourceStates)
  const releaseIPs = new Map<string, ReleaseStatus>()
  for (const [address, own] of kept.status) {
    const answer = resourceStates.get(address)
    const isAnswered = answer === 'ready-for-release' || answer === 'do-not-release'
    releaseIPs.set(address, own === 'marked-for-release' && isAnswered ? answer : own)
  }
  for (const [address, state] of resourceStates) {
    if (state !== 'do-not-release' && !attached.has(address)) releaseIPs.set(address, 'released')
  }
  return { records: kept, releaseIPs: new Map([...releaseIPs].sort(byAddress)) }
}

/** The records without releases whose entry the agent has removed from the resource: their handshake is complete. */
export function forgetAcknowledged(records: ReleaseRecords, resourceStates: ResourceStates): ReleaseRecords {
  const { marked, status } = editable(records)
  for (const [address, own] of records.status) {
    if (own === 'released' && !resourceStates.has(address)) status.delete(address)
  }
  return { marked, status }
}

/**
 * Forgets releases whose address is back on the node: it was attached again before the agent removed the entry, and the agent
 * would withhold it from pods for ever (cilium issue 39981).
 *
 * The resource's pool alone is no proof: it still shows a released address until the next write of the spec. The address must
 * also be attached.
 */
function repairReturned(view: ReleaseStepInput): Pick<ReleaseStepResult, 'records' | 'resourceStates'> {
  const { marked, status } = editable(view.records)
  const resourceStates = new Map(view.resourceStates)
  if (view.profile === '1.14') return { records: view.records, resourceStates }
  for (const [address, state] of view.resourceStates) {
    if (state !== 'released' || !view.pool.has(address) || !view.attached.has(address)) continue
    resourceStates.delete(address)
    marked.delete(address)
    status.delete(address)
  }
  return { records: { marked, status }, resourceStates }
}

/** Aborts every handshake that is not listed, apart from releases: those wait for the agent. */
function keepListed(records: ReleaseRecords, listed: AddressSet): ReleaseRecords {
  return {
    marked: new Map([...records.marked].filter(([address]) => listed.has(address))),
    status: new Map([...records.status].filter(([address, own]) => own === 'released' || listed.has(address))),
  }
}

/**
 * The plan with only the addresses that the agent has agreed to. A prefix goes as a whole or not at all, and its addresses with
 * it: the cloud cannot take a single address out of a delegated prefix.
 */
function cutToAgreed(plan: ReleaseAction, agreed: AddressSet): ReleaseAction | undefined {
  const prefixes = plan.ipPrefixesToRelease.map((prefix) => ({ prefix, addresses: addressesOfPrefix(prefix) }))
  const whole = prefixes.filter(
    ({ addresses }) => addresses.length > 0 && addresses.every((address) => agreed.has(address)),
  )
  const broken = prefixes.filter((entry) => !whole.includes(entry))
  const withheld = new Set(broken.flatMap(({ addresses }) => addresses))
  const ipsToRelease = plan.ipsToRelease.filter((address) => agreed.has(address) && !withheld.has(address))
  if (ipsToRelease.length === 0) return undefined
  return { ...plan, ipsToRelease, ipPrefixesToRelease: whole.map(({ prefix }) => prefix) }
}

function editable(records: ReleaseRecords): {
  readonly marked: Map<string, number>
  readonly status: Map<string, OwnReleaseStatus>
} {
  return { marked: new Map(records.marked), status: new Map(records.status) }
}

/** By code unit, the same on every machine. */
function byAddress([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  return left < right ? -1 : 1
}
