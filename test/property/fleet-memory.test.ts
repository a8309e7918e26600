import { describe, expect, test } from 'vitest'
import { growthOf, heapProbe, playLongChurn } from '../support/fleet-memory.ts'

const MB = 1e6

describe('memory of a fleet that stays as large as it is', () => {
  test.each([
    { name: 'the same all the time', used: [50, 50, 50, 50, 50, 50] },
    { name: 'caches that fill slowly', used: [50, 51, 52, 53, 53, 53] },
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

describe('a long churn', { timeout: 120_000 }, () => {
  const churn = { seed: 1, nodeCount: 4, steps: 60, looks: 6 }

  test('leaves nothing behind', async () => {
    expect(growthOf(await playLongChurn(churn, heapProbe()))).toBeUndefined()
  })

  test('that leaves something behind is found', async () => {
    const kept: number[][] = []
    const keepMore = (step: number): void =>
      void kept.push(Array.from({ length: 50_000 }, (_, index) => index + step / 7))
    expect(growthOf(await playLongChurn(churn, heapProbe(), keepMore))).toMatch(/^memory-grows/)
    expect(kept).toHaveLength(churn.steps)
  })
})
