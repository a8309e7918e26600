import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TimerQueue } from '../../../src/runtime/timer.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'

function queueOn(clock: ManualClock, errors: unknown[] = []): TimerQueue {
  return new TimerQueue(clock, (error) => errors.push(error))
}

describe('TimerQueue', () => {
  test('runs timers in the order of their due times, equal ones in the order of arming', async () => {
    const clock = new ManualClock()
    const queue = queueOn(clock)
    const runs: string[] = []
    for (const [name, dueMs] of [
      ['c', 30],
      ['a', 10],
      ['b1', 20],
      ['b2', 20],
    ] as const)
      queue.timer(() => runs.push(`${name}@${clock.now()}`)).setAt(dueMs)
    await clock.advance(100)
    expect(runs).toEqual(['a@10', 'b1@20', 'b2@20', 'c@30'])
  })

  test('an earlier timer that is armed later is not late', async () => {
    const clock = new ManualClock()
    const queue = queueOn(clock)
    const runs: number[] = []
    queue.timer(() => runs.push(clock.now())).setAt(1_000)
    await clock.advance(10)
    queue.timer(() => runs.push(clock.now())).setAt(50)
    await clock.advance(2_000)
    expect(runs).toEqual([50, 1_000])
  })

  test('a timer that is moved runs once, at its new time', async () => {
    const clock = new ManualClock()
    const queue = queueOn(clock)
    const runs: number[] = []
    const timer = queue.timer(() => runs.push(clock.now()))
    timer.setAt(10)
    timer.setAt(40)
    timer.setAt(25)
    await clock.advance(100)
    expect(runs).toEqual([25])
  })

  test('a cancelled timer does not run', async () => {
    const clock = new ManualClock()
    const queue = queueOn(clock)
    const runs: number[] = []
    const timer = queue.timer(() => runs.push(clock.now()))
    timer.setAt(10)
    timer.cancel()
    await clock.advance(100)
    expect(runs).toEqual([])
    expect(queue.size).toBe(0)
  })

  test('ten thousand timers cost one sleep', () => {
    const clock = new ManualClock()
    const queue = queueOn(clock)
    for (let index = 0; index < 10_000; index++) queue.timer(() => undefined).setAt(1_000 + index)
    expect(clock.sleeping).toBe(1)
  })

  test('a callback that throws is reported, and the others run', async () => {
    const clock = new ManualClock()
    const errors: unknown[] = []
    const queue = queueOn(clock, errors)
    const runs: string[] = []
    queue
      .timer(() => {
        throw new Error('broken')
      })
      .setAt(10)
    queue.timer(() => runs.push('after')).setAt(10)
    await clock.advance(20)
    expect(errors).toHaveLength(1)
    expect(runs).toEqual(['after'])
  })

  test('stop disarms everything and leaves no sleep behind', async () => {
    const clock = new ManualClock()
    const queue = queueOn(clock)
    const runs: number[] = []
    const timer = queue.timer(() => runs.push(clock.now()))
    timer.setAt(10)
    queue.stop()
    timer.setAt(20)
    await settle()
    expect(clock.sleeping).toBe(0)
    await clock.advance(100)
    expect(runs).toEqual([])
  })

  test('keeps the order whatever is armed, moved and cancelled', async () => {
    const step = fc.record({ timer: fc.nat(9), dueMs: fc.integer({ min: 1, max: 100 }), isCancel: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const clock = new ManualClock()
        const queue = queueOn(clock)
        const runs: { timer: number; atMs: number }[] = []
        const expected = new Map<number, number>()
        const timers = Array.from({ length: 10 }, (_, timer) =>
          queue.timer(() => runs.push({ timer, atMs: clock.now() })),
        )
        for (const { timer, dueMs, isCancel } of steps) {
          if (isCancel) timers[timer]!.cancel()
          else timers[timer]!.setAt(dueMs)
          if (isCancel) expected.delete(timer)
          else expected.set(timer, dueMs)
        }
        expect(queue.size).toBe(expected.size)
        await clock.advance(200)
        expect(runs.map(({ atMs }) => atMs)).toEqual([...expected.values()].sort((left, right) => left - right))
        expect(new Map(runs.map(({ timer, atMs }) => [timer, atMs]))).toEqual(expected)
      }),
      { numRuns: 60, seed: 7 },
    )
  })
})
