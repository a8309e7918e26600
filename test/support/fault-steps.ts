import { expect, test } from 'vitest'
import type { StepKind } from './fleet-steps.ts'
import { playShrinking, randomRun } from './fleet-run.ts'

/** Runs of random faults as tests, so that several files share the work of a soak among the test workers. */
export interface FaultSteps {
  readonly firstSeed: number
  /** Counts. */
  readonly runs: number
  readonly stepsPerRun: number
  readonly kinds?: readonly StepKind[]
}

/** Plays of shorter lists after a failure (count): about a second each. */
const SHRINK_ATTEMPTS = 60
/** Long enough to shrink a failure, whatever else the machine does (ms). */
const TIMEOUT_MS = 600_000
/** Runs of one test (count). */
const RUNS_PER_TEST = 10
/**
 * Of all looks at nodes, those at which a wait without a cause would have been told: below this the check has gone blind (share). The
 * rest is excused: a fault at work, a pause after it, a controller that has just begun.
 */
const LEAST_JUDGED = 0.1

/** Declares the tests. A failure prints its seed, a short list of steps that fails alike, and how to play it again. */
export function testFaultSteps({ firstSeed, runs, stepsPerRun, kinds }: FaultSteps): void {
  let looks = 0
  let judged = 0
  const groups = Array.from({ length: Math.ceil(runs / RUNS_PER_TEST) }, (_, index) => {
    const first = firstSeed + index * RUNS_PER_TEST
    return { first, last: Math.min(first + RUNS_PER_TEST, firstSeed + runs) - 1 }
  })
  test.each(groups)('under the faults of seeds $first to $last', { timeout: TIMEOUT_MS }, async ({ first, last }) => {
    for (let seed = first; seed <= last; seed++) {
      const { virtualMs, coverage } = await playShrinking(randomRun(seed, stepsPerRun, kinds), {
        attempts: SHRINK_ATTEMPTS,
      })
      expect(virtualMs).toBeGreaterThan(0)
      looks += coverage.nodeLooks
      judged += coverage.judgedNodeLooks
    }
  })

  test('and most of all, nobody who waited without a cause went unseen', () => {
    expect(judged / looks).toBeGreaterThan(LEAST_JUDGED)
  })
}
