import { describe, expect, test } from 'vitest'
import { DOCUMENTED_THROTTLE } from '../../../simulators/azure/index.ts'
import { azureFirstAddressCuts } from '../../../src/fleet/azure-bounds.ts'
import { lowerBoundSeconds } from '../../../src/fleet/bounds.ts'
import type { ThrottleTable } from '../../../simulators/kit/rate-limit.ts'

function boundSeconds(nodes: number, throttle: ThrottleTable | undefined = DOCUMENTED_THROTTLE): number {
  return Math.max(...azureFirstAddressCuts(throttle).map((buckets) => lowerBoundSeconds(nodes, buckets)))
}

describe('the least time for the first addresses of scale-set VMs', () => {
  test.each([
    { nodes: 100, seconds: 0, by: 'full buckets' },
    // 250 tokens of reads are those of 124 nodes.
    { nodes: 150, seconds: (150 * 2.01 - 250) / 25, by: 'reads' },
    { nodes: 1_000, seconds: (1_000 - 200) / 10, by: 'writes: 200 at once, 10 a second' },
    { nodes: 10_000, seconds: (10_000 - 1_500) / (500 / 60), by: 'updates of scale-set VMs: 500 a minute' },
  ])('$nodes nodes: $by', ({ nodes, seconds }) => {
    expect(boundSeconds(nodes)).toBeCloseTo(seconds)
  })

  test('a neighbour slows the refill of every bucket', () => {
    const throttle = { ...DOCUMENTED_THROTTLE, neighbours: [{ bucket: '*', share: 0.5 }] }
    expect(boundSeconds(1_000, throttle)).toBeCloseTo(160)
  })

  test('without limits there is none, and as many cuts as with them', () => {
    expect(boundSeconds(10_000, { ...DOCUMENTED_THROTTLE, rules: [] })).toBe(0)
    expect(azureFirstAddressCuts(undefined)).toHaveLength(azureFirstAddressCuts(DOCUMENTED_THROTTLE).length)
  })

  test('every bucket is one that the simulator has', () => {
    const cuts = azureFirstAddressCuts(DOCUMENTED_THROTTLE).flat()
    expect(cuts.filter(({ size }) => !Number.isFinite(size))).toEqual([])
  })
})
