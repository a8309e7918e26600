import { describe, expect, test } from 'vitest'
import { TokenBucketState, callDelaysMs } from '../../../src/budget/token-bucket.ts'

describe('callDelaysMs', () => {
  test.each<{ name: string; size: number; refillPerSecond: number; atMs: readonly number[]; delaysMs: number[] }>([
    { name: 'nothing asked', size: 2, refillPerSecond: 4, atMs: [], delaysMs: [] },
    { name: 'the burst is free', size: 3, refillPerSecond: 4, atMs: [0, 0, 0], delaysMs: [0, 0, 0] },
    {
      name: 'each further call waits one refill more',
      size: 2,
      refillPerSecond: 4,
      atMs: [0, 0, 0, 0],
      delaysMs: [0, 0, 250, 500],
    },
    {
      name: 'an idle bucket fills up to its size only',
      size: 1,
      refillPerSecond: 2,
      atMs: [0, 0, 5000, 5000],
      delaysMs: [0, 500, 0, 500],
    },
    {
      name: 'a reserved token is waited for once',
      size: 1,
      refillPerSecond: 1,
      atMs: [0, 250, 1750],
      delaysMs: [0, 750, 250],
    },
  ])('$name', ({ size, refillPerSecond, atMs, delaysMs }) => {
    expect(callDelaysMs({ size, refillPerSecond }, atMs)).toEqual(delaysMs)
  })

  test('24 calls at once through 4 per second with a burst of 20', () => {
    const delays = callDelaysMs({ size: 20, refillPerSecond: 4 }, Array.from<number>({ length: 24 }).fill(0))
    expect(delays).toEqual([...Array.from<number>({ length: 20 }).fill(0), 250, 500, 750, 1000])
  })
})

describe('TokenBucketState', () => {
  const rate = { size: 10, refillPerSecond: 2 }

  test('keeps what was refilled when the rate changes', () => {
    const bucket = new TokenBucketState(rate, 0)
    bucket.take(10, 0)
    bucket.setRate({ size: 10, refillPerSecond: 1 }, 2000)
    expect(bucket.tokens(2000)).toBe(4)
    expect(bucket.tokens(3000)).toBe(5)
  })

  test('a smaller size cuts the level', () => {
    const bucket = new TokenBucketState(rate, 0)
    bucket.setRate({ size: 3, refillPerSecond: 1 }, 0)
    expect(bucket.tokens(0)).toBe(3)
  })

  test('an earlier moment brings no tokens and takes none away', () => {
    const bucket = new TokenBucketState(rate, 0)
    bucket.take(10, 1000)
    expect(bucket.tokens(500)).toBe(0)
    bucket.take(1, 500)
    expect(bucket.tokens(1500)).toBe(0)
  })

  test('a cost above the size waits for a full bucket', () => {
    const bucket = new TokenBucketState(rate, 0)
    bucket.take(4, 0)
    expect(bucket.waitMs(50, 0)).toBe(2000)
    expect(bucket.waitMs(50, 2000)).toBe(0)
  })

  test('without a refill an empty bucket waits for ever', () => {
    const bucket = new TokenBucketState({ size: 1, refillPerSecond: 0 }, 0)
    bucket.take(1, 0)
    expect(bucket.waitMs(1, 60_000)).toBe(Number.POSITIVE_INFINITY)
  })
})
