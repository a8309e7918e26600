import { describe, expect, test } from 'vitest'
import { playShrinking, randomRun } from '../support/fleet-run.ts'
import { CALM_KINDS } from '../support/fleet-steps.ts'

/**
 * The main job without faults, in virtual time: nodes and pods come and go. Those with faults are in fault-steps-*.test.ts; more of them by
 * hand: `npm run soak -- --seed 1 --steps 100000`.
 */

const SEEDS = [2, 4, 6, 8, 10, 12]
const STEPS = 60
/** Plays of shorter lists after a failure (count): about a second each. */
const SHRINK_ATTEMPTS = 60
/** Long enough to shrink a failure, whatever else the machine does (ms). */
const TIMEOUT_MS = 600_000

describe('a fleet keeps its invariants and comes to rest', () => {
  test.each(SEEDS)('under the workload of seed %i', { timeout: TIMEOUT_MS }, async (seed) => {
    const { convergedMs } = await playShrinking(randomRun(seed, STEPS, CALM_KINDS), { attempts: SHRINK_ATTEMPTS })
    // Without faults nobody has a reason to wait: two turns of an agent (15 s each), a second shared by readers, and the calls.
    expect(convergedMs).toBeLessThanOrEqual(35_000)
  })
})
