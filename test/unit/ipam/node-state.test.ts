import { describe, expect, test } from 'vitest'
import type { NodeEvent, NodeState } from '../../../src/ipam/node-state.ts'
import { clearStale, INITIAL_NODE_STATE, reduce, STOPPED_RETRY_MS } from '../../../src/ipam/node-state.ts'
import type { FailedStep } from '../../../src/ipam/plan-maintenance.ts'
import { packResource } from '../../../src/ipam/seen-resource.ts'
import { EMPTY_STATISTICS } from '../../../src/ipam/statistics.ts'
import type { Statistics } from '../../../src/ipam/types.ts'
import type { ResourceOptions } from '../../support/builders.ts'
import { ciliumNode } from '../../support/builders.ts'

const after = (events: readonly NodeEvent[], from: NodeState = INITIAL_NODE_STATE): NodeState =>
  events.reduce(reduce, from)
const seen = (options: ResourceOptions = {}, nowMs = 0): NodeEvent => ({
  kind: 'resourceSeen',
  resource: packResource(ciliumNode(options)),
  nowMs,
})
const statistics = (ipv4: Partial<Statistics['ipv4']>): Statistics => ({
  ...EMPTY_STATISTICS,
  ipv4: { ...EMPTY_STATISTICS.ipv4, ...ipv4 },
})
const refreshed = (ipv4: Partial<Statistics['ipv4']>, nowMs = 0): NodeEvent => ({
  kind: 'refreshed',
  statistics: statistics(ipv4),
  generation: 'crd-pool',
  cidrs: undefined,
  nowMs,
})
const failedStep = (kind: FailedStep['kind'], isInstanceRunning = true, nowMs = 10): NodeEvent => ({
  kind: 'stepFailed',
  step: { step: 'allocate', interfaceID: 'eni-1', poolID: 'subnet-1', kind, message: kind },
  isInstanceRunning,
  nowMs,
})

describe('clearStale', () => {
  test.each([
    { staleSinceMs: 100, startedAtMs: 101, expected: undefined },
    { staleSinceMs: 100, startedAtMs: 100, expected: 100 },
    { staleSinceMs: 100, startedAtMs: 99, expected: 100 },
    { staleSinceMs: undefined, startedAtMs: 5, expected: undefined },
  ])(
    'stale since $staleSinceMs, read started at $startedAtMs: $expected',
    ({ staleSinceMs, startedAtMs, expected }) => {
      expect(clearStale(staleSinceMs, startedAtMs)).toBe(expected)
    },
  )
})

describe('the stale mark', () => {
  test.each([
    { kind: 'limit', marks: true },
    { kind: 'stale', marks: true },
    { kind: 'unavailable', marks: true },
    { kind: 'conflict', marks: true },
    { kind: 'notFound', marks: true },
    { kind: 'throttled', marks: false },
    { kind: 'exhausted', marks: false },
    { kind: 'denied', marks: false },
    { kind: 'unknown', marks: false },
  ] as const)('$kind sets it: $marks', ({ kind, marks }) => {
    expect(after([failedStep(kind)]).staleSinceMs).toBe(marks ? 10 : undefined)
  })

  test('is set by a stopped instance whatever the refusal', () => {
    expect(after([failedStep('denied', false)]).staleSinceMs).toBe(10)
  })
})

describe('power', () => {
  test.each<{ name: string; events: readonly NodeEvent[]; power: NodeState['power'] }>([
    { name: 'one word is a suspicion', events: [failedStep('stale', false)], power: { kind: 'suspected' } },
    {
      name: 'two are believed, for a minute',
      events: [failedStep('stale', false), failedStep('stale', false, 20)],
      power: { kind: 'stopped', untilMs: 20 + STOPPED_RETRY_MS },
    },
    {
      name: 'a success clears the suspicion',
      events: [failedStep('stale', false), { kind: 'changed' }],
      power: { kind: 'running' },
    },
    {
      name: 'it expires by itself',
      events: [
        failedStep('stale', false),
        failedStep('stale', false, 20),
        { kind: 'tick', nowMs: 20 + STOPPED_RETRY_MS },
      ],
      power: { kind: 'suspected' },
    },
    {
      name: 'not earlier',
      events: [
        failedStep('stale', false),
        failedStep('stale', false, 20),
        { kind: 'tick', nowMs: 19 + STOPPED_RETRY_MS },
      ],
      power: { kind: 'stopped', untilMs: 20 + STOPPED_RETRY_MS },
    },
    {
      name: 'and is re-armed',
      events: [
        failedStep('stale', false),
        failedStep('stale', false, 20),
        { kind: 'tick', nowMs: 70_000 },
        failedStep('stale', false, 70_001),
      ],
      power: { kind: 'stopped', untilMs: 70_001 + STOPPED_RETRY_MS },
    },
    {
      name: 'the agent speaks',
      events: [seen({ used: 1 }), { kind: 'powerSet', isRunning: false, nowMs: 0 }, seen({ used: 2 })],
      power: { kind: 'running' },
    },
    {
      name: 'our own write is not the agent',
      events: [
        seen(),
        { kind: 'powerSet', isRunning: false, nowMs: 0 },
        seen({ operatorError: 'instance is not running' }),
      ],
      power: { kind: 'stopped', untilMs: STOPPED_RETRY_MS },
    },
    { name: 'set from outside', events: [{ kind: 'powerSet', isRunning: true, nowMs: 0 }], power: { kind: 'running' } },
  ])('$name', ({ events, power }) => {
    expect(after(events).power).toEqual(power)
  })
})

describe('a missing instance', () => {
  const tried = (nowMs: number): NodeEvent => ({ kind: 'readTried', nowMs, chance: 0.5 })

  test('is read at once, then after 1, 2, 4, … seconds, at most a minute', () => {
    let state = after([{ kind: 'instanceMissing', nowMs: 0 }])
    expect(state.view).toEqual({ kind: 'missing', readCount: 0, nextReadMs: 0 })
    const waits: number[] = []
    for (let read = 0; read < 9; read++) {
      state = after([tried(1_000_000), { kind: 'instanceMissing', nowMs: 1_000_000 }], state)
      if (state.view.kind === 'missing') waits.push(state.view.nextReadMs - 1_000_000)
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
  })

  test('that is found begins anew the next time', () => {
    const state = after([
      { kind: 'instanceMissing', nowMs: 0 },
      tried(0),
      tried(0),
      refreshed({}),
      { kind: 'instanceMissing', nowMs: 50 },
    ])
    expect(state.view).toEqual({ kind: 'missing', readCount: 0, nextReadMs: 50 })
  })

  test('keeps the numbers, apart from need and excess', () => {
    const state = after([
      refreshed({ availableIPs: 9, usedIPs: 7, neededIPs: 3, excessIPs: 0 }),
      { kind: 'instanceMissing', nowMs: 0 },
    ])
    expect(state.statistics.ipv4).toMatchObject({ availableIPs: 9, usedIPs: 7, neededIPs: 0, excessIPs: 0 })
  })
})

describe('the age of a need', () => {
  test('counts from its beginning and ends with it', () => {
    const first = after([refreshed({ neededIPs: 4 }, 100), refreshed({ neededIPs: 9 }, 500)])
    expect(first.needSinceMs).toBe(100)
    expect(after([refreshed({ neededIPs: 0 }, 900)], first).needSinceMs).toBeUndefined()
  })

  test('counts for a node of which nothing is known', () => {
    expect(after([{ kind: 'instanceMissing', nowMs: 70 }]).needSinceMs).toBe(70)
  })

  test('does not count for a missing instance with free addresses', () => {
    const state = after([refreshed({ availableIPs: 9, usedIPs: 2 }), { kind: 'instanceMissing', nowMs: 70 }])
    expect(state.needSinceMs).toBeUndefined()
  })
})

describe("the agent's agreement", () => {
  const ready = { '10.0.0.1': 'ready-for-release' } as const

  test('counts from the version in which it was first seen', () => {
    const state = after([seen({ releaseIPs: ready }, 100), seen({ releaseIPs: ready, used: 1 }, 900)])
    expect([...state.readySinceMs]).toEqual([['10.0.0.1', 100]])
  })

  test('counts anew after it was taken back', () => {
    const state = after([
      seen({ releaseIPs: ready }, 100),
      seen({ releaseIPs: { '10.0.0.1': 'do-not-release' } }, 200),
      seen({ releaseIPs: ready }, 300),
    ])
    expect([...state.readySinceMs]).toEqual([['10.0.0.1', 300]])
  })
})

describe('the revision', () => {
  const base = after([seen(), refreshed({})])
  test.each<{ name: string; event: NodeEvent; grows: boolean }>([
    { name: 'a step that changed the cloud', event: { kind: 'changed' }, grows: true },
    { name: 'a public address', event: { kind: 'staticIPAssigned', address: '203.0.113.1' }, grows: true },
    { name: 'a release', event: { kind: 'released', addresses: ['10.0.0.1'] }, grows: true },
    { name: 'a read with a change', event: { kind: 'synced', startedAtMs: 1, hasChanged: true }, grows: true },
    { name: 'a read without one', event: { kind: 'synced', startedAtMs: 1, hasChanged: false }, grows: false },
    { name: 'a look at the cache', event: refreshed({ neededIPs: 3 }), grows: false },
    { name: "the agent's part of the resource", event: seen({ used: 5 }), grows: false },
    { name: 'our part of the resource', event: seen({ operatorError: 'x' }), grows: true },
    { name: 'the handshake in the resource', event: seen({ releaseIPs: { '10.0.0.1': 'released' } }), grows: true },
    {
      name: 'a new reason to wait',
      event: { kind: 'waiting', cause: { kind: 'atCapacity' }, nextTryAt: undefined },
      grows: true,
    },
    {
      name: 'no reason to wait',
      event: { kind: 'waiting', cause: { kind: 'nothing' }, nextTryAt: undefined },
      grows: false,
    },
    { name: 'the end of a pass', event: { kind: 'passEnded', failure: undefined }, grows: false },
  ])('grows with $name: $grows', ({ event, grows }) => {
    expect(after([event], base).revision > base.revision).toBe(grows)
  })
})

test('a node that comes back under another instance forgets the CIDRs of the old one', () => {
  const cidrs = { previous: new Set(['10.0.0.1/32']), marked: new Map([['10.0.0.2/32', 5]]) }
  const state = after([seen()], { ...INITIAL_NODE_STATE, cidrs })
  expect(after([seen({ instanceID: 'i-other' })], state).cidrs.marked.size).toBe(0)
})

test('what was published becomes the resource, and completed releases are forgotten', () => {
  const state = after([seen({ releaseIPs: { '10.0.0.1': 'released' } }), { kind: 'released', addresses: ['10.0.0.1'] }])
  expect(state.release.status.size).toBe(1)
  const published = after(
    [{ kind: 'published', resource: packResource(ciliumNode({ resourceVersion: '9' })), nowMs: 3 }],
    state,
  )
  expect(published.release.status.size).toBe(0)
  expect(published.resource?.resourceVersion).toBe('9')
  expect(published.revision).toBe(state.revision)
})

describe('a look that finds nothing new', () => {
  const base = after([seen(), refreshed({ availableIPs: 8, neededIPs: 2 }, 100)])

  test('leaves the very same state', () => {
    expect(reduce(base, refreshed({ availableIPs: 8, neededIPs: 2 }, 900))).toBe(base)
  })

  const numbers = {
    usedIPs: 1,
    availableIPs: 9,
    neededIPs: 3,
    excessIPs: 1,
    capacity: 1,
    remainingInterfaces: 1,
    interfaceCandidates: 1,
  }
  test.each(Object.entries(numbers))('is none when %s is another', (name, count) => {
    const after = reduce(base, refreshed({ availableIPs: 8, neededIPs: 2, [name]: count }, 900))
    expect(after.statistics.ipv4).toMatchObject({ [name]: count })
  })

  test.each<{ readonly name: string; readonly change: Partial<Statistics> }>([
    { name: 'prefixes of IPv6', change: { ipv6: { availablePrefixes: 1, neededPrefixes: 0 } } },
    { name: 'prefixes of IPv6 needed', change: { ipv6: { availablePrefixes: 0, neededPrefixes: 1 } } },
    { name: 'free slots', change: { emptyInterfaceSlots: 1 } },
    { name: 'the public address', change: { assignedStaticIP: '203.0.113.1' } },
  ])('is none when $name changed', ({ change }) => {
    const numbers = { ...statistics({ availableIPs: 8, neededIPs: 2 }), ...change }
    const event: NodeEvent = {
      kind: 'refreshed',
      statistics: numbers,
      generation: 'crd-pool',
      cidrs: undefined,
      nowMs: 9,
    }
    expect(reduce(base, event).statistics).toBe(numbers)
  })

  test('is none when the view was lost before', () => {
    const lost = reduce(base, { kind: 'limitsUnknown', instanceType: 'm5.large', nowMs: 200 })
    const back = reduce(lost, refreshed({ availableIPs: 8, neededIPs: 2 }, 900))
    expect([back.view.kind, back.revision > lost.revision]).toEqual(['known', true])
  })
})

describe('CIDRs that the agent gave up', () => {
  const holds = (current: readonly string[], nowMs: number): NodeEvent => ({
    kind: 'refreshed',
    statistics: statistics({}),
    generation: 'multi-pool',
    cidrs: { current, attached: ['10.0.0.16/28', '10.0.0.32/28'] },
    nowMs,
  })
  const givenUp = after([holds(['10.0.0.16/28', '10.0.0.32/28'], 0), holds([], 100)])
  const withheldOnes: NodeEvent = { kind: 'cidrsWithheld', cidrs: ['10.0.0.16/28'] }

  test('are marked since then, and forgotten once they are released', () => {
    expect([...givenUp.cidrs.marked]).toEqual([
      ['10.0.0.16/28', 100],
      ['10.0.0.32/28', 100],
    ])
    const left = reduce(givenUp, { kind: 'cidrsReleased', cidrs: ['10.0.0.16/28'] })
    expect([...left.cidrs.marked.keys()]).toEqual(['10.0.0.32/28'])
    expect(left.revision).toBe(givenUp.revision + 1)
  })

  test('are to be written when others are withheld, and not when they are the same', () => {
    const withheld = reduce(givenUp, withheldOnes)
    expect(withheld.revision).toBe(givenUp.revision + 1)
    expect(reduce(withheld, withheldOnes)).toBe(withheld)
  })

  test('are out of the resource since it was written without them', () => {
    const written = after([withheldOnes, { kind: 'withheldWritten', cidrs: ['10.0.0.16/28'], nowMs: 300 }], givenUp)
    expect([...written.withheld]).toEqual([['10.0.0.16/28', 300]])
  })

  test('are listed again as soon as the agent holds them again', () => {
    const withheld = reduce(givenUp, withheldOnes)
    const back = reduce(withheld, holds(['10.0.0.16/28'], 400))
    expect([...back.withheld]).toEqual([])
    expect(back.revision).toBeGreaterThan(withheld.revision)
  })

  test('are nothing of another instance under the same name', () => {
    const replaced = after([seen({ instanceID: 'i-1' }), holds(['10.0.0.16/28'], 0), holds([], 100), withheldOnes])
    expect([replaced.cidrs.marked.size, replaced.withheld.size]).toEqual([2, 1])
    const other = reduce(replaced, seen({ instanceID: 'i-2' }, 200))
    expect([other.cidrs.marked.size, other.withheld.size]).toEqual([0, 0])
  })
})

describe('the handshake of addresses', () => {
  const stepped = (address: string, resourceStates: NodeState['resourceStates'] = new Map()): NodeEvent => ({
    kind: 'releaseStepped',
    records: { marked: new Map([[address, 5]]), status: new Map([[address, 'marked-for-release']]) },
    resourceStates,
  })

  test('is to be written when what it says has changed, and not otherwise', () => {
    const first = reduce(INITIAL_NODE_STATE, stepped('10.0.0.5'))
    expect(first.revision).toBe(1)
    expect(reduce(first, stepped('10.0.0.5')).revision).toBe(1)
    expect(reduce(first, stepped('10.0.0.6')).revision).toBe(2)
    expect(reduce(first, stepped('10.0.0.5', new Map([['10.0.0.5', 'marked-for-release']]))).revision).toBe(2)
  })

  test('that the resource has seen the end of is forgotten with the write that showed it', () => {
    const done = after([stepped('10.0.0.5'), { kind: 'released', addresses: ['10.0.0.5'] }])
    expect(done.release.status.get('10.0.0.5')).toBe('released')
    const { resource } = after([seen()])
    const published = reduce(done, { kind: 'published', resource: resource!, nowMs: 50 })
    expect(published.release.status.size).toBe(0)
    expect(published.revision).toBe(done.revision)
  })

  test('knows since when the agent is ready, whatever is written in between', () => {
    const ready = seen({ releaseIPs: { '10.0.0.5': 'ready-for-release' } }, 100)
    const again = seen({ releaseIPs: { '10.0.0.5': 'ready-for-release', '10.0.0.6': 'do-not-release' } }, 900)
    expect([...after([ready, again]).readySinceMs]).toEqual([['10.0.0.5', 100]])
    expect(after([ready, seen({}, 900)]).readySinceMs.size).toBe(0)
  })
})
