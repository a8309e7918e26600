import { expect, test } from 'vitest'
import { RecentLongest, WaitTimes } from '../../../../simulators/kubernetes/pod-scheduler/wait-times.ts'

test('quantiles are at most 5 % above the true ones, and the maximum is exact', () => {
  const waits = new WaitTimes()
  for (let ms = 1; ms <= 10_000; ms++) waits.record(ms)
  const { count, p50, p99, max } = waits.summary()
  expect(count).toBe(10_000)
  expect(p50).toBeGreaterThanOrEqual(5000)
  expect(p50).toBeLessThanOrEqual(5000 * 1.05)
  expect(p99).toBeGreaterThanOrEqual(9900)
  expect(p99).toBeLessThanOrEqual(9900 * 1.05)
  expect(max).toBe(10_000)
})

test('no samples: zeros; no wait: zero', () => {
  const waits = new WaitTimes()
  expect(waits.summary()).toEqual({ count: 0, p50: 0, p99: 0, max: 0 })
  waits.record(0)
  expect(waits.summary()).toEqual({ count: 1, p50: 0, p99: 0, max: 0 })
})

test('the longest recent wait is told for one to two windows, and then forgotten', () => {
  const recent = new RecentLongest(60_000)
  recent.record(900, 59_000)
  recent.record(400, 61_000)
  expect(recent.read(61_000)).toBe(900)
  expect(recent.read(119_999)).toBe(900)
  expect(recent.read(120_000)).toBe(400)
  expect(recent.read(240_000)).toBe(0)
})
