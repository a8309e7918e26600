import { describe, expect, test } from 'vitest'
import type { ReleaseStatus } from '../../../src/ipam/cilium-node.ts'
import { addressesOfPrefix } from '../../../src/ipam/ip-range.ts'
import type { OwnReleaseStatus, ReleaseRecords, ReleaseStepInput } from '../../../src/ipam/release-handshake.ts'
import { NO_RELEASE_RECORDS, publishReleaseIPs, released, releaseStep } from '../../../src/ipam/release-handshake.ts'
import type { ReleaseAction } from '../../../src/ipam/types.ts'

const A = '10.0.0.5'
const B = '10.0.0.6'
const NOW = 1_000_000
const DELAY = 180_000

function records(marked: Record<string, number>, status: Record<string, OwnReleaseStatus> = {}): ReleaseRecords {
  return { marked: new Map(Object.entries(marked)), status: new Map(Object.entries(status)) }
}

function states(entries: Record<string, ReleaseStatus>): ReadonlyMap<string, ReleaseStatus> {
  return new Map(Object.entries(entries))
}

function plan(ipsToRelease: readonly string[], ipPrefixesToRelease: readonly string[] = []): ReleaseAction {
  return { interfaceID: 'eni-1', poolID: 'subnet-1', ipsToRelease, ipPrefixesToRelease, cidrsToRelease: [] }
}

function input(parts: Partial<ReleaseStepInput>): ReleaseStepInput {
  return {
    records: NO_RELEASE_RECORDS,
    resourceStates: new Map(),
    pool: new Set([A, B]),
    attached: new Set([A, B]),
    plan: undefined,
    releaseEnabled: true,
    nowMs: NOW,
    delayMs: DELAY,
    profile: 'latest',
    ...parts,
  }
}

const OLD = NOW - DELAY - 1
const marked: OwnReleaseStatus = 'marked-for-release'

describe('releaseStep: the way to a release', () => {
  test('an address that is listed for the first time gets its clock, and nothing is asked yet', () => {
    const step = releaseStep(input({ plan: plan([A]) }))
    expect(step).toEqual({ records: records({ [A]: NOW }), toRelease: undefined, resourceStates: new Map() })
  })

  test.each([
    { name: 'a millisecond before the delay nothing is asked', sinceMs: NOW - DELAY + 1, status: {} },
    { name: 'exactly on the delay the agent is asked', sinceMs: NOW - DELAY, status: { [A]: marked } },
  ])('$name', ({ sinceMs, status }) => {
    const step = releaseStep(input({ plan: plan([A]), records: records({ [A]: sinceMs }) }))
    expect(step.records).toEqual(records({ [A]: sinceMs }, status))
    expect(step.toRelease).toBeUndefined()
  })

  test.each(['marked-for-release', 'released'] as const)('waits while the resource says %s', (state) => {
    const waiting = input({
      plan: plan([A]),
      records: records({ [A]: OLD }, { [A]: marked }),
      resourceStates: states({ [A]: state }),
      pool: new Set([B]),
    })
    expect(releaseStep(waiting)).toMatchObject({ records: waiting.records, toRelease: undefined })
  })

  test('releases what the agent has agreed to, and nothing else of the plan', () => {
    const step = releaseStep(
      input({
        plan: plan([A, B]),
        records: records({ [A]: OLD, [B]: OLD }, { [A]: marked, [B]: marked }),
        resourceStates: states({ [A]: 'ready-for-release', [B]: 'marked-for-release' }),
      }),
    )
    expect(step.toRelease).toEqual(plan([A]))
    // A failure of the call changes nothing: the acknowledgement stays and the next pass tries again.
    expect(step.records).toEqual(records({ [A]: OLD, [B]: OLD }, { [A]: marked, [B]: marked }))
  })

  test('does not trust an acknowledgement whose delay has not passed under its own eyes (after a restart)', () => {
    const step = releaseStep(input({ plan: plan([A]), resourceStates: states({ [A]: 'ready-for-release' }) }))
    expect(step.toRelease).toBeUndefined()
    expect(step.records).toEqual(records({ [A]: NOW }))
  })

  test('a refused address is forgotten, and its clock starts anew at the next pass', () => {
    const refused = input({
      plan: plan([A]),
      records: records({ [A]: OLD }, { [A]: marked }),
      resourceStates: states({ [A]: 'do-not-release' }),
    })
    const step = releaseStep(refused)
    expect(step.records).toEqual(NO_RELEASE_RECORDS)
    const next = releaseStep({ ...refused, records: step.records, nowMs: NOW + 1 })
    expect(next.records).toEqual(records({ [A]: NOW + 1 }))
  })

  test('a successful call is remembered as released', () => {
    const after = released(records({ [A]: OLD, [B]: OLD }, { [A]: marked, [B]: marked }), [A])
    expect(after).toEqual(records({ [B]: OLD }, { [A]: 'released', [B]: marked }))
  })
})

describe('releaseStep: prefixes', () => {
  const prefix = '10.0.0.16/28'
  const inside = addressesOfPrefix(prefix)
  const listed = plan([A, ...inside], [prefix])
  const all = Object.fromEntries(listed.ipsToRelease.map((address) => [address, OLD]))
  const ready = (addresses: readonly string[]): ReadonlyMap<string, ReleaseStatus> =>
    new Map(addresses.map((address) => [address, 'ready-for-release']))

  test('a prefix goes when the agent has agreed to every one of its addresses', () => {
    const step = releaseStep(
      input({ plan: listed, records: records(all), resourceStates: ready(inside), attached: new Set(inside) }),
    )
    expect(step.toRelease).toEqual(plan(inside, [prefix]))
  })

  test('one address that is not agreed keeps the whole prefix, and the single addresses still go', () => {
    const step = releaseStep(
      input({ plan: listed, records: records(all), resourceStates: ready([A, ...inside.slice(1)]) }),
    )
    expect(step.toRelease).toEqual(plan([A], []))
  })

  test('a prefix that cannot be read is never given back', () => {
    const unreadable = plan([A], ['nonsense'])
    const step = releaseStep(input({ plan: unreadable, records: records(all), resourceStates: ready([A]) }))
    expect(step.toRelease).toEqual(plan([A], []))
  })

  test('a prefix alone that is not agreed in full means no call at all', () => {
    const alone = plan(inside, [prefix])
    const step = releaseStep(input({ plan: alone, records: records(all), resourceStates: ready(inside.slice(0, 15)) }))
    expect(step.toRelease).toBeUndefined()
  })
})

describe('releaseStep: abort', () => {
  const inFlight = {
    records: records({ [A]: OLD }, { [A]: marked }),
    resourceStates: states({ [A]: 'ready-for-release' }),
  }

  test.each([
    { name: 'the provider chose another interface', parts: { plan: plan([B]) }, left: { [B]: NOW } },
    { name: 'the excess is gone', parts: { plan: undefined }, left: {} },
    { name: 'the plan is empty', parts: { plan: plan([]) }, left: {} },
    { name: 'release was switched off', parts: { plan: plan([A]), releaseEnabled: false }, left: {} },
  ])('$name', ({ parts, left }) => {
    const step = releaseStep(input({ ...inFlight, ...parts }))
    expect(step.records).toEqual(records(left))
    expect(step.toRelease).toBeUndefined()
    // The entry leaves the resource with the next write, and pods may have the address again.
    const { releaseIPs } = publishReleaseIPs(step.records, step.resourceStates, new Set([A, B]))
    expect(releaseIPs.size).toBe(0)
  })

  test('an address that is not listed in one pass loses its clock, so that the delay is never skipped', () => {
    const first = releaseStep(input({ plan: plan([A]), nowMs: 0 }))
    const pause = releaseStep(input({ records: first.records, nowMs: 1_000 }))
    const again = releaseStep(input({ records: pause.records, plan: plan([A]), nowMs: DELAY }))
    expect(again.records).toEqual(records({ [A]: DELAY }))
  })

  test('a mark that was never published is dropped with its address, not published first', () => {
    const step = releaseStep(input({ records: records({ [A]: OLD }, { [A]: marked }) }))
    expect(publishReleaseIPs(step.records, step.resourceStates, new Set([A, B])).releaseIPs.size).toBe(0)
  })

  test('a release that waits for the agent is not aborted', () => {
    const waiting = input({
      records: records({}, { [A]: 'released' }),
      resourceStates: states({ [A]: 'released' }),
      pool: new Set([B]),
      attached: new Set([B]),
    })
    expect(releaseStep(waiting).records).toEqual(waiting.records)
  })

  test('every handshake ends that is not past its release', () => {
    const step = releaseStep(
      input({
        records: records({ [A]: OLD, [B]: NOW }, { [A]: marked }),
        resourceStates: states({ [A]: 'ready-for-release' }),
      }),
    )
    expect(step.records).toEqual(NO_RELEASE_RECORDS)
    expect(step.resourceStates).toEqual(states({ [A]: 'ready-for-release' }))
  })
})

describe('releaseStep: after the release', () => {
  const releasedBefore = {
    records: records({}, { [A]: 'released' }),
    resourceStates: states({ [A]: 'released' }),
  }

  test('the record goes when the agent has removed the entry', () => {
    const step = releaseStep(input({ records: releasedBefore.records, pool: new Set([B]) }))
    expect(step.records).toEqual(NO_RELEASE_RECORDS)
  })

  test.each(['latest', '1.19', '1.18'] as const)(
    'an address that is attached and in the pool again is repaired (profile %s)',
    (profile) => {
      const step = releaseStep(input({ ...releasedBefore, profile }))
      expect(step).toMatchObject({ records: NO_RELEASE_RECORDS, resourceStates: new Map() })
    },
  )

  test('it is repaired also when it is listed as excess again, and its clock starts anew', () => {
    const step = releaseStep(
      input({ ...releasedBefore, records: records({ [A]: OLD }, { [A]: 'released' }), plan: plan([A]) }),
    )
    expect(step).toMatchObject({ records: records({ [A]: NOW }), resourceStates: new Map() })
  })

  test('a pool that still shows the address is no proof that it is back: it must be attached', () => {
    const step = releaseStep(input({ ...releasedBefore, attached: new Set([B]) }))
    expect(step).toMatchObject(releasedBefore)
  })

  test('profile 1.14 leaves the entry, as its operators do', () => {
    expect(releaseStep(input({ ...releasedBefore, profile: '1.14' }))).toMatchObject(releasedBefore)
  })
})

describe('publishReleaseIPs', () => {
  test.each<{
    name: string
    own: Record<string, OwnReleaseStatus>
    before: Record<string, ReleaseStatus>
    after: Record<string, ReleaseStatus>
  }>([
    { name: 'a new mark', own: { [A]: marked }, before: {}, after: { [A]: marked } },
    {
      name: "the agent's agreement is kept",
      own: { [A]: marked },
      before: { [A]: 'ready-for-release' },
      after: { [A]: 'ready-for-release' },
    },
    {
      name: "the agent's refusal is kept",
      own: { [A]: marked },
      before: { [A]: 'do-not-release' },
      after: { [A]: 'do-not-release' },
    },
    {
      name: 'a release replaces the agreement',
      own: { [A]: 'released' },
      before: { [A]: 'ready-for-release' },
      after: { [A]: 'released' },
    },
    { name: 'what is not known disappears', own: {}, before: { [A]: 'ready-for-release' }, after: {} },
    {
      name: 'a release that the agent has acknowledged is not published again',
      own: { [A]: 'released' },
      before: {},
      after: {},
    },
  ])('$name', ({ own, before, after }) => {
    const published = publishReleaseIPs(records({}, own), states(before), new Set([A, B]))
    expect(Object.fromEntries(published.releaseIPs)).toEqual(after)
  })

  test('comes sorted, and forgets acknowledged releases', () => {
    const before = records({ [B]: OLD }, { [B]: marked, [A]: marked, '10.0.0.9': 'released' })
    const published = publishReleaseIPs(before, states({}), new Set([A, B]))
    expect([...published.releaseIPs.keys()]).toEqual([A, B])
    expect(published.records).toEqual(records({ [B]: OLD }, { [A]: marked, [B]: marked }))
  })

  test.each(['marked-for-release', 'ready-for-release', 'released'] as const)(
    'an address that says %s and is not attached stays blocked until its agent has seen the new pool',
    (state) => {
      const published = publishReleaseIPs(NO_RELEASE_RECORDS, states({ [A]: state, [B]: state }), new Set([B]))
      expect(Object.fromEntries(published.releaseIPs)).toEqual({ [A]: 'released' })
    },
  )

  test('a refused address that is not attached is not blocked any longer', () => {
    const published = publishReleaseIPs(NO_RELEASE_RECORDS, states({ [A]: 'do-not-release' }), new Set([B]))
    expect(published.releaseIPs.size).toBe(0)
  })
})
