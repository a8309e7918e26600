import { describe, expect, test } from 'vitest'
import { DOCUMENTED_THROTTLE } from '../../../simulators/aws/index.ts'
import { AWS_CLOUD } from '../../../src/fleet/aws-cloud.ts'
import { lowerBoundSeconds, ratesOf, servedCurve } from '../../../src/fleet/bounds.ts'
import { scenarioBound } from '../../../src/fleet/scenario-bound.ts'
import { parseScenario } from '../../../src/fleet/scenario-file.ts'
import { SCENARIOS } from '../../../src/fleet/scenarios.ts'
import type { ScenarioName } from '../../../src/fleet/scenarios.ts'

const ASSIGN = { size: 100, refillPerSecond: 5 }
const ATTACH = { size: 50, refillPerSecond: 5 }
const BOTH = [ASSIGN, ATTACH]

describe('lowerBoundSeconds', () => {
  test.each([
    { name: 'nothing while one bucket holds all', nodes: 100, buckets: [ASSIGN], seconds: 0 },
    { name: 'no node', nodes: 0, buckets: [ASSIGN], seconds: 0 },
    { name: 'one path, 1,000 nodes', nodes: 1_000, buckets: [ASSIGN], seconds: 180 },
    { name: 'one path, 10,000 nodes', nodes: 10_000, buckets: [ASSIGN], seconds: 1_980 },
    { name: 'two paths, what both hold', nodes: 150, buckets: BOTH, seconds: 0 },
    { name: 'two paths, one more', nodes: 151, buckets: BOTH, seconds: 0.1 },
    { name: 'two paths, 1,000 nodes', nodes: 1_000, buckets: BOTH, seconds: 85 },
    { name: 'two paths, 5,000 nodes', nodes: 5_000, buckets: BOTH, seconds: 485 },
    { name: 'two paths, 10,000 nodes', nodes: 10_000, buckets: BOTH, seconds: 985 },
    { name: 'a bucket that never fills', nodes: 2, buckets: [{ size: 1, refillPerSecond: 0 }], seconds: Infinity },
    { name: 'no limit', nodes: 5_000, buckets: ratesOf(undefined, ['x']), seconds: 0 },
  ])('$name', ({ nodes, buckets, seconds }) => {
    expect(lowerBoundSeconds(nodes, buckets)).toBeCloseTo(seconds)
  })
})

describe('servedCurve', () => {
  test('serves what the buckets hold at once, then as fast as they fill', () => {
    expect(servedCurve([{ atSeconds: 0, nodes: 170, buckets: BOTH }])).toEqual([
      { atSeconds: 0, served: 150 },
      { atSeconds: 2, served: 170 },
    ])
  })

  test('keeps what is gained while nobody waits, up to the size', () => {
    const later = (atSeconds: number) => [
      { atSeconds: 0, nodes: 150, buckets: BOTH },
      { atSeconds, nodes: 100 },
    ]
    expect(servedCurve(later(4)).at(-1)).toEqual({ atSeconds: 10, served: 250 })
    expect(servedCurve(later(1_000)).at(-1)).toEqual({ atSeconds: 1_000, served: 250 })
  })

  test('nodes that come while others wait wait behind them', () => {
    const events = [
      { atSeconds: 0, nodes: 200, buckets: BOTH },
      { atSeconds: 2, nodes: 20 },
    ]
    expect(servedCurve(events)).toEqual([
      { atSeconds: 0, served: 150 },
      { atSeconds: 2, served: 170 },
      { atSeconds: 7, served: 220 },
    ])
  })

  test('new buckets are full', () => {
    const events = [
      { atSeconds: 0, nodes: 250, buckets: BOTH },
      { atSeconds: 5, nodes: 0, buckets: [{ size: 20, refillPerSecond: 1 }] },
    ]
    expect(servedCurve(events).at(-1)).toEqual({ atSeconds: 35, served: 250 })
  })
})

test('a neighbour slows the refill, not what is there', () => {
  const rates = ratesOf({ ...DOCUMENTED_THROTTLE, neighbours: [{ bucket: 'Assign*', share: 0.3 }] }, [
    'AssignPrivateIpAddresses',
    'AttachNetworkInterface',
  ])
  expect(rates).toEqual([{ size: 100, refillPerSecond: 3.5 }, ATTACH])
})

describe('scenarioBound', () => {
  test.each<{ name: ScenarioName; nodes: number; seconds: number }>([
    { name: 'cold-start', nodes: 1_000, seconds: 85 },
    { name: 'burst', nodes: 1_000, seconds: 85 },
    { name: 'churn', nodes: 1_000, seconds: 85 },
    { name: 'rolling-replacement', nodes: 100, seconds: 49.5 },
    { name: 'subnet-exhaustion', nodes: 1_000, seconds: 300 },
    { name: 'subnet-exhaustion', nodes: 5_000, seconds: 485 },
    { name: 'throttled', nodes: 1_000, seconds: 850 / 7 },
    { name: 'unknown-buckets', nodes: 1_000, seconds: 925 / 5 },
    { name: 'restart', nodes: 1_000, seconds: 0 },
  ])('$name of $nodes nodes: $seconds s', ({ name, nodes, seconds }) => {
    expect(scenarioBound(SCENARIOS[name], nodes, AWS_CLOUD).seconds).toBeCloseTo(seconds)
  })

  const boundOf = (...steps: readonly unknown[]) =>
    scenarioBound(parseScenario({ steps: ['startController', ...steps] }, 'test'), 1_000, AWS_CLOUD).seconds

  test('joins count from when they happen', () => {
    expect(boundOf({ join: 100 }, { wait: '1m' }, { join: 160 })).toBe(61)
    expect(boundOf({ join: 100 }, { at: '2m', join: 100 })).toBe(120)
    expect(boundOf({ join: { nodes: 100, perSecond: 2 } })).toBe(49.5)
  })

  test('what was before the measuring does not count, and how long a fleet takes to settle is not known', () => {
    expect(boundOf({ join: 1_000 }, 'settle', 'measure', { join: 200 })).toBe(5)
    expect(boundOf({ join: 1_000 }, 'settle', { at: '1h', join: 100 })).toBe(95)
  })

  test('a throttle that is over counts while it lasts', () => {
    const slow = { throttle: { scale: 0.5, for: '20s' } }
    // 75 at once and 5 a second for 20 s, then full buckets: 150 at once, and 10 a second.
    expect(boundOf(slow, { join: 500 })).toBeCloseTo(20 + (500 - 75 - 100 - 150) / 10)
  })

  test('subnets that are filled when everybody has been served hold nobody up', () => {
    expect(boundOf({ join: 100 }, { wait: '1m' }, { fillSubnets: { for: '5m' } })).toBe(0)
  })
})
