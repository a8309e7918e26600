import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Bitmap } from '../../../src/runtime/bitmap.ts'

const SEED = 20260916

describe('Bitmap', () => {
  test.each([0, 1, 31, 32, 33, 1023, 1024, 1025, 65_534])('of %i bits gives each bit once, then none', (size) => {
    const bitmap = new Bitmap(size)
    const given: number[] = []
    for (let index = bitmap.nextClear(0); index !== -1; index = bitmap.nextClear(0)) {
      expect(bitmap.set(index)).toBe(true)
      given.push(index)
    }
    expect(given).toEqual([...Array(size).keys()])
    expect(bitmap.count).toBe(size)
  })

  test('searches from any place on and goes round', () => {
    const bitmap = new Bitmap(100)
    for (let index = 40; index < 100; index++) bitmap.set(index)
    expect(bitmap.nextClear(40)).toBe(0)
    expect(bitmap.nextClear(39)).toBe(39)
    bitmap.clear(99)
    expect(bitmap.nextClear(40)).toBe(99)
  })

  test('finds the only clear bit of a /16 wherever the search starts', () => {
    const bitmap = new Bitmap(65_534)
    for (let index = 0; index < 65_534; index++) if (index !== 41_234) bitmap.set(index)
    for (const from of [0, 41_233, 41_234, 41_235, 65_533]) expect(bitmap.nextClear(from)).toBe(41_234)
  })

  test('says whether a bit changed, and counts each once', () => {
    const bitmap = new Bitmap(10)
    expect([bitmap.set(3), bitmap.set(3), bitmap.clear(3), bitmap.clear(3)]).toEqual([true, false, true, false])
    expect(bitmap.count).toBe(0)
  })

  test('takes at most 16 KiB for a /16', () => {
    expect(new Bitmap(65_536).sizeBytes).toBeLessThanOrEqual(16_384)
  })

  test('a copy goes its own way', () => {
    const bitmap = new Bitmap(5)
    bitmap.set(1)
    const copy = bitmap.clone()
    copy.set(2)
    expect([[...bitmap.indices()], [...copy.indices()], copy.count]).toEqual([[1], [1, 2], 2])
  })

  test('equals a set of numbers over random operations', () => {
    const step = fc.record({ kind: fc.constantFrom('set', 'clear', 'next'), at: fc.nat(2_999) })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3_000 }), fc.array(step, { maxLength: 400 }), (size, steps) => {
        const bitmap = new Bitmap(size)
        const model = new Set<number>()
        for (const { kind, at } of steps) {
          const index = at % size
          if (kind === 'set') expect(bitmap.set(index)).toBe(!model.has(index) && model.add(index) !== undefined)
          else if (kind === 'clear') expect(bitmap.clear(index)).toBe(model.delete(index))
          else {
            const order = [...Array(size).keys()].map((offset) => (index + offset) % size)
            expect(bitmap.nextClear(index)).toBe(order.find((candidate) => !model.has(candidate)) ?? -1)
          }
        }
        expect([...bitmap.indices()]).toEqual([...model].sort((left, right) => left - right))
        expect(bitmap.count).toBe(model.size)
      }),
      { seed: SEED, numRuns: 60 },
    )
  })
})
