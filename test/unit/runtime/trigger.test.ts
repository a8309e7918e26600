import { describe, expect, test } from 'vitest'
import { TimerQueue } from '../../../src/runtime/timer.ts'
import { Trigger } from '../../../src/runtime/trigger.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'

interface Harness {
  readonly clock: ManualClock
  readonly trigger: Trigger
  readonly starts: { readonly atMs: number; readonly reasons: readonly string[] }[]
  readonly observed: (readonly [run: number, latency: number, folds: number])[]
  readonly errors: unknown[]
}

function harness(options: {
  readonly minIntervalMs: number
  readonly runMs?: number
  readonly fails?: boolean
}): Harness {
  const clock = new ManualClock()
  const errors: unknown[] = []
  const starts: { atMs: number; reasons: readonly string[] }[] = []
  const observed: (readonly [number, number, number])[] = []
  const trigger = new Trigger({
    run: async (reasons) => {
      starts.push({ atMs: clock.now(), reasons })
      if (options.runMs !== undefined) await clock.sleep(options.runMs, new AbortController().signal)
      if (options.fails === true) throw new Error('run failed')
    },
    minIntervalMs: options.minIntervalMs,
    clock,
    timers: new TimerQueue(clock, (error) => errors.push(error)),
    observer: { queueEvent: () => undefined, postRun: (...args) => observed.push(args) },
    onError: (error) => errors.push(error),
  })
  return { clock, trigger, starts, observed, errors }
}

describe('Trigger', () => {
  test('the first run has no delay', () => {
    const { trigger, starts } = harness({ minIntervalMs: 60_000 })
    trigger.trigger('first')
    expect(starts).toEqual([{ atMs: 0, reasons: ['first'] }])
  })

  test('requests during a run fold into one further run, with all their reasons', async () => {
    const { clock, trigger, starts, observed } = harness({ minIntervalMs: 10, runMs: 1_000 })
    trigger.trigger('a')
    await clock.advance(1)
    for (const reason of ['b', 'c', 'b']) trigger.trigger(reason)
    await clock.advance(5_000)
    expect(starts).toEqual([
      { atMs: 0, reasons: ['a'] },
      { atMs: 1_000, reasons: ['b', 'c'] },
    ])
    expect(observed).toEqual([
      [1, 0, 1],
      [1, 0.999, 3],
    ])
  })

  test('runs are at least the interval apart, measured from their starts', async () => {
    const { clock, trigger, starts } = harness({ minIntervalMs: 100 })
    trigger.trigger()
    await clock.advance(30)
    trigger.trigger()
    await clock.advance(1_000)
    expect(starts.map(({ atMs }) => atMs)).toEqual([0, 100])
  })

  test('never runs twice at the same time', async () => {
    const { clock, trigger, starts, observed } = harness({ minIntervalMs: 0, runMs: 50 })
    for (let request = 0; request < 20; request++) {
      trigger.trigger()
      await clock.advance(7)
    }
    await clock.advance(200)
    for (const [index, { atMs }] of starts.entries())
      if (index > 0) expect(atMs - starts[index - 1]!.atMs).toBeGreaterThanOrEqual(50)
    expect(observed.reduce((sum, [, , folds]) => sum + folds, 0)).toBe(20)
  })

  test('a run that fails is reported, and the next one runs', async () => {
    const { clock, trigger, starts, errors } = harness({ minIntervalMs: 10, fails: true })
    trigger.trigger()
    await settle()
    trigger.trigger()
    await clock.advance(100)
    expect(errors).toHaveLength(2)
    expect(starts).toHaveLength(2)
    expect(trigger.isBusy).toBe(false)
  })

  test('after shutdown nothing runs, not even what was pending', async () => {
    const { clock, trigger, starts } = harness({ minIntervalMs: 100 })
    trigger.trigger()
    await clock.advance(1)
    trigger.trigger()
    trigger.shutdown()
    trigger.trigger()
    await clock.advance(1_000)
    expect(starts).toHaveLength(1)
  })

  test('remembers a bounded number of reasons', async () => {
    const { clock, trigger, starts, observed } = harness({ minIntervalMs: 0, runMs: 10 })
    trigger.trigger()
    await clock.advance(1)
    for (let request = 0; request < 100; request++) trigger.trigger(`reason ${request}`)
    await clock.advance(100)
    expect(starts[1]?.reasons).toHaveLength(8)
    expect(observed[1]?.[2]).toBe(100)
  })
})
