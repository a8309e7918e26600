import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Bucket, pauseMs } from '../../../src/budget/bucket.ts'

function bucket(overrides: Partial<ConstructorParameters<typeof Bucket>[0]> = {}): Bucket {
  return new Bucket({
    name: 'Assign',
    rate: { size: 10, refillPerSecond: 5 },
    ceilingPerSecond: 5,
    lagMs: 1000,
    nowMs: 0,
    ...overrides,
  })
}

/** The cloud's bucket: refilled in steps of a second whose moment is `phaseMs`. */
class StepwiseCloud {
  #tokens: number
  #steps = 0
  readonly #phaseMs: number
  readonly #size: number
  readonly #perStep: number

  constructor(size: number, perStep: number, phaseMs: number) {
    this.#tokens = size
    this.#size = size
    this.#perStep = perStep
    this.#phaseMs = phaseMs
  }

  /** @returns whether there was a token */
  take(nowMs: number): boolean {
    const steps = Math.floor((nowMs + this.#phaseMs) / 1000)
    for (; this.#steps < steps; this.#steps++) this.#tokens = Math.min(this.#size, this.#tokens + this.#perStep)
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}

describe('Bucket', () => {
  test('gives its whole size at once, and the next token when every step of the cloud has certainly come', () => {
    const one = bucket()
    expect(one.available(0)).toBe(10)
    one.take(10, 0)
    expect(one.available(1000)).toBe(0)
    expect(one.waitMs(1, 0)).toBeCloseTo(1200)
    expect(one.available(1200)).toBeCloseTo(1)
    expect(one.available(3000)).toBeCloseTo(10)
    expect(one.available(60_000)).toBe(10)
  })

  test('without a lag it is a plain token bucket', () => {
    const one = bucket({ lagMs: 0 })
    one.take(10, 0)
    expect(one.waitMs(1, 0)).toBeCloseTo(200)
    expect(one.waitMs(10, 0)).toBeCloseTo(2000)
    expect(one.available(2000)).toBeCloseTo(10)
  })

  test('takes every token of a bucket refilled in steps without one refusal, whatever the moment of the steps', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 999 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 1, max: 14 })), { maxLength: 40 }),
        (phaseMs, bursts) => {
          const cloud = new StepwiseCloud(10, 5, phaseMs)
          const one = bucket()
          let nowMs = 0
          for (const [idleMs, calls] of bursts) {
            nowMs += idleMs
            for (let call = 0; call < calls; call++) {
              nowMs += Math.ceil(one.waitMs(1, nowMs))
              one.take(1, nowMs)
              expect(cloud.take(nowMs)).toBe(true)
            }
          }
        },
      ),
    )
  })

  test('the wait it foretells is the wait there is', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 700 }), fc.integer({ min: 1, max: 4 })), { maxLength: 20 }),
        fc.integer({ min: 1, max: 10 }),
        (takings, cost) => {
          const one = bucket()
          let nowMs = 0
          for (const [idleMs, taken] of takings) {
            nowMs += idleMs
            if (one.available(nowMs) >= taken) one.take(taken, nowMs)
          }
          const waitMs = one.waitMs(cost, nowMs)
          if (waitMs > 1) expect(one.available(nowMs + waitMs - 1)).toBeLessThan(cost)
          expect(one.available(nowMs + waitMs)).toBeGreaterThanOrEqual(cost - 1e-6)
        },
      ),
    )
  })

  test('a refusal empties it, and slows it down', () => {
    const one = bucket()
    one.refused({ admittedAtMs: 0, nowMs: 100, retryAfterMs: 0, jitter: 0 })
    expect(one.available(1100)).toBe(0)
    expect(one.refillPerSecond).toBeCloseTo(3.5)
    expect(one.waitMs(1, 100)).toBeCloseTo(1000 + 1000 / 3.5)
    expect(one.available(2100)).toBeCloseTo(3.5)
  })

  test('calls that were admitted before the refusal teach nothing new', () => {
    const one = bucket()
    one.refused({ admittedAtMs: 0, nowMs: 100, retryAfterMs: 0, jitter: 0 })
    one.refused({ admittedAtMs: 50, nowMs: 150, retryAfterMs: 0, jitter: 0 })
    expect(one.refillPerSecond).toBeCloseTo(3.5)
    one.refused({ admittedAtMs: 200, nowMs: 300, retryAfterMs: 0, jitter: 0 })
    expect(one.refillPerSecond).toBeCloseTo(2.45)
  })

  test('honours a Retry-After, up to a quarter of an hour', () => {
    const one = bucket()
    one.refused({ admittedAtMs: 0, nowMs: 0, retryAfterMs: 30_000, jitter: 0 })
    expect(one.available(29_999)).toBe(0)
    expect(one.waitMs(1, 0)).toBe(30_000)
    expect(one.available(30_000)).toBe(10)
    one.refused({ admittedAtMs: 30_000, nowMs: 30_001, retryAfterMs: 1e12, jitter: 0 })
    expect(one.waitMs(1, 30_001)).toBe(15 * 60_000)
  })

  test('pauses longer with each refusal in a row, until a call is accepted', () => {
    const one = bucket({ lagMs: 0 })
    const refuse = (nowMs: number): number => {
      one.refused({ admittedAtMs: nowMs, nowMs: nowMs + 1, retryAfterMs: 0, jitter: 0.999_999 })
      one.observeRemaining(0, nowMs + 1)
      return nowMs
    }
    refuse(0)
    refuse(10_000)
    expect(one.available(10_490)).toBe(0)
    expect(one.available(10_502)).toBeGreaterThan(0)
    refuse(20_000)
    expect(one.available(20_990)).toBe(0)
    one.accepted({ admittedAtMs: 30_000, nowMs: 30_000, isLimiting: true })
    refuse(40_000)
    expect(one.available(40_300)).toBeGreaterThan(0)
  })

  test('tokens given back can be taken again', () => {
    const one = bucket()
    one.take(10, 0)
    one.giveBack(3, 10)
    expect(one.available(10)).toBe(3)
    one.giveBack(7, 5000)
    expect(one.available(5000)).toBe(10)
  })

  test('never assumes more than the cloud says is left', () => {
    const one = bucket()
    one.observeRemaining(4, 0)
    expect(one.available(0)).toBe(4)
    one.observeRemaining(9, 0)
    expect(one.available(0)).toBe(4)
    expect(one.available(2000)).toBeCloseTo(9)
  })
})

describe('pauseMs', () => {
  test.each([
    { refusals: 1, jitter: 0, ms: 250 },
    { refusals: 1, jitter: 1, ms: 500 },
    { refusals: 3, jitter: 1, ms: 2000 },
    { refusals: 40, jitter: 1, ms: 30_000 },
  ])('$refusals in a row, jitter $jitter: $ms ms', ({ refusals, jitter, ms }) => {
    expect(pauseMs(refusals, jitter)).toBe(ms)
  })
})
