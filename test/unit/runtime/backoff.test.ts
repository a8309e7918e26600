import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  clusterSizeDependentInterval,
  maintenanceBackoff,
  maintenanceBackoffBounds,
} from '../../../src/runtime/backoff.ts'
import { seededRandom } from '../../../src/runtime/random.ts'

test.each([
  [60_000, 0, 60_000],
  [60_000, 1, 41_588.83],
  [60_000, 2, 65_916.74],
  [60_000, 1_024, 415_946.87],
])('an interval of %i ms in a cluster of %i nodes is %f ms', (baseMs, nodeCount, expected) => {
  expect(clusterSizeDependentInterval(baseMs, nodeCount)).toBeCloseTo(expected, 1)
})

describe('maintenanceBackoffBounds', () => {
  test.each([
    { attempt: 1, nodeCount: 1, minMs: 693.15, maxMs: 1_386.29 },
    { attempt: 3, nodeCount: 10, minMs: 2_397.9, maxMs: 19_183.16 },
    { attempt: 4, nodeCount: 0, minMs: 1_000, maxMs: 16_000 },
    { attempt: 9, nodeCount: 10_000, minMs: 9_210.44, maxMs: 300_000 },
    { attempt: 5_000, nodeCount: 1_000, minMs: 6_908.76, maxMs: 300_000 },
  ])('attempt $attempt of $nodeCount nodes', ({ attempt, nodeCount, minMs, maxMs }) => {
    const bounds = maintenanceBackoffBounds({ attempt, nodeCount })
    expect(bounds.minMs).toBeCloseTo(minMs, 1)
    expect(bounds.maxMs).toBeCloseTo(maxMs, 1)
  })

  test('attempts count from 1', () => {
    expect(() => maintenanceBackoffBounds({ attempt: 0, nodeCount: 1 })).toThrow('Attempts count from 1')
  })
})

test('a wait lies between its bounds, and is not always the same', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 0, max: 20_000 }),
      fc.nat(),
      (attempt, nodeCount, seed) => {
        const { minMs, maxMs } = maintenanceBackoffBounds({ attempt, nodeCount })
        const random = seededRandom(seed)
        const waits = Array.from({ length: 8 }, () => maintenanceBackoff({ attempt, nodeCount, random }))
        expect(Math.min(...waits)).toBeGreaterThanOrEqual(minMs)
        expect(Math.max(...waits)).toBeLessThanOrEqual(maxMs)
        expect(maxMs).toBeGreaterThan(minMs)
        expect(new Set(waits).size).toBeGreaterThan(1)
      },
    ),
    { seed: 20260803 },
  )
})
