import { assertNever } from '../runtime/assert.ts'
import type { CIDRReleaseState, WithheldCIDRs } from './cidr-release.ts'
import { NO_CIDR_RELEASE, NO_WITHHELD_CIDRS, trackCIDRs, unmark, withheldWritten, withhold } from './cidr-release.ts'
import type { WaitCause, WaitNotice } from './node-status.ts'
import { NO_NOTICE, noticeOf } from './node-status.ts'
import type { FailedStep } from './plan-maintenance.ts'
import { needsReread } from './plan-maintenance.ts'
import type { ReleaseRecords, ResourceStates } from './release-handshake.ts'
import { forgetAcknowledged, NO_RELEASE_RECORDS, released } from './release-handshake.ts'
import type { SeenResource } from './seen-resource.ts'
import { EMPTY_STATISTICS, sameStatistics, statisticsAfterFailedRefresh } from './statistics.ts'
import type { Statistics } from './types.ts'
import type { AgentGeneration } from './usage.ts'

/** A stopped instance is tried again after this time (ms). cilium pkg/ipam/node.go, the one-minute rule in MaintainIPPool */
export const STOPPED_RETRY_MS = 60_000
/** Longest interval between two reads of an instance that the cloud does not show (ms). */
export const LONGEST_MISSING_READ_MS = 60_000
const FIRST_MISSING_READ_MS = 1_000

/** Whether the instance runs, as far as refused calls tell. */
export type PowerState =
  | { readonly kind: 'running' }
  /** a call said that it does not run: to be confirmed by a read and one more call */
  | { readonly kind: 'suspected' }
  /** confirmed; expires by itself */
  | { readonly kind: 'stopped'; readonly untilMs: number }

/** What the last refresh from the provider's cache gave. */
export type ViewState =
  | { readonly kind: 'none' }
  | { readonly kind: 'known' }
  /** the cache does not have the instance */
  | { readonly kind: 'missing'; readonly readCount: number; readonly nextReadMs: number }
  | { readonly kind: 'limitsUnknown'; readonly instanceType: string }

/** Failed passes in a row. */
export interface FailureState {
  readonly count: number
  readonly retryAtMs: number
  /** `upkeep`: only giving back and the public address wait; addresses can be had. */
  readonly blocks: 'all' | 'upkeep'
  /** The subnet that had no room (empty: none at all was found): room that appears there ends the wait. */
  readonly exhaustedPoolID: string | undefined
  /** The step that failed last; absent after a defect of ours. */
  readonly cause?: FailedStep
}

/**
 * All that is remembered of a node between two events. Immutable and small: what can be had from the resource's packed text or
 * from the provider's cache is not kept a second time. `reduce` is the only place that makes a new one.
 */
export interface NodeState {
  readonly resource: SeenResource | undefined
  readonly generation: AgentGeneration
  readonly statistics: Statistics
  readonly view: ViewState
  readonly power: PowerState
  /** The node's numbers may be older than this moment: no step is planned before a read that started later. */
  readonly staleSinceMs: number | undefined
  readonly failure: FailureState | undefined
  readonly release: ReleaseRecords
  /** `status.ipam.release-ips` of the stored resource, repaired entries left out. */
  readonly resourceStates: ResourceStates
  /** Address → when the agent's `ready-for-release` was first seen. */
  readonly readySinceMs: ReadonlyMap<string, number>
  readonly cidrs: CIDRReleaseState
  /** Given-up CIDRs that the resource does not list any more, although they are still attached. */
  readonly withheld: WithheldCIDRs
  /** Since when the node needs addresses that it does not have. */
  readonly needSinceMs: number | undefined
  readonly notice: WaitNotice
  /** Grows whenever something changed that the resource should say. */
  readonly revision: number
}

const KNOWN: ViewState = { kind: 'known' }

const NO_TIMES: ReadonlyMap<string, number> = new Map()

export const INITIAL_NODE_STATE: NodeState = {
  resource: undefined,
  generation: 'undecided',
  statistics: EMPTY_STATISTICS,
  view: { kind: 'none' },
  power: { kind: 'running' },
  staleSinceMs: undefined,
  failure: undefined,
  release: NO_RELEASE_RECORDS,
  resourceStates: new Map(),
  readySinceMs: NO_TIMES,
  cidrs: NO_CIDR_RELEASE,
  withheld: NO_WITHHELD_CIDRS,
  needSinceMs: undefined,
  notice: NO_NOTICE,
  revision: 0,
}

export type NodeEvent =
  /** a version of the resource arrived */
  | { readonly kind: 'resourceSeen'; readonly resource: SeenResource; readonly nowMs: number }
  /** the provider's cache gave a view of the node */
  | {
      readonly kind: 'refreshed'
      readonly statistics: Statistics
      readonly generation: AgentGeneration
      /** CIDRs that a multi-pool agent holds, and those on the interfaces; undefined where CIDRs are not released. */
      readonly cidrs: { readonly current: readonly string[]; readonly attached: readonly string[] } | undefined
      readonly nowMs: number
    }
  /** it gave none; the reason */
  | { readonly kind: 'instanceMissing'; readonly nowMs: number }
  | { readonly kind: 'limitsUnknown'; readonly instanceType: string; readonly nowMs: number }
  /** a read that covers this instance has ended */
  | { readonly kind: 'synced'; readonly startedAtMs: number; readonly hasChanged: boolean }
  /** a read of this very instance has ended, well or not: the next one of a missing instance waits longer */
  | { readonly kind: 'readTried'; readonly nowMs: number; /** Uniform in [0, 1). */ readonly chance: number }
  /** a step changed the node's interfaces or addresses in the cloud */
  | { readonly kind: 'changed' }
  | { readonly kind: 'staticIPAssigned'; readonly address: string }
  | { readonly kind: 'released'; readonly addresses: readonly string[] }
  | { readonly kind: 'cidrsReleased'; readonly cidrs: readonly string[] }
  /** the resource is to list all given-up CIDRs but these */
  | { readonly kind: 'cidrsWithheld'; readonly cidrs: readonly string[] }
  /** it does not list them any more */
  | { readonly kind: 'withheldWritten'; readonly cidrs: readonly string[]; readonly nowMs: number }
  | {
      readonly kind: 'stepFailed'
      readonly step: FailedStep
      readonly isInstanceRunning: boolean
      readonly nowMs: number
    }
  /** the handshake took its step */
  | { readonly kind: 'releaseStepped'; readonly records: ReleaseRecords; readonly resourceStates: ResourceStates }
  /** the pass is over */
  | { readonly kind: 'passEnded'; readonly failure: FailureState | undefined }
  | { readonly kind: 'waiting'; readonly cause: WaitCause; readonly nextTryAt: string | undefined }
  /** the resource was written */
  | { readonly kind: 'published'; readonly resource: SeenResource; readonly nowMs: number }
  /** somebody else knows better whether the instance runs */
  | { readonly kind: 'powerSet'; readonly isRunning: boolean; readonly nowMs: number }
  /** time passed: what expires by itself expires */
  | { readonly kind: 'tick'; readonly nowMs: number }

/** The state after an event. Pure and total. */
export function reduce(state: NodeState, event: NodeEvent): NodeState {
  switch (event.kind) {
    case 'resourceSeen':
      return afterResource(state, event.resource, event.nowMs)
    case 'refreshed':
      return afterRefresh(state, event)
    case 'instanceMissing':
      return withoutView(state, event.nowMs, state.view.kind === 'missing' ? state.view : firstMissing(event.nowMs))
    case 'limitsUnknown':
      return withoutView(state, event.nowMs, { kind: 'limitsUnknown', instanceType: event.instanceType })
    case 'synced': {
      const staleSinceMs = clearStale(state.staleSinceMs, event.startedAtMs)
      return { ...state, staleSinceMs, revision: state.revision + Number(event.hasChanged) }
    }
    case 'readTried':
      return state.view.kind === 'missing' ? { ...state, view: nextMissing(state.view.readCount + 1, event) } : state
    case 'changed':
      return { ...state, power: { kind: 'running' }, revision: state.revision + 1 }
    case 'staticIPAssigned':
      return {
        ...state,
        statistics: { ...state.statistics, assignedStaticIP: event.address },
        revision: state.revision + 1,
      }
    case 'released':
      return { ...state, release: released(state.release, event.addresses), revision: state.revision + 1 }
    case 'cidrsReleased':
      return { ...state, cidrs: unmark(state.cidrs, event.cidrs), revision: state.revision + 1 }
    case 'cidrsWithheld': {
      const withheld = withhold(state.withheld, event.cidrs)
      return withheld === state.withheld ? state : { ...state, withheld, revision: state.revision + 1 }
    }
    case 'withheldWritten':
      return { ...state, withheld: withheldWritten(state.withheld, event.cidrs, event.nowMs) }
    case 'stepFailed':
      return afterFailedStep(state, event)
    case 'releaseStepped':
      return afterReleaseStep(state, event.records, event.resourceStates)
    case 'passEnded':
      return { ...state, failure: event.failure }
    case 'waiting': {
      const notice = noticeOf(event.cause, state.notice, event.nextTryAt)
      return notice === state.notice ? state : { ...state, notice, revision: state.revision + 1 }
    }
    case 'published': {
      const records = forgetAcknowledged(state.release, event.resource.releaseIPs)
      const seen = afterResource(state, event.resource, event.nowMs)
      return { ...seen, release: compact(records), revision: state.revision }
    }
    case 'powerSet':
      return { ...state, power: event.isRunning ? { kind: 'running' } : stopped(event.nowMs) }
    case 'tick':
      // Tried again, and on a fresh view: the instance may be gone by now.
      return state.power.kind === 'stopped' && event.nowMs >= state.power.untilMs
        ? { ...state, power: { kind: 'suspected' }, staleSinceMs: event.nowMs }
        : state
    default:
      return assertNever(event)
  }
}

/**
 * A stale mark falls only to a read that started strictly later than the moment it stands for.
 *
 * @source cilium pkg/ipam/node_manager.go, resyncNode
 */
export function clearStale(staleSinceMs: number | undefined, startedAtMs: number): number | undefined {
  return staleSinceMs !== undefined && startedAtMs > staleSinceMs ? undefined : staleSinceMs
}

function afterResource(state: NodeState, resource: SeenResource, nowMs: number): NodeState {
  const before = state.resource
  const isSameInstance = before?.instanceID === resource.instanceID
  // The agent lives and speaks, so the instance runs. Our own writes prove nothing.
  const hasSpoken = before !== undefined && before.others !== resource.others
  return {
    ...state,
    resource,
    power: hasSpoken ? { kind: 'running' } : state.power,
    resourceStates: resource.releaseIPs,
    readySinceMs: readyTimes(state.readySinceMs, resource.releaseIPs, nowMs),
    cidrs: isSameInstance ? state.cidrs : NO_CIDR_RELEASE,
    withheld: isSameInstance ? state.withheld : NO_WITHHELD_CIDRS,
    revision:
      state.revision + Number(before?.own !== resource.own || !sameEntries(before.releaseIPs, resource.releaseIPs)),
  }
}

function readyTimes(
  known: ReadonlyMap<string, number>,
  states: ResourceStates,
  nowMs: number,
): ReadonlyMap<string, number> {
  if (states.size === 0) return NO_TIMES
  const times = new Map<string, number>()
  for (const [address, status] of states) {
    if (status === 'ready-for-release') times.set(address, known.get(address) ?? nowMs)
  }
  return times
}

/** The same state where nothing has changed: most looks at a node at rest find it so. */
function afterRefresh(state: NodeState, event: Extract<NodeEvent, { kind: 'refreshed' }>): NodeState {
  const { generation, nowMs } = event
  const statistics = sameStatistics(state.statistics, event.statistics) ? state.statistics : event.statistics
  const isInNeed = statistics.ipv4.neededIPs > 0 || statistics.ipv6.neededPrefixes > 0
  const cidrs = event.cidrs === undefined ? NO_CIDR_RELEASE : trackCIDRs(state.cidrs, { ...event.cidrs, nowMs })
  // What the agent holds again is listed again at once.
  const stillMarked = [...state.withheld.keys()].filter((cidr) => cidrs.marked.has(cidr))
  const withheld = withhold(state.withheld, stillMarked)
  const needSinceMs = isInNeed ? (state.needSinceMs ?? nowMs) : undefined
  if (
    statistics === state.statistics &&
    generation === state.generation &&
    state.view.kind === 'known' &&
    cidrs === state.cidrs &&
    withheld === state.withheld &&
    needSinceMs === state.needSinceMs
  )
    return state
  return {
    ...state,
    statistics,
    generation,
    view: KNOWN,
    cidrs,
    withheld,
    needSinceMs,
    revision:
      state.revision +
      Number(state.view.kind !== 'known' || state.generation !== generation || withheld !== state.withheld),
  }
}

/** Numbers keep their last value, need and excess apart. Without a free address at the last look, the node may be in need. */
function withoutView(state: NodeState, nowMs: number, view: ViewState): NodeState {
  const statistics = statisticsAfterFailedRefresh(state.statistics)
  const mayBeInNeed = statistics.ipv4.availableIPs <= statistics.ipv4.usedIPs
  return { ...state, statistics, view, needSinceMs: mayBeInNeed ? (state.needSinceMs ?? nowMs) : undefined }
}

function firstMissing(nowMs: number): ViewState {
  return { kind: 'missing', readCount: 0, nextReadMs: nowMs }
}

/** 1, 2, 4, … 60 s, each between three quarters and five quarters of that, so that nodes which joined together spread out. */
function nextMissing(readCount: number, event: { readonly nowMs: number; readonly chance: number }): ViewState {
  const intervalMs = Math.min(FIRST_MISSING_READ_MS * 2 ** (readCount - 1), LONGEST_MISSING_READ_MS)
  return { kind: 'missing', readCount, nextReadMs: event.nowMs + intervalMs * (0.75 + event.chance / 2) }
}

function afterFailedStep(state: NodeState, event: Extract<NodeEvent, { kind: 'stepFailed' }>): NodeState {
  const { step, isInstanceRunning, nowMs } = event
  const isDoubtful = !isInstanceRunning || (step.step !== 'readInstance' && needsReread(step.kind))
  return {
    ...state,
    staleSinceMs: isDoubtful ? nowMs : state.staleSinceMs,
    power: isInstanceRunning ? state.power : nextPower(state.power, nowMs),
  }
}

/** Believed only when a call says so twice, with a read in between. */
function nextPower(power: PowerState, nowMs: number): PowerState {
  return power.kind === 'running' ? { kind: 'suspected' } : stopped(nowMs)
}

function stopped(nowMs: number): PowerState {
  return { kind: 'stopped', untilMs: nowMs + STOPPED_RETRY_MS }
}

function afterReleaseStep(state: NodeState, release: ReleaseRecords, resourceStates: ResourceStates): NodeState {
  const hasChanged =
    !sameEntries(state.release.status, release.status) || state.resourceStates.size !== resourceStates.size
  return { ...state, release: compact(release), resourceStates, revision: state.revision + Number(hasChanged) }
}

/** Most nodes have no handshake: they share one empty record. */
function compact(records: ReleaseRecords): ReleaseRecords {
  return records.marked.size === 0 && records.status.size === 0 ? NO_RELEASE_RECORDS : records
}

function sameEntries(left: ReadonlyMap<string, string>, right: ReadonlyMap<string, string>): boolean {
  if (left.size !== right.size) return false
  for (const [key, value] of left) if (right.get(key) !== value) return false
  return true
}
