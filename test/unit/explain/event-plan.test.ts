import { describe, expect, test } from 'vitest'
import { EventPlan, eventReason } from '../../../src/explain/event-plan.ts'
import { REASON_CODES } from '../../../src/explain/reasons.ts'

const WALL_MS = Date.UTC(2026, 0, 1)

describe('which occasions become events', () => {
  test('the first one is an event, further ones count it up, and after ten minutes it is a new one', () => {
    const plan = new EventPlan(0)
    const first = plan.decide('node-1', 'subnet-full', 0, WALL_MS)
    expect(first).toMatchObject({ kind: 'create' })
    expect(plan.decide('node-1', 'subnet-full', 5_000, WALL_MS)).toEqual({ ...first, kind: 'repeat', count: 2 })
    expect(plan.decide('node-1', 'subnet-full', 9_000, WALL_MS)).toEqual({ ...first, kind: 'repeat', count: 3 })
    expect(plan.decide('node-1', 'at-capacity', 9_000, WALL_MS)).toMatchObject({ kind: 'create' })
    expect(plan.decide('node-2', 'subnet-full', 9_000, WALL_MS)).toMatchObject({ kind: 'create' })
    expect(plan.decide('node-1', 'subnet-full', 700_000, WALL_MS)).toMatchObject({ kind: 'create' })
  })

  test('ten thousand at once are a few dozen events and one summary', () => {
    const plan = new EventPlan(0)
    const kinds = Array.from({ length: 10_000 }, (_, node) =>
      plan.decide(`node-${node}`, 'waits-for-quota', 0, WALL_MS),
    )
    expect(kinds.filter(({ kind }) => kind === 'create')).toHaveLength(25)
    expect(plan.summaries()).toEqual([{ code: 'waits-for-quota', count: 9_975 }])
    expect(plan.summaries()).toEqual([])
    expect(plan.decide('node-1', 'waits-for-quota', 2_000, WALL_MS)).toMatchObject({ kind: 'repeat' })
  })

  test('an event that the API server has dropped is made anew', () => {
    const plan = new EventPlan(0)
    plan.decide('node-1', 'subnet-full', 0, WALL_MS)
    plan.forget('node-1', 'subnet-full')
    expect(plan.decide('node-1', 'subnet-full', 5_000, WALL_MS)).toMatchObject({ kind: 'create' })
  })

  test('names differ, also in one millisecond', () => {
    const plan = new EventPlan(0)
    expect(new Set(Array.from({ length: 1_000 }, () => plan.nameOf('node-1', WALL_MS))).size).toBe(1_000)
  })
})

test('reasons of events are in capital case, as the API conventions ask', () => {
  expect(eventReason('no-instance-id')).toBe('NoInstanceId')
  for (const code of REASON_CODES) expect(eventReason(code)).toMatch(/^[A-Z][A-Za-z0-9]+$/)
})
