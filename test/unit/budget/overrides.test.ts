import { describe, expect, test } from 'vitest'
import { settle } from '../../support/manual-clock.ts'
import { harness, table } from './harness.ts'

/** The table of buckets, changed while calls wait. */

describe('other rates of a bucket, while running', () => {
  test('hold for the calls that wait already', async () => {
    const { clock, budget, made, call } = harness({ table: table({ Assign: { size: 1, refillPerSecond: 0.1 } }) })
    const calls = [1, 2, 3, 4].map((name) => call(String(name)))
    await settle()
    expect(made).toHaveLength(1)
    budget.setOverrides({ Assign: { size: 10, refillPerSecond: 2 } })
    await clock.advance(1_500)
    expect(made.map(({ name }) => name)).toEqual(['1', '2', '3', '4'])
    expect(budget.buckets()).toMatchObject([{ bucket: 'Assign', size: 10, refillPerSecond: 2 }])
    await Promise.all(calls)
  })

  test('bring no tokens of their own: a larger bucket fills up at its rate', async () => {
    const { clock, budget, made, call } = harness({ table: table({ Assign: { size: 1, refillPerSecond: 1 } }) })
    const calls = Array.from({ length: 6 }, (_, index) => call(String(index)))
    await settle()
    budget.setOverrides({ Assign: { size: 100, refillPerSecond: 1 } })
    await clock.advance(3_000)
    expect(made).toHaveLength(4)
    await clock.advance(5_000)
    await Promise.all(calls)
  })

  test('that are smaller cut the level down, and leave other buckets as they learned them', async () => {
    const buckets = { Assign: { size: 50, refillPerSecond: 5 }, Create: { size: 50, refillPerSecond: 5 } }
    const { clock, budget, call } = harness({ table: table(buckets) })
    await Promise.all([call('a'), call('b', { action: 'Create', buckets: [{ bucket: 'Create', cost: 1 }] })])
    await clock.advance(60_000)
    budget.setOverrides({ Assign: { size: 4, refillPerSecond: 1 } })
    expect(budget.buckets()).toMatchObject([
      { bucket: 'Assign', size: 4, tokens: 4, refillPerSecond: 1 },
      { bucket: 'Create', size: 50, tokens: 50, refillPerSecond: 5 },
    ])
    // Taken back, the table holds again.
    budget.setOverrides({})
    expect(budget.buckets()[0]).toMatchObject({ size: 50, refillPerSecond: 5 })
  })

  test('hold for a bucket that is used for the first time later', async () => {
    const { budget, call } = harness({ table: table({ Assign: { size: 1, refillPerSecond: 1 } }) })
    budget.setOverrides({ Assign: { size: 7, refillPerSecond: 3 } })
    await call('a')
    expect(budget.buckets()[0]).toMatchObject({ size: 7, refillPerSecond: 3 })
  })
})
