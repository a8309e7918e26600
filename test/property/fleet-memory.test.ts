import { describe, expect, test } from 'vitest'
import { growthOf } from '../support/fleet-memory.ts'

const MB = 1e6

describe('memory of a fleet that stays as large as it is', () => {
  test.each([
    { name: 'the same all the time', used: [50, 50, 50, 50, 50, 50] },
    { name: 'caches that fill slowly', used: [50, 52, 53, 54, 55, 55] },
    { name: 'one look at a bad moment', used: [50, 51, 90, 51, 50, 80, 51, 50, 52] },
  ])('$name is no growth', ({ used }) => {
    expect(growthOf(used.map((megabytes) => megabytes * MB))).toBeUndefined()
  })

  test.each([
    { name: 'a little with every step', used: [50, 52, 55, 57, 60, 62, 64] },
    { name: 'a large leap that stays', used: [50, 50, 50, 80, 80, 80] },
  ])('$name is growth', ({ used }) => {
    expect(growthOf(used.map((megabytes) => megabytes * MB))).toMatch(/^memory-grows: 50\.0, /)
  })
})
