import { describe, expect, test } from 'vitest'
import type { APIBudgetOptions } from '../../../src/budget/api-budget.ts'
import type { BucketTable } from '../../../src/budget/bucket-table.ts'
import { Throttle } from '../../../simulators/kit/rate-limit.ts'
import type { ThrottleTable } from '../../../simulators/kit/rate-limit.ts'
import { Throttled, harness, requestOf } from './harness.ts'

/** Time of a call on its way to the cloud and back (ms). */
const LATENCY_MS = 60

interface Outcome {
  readonly seconds: number
  readonly refused: number
  /** Share of the attempts refused after the first minute. */
  readonly lateRefusedShare: number
}

/** Sends `calls` calls at once through a budget with `table` to a cloud with the buckets of `cloud`. */
async function spend(
  calls: number,
  table: BucketTable,
  cloud: ThrottleTable,
  options: Partial<APIBudgetOptions> = {},
): Promise<Outcome> {
  const { budget, clock } = harness({ table, jitterMs: 500, ...options })
  const throttle = new Throttle(cloud, -137)
  const signal = new AbortController().signal
  const attempts: { readonly atMs: number; readonly isRefused: boolean }[] = []
  const all = Array.from({ length: calls }, () =>
    budget.run(requestOf({ signal: new AbortController().signal }), async () => {
      const atMs = clock.now()
      const isServed = throttle.take([{ bucket: 'Assign', cost: 1 }], atMs)
      attempts.push({ atMs, isRefused: !isServed })
      await clock.sleep(LATENCY_MS, signal)
      if (!isServed) throw new Throttled()
    }),
  )
  const done = Promise.all(all)
  await clock.advance(3_600_000)
  await done
  const late = attempts.filter(({ atMs }) => atMs > 60_000)
  return {
    seconds: (attempts.at(-1)?.atMs ?? Number.NaN) / 1000,
    refused: attempts.filter(({ isRefused }) => isRefused).length,
    lateRefusedShare: late.filter(({ isRefused }) => isRefused).length / Math.max(1, late.length),
  }
}

const documented = { size: 100, refillPerSecond: 5 }
const table: BucketTable = {
  refill: 'stepwise',
  buckets: { Assign: documented },
  families: {},
  fallback: { size: 50, refillPerSecond: 5 },
}
const cloudOf = (refillPerSecond: number, size = 100): ThrottleTable => ({
  refill: 'stepwise',
  rules: [{ bucket: 'Assign', size, refillPerSecond }],
  neighbours: [],
})

describe('a cloud with the documented buckets', () => {
  test('refuses nothing, and is used up to 1.02 of what its buckets allow', async () => {
    const { seconds, refused } = await spend(1000, table, cloudOf(5))
    expect(refused).toBe(0)
    expect(seconds).toBeLessThanOrEqual((900 / 5) * 1.02)
  })
})

describe('a neighbour takes 30 % of the account', () => {
  test.each([1000, 3000])(
    '%i calls are done within 1.2 of the reduced bound, under one in a hundred refused',
    async (calls) => {
      const { seconds, lateRefusedShare } = await spend(calls, table, {
        ...cloudOf(5),
        neighbours: [{ bucket: '*', share: 0.3 }],
      })
      expect(seconds).toBeLessThanOrEqual(((calls - 100) / 3.5) * 1.2)
      expect(lateRefusedShare).toBeLessThan(0.01)
    },
  )

  test('90 % taken: still under 2 % refused in the long run, and the rest is used', async () => {
    const { seconds, lateRefusedShare } = await spend(600, table, cloudOf(0.5))
    expect(seconds).toBeLessThanOrEqual((500 / 0.5) * 1.2)
    expect(lateRefusedShare).toBeLessThan(0.02)
  })
})

describe('buckets that the table does not know', () => {
  const unknown: BucketTable = { ...table, buckets: {} }

  test.each([1000, 3000])(
    '%i calls are done within 1.15 of the bound, under one in a hundred refused',
    async (calls) => {
      const { seconds, lateRefusedShare } = await spend(calls, unknown, cloudOf(5))
      expect(seconds).toBeLessThanOrEqual(((calls - 100) / 5) * 1.15)
      expect(lateRefusedShare).toBeLessThan(0.01)
    },
  )

  test('wider ones than guessed are found out', async () => {
    const { seconds, lateRefusedShare } = await spend(5000, unknown, cloudOf(15, 300))
    expect(seconds).toBeLessThanOrEqual(((5000 - 300) / 15) * 1.3)
    expect(lateRefusedShare).toBeLessThan(0.01)
  })
})

describe('an account with raised limits', () => {
  test('is used as the table says unless the configuration allows more', async () => {
    const cautious = await spend(2000, table, cloudOf(10, 200))
    expect(cautious.refused).toBe(0)
    const allowed = await spend(2000, table, cloudOf(10, 200), { raisedLimitFactor: 3 })
    expect(allowed.seconds).toBeLessThan(cautious.seconds * 0.75)
    expect(allowed.lateRefusedShare).toBeLessThan(0.01)
  })
})
