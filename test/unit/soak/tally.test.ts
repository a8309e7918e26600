import { expect, test } from 'vitest'
import type { SoakResult } from '../../soak/messages.ts'
import { SoakTally } from '../../soak/tally.ts'

const RESULT: SoakResult = {
  kind: 'faults',
  seed: 7,
  steps: 100,
  failure: undefined,
  virtualMs: 3_600_000,
  coverage: { looks: 10, nodeLooks: 40, judgedNodeLooks: 10 },
  heapBytes: undefined,
}

test('a tally says how fast it goes, how long it takes, and what broke', () => {
  let nowMs = 0
  const tally = new SoakTally(1_000, () => nowMs)
  expect(tally.line()).toContain('0 of 1,000 steps')
  nowMs = 2_000
  tally.add(RESULT)
  tally.add({ ...RESULT, seed: 8, heapBytes: 90e6 })
  expect(tally.line()).toBe('soak 200 of 1,000 steps, 2 runs, 100 steps/s, 8 s left, 90 MB, nothing broke')
  tally.add({ ...RESULT, kind: 'churn', seed: 9, failure: 'memory-grows', coverage: undefined })
  expect(tally.line()).toContain('1 BROKE')
  expect(tally.summary()).toMatchObject({
    steps: 300,
    runs: 3,
    longChurns: 1,
    lastSeed: 9,
    failures: 1,
    virtualHours: 3,
    stepsPerSecond: 150,
    heapBytes: 90e6,
    judgedShare: 0.25,
  })
})
