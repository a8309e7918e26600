import { describe, expect, test } from 'vitest'
import { LearnedRate } from '../../../src/budget/learned-rate.ts'

function accept(rate: LearnedRate, calls: number, isLimiting = true): void {
  for (let call = 0; call < calls; call++) rate.accepted(isLimiting)
}

function callsUntil(rate: LearnedRate, perSecond: number): number {
  let calls = 0
  while (rate.perSecond < perSecond && calls < 100_000) {
    rate.accepted(true)
    calls += 1
  }
  return calls
}

describe('LearnedRate', () => {
  test('starts with the first guess', () => {
    expect(new LearnedRate({ startPerSecond: 5, ceilingPerSecond: 5 }).perSecond).toBe(5)
  })

  test('a refusal takes three tenths, down to a floor of one twentieth', () => {
    const rate = new LearnedRate({ startPerSecond: 5, ceilingPerSecond: 5 })
    rate.refused()
    expect(rate.perSecond).toBeCloseTo(3.5)
    for (let refusal = 0; refusal < 50; refusal++) rate.refused()
    expect(rate.perSecond).toBeCloseTo(0.25)
  })

  test('climbs back to the first guess and not above, within 300 calls after one refusal', () => {
    const rate = new LearnedRate({ startPerSecond: 5, ceilingPerSecond: 5 })
    rate.refused()
    expect(callsUntil(rate, 5)).toBeGreaterThan(200)
    expect(rate.perSecond).toBe(5)
    accept(rate, 1000)
    expect(rate.perSecond).toBe(5)
  })

  test('climbs faster and faster while nothing is refused, so that it comes back from the floor in under 2,000 calls', () => {
    const rate = new LearnedRate({ startPerSecond: 20, ceilingPerSecond: 20 })
    for (let refusal = 0; refusal < 50; refusal++) rate.refused()
    expect(callsUntil(rate, 20)).toBeLessThan(2000)
  })

  test('the climb does not depend on how slow the bucket is', () => {
    const slow = new LearnedRate({ startPerSecond: 0.5, ceilingPerSecond: 0.5 })
    const fast = new LearnedRate({ startPerSecond: 50, ceilingPerSecond: 50 })
    slow.refused()
    fast.refused()
    expect(callsUntil(slow, 0.5)).toBe(callsUntil(fast, 50))
  })

  test('grows beyond the first guess only where allowed, and only while calls wait for it', () => {
    const rate = new LearnedRate({ startPerSecond: 4, ceilingPerSecond: 12 })
    accept(rate, 5000, false)
    expect(rate.perSecond).toBe(4)
    accept(rate, 5000, true)
    expect(rate.perSecond).toBe(12)
  })

  test('a refusal ends the fast climb', () => {
    const rate = new LearnedRate({ startPerSecond: 4, ceilingPerSecond: 400 })
    accept(rate, 1000)
    rate.refused()
    const before = rate.perSecond
    rate.accepted(true)
    expect(rate.perSecond / before).toBeCloseTo(1.0015, 5)
  })
})
