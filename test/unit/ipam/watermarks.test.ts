import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { IPAMProfile } from '../../../src/ipam/types.ts'
import { IPAM_PROFILES } from '../../../src/ipam/types.ts'
import type { ExcessIPsInput } from '../../../src/ipam/watermarks.ts'
import {
  calculateExcessIPs,
  calculateNeededIPs,
  capToMaxAllocate,
  countPendingPods,
  effectiveMaxAllocate,
  effectivePreAllocate,
  orderByWatermark,
  signedNeed,
  surge,
} from '../../../src/ipam/watermarks.ts'

const SEED = 20260801

const count = (max: number): fc.Arbitrary<number> => fc.integer({ min: 0, max })
type Watermarks = Omit<ExcessIPsInput, 'profile'>
/** Numbers close enough together that every rule of the formulas meets its boundary. */
const watermarks = fc.record({
  availableIPs: count(60),
  usedIPs: count(60),
  preAllocate: count(20),
  minAllocate: count(40),
  maxAboveWatermark: count(10),
})

describe('calculateNeededIPs', () => {
  test.each([
    { name: 'fills an empty node to its floor', available: 0, used: 0, pre: 0, min: 16, max: 0, needed: 16 },
    { name: 'fills the buffer above the used addresses', available: 8, used: 4, pre: 8, min: 8, max: 0, needed: 4 },
    { name: 'is cut to what the ceiling leaves', available: 20, used: 40, pre: 8, min: 20, max: 42, needed: 22 },
    { name: 'is 0 above the ceiling, never negative', available: 12, used: 12, pre: 8, min: 0, max: 10, needed: 0 },
    { name: 'ignores a ceiling of 0', available: 5, used: 9, pre: 2, min: 0, max: 0, needed: 6 },
    {
      name: 'keeps the floor with the buffer switched off',
      available: 0,
      used: 0,
      pre: -1,
      min: 10,
      max: 0,
      needed: 10,
    },
  ])('$name', ({ available, used, pre, min, max, needed }) => {
    const input = { availableIPs: available, usedIPs: used, preAllocate: pre, minAllocate: min, maxAllocate: max }
    expect(calculateNeededIPs(input)).toBe(needed)
  })

  test('attaching the need satisfies both watermarks, or reaches the ceiling', () => {
    fc.assert(
      fc.property(watermarks, count(80), (input, maxAllocate) => {
        const needed = calculateNeededIPs({ ...input, maxAllocate })
        const available = input.availableIPs + needed
        expect(needed).toBeGreaterThanOrEqual(0)
        if (needed > 0 && maxAllocate > 0) expect(available).toBeLessThanOrEqual(maxAllocate)
        const isAtCeiling = maxAllocate > 0 && available >= maxAllocate
        if (!isAtCeiling) {
          expect(available).toBeGreaterThanOrEqual(input.usedIPs + input.preAllocate)
          expect(available).toBeGreaterThanOrEqual(input.minAllocate)
        }
      }),
      { seed: SEED, numRuns: 2_000 },
    )
  })
})

describe('calculateExcessIPs', () => {
  test.each([
    { name: 'is 0 at the floor', profile: 'latest', available: 16, used: 1, pre: 8, min: 16, above: 0, excess: 0 },
    { name: 'keeps the floor (1.15)', profile: 'latest', available: 17, used: 0, pre: 8, min: 16, above: 0, excess: 1 },
    {
      name: 'goes below the floor in 1.14',
      profile: '1.14',
      available: 17,
      used: 0,
      pre: 8,
      min: 16,
      above: 0,
      excess: 9,
    },
    {
      name: 'follows use above the floor',
      profile: 'latest',
      available: 20,
      used: 4,
      pre: 8,
      min: 0,
      above: 0,
      excess: 8,
    },
    {
      name: 'tolerates max-above-watermark',
      profile: 'latest',
      available: 21,
      used: 0,
      pre: 8,
      min: 0,
      above: 4,
      excess: 9,
    },
    { name: 'is never negative', profile: 'latest', available: 40, used: 38, pre: 8, min: 10, above: 5, excess: 0 },
  ] as const)('$name', ({ profile, available, used, pre, min, above, excess }) => {
    expect(
      calculateExcessIPs({
        availableIPs: available,
        usedIPs: used,
        preAllocate: pre,
        minAllocate: min,
        maxAboveWatermark: above,
        profile,
      }),
    ).toBe(excess)
  })

  const afterRelease = (input: Watermarks, profile: IPAMProfile): { need: number; excess: number } => {
    const availableIPs = input.availableIPs - calculateExcessIPs({ ...input, profile })
    return {
      need: calculateNeededIPs({ ...input, availableIPs, maxAllocate: 0 }),
      excess: calculateExcessIPs({ ...input, availableIPs, profile }),
    }
  }

  test.each(IPAM_PROFILES.filter((profile) => profile !== '1.14'))(
    'releasing the excess leaves neither need nor excess (profile %s)',
    (profile) => {
      fc.assert(
        fc.property(watermarks, (input) => {
          const hasExcess = calculateExcessIPs({ ...input, profile }) > 0
          const after = afterRelease(input, profile)
          expect(after.excess).toBe(0)
          if (hasExcess) expect(after.need).toBe(0)
        }),
        { seed: SEED, numRuns: 5_000 },
      )
    },
  )

  test('profile 1.14 lacks the rule: it releases 12 and needs 11 of them again', () => {
    const input = { availableIPs: 27, usedIPs: 7, preAllocate: 8, minAllocate: 26, maxAboveWatermark: 0 }
    expect(calculateExcessIPs({ ...input, profile: '1.14' })).toBe(12)
    expect(afterRelease(input, '1.14').need).toBe(11)
    expect(calculateExcessIPs({ ...input, profile: 'latest' })).toBe(1)
    expect(afterRelease(input, 'latest').need).toBe(0)
  })

  test('a used address is never part of the excess', () => {
    fc.assert(
      fc.property(watermarks, fc.constantFrom(...IPAM_PROFILES), (input, profile) => {
        const unused = Math.max(input.availableIPs - input.usedIPs, 0)
        expect(calculateExcessIPs({ ...input, profile })).toBeLessThanOrEqual(unused)
      }),
      { seed: SEED, numRuns: 2_000 },
    )
  })
})

test.each([
  { neededIPs: 5, excessIPs: 0, releaseEnabled: true, value: 5 },
  { neededIPs: 2, excessIPs: 4, releaseEnabled: true, value: 2 },
  { neededIPs: 0, excessIPs: 7, releaseEnabled: true, value: -7 },
  { neededIPs: 0, excessIPs: 7, releaseEnabled: false, value: 0 },
  { neededIPs: 0, excessIPs: 0, releaseEnabled: true, value: 0 },
])('signedNeed of need $neededIPs and excess $excessIPs, release $releaseEnabled, is $value', ({ value, ...input }) => {
  expect(signedNeed(input)).toBe(value)
})

describe('orderByWatermark', () => {
  const node = (name: string, neededIPs: number, excessIPs = 0) => ({ name, neededIPs, excessIPs })

  test('serves the largest deficit first, then nodes at rest, then the largest excess', () => {
    const nodes = [node('little-excess', 0, 1), node('idle', 0), node('excess', 0, 4), node('need', 5), node('big', 8)]
    const names = orderByWatermark(nodes, true).map(({ name }) => name)
    expect(names).toEqual(['big', 'need', 'idle', 'excess', 'little-excess'])
  })

  test('excess does not count while release is off', () => {
    const names = orderByWatermark([node('b', 0, 9), node('a', 0), node('c', 1)], false).map(({ name }) => name)
    expect(names).toEqual(['c', 'a', 'b'])
  })

  test('the order does not depend on the order of the input, and the input stays as it was', () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-c]{1,3}$/), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(names, count(3), count(3), fc.boolean(), (unique, need, excess, releaseEnabled) => {
        const nodes = unique.map((name, index) => node(name, index % (need + 1), index % (excess + 1)))
        const before = structuredClone(nodes)
        expect(orderByWatermark(nodes.toReversed(), releaseEnabled)).toEqual(orderByWatermark(nodes, releaseEnabled))
        expect(nodes).toEqual(before)
      }),
      { seed: SEED, numRuns: 300 },
    )
  })
})

test.each([
  { spec: 0, effective: 8 },
  { spec: 1, effective: 1 },
  { spec: 16, effective: 16 },
  { spec: -1, effective: -1 },
])('effectivePreAllocate of $spec is $effective', ({ spec, effective }) => {
  expect(effectivePreAllocate(spec)).toBe(effective)
})

describe('effectiveMaxAllocate', () => {
  test.each([
    { name: 'is the instance ceiling when not configured', spec: 0, instanceMax: 27, maxAllocate: 27 },
    { name: 'is the configured value below the ceiling', spec: 5, instanceMax: 27, maxAllocate: 5 },
    { name: 'takes a configured value equal to the ceiling', spec: 27, instanceMax: 27, maxAllocate: 27 },
    { name: 'is no ceiling when neither is known', spec: 0, instanceMax: 0, maxAllocate: 0 },
  ])('$name, without a warning', ({ spec, instanceMax, maxAllocate }) => {
    expect(effectiveMaxAllocate(spec, instanceMax)).toEqual({ maxAllocate })
  })

  test.each([
    { spec: 100, instanceMax: 27, warning: /max-allocate 100 .*\(27\)/ },
    { spec: 5, instanceMax: 0, warning: /max-allocate 5 .*\(unknown\)/ },
  ])('uses $spec above a ceiling of $instanceMax, and says so', ({ spec, instanceMax, warning }) => {
    const effective = effectiveMaxAllocate(spec, instanceMax)
    expect(effective.maxAllocate).toBe(spec)
    expect(effective.warning).toMatch(warning)
  })
})

describe('surge', () => {
  test.each([
    { name: 'nothing pending', neededIPs: 8, above: 0, pendingPods: 0, surgeIPs: 0, max: 8 },
    { name: 'pods beyond the need', neededIPs: 8, above: 0, pendingPods: 20, surgeIPs: 12, max: 20 },
    { name: 'pods that the need covers', neededIPs: 10, above: 5, pendingPods: 10, surgeIPs: 0, max: 15 },
    { name: 'watermark and surge add up', neededIPs: 10, above: 5, pendingPods: 11, surgeIPs: 1, max: 16 },
    { name: 'pods not known', neededIPs: 8, above: 2, pendingPods: undefined, surgeIPs: 0, max: 10 },
  ])('$name', ({ neededIPs, above, pendingPods, surgeIPs, max }) => {
    expect(surge({ neededIPs, maxAboveWatermark: above, pendingPods })).toEqual({ surgeIPs, maxIPsToAllocate: max })
  })

  test('surge and watermark never take a node beyond its ceiling', () => {
    fc.assert(
      fc.property(watermarks, count(40), fc.integer({ min: 1, max: 80 }), (input, pendingPods, maxAllocate) => {
        const neededIPs = calculateNeededIPs({ ...input, maxAllocate })
        const { maxIPsToAllocate } = surge({ ...input, neededIPs, pendingPods })
        const capped = capToMaxAllocate({ maxIPsToAllocate, availableIPs: input.availableIPs, maxAllocate })
        expect(capped).toBeGreaterThanOrEqual(neededIPs)
        expect(capped).toBeLessThanOrEqual(maxIPsToAllocate)
        if (capped > 0) expect(input.availableIPs + capped).toBeLessThanOrEqual(maxAllocate)
      }),
      { seed: SEED, numRuns: 2_000 },
    )
  })

  test('a ceiling of 0 caps nothing', () => {
    expect(capToMaxAllocate({ maxIPsToAllocate: 500, availableIPs: 400, maxAllocate: 0 })).toBe(500)
  })
})

describe('countPendingPods', () => {
  const pod = { nodeName: 'n1', phase: 'Pending', hostNetwork: false }
  const pods = [
    pod,
    { ...pod, hostNetwork: true },
    { ...pod, hasAddress: true },
    { ...pod, phase: 'Running' },
    { ...pod, nodeName: 'n2' },
    { ...pod, nodeName: '' },
  ]

  test('the newest profile counts only pods that still need an address', () => {
    expect(countPendingPods('n1', pods, 'latest')).toBe(1)
  })

  test.each(['1.19', '1.18', '1.14'] as const)('profile %s counts every pending pod of the node', (profile) => {
    expect(countPendingPods('n1', pods, profile)).toBe(3)
  })
})
