import { describe, expect, test } from 'vitest'
import { placeInQueue, placesInQueue } from '../../../src/budget/forecast.ts'
import type { QueuedTurn, QueueRules } from '../../../src/budget/forecast.ts'
import { CALL_PRIORITIES } from '../../../src/runtime/call-priority.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { harness, requestOf, table, Throttled } from './harness.ts'

const NEVER = Number.POSITIVE_INFINITY
const RULES: QueueRules = { turnsByClass: 3, turnsSinceOverdue: 0, timeOf: (tokens) => tokens * 1_000 }

function turn(rank: number, sequence: number, parts: Partial<QueuedTurn> = {}): QueuedTurn {
  return { rank, sequence, deadlineMs: NEVER, tokens: 1, ...parts }
}

test('the places of all calls are those of each of them', () => {
  const random = seededRandom(7)
  const count = (below: number): number => Math.floor(random.next() * below)
  for (let round = 0; round < 200; round++) {
    const queue = Array.from({ length: 1 + count(30) }, (_, sequence) =>
      turn(count(3), sequence, { deadlineMs: count(2) === 0 ? NEVER : count(20_000), tokens: 1 + count(3) }),
    )
    const rules = { ...RULES, turnsSinceOverdue: count(5) }
    const places = placesInQueue(queue, rules)
    expect(places.size).toBe(queue.length)
    for (const call of queue) expect(places.get(call.sequence)).toEqual(placeInQueue(call, queue, rules))
  }
})

describe('placeInQueue', () => {
  test.each<{ name: string; queue: readonly QueuedTurn[]; rules?: Partial<QueueRules>; ahead: number; tokens: number }>(
    [
      { name: 'alone', queue: [turn(1, 5)], ahead: 0, tokens: 1 },
      { name: 'behind who came before', queue: [turn(1, 5), turn(1, 3), turn(1, 9)], ahead: 1, tokens: 2 },
      { name: 'behind who is more urgent', queue: [turn(1, 5), turn(0, 9), turn(2, 1)], ahead: 1, tokens: 2 },
      { name: 'tokens count, not calls', queue: [turn(1, 5), turn(1, 3, { tokens: 4 })], ahead: 1, tokens: 5 },
      {
        name: 'every fourth turn goes to who is overdue longest',
        queue: [turn(0, 1), turn(0, 2), turn(0, 3), turn(0, 4), turn(0, 6), turn(4, 5, { deadlineMs: 0 })],
        ahead: 3,
        tokens: 4,
      },
      {
        name: 'the overdue turn may be due at once',
        queue: [turn(0, 1), turn(4, 5, { deadlineMs: 0 })],
        rules: { turnsSinceOverdue: 3 },
        ahead: 0,
        tokens: 1,
      },
      {
        name: 'who is not overdue by then has no such turn',
        queue: [turn(0, 1), turn(0, 2), turn(0, 3), turn(0, 4), turn(4, 5, { deadlineMs: 60_000 })],
        ahead: 4,
        tokens: 5,
      },
    ],
  )('$name', ({ queue, rules, ahead, tokens }) => {
    const call = queue.find(({ sequence }) => sequence === 5)!
    expect(placeInQueue(call, queue, { ...RULES, ...rules })).toEqual({
      ahead,
      behind: queue.length - ahead - 1,
      tokens,
    })
  })
})

describe('the position of a waiting call', () => {
  test.each([1, 2, 3, 4, 5])('is the one in which it is served, while nobody else comes (seed %i)', async (seed) => {
    const random = seededRandom(seed)
    const { clock, budget, made, call } = harness({ table: table({ Assign: { size: 2, refillPerSecond: 1 } }) })
    const signals = new Map<string, AbortSignal>()
    const calls: Promise<unknown>[] = []
    for (let index = 0; index < 60; index++) {
      const { signal } = new AbortController()
      const priority = CALL_PRIORITIES[Math.floor(random.next() * CALL_PRIORITIES.length)]!
      signals.set(`call-${index}`, signal)
      calls.push(call(`call-${index}`, { signal, priority, buckets: [{ bucket: 'Assign', cost: 1 }] }))
      if (random.next() < 0.15) await clock.advance(2_000)
    }
    const nowMs = clock.now()
    const expected = [...signals].flatMap(([name, signal]) => {
      const [pending] = budget.pendingCalls(signal)
      const position = pending?.position()
      return position === undefined ? [] : [{ name, ...position }]
    })
    expect(expected.length).toBeGreaterThan(20)
    const before = made.length
    await clock.advance(90_000)
    await Promise.all(calls)
    const served = made.slice(before).map(({ name }) => name)
    expect(expected.toSorted((a, b) => a.ahead - b.ahead).map(({ name }) => name)).toEqual(served)
    for (const { name, waitMs, ahead, behind } of expected) {
      const atMs = made.find((one) => one.name === name)!.atMs
      expect(Math.abs(atMs - nowMs - waitMs)).toBeLessThanOrEqual(1)
      expect(ahead + behind + 1).toBe(expected.length)
    }
  })

  test('says in which phase a call is, and looking changes nothing', async () => {
    const answer = Promise.withResolvers<string>()
    const { clock, budget } = harness()
    const { signal } = new AbortController()
    const sent = budget.run(requestOf({ signal }), () => answer.promise)
    const queued = budget.run(requestOf({ signal, priority: 'release' }), () => Promise.resolve('done'))
    await clock.advance(0)
    const look = (): unknown =>
      budget.pendingCalls(signal).map(({ phase, priority, refusals }) => ({ phase, priority, refusals }))
    const phases = [
      { phase: 'sent', priority: 'watermark', refusals: 0 },
      { phase: 'queued', priority: 'release', refusals: 0 },
    ]
    expect(look()).toEqual(phases)
    expect(look()).toEqual(phases)
    const [first, second] = budget.pendingCalls(signal)
    expect(first?.position()).toBeUndefined()
    expect(second?.position()).toMatchObject({
      bucket: 'Assign',
      ahead: 0,
      behind: 0,
      refillPerSecond: 1,
      waitMs: 1_000,
    })
    await clock.advance(1_000)
    // What was looked at before is not the state of now.
    expect(second?.position()).toBeUndefined()
    answer.resolve('done')
    await Promise.all([sent, queued])
    expect(budget.pendingCalls(signal)).toEqual([])
    expect(budget.pendingCalls(new AbortController().signal)).toEqual([])
  })

  test('of a closed bucket says for how long', async () => {
    const { clock, budget } = harness()
    const { signal } = new AbortController()
    let refusals = 0
    const call = budget.run(requestOf({ signal }), () =>
      refusals++ === 0 ? Promise.reject(new Throttled({ retryAfterMs: 7_000 })) : Promise.resolve('done'),
    )
    await clock.advance(1_000)
    expect(budget.pendingCalls(signal)[0]?.position()).toMatchObject({ pausedMs: 6_000, waitMs: 6_000 })
    expect(budget.buckets()[0]).toMatchObject({ pausedMs: 6_000, fullRefillPerSecond: 1 })
    await clock.advance(10_000)
    expect(await call).toBe('done')
  })

  test('a call that is given up leaves nothing behind', async () => {
    const { clock, call, budget } = harness()
    const abort = new AbortController()
    await call('first')
    const given = call('second', { signal: abort.signal })
    await clock.advance(0)
    expect(budget.pendingCalls(abort.signal)).toHaveLength(1)
    abort.abort(new Error('gone'))
    await expect(given).rejects.toThrow('gone')
    expect(budget.pendingCalls(abort.signal)).toEqual([])
  })

  test('calls are timed by action, the newest weighing most', async () => {
    const { clock, budget } = harness({ table: table({ Assign: { size: 9, refillPerSecond: 9 } }) })
    expect(budget.durationMs('Assign')).toBeUndefined()
    const timed = async (ms: number): Promise<void> => {
      const call = budget.run(requestOf(), () => clock.sleep(ms, new AbortController().signal))
      await clock.advance(ms)
      await call
    }
    await timed(100)
    expect(budget.durationMs('Assign')).toBe(100)
    await timed(200)
    expect(budget.durationMs('Assign')).toBe(120)
  })
})
