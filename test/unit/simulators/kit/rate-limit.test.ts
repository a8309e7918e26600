import { describe, expect, test } from 'vitest'
import { InputError } from '../../../../simulators/kit/input.ts'
import { Throttle, TokenBucket, parseThrottle, withNeighbour } from '../../../../simulators/kit/rate-limit.ts'

const taken = (bucket: TokenBucket, count: number, atMs: number): number =>
  Array.from({ length: count }, () => bucket.take(1, atMs)).filter(Boolean).length

describe('TokenBucket', () => {
  test('gives what it holds, then what each full second brings back', () => {
    const bucket = new TokenBucket({ size: 100, refillPerSecond: 5 }, 0)
    expect(taken(bucket, 101, 0)).toBe(100)
    expect(taken(bucket, 1, 999)).toBe(0)
    expect(taken(bucket, 6, 1000)).toBe(5)
    expect(taken(bucket, 20, 3500)).toBe(10)
  })

  test('continuous refill gives a token as soon as it is whole', () => {
    const bucket = new TokenBucket({ size: 10, refillPerSecond: 5 }, 0, 'continuous')
    expect(taken(bucket, 11, 0)).toBe(10)
    expect(taken(bucket, 1, 199)).toBe(0)
    expect(taken(bucket, 1, 200)).toBe(1)
    expect(taken(bucket, 20, 1000)).toBe(4)
  })

  test('never holds more than its size', () => {
    const bucket = new TokenBucket({ size: 3, refillPerSecond: 5 }, 0)
    expect(taken(bucket, 1, 0)).toBe(1)
    expect(bucket.available(3_600_000)).toBe(3)
  })

  test('takes all of a cost or nothing', () => {
    const bucket = new TokenBucket({ size: 5, refillPerSecond: 1 }, 0)
    expect(bucket.take(6, 0)).toBe(false)
    expect(bucket.available(0)).toBe(5)
    expect(bucket.take(5, 0)).toBe(true)
  })
})

describe('Throttle', () => {
  const table = parseThrottle({
    rules: [
      { bucket: 'Create', size: 2, refillPerSecond: 1 },
      { bucket: 'Describe*', size: 3, refillPerSecond: 1 },
    ],
  })

  test('every name has a bucket of its own, even under one line of the table', () => {
    const throttle = new Throttle(table, 0)
    const accepted = (bucket: string): number =>
      Array.from({ length: 5 }, () => throttle.take([{ bucket, cost: 1 }], 0)).filter(Boolean).length
    expect([accepted('DescribeA'), accepted('DescribeB'), accepted('Create')]).toEqual([3, 3, 2])
  })

  test('a name without a line is not limited', () => {
    const throttle = new Throttle(table, 0)
    expect(throttle.take([{ bucket: 'Other', cost: 1e6 }], 0)).toBe(true)
  })

  test('a call that one bucket refuses takes nothing from the others', () => {
    const throttle = new Throttle(table, 0)
    const both = [
      { bucket: 'Describe', cost: 1 },
      { bucket: 'Create', cost: 1 },
    ]
    expect([1, 2, 3].map(() => throttle.take(both, 0))).toEqual([true, true, false])
    expect(throttle.levels(0)).toEqual({ Create: { tokens: 0, size: 2 }, Describe: { tokens: 1, size: 3 } })
  })

  test('a neighbour eats its share of the refill', () => {
    const rules = [{ bucket: '*', size: 10, refillPerSecond: 10 }]
    const throttle = new Throttle(parseThrottle({ rules, neighbours: [{ bucket: '*', share: 0.3 }] }), 0)
    const accepted = (atMs: number): number =>
      Array.from({ length: 20 }, () => throttle.take([{ bucket: 'A', cost: 1 }], atMs)).filter(Boolean).length
    expect([accepted(0), accepted(1000)]).toEqual([10, 7])
  })

  test('a bucket counts its seconds from the start of the throttle, not from its first call', () => {
    const throttle = new Throttle(parseThrottle({ rules: [{ bucket: '*', size: 1, refillPerSecond: 1 }] }), 0)
    expect(throttle.take([{ bucket: 'A', cost: 1 }], 900)).toBe(true)
    expect(throttle.take([{ bucket: 'A', cost: 1 }], 999)).toBe(false)
    expect(throttle.take([{ bucket: 'A', cost: 1 }], 1000)).toBe(true)
  })
})

test('a wrong table is refused with every fault', () => {
  const wrong = { refil: 'stepwise', rules: [{ bucket: '', size: -1 }] }
  expect(() => parseThrottle(wrong)).toThrow(InputError)
  expect(() => parseThrottle(wrong)).toThrow(/file\.refil is not known.*rules\[0\]\.bucket.*size.*refillPerSecond/s)
})

describe('withNeighbour', () => {
  const documented = parseThrottle({ rules: [{ bucket: '*', size: 10, refillPerSecond: 10 }] })
  const accepted = (choice: ReturnType<typeof withNeighbour>, bucket: string, atMs: number): number => {
    if (typeof choice === 'string') throw new Error('a table is expected')
    const throttle = new Throttle(choice, 0)
    throttle.take([{ bucket, cost: 10 }], 0)
    return Array.from({ length: 20 }, () => throttle.take([{ bucket, cost: 1 }], atMs)).filter(Boolean).length
  }

  test("takes a share of every bucket's refill", () => {
    expect(accepted(withNeighbour('documented', 0.3, documented), 'A', 1000)).toBe(7)
    expect(accepted(withNeighbour('documented', 0.5, documented), 'B', 1000)).toBe(5)
  })

  test('leaves alone what the table says of a bucket itself', () => {
    const file = { ...documented, neighbours: [{ bucket: 'A', share: 0.9 }] }
    const choice = withNeighbour(file, 0.5, documented)
    expect([accepted(choice, 'A', 1000), accepted(choice, 'B', 1000)]).toEqual([1, 5])
  })

  test('changes nothing without a share, and where nothing is metered', () => {
    expect(withNeighbour('documented', 0, documented)).toBe('documented')
    expect(withNeighbour('none', 0.5, documented)).toBe('none')
  })
})

describe('a refusal', () => {
  test('names the bucket and the whole seconds until it has enough', () => {
    const rules = [
      { bucket: 'slow', size: 2, refillPerSecond: 0.1 },
      { bucket: 'never', size: 1, refillPerSecond: 0 },
    ]
    const throttle = new Throttle(parseThrottle({ refill: 'continuous', rules }), 0)
    const take = (bucket: string, cost: number, atMs: number) => throttle.takeOrRefuse([{ bucket, cost }], atMs)
    expect([take('slow', 2, 0), take('never', 1, 0)]).toEqual([undefined, undefined])
    expect(take('slow', 1, 1000)).toEqual({ bucket: 'slow', retryAfterSeconds: 9 })
    expect(take('never', 1, 1000)).toEqual({ bucket: 'never', retryAfterSeconds: undefined })
    expect(throttle.tokens('unlimited', 0)).toBeUndefined()
  })
})
