import { describe, expect, test } from 'vitest'
import { playShrinking, randomRun } from '../support/fleet-run.ts'
import { CALM_KINDS } from '../support/fleet-steps.ts'

/**
 * The main job under random faults, in virtual time. More seeds by hand: `FLEET_SEEDS=1000-1500 FLEET_STEPS=120 npx vitest run
 * test/property/main-job.test.ts`. A failure prints its seed and a short list of steps that fails alike.
 */

const [FIRST_SEED, LAST_SEED] = (process.env['FLEET_SEEDS'] ?? '1-12').split('-').map(Number) as [number, number?]
const STEPS = Number(process.env['FLEET_STEPS'] ?? 60)
/** Plays of shorter lists after a failure (count): about a second each. */
const SHRINK_ATTEMPTS = 60
/** Long enough to shrink a failure, whatever else the machine does (ms). */
const TIMEOUT_MS = 600_000

const SEEDS = Array.from({ length: (LAST_SEED ?? FIRST_SEED) - FIRST_SEED + 1 }, (_, index) => FIRST_SEED + index)
/** Calm runs cost less and find other things: one for each two of the others. */
const CALM_SEEDS = SEEDS.filter((seed) => seed % 2 === 0)

describe('a fleet keeps its invariants and comes to rest', () => {
  test.each(SEEDS)('under the faults of seed %i', { timeout: TIMEOUT_MS }, async (seed) => {
    const { virtualMs } = await playShrinking(randomRun(seed, STEPS), { attempts: SHRINK_ATTEMPTS })
    expect(virtualMs).toBeGreaterThan(0)
  })

  test.each(CALM_SEEDS)('under the workload of seed %i', { timeout: TIMEOUT_MS }, async (seed) => {
    const { convergedMs } = await playShrinking(randomRun(seed, STEPS, CALM_KINDS), { attempts: SHRINK_ATTEMPTS })
    // Without faults nobody has a reason to wait: two turns of an agent (15 s each), a second shared by readers, and the calls.
    expect(convergedMs).toBeLessThanOrEqual(35_000)
  })
})
