import { expect, test } from 'vitest'
import { randomHex, randomInteger, randomUUID, seededRandom } from '../../../../simulators/kit/random.ts'

test('the same seed gives the same stream, another seed another', () => {
  const draw = (seed: number): number[] => {
    const random = seededRandom(seed)
    return Array.from({ length: 5 }, () => random.next())
  }
  expect(draw(7)).toEqual(draw(7))
  expect(draw(7)).not.toEqual(draw(8))
})

test('numbers fill [0, 1) evenly', () => {
  const random = seededRandom(1)
  const bins = Array.from({ length: 10 }, () => 0)
  for (let index = 0; index < 10_000; index++) {
    const bin = randomInteger(random, 10)
    bins[bin] = (bins[bin] ?? 0) + 1
  }
  expect(Math.min(...bins)).toBeGreaterThan(850)
  expect(Math.max(...bins)).toBeLessThan(1150)
})

test('identifiers have the asked form', () => {
  const random = seededRandom(3)
  expect(randomHex(random, 17)).toMatch(/^[0-9a-f]{17}$/)
  expect(randomUUID(random)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})
