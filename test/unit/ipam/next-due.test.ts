import { describe, expect, test } from 'vitest'
import { withholdTimes } from '../../../src/ipam/cidr-release.ts'
import { LIMITS_LOOK_AGAIN_MS, LOOK_AGAIN_MS, nextDueMs } from '../../../src/ipam/next-due.ts'
import type { NodeState } from '../../../src/ipam/node-state.ts'
import { INITIAL_NODE_STATE } from '../../../src/ipam/node-state.ts'
import type { IdleReason } from '../../../src/ipam/plan-maintenance.ts'

const NOW_MS = 1_000
const settled: IdleReason = { kind: 'settled' }
const marked = new Map([
  ['a', 500],
  ['b', 700],
])

describe('nextDueMs', () => {
  test.each<{
    name: string
    state: Partial<NodeState>
    why?: IdleReason
    releaseEnabled?: boolean
    due: number | undefined
  }>([
    { name: 'a node at rest has none', state: {}, due: undefined },
    { name: 'at capacity: only an event can change that', state: {}, why: { kind: 'atCapacity' }, due: undefined },
    {
      name: 'the end of its wait',
      state: { failure: { count: 1, retryAtMs: 3_000, blocks: 'all', exhaustedPoolID: undefined } },
      due: 3_000,
    },
    { name: 'the next try of a stopped instance', state: { power: { kind: 'stopped', untilMs: 9_000 } }, due: 9_000 },
    { name: 'the next read', state: { view: { kind: 'missing', readCount: 1, nextReadMs: 4_000 } }, due: 4_000 },
    {
      name: 'the end of a release delay',
      state: { release: { marked, status: new Map() } },
      due: 500 + 10_000,
    },
    {
      name: 'no release delay while release is off',
      state: { release: { marked, status: new Map() } },
      releaseEnabled: false,
      due: undefined,
    },
    { name: 'the delay of a CIDR', state: { cidrs: { previous: new Set(), marked } }, due: 500 + 10_000 },
    {
      name: 'the end of the withholding of a CIDR; none for one that is still to be left out',
      state: {
        withheld: new Map([
          ['a', undefined],
          ['b', 2_000],
        ]),
      },
      due: 2_000 + withholdTimes(10_000).forMs,
    },
    {
      name: 'the read that a pass has put off, not the one of the node itself',
      state: { view: { kind: 'missing', readCount: 1, nextReadMs: 4_000 } },
      why: { kind: 'instanceMissing', untilMs: 8_000 },
      due: 8_000,
    },
    {
      name: 'another look for a release without a time',
      state: {},
      why: { kind: 'releaseDeferred', untilMs: undefined },
      due: NOW_MS + LOOK_AGAIN_MS,
    },
    {
      name: 'another look for room',
      state: {},
      why: { kind: 'subnetExhausted', poolID: '' },
      due: NOW_MS + LOOK_AGAIN_MS,
    },
    {
      name: 'another look for limits',
      state: {},
      why: { kind: 'limitsUnknown', instanceType: '' },
      due: NOW_MS + LIMITS_LOOK_AGAIN_MS,
    },
    { name: 'the end of a permit', state: {}, why: { kind: 'releaseDeferred', untilMs: 7_000 }, due: 7_000 },
    {
      name: 'the first of several',
      state: {
        failure: { count: 1, retryAtMs: 3_000, blocks: 'all', exhaustedPoolID: undefined },
        view: { kind: 'missing', readCount: 1, nextReadMs: 2_000 },
      },
      due: 2_000,
    },
    { name: 'never in the past', state: { view: { kind: 'missing', readCount: 1, nextReadMs: 10 } }, due: NOW_MS },
  ])('$name', ({ state, why = settled, releaseEnabled = true, due }) => {
    const context = { nowMs: NOW_MS, releaseEnabled, releaseDelayMs: 10_000 }
    expect(nextDueMs({ ...INITIAL_NODE_STATE, ...state }, why, context)).toBe(due)
  })
})
