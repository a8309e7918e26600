import { describe, expect, test } from 'vitest'
import { FIRST_ADDRESS_PATHS, lowerBoundSeconds, slowed } from '../../../src/fleet/bounds.ts'

const ASSIGN = { size: 100, refillPerSecond: 5 }
const ATTACH = { size: 50, refillPerSecond: 5 }

describe('lowerBoundSeconds', () => {
  test.each([
    { name: 'nothing while one bucket holds all', nodes: 100, paths: [ASSIGN], seconds: 0 },
    { name: 'one path, 1,000 nodes', nodes: 1_000, paths: [ASSIGN], seconds: 180 },
    { name: 'one path, 5,000 nodes', nodes: 5_000, paths: [ASSIGN], seconds: 980 },
    { name: 'one path, 10,000 nodes', nodes: 10_000, paths: [ASSIGN], seconds: 1_980 },
    { name: 'two paths, what both hold', nodes: 150, paths: [ASSIGN, ATTACH], seconds: 0 },
    { name: 'two paths, one more', nodes: 151, paths: [ASSIGN, ATTACH], seconds: 0.1 },
    { name: 'two paths, 1,000 nodes', nodes: 1_000, paths: FIRST_ADDRESS_PATHS, seconds: 85 },
    { name: 'two paths, 5,000 nodes', nodes: 5_000, paths: FIRST_ADDRESS_PATHS, seconds: 485 },
    { name: 'two paths, 10,000 nodes', nodes: 10_000, paths: FIRST_ADDRESS_PATHS, seconds: 985 },
    { name: 'a bucket that never fills', nodes: 2, paths: [{ size: 1, refillPerSecond: 0 }], seconds: Infinity },
  ])('$name', ({ nodes, paths, seconds }) => {
    expect(lowerBoundSeconds(nodes, paths)).toBeCloseTo(seconds)
  })

  test('a neighbour slows the refill, not what is there', () => {
    expect(lowerBoundSeconds(1_000, slowed(FIRST_ADDRESS_PATHS, 0.3))).toBeCloseTo(850 / 7)
    expect(lowerBoundSeconds(150, slowed(FIRST_ADDRESS_PATHS, 0.3))).toBe(0)
  })
})
