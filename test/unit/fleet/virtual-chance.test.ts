import crypto, { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { seedGlobalChance } from '../../../src/fleet/virtual-chance.ts'

/** What third-party code draws, by all its ways. */
function draw(): readonly unknown[] {
  return [Math.random(), crypto.randomUUID(), globalThis.crypto.randomUUID(), Math.random()]
}

function seeded(seed: number): readonly unknown[] {
  const restore = seedGlobalChance(seed)
  try {
    return draw()
  } finally {
    restore()
  }
}

describe('seedGlobalChance', () => {
  test('the same seed gives the same numbers, another one others', () => {
    expect(seeded(7)).toEqual(seeded(7))
    expect(seeded(7)).not.toEqual(seeded(8))
  })

  test('identifiers have the form of version 4', () => {
    expect(seeded(7)[1]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  test('real chance comes back', () => {
    seeded(7)
    const real = draw()
    expect(seeded(7)).not.toEqual(real)
    expect(draw()).not.toEqual(seeded(7))
    for (const [index, value] of draw().entries()) expect(value).not.toBe(real[index])
    expect(randomUUID()).not.toBe(randomUUID())
  })
})
