import { releaseResponse } from '../../../src/agent/release-response.ts'
import type { CIDRReleaseState } from '../../../src/ipam/cidr-release.ts'
import { dueCIDRs, narrowToMarked, NO_CIDR_RELEASE, trackCIDRs, unmark } from '../../../src/ipam/cidr-release.ts'
import type { ReleaseStatus } from '../../../src/ipam/cilium-node.ts'
import type { OwnReleaseStatus, ReleaseRecords } from '../../../src/ipam/release-handshake.ts'
import { publishReleaseIPs, released, releaseStep } from '../../../src/ipam/release-handshake.ts'
import type { IPAMProfile, ReleaseAction } from '../../../src/ipam/types.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { adapt } from './core-arithmetic.ts'

const MS_PER_SECOND = 1000

type Dictionary<Value> = Readonly<Record<string, Value>>

interface ReleasePassInput {
  readonly state: {
    readonly now: number
    readonly delaySeconds: number
    readonly marked: Dictionary<number> | null
    readonly local: Dictionary<OwnReleaseStatus> | null
    readonly crd: Dictionary<ReleaseStatus> | null
    readonly pool: readonly string[] | null
  }
  readonly releaseEnabled: boolean
  readonly plan: {
    readonly interfaceId: string
    readonly poolId: string
    readonly ips: readonly string[] | null
  } | null
  readonly releaseCall: string
}

interface MultiPoolReleaseInput {
  readonly multiPool: boolean
  readonly delaySeconds: number
  readonly markedAgeSeconds: Dictionary<number>
  readonly actions: readonly { readonly interfaceId: string; readonly cidrs: readonly string[] }[]
  readonly outcomes: readonly ({ readonly released?: readonly string[]; readonly error?: boolean } | null)[]
  readonly readdedDuringPrepare: string | readonly string[] | null
}

function actionOf(action: Partial<ReleaseAction>): ReleaseAction {
  return {
    interfaceID: '',
    poolID: '',
    ipsToRelease: [],
    ipPrefixesToRelease: [],
    cidrsToRelease: [],
    ...action,
  }
}

function secondsOf(marked: ReadonlyMap<string, number>): Dictionary<number> {
  return Object.fromEntries([...marked].map(([address, sinceMs]) => [address, sinceMs / MS_PER_SECOND]))
}

function recordsOf(marked: Dictionary<number> | null, local: Dictionary<OwnReleaseStatus> | null): ReleaseRecords {
  return {
    marked: new Map(Object.entries(marked ?? {}).map(([address, seconds]) => [address, seconds * MS_PER_SECOND])),
    status: new Map(Object.entries(local ?? {})),
  }
}

/** One pass of the handshake, with the call to the cloud between the step and its report, as the controller makes it. */
function runReleasePass({ state, releaseEnabled, plan, releaseCall }: ReleasePassInput, profile: IPAMProfile): unknown {
  const pool = new Set(state.pool ?? [])
  const step = releaseStep({
    records: recordsOf(state.marked, state.local),
    resourceStates: new Map(Object.entries(state.crd ?? {})),
    pool,
    attached: pool,
    plan:
      plan === null
        ? undefined
        : actionOf({ interfaceID: plan.interfaceId, poolID: plan.poolId, ipsToRelease: plan.ips ?? [] }),
    releaseEnabled,
    nowMs: state.now * MS_PER_SECOND,
    delayMs: state.delaySeconds * MS_PER_SECOND,
    profile,
  })
  const called = step.toRelease?.ipsToRelease
  const isReleased = called !== undefined && releaseCall === 'ok'
  const records = isReleased ? released(step.records, called) : step.records
  return {
    released: called ?? null,
    mutated: isReleased,
    error: called !== undefined && !isReleased,
    marked: secondsOf(records.marked),
    local: Object.fromEntries(records.status),
    crd: Object.fromEntries(step.resourceStates),
  }
}

/** The release of a multi-pool node's marked CIDRs, with the provider's answers as the case gives them. */
function runMultiPoolRelease(input: MultiPoolReleaseInput): unknown {
  const nowMs = Math.max(0, ...Object.values(input.markedAgeSeconds)) * MS_PER_SECOND
  const marked = Object.entries(input.markedAgeSeconds).map(([cidr, age]): [string, number] => [
    cidr,
    nowMs - age * MS_PER_SECOND,
  ])
  let state: CIDRReleaseState = { previous: new Set(), marked: new Map(marked) }
  const due = input.multiPool ? dueCIDRs(state, nowMs, input.delaySeconds * MS_PER_SECOND) : []
  const releaseCalls: unknown[] = []
  let mutated = false
  let error = false
  if (due.length > 0) {
    state = unmark(state, [input.readdedDuringPrepare ?? []].flat())
    for (const { interfaceId, cidrs } of input.actions) {
      const action = narrowToMarked(state, actionOf({ interfaceID: interfaceId, cidrsToRelease: cidrs }))
      if (action === undefined) continue
      const outcome = input.outcomes[releaseCalls.length]
      releaseCalls.push({ interfaceId, cidrs: action.cidrsToRelease })
      const gone = outcome?.released ?? action.cidrsToRelease
      state = unmark(state, gone)
      mutated ||= gone.length > 0
      error = outcome?.error ?? false
      if (error) break
    }
  }
  return {
    preparedWith: due.length > 0 ? due : null,
    releaseCalls,
    mutated,
    error,
    stillMarked: [...state.marked.keys()].sort(),
  }
}

export const releaseAdapters: AdapterRegistry = {
  release_pass: adapt<ReleasePassInput>((input, { profile }) => runReleasePass(input, profile)),

  release_publish: adapt<{
    readonly local: Dictionary<OwnReleaseStatus> | null
    readonly statusBefore: Dictionary<ReleaseStatus> | null
  }>(({ local, statusBefore }) => {
    const resourceStates = new Map(Object.entries(statusBefore ?? {}))
    // The cases say nothing of the cloud: every address is still attached.
    const attached = { has: () => true }
    const { records, releaseIPs } = publishReleaseIPs(recordsOf({}, local), resourceStates, attached)
    return { statusAfter: Object.fromEntries(releaseIPs), localAfter: Object.fromEntries(records.status) }
  }),

  agent_response: adapt<{
    readonly status: ReleaseStatus | null
    readonly ipInPool: boolean
    readonly ipInUse: boolean
    readonly poolIsNull: boolean
  }>(({ status, ipInPool, ipInUse, poolIsNull }) => {
    if (status === null) return { status: null }
    const question = { status, isInPool: ipInPool, isInUse: ipInUse, isPoolAbsent: poolIsNull }
    return { status: releaseResponse(question) ?? null }
  }),

  multipool_track: adapt<{
    readonly steps: readonly {
      readonly t: number
      readonly allocated: readonly string[]
      readonly attached: readonly string[]
    }[]
  }>(({ steps }) => {
    let state = NO_CIDR_RELEASE
    const markedAfterEachStep = steps.map(({ t, allocated, attached }) => {
      state = trackCIDRs(state, { current: allocated, attached, nowMs: t * MS_PER_SECOND })
      return secondsOf(state.marked)
    })
    return { markedAfterEachStep }
  }),

  multipool_release: adapt<MultiPoolReleaseInput>((input) => runMultiPoolRelease(input)),
}
