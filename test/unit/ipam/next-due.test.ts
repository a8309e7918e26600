import { describe, expect, test } from 'vitest'
import { LOOK_AGAIN_MS, nextDueMs } from '../../../src/ipam/next-due.ts'
import { INITIAL_NODE_STATE } from '../../../src/ipam/node-state.ts'
import type { NodeState } from '../../../src/ipam/node-state.ts'
import type { IdleReason } from '../../../src/ipam/plan-maintenance.ts'

const NOW_MS = 10_000
const missing: NodeState = { ...INITIAL_NODE_STATE, view: { kind: 'missing', readCount: 0, nextReadMs: 9_000 } }
const failed: NodeState = {
  ...INITIAL_NODE_STATE,
  failure: { count: 1, retryAtMs: 12_000, blocks: 'all', exhaustedPoolID: undefined },
}
const marked: NodeState = {
  ...INITIAL_NODE_STATE,
  release: { marked: new Map([['10.0.0.5', 9_500]]), status: new Map() },
}

describe('when a node is looked at again without an event', () => {
  test.each<{ name: string; state: NodeState; why: IdleReason; dueMs: number | undefined }>([
    { name: 'at rest: never', state: INITIAL_NODE_STATE, why: { kind: 'settled' }, dueMs: undefined },
    { name: 'after a failure: when its backoff ends', state: failed, why: { kind: 'settled' }, dueMs: 12_000 },
    { name: 'missing: when its next read is due', state: missing, why: { kind: 'settled' }, dueMs: NOW_MS },
    {
      name: 'missing, and the pass put the read off: not before that, however long the node itself has waited',
      state: missing,
      why: { kind: 'instanceMissing', untilMs: 31_000 },
      dueMs: 31_000,
    },
    { name: 'an excess address: when its delay has passed', state: marked, why: { kind: 'settled' }, dueMs: 189_500 },
    {
      name: 'a full subnet: from time to time',
      state: INITIAL_NODE_STATE,
      why: { kind: 'subnetExhausted', poolID: 'subnet-1' },
      dueMs: NOW_MS + LOOK_AGAIN_MS,
    },
  ])('$name', ({ state, why, dueMs }) => {
    const context = { nowMs: NOW_MS, releaseEnabled: true, releaseDelayMs: 180_000 }
    expect(nextDueMs(state, why, context)).toBe(dueMs)
  })
})
