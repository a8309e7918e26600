import { describe } from 'vitest'
import { testFaultSteps } from '../support/fault-steps.ts'

/** A quarter of 20,000 steps; the soak plays more (`npm run soak`). */
describe('a fleet keeps its invariants and comes to rest', () => {
  testFaultSteps({ firstSeed: 4001, runs: 50, stepsPerRun: 100 })
})
