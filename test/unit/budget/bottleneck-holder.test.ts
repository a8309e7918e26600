import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { bottleneckHolder } from '../../../src/budget/bottleneck-holder.ts'
import { systemClock } from '../../../src/runtime/clock.ts'
import { Throttled, harness, requestOf, table } from './harness.ts'

describe('bottleneckHolder', () => {
  test('runs calls in the order in which it gets them, and gives their answers back', async () => {
    const holder = bottleneckHolder()
    const order: number[] = []
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        holder.run([{ bucket: 'A', cost: 1, level: 20 - index }], () => {
          order.push(index)
          return Promise.resolve(index)
        }),
      ),
    )
    expect(order).toEqual(Array.from({ length: 20 }, (_, index) => index))
    expect(answers).toEqual(order)
  })

  test('gives the error of the call back as it is', async () => {
    const failure = new Error('InvalidInstanceID.NotFound')
    const run = bottleneckHolder().run([{ bucket: 'A', cost: 1, level: 1 }], () => Promise.reject(failure))
    await expect(run).rejects.toBe(failure)
  })

  test('follows the level it is told, up and down, over several buckets', async () => {
    const holder = bottleneckHolder()
    const levels = [
      [3, 2],
      [1, 5],
      [4, 1],
    ] as const
    const answers = levels.map(([levelA, levelB], index) =>
      holder.run(
        [
          { bucket: 'A', cost: 1, level: levelA },
          { bucket: 'B', cost: 1, level: levelB },
        ],
        () => Promise.resolve(index),
      ),
    )
    await expect(Promise.all(answers)).resolves.toEqual([0, 1, 2])
  })
})

describe('the budget on Bottleneck', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('takes (N - size) / refill of virtual time', async () => {
    const startMs = Date.now()
    const { budget } = harness({
      clock: systemClock(() => Date.now()),
      table: table({ Assign: { size: 100, refillPerSecond: 5 } }),
      holder: bottleneckHolder(),
    })
    const sentAtMs: number[] = []
    const all = Promise.all(
      Array.from({ length: 400 }, () =>
        budget.run(requestOf(), () => {
          sentAtMs.push(Date.now() - startMs)
          return Promise.resolve()
        }),
      ),
    )
    await vi.advanceTimersByTimeAsync(70_000)
    await all
    expect(sentAtMs).toHaveLength(400)
    expect(sentAtMs.at(-1)).toBeGreaterThanOrEqual(60_000)
    expect(sentAtMs.at(-1)).toBeLessThan(60_020)
  })

  test('a bucket that learned of refusals does not keep old tokens in the reservoir', async () => {
    const { budget } = harness({
      clock: systemClock(() => Date.now()),
      table: table({ Assign: { size: 100, refillPerSecond: 5 } }),
      holder: bottleneckHolder(),
    })
    const startMs = Date.now()
    const sentAtMs: number[] = []
    const all = Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        budget.run(requestOf(), () => {
          sentAtMs.push(Date.now() - startMs)
          return sentAtMs.length === 1 && index === 0 ? Promise.reject(new Throttled()) : Promise.resolve()
        }),
      ),
    )
    await vi.advanceTimersByTimeAsync(10_000)
    await all
    const later = budget.run(requestOf(), () => Promise.resolve('later'))
    await vi.advanceTimersByTimeAsync(1000)
    await expect(later).resolves.toBe('later')
    expect(sentAtMs).toHaveLength(31)
    expect(budget.buckets()[0]?.refillPerSecond).toBeLessThan(5)
  })

  test('a burst into a drained account costs few refusals and one slowdown', async () => {
    const { budget } = harness({
      clock: systemClock(() => Date.now()),
      table: table({ Assign: { size: 100, refillPerSecond: 5 } }),
      holder: bottleneckHolder(),
    })
    const startMs = Date.now()
    const all = Promise.all(
      Array.from({ length: 100 }, () =>
        budget.run(requestOf(), async () => {
          const isDrained = Date.now() - startMs < 100
          await new Promise((resolve) => setTimeout(resolve, 20))
          if (isDrained) throw new Throttled()
        }),
      ),
    )
    await vi.advanceTimersByTimeAsync(60_000)
    await all
    const [entry] = budget.ledger()
    expect(entry?.refused).toBeGreaterThan(0)
    expect(entry?.refused).toBeLessThan(40)
    expect(budget.buckets()[0]?.refillPerSecond).toBeGreaterThanOrEqual(3.5)
  })

  test('gives the token of a call that is aborted on its way to the next one', async () => {
    const { budget } = harness({
      clock: systemClock(() => Date.now()),
      table: table({ Assign: { size: 1, refillPerSecond: 0.001 } }),
      holder: bottleneckHolder(),
    })
    const node = new AbortController()
    const gone = budget.run(requestOf({ signal: node.signal }), () => Promise.resolve('gone'))
    const next = budget.run(requestOf(), () => Promise.resolve('next'))
    node.abort(new Error('node deleted'))
    const outcome = expect(gone).rejects.toThrow('node deleted')
    await vi.advanceTimersByTimeAsync(100)
    await outcome
    await expect(next).resolves.toBe('next')
  })
})
