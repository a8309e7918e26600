import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { chooseDenseAddresses } from '../../../../providers/aws/dense-addresses.ts'
import { parseIPv4 } from '../../../../src/ipam/ip-range.ts'

/** 10.0.0.0/24: 16 blocks. */
const NETWORK = parseIPv4('10.0.0.0')!
const SIZE = 256

const subnets = fc.record({
  taken: fc.uniqueArray(fc.integer({ min: 4, max: SIZE - 2 }), { maxLength: 120 }),
  delegated: fc.uniqueArray(fc.integer({ min: 1, max: 14 }), { maxLength: 8 }),
  unavailable: fc.uniqueArray(fc.integer({ min: 0, max: SIZE - 1 }), { maxLength: 20 }),
  count: fc.integer({ min: 1, max: 40 }),
})

test('a choice is of free addresses only, complete or none, and breaks no more blocks than it must', () => {
  fc.assert(
    fc.property(subnets, ({ taken, delegated, unavailable, count }) => {
      const singles = new Map<number, number>()
      const held = taken.filter((offset) => !delegated.includes(Math.floor(offset / 16)))
      for (const offset of held) {
        const block = NETWORK / 16 + Math.floor(offset / 16)
        singles.set(block, (singles.get(block) ?? 0) | (1 << (offset % 16)))
      }
      const isFree = (offset: number): boolean =>
        offset >= 4 &&
        offset < SIZE - 1 &&
        !held.includes(offset) &&
        !delegated.includes(Math.floor(offset / 16)) &&
        !unavailable.includes(offset)
      const free = Array.from({ length: SIZE }, (_, offset) => offset).filter(isFree)
      const chosen = chooseDenseAddresses(
        { network: NETWORK, prefixLength: 24 },
        { singles, delegated: new Set(delegated.map((block) => NETWORK / 16 + block)) },
        count,
        (address) => unavailable.includes(address - NETWORK),
      )?.map((address) => address - NETWORK)
      if (free.length < count) {
        expect(chosen).toBeUndefined()
        return
      }
      expect(chosen).toHaveLength(count)
      expect(new Set(chosen).size).toBe(count)
      expect(chosen!.every(isFree)).toBe(true)
      const blockOf = (offset: number): number => Math.floor(offset / 16)
      const broken = new Set([0, 15, ...held.map(blockOf)])
      const inBroken = free.filter((offset) => broken.has(blockOf(offset))).length
      const opened = new Set(chosen!.map(blockOf).filter((block) => !broken.has(block)))
      expect(opened.size > 0).toBe(count > inBroken)
      // A whole block is opened only when those opened before are used up.
      const inOpened = free.filter((offset) => opened.has(blockOf(offset))).length
      if (opened.size > 0) expect(inOpened - (count - inBroken)).toBeLessThan(16)
    }),
    { numRuns: 300 },
  )
})
