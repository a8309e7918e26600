import { USUAL_LATENCY } from '../../simulators/aws/index.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import type { Random } from '../../src/runtime/random.ts'
import type { FleetOptions } from './fleet.ts'
import { startFleet } from './fleet.ts'
import type { WaitCoverage } from './fleet-watch.ts'
import type { StepKind, TimedStep } from './fleet-steps.ts'
import { randomSteps } from './fleet-steps.ts'

/** What a run consists of. Plain data: the same run plays the same way every time. */
export interface FleetRun {
  readonly options: FleetOptions
  readonly steps: readonly TimedStep[]
}

/** What is known of a run that was played to its end. */
export interface PlayedRun {
  /** From the end of all faults until everybody had what they wanted (ms). */
  readonly convergedMs: number
  /** Virtual time of the whole run (ms). */
  readonly virtualMs: number
  /** EC2 calls by action (counts), for comparisons. */
  readonly calls: Readonly<Record<string, number>>
  readonly coverage: WaitCoverage
}

/**
 * From the end of all faults until every node has what it wants (ms): the longest backoff of a node, the longest pause of what
 * feeds it (a read of a missing instance, a write, a full sync, a stopped instance: a minute each, not one after the other), the
 * term of a lease that nobody renews, and the calls of the fleet at the documented rate, which here are few.
 */
const CONVERGENCE_BOUND_MS = 300_000 + 60_000 + 60_000 + 30_000

const SPECS = [{}, { 'min-allocate': 12 }, { 'pre-allocate': 3 }, { 'max-allocate': 20 }, { 'max-above-watermark': 4 }]

/** The run of a seed: the fleet's make and what happens to it. @param kinds which steps; all by default */
export function randomRun(seed: number, stepCount: number, kinds?: readonly StepKind[]): FleetRun {
  const random = seededRandom(seed)
  const options = {
    seed,
    nodeCount: 2 + Math.floor(random.next() * 9),
    prefixDelegation: random.next() < 0.4,
    releaseExcess: random.next() < 0.6,
    agentGeneration: pick(random, ['pool', 'multi-pool', 'mixed'] as const),
    latency: random.next() < 0.5 ? USUAL_LATENCY : { ...USUAL_LATENCY, changing: { min: 5, max: 40 } },
    specs: random.next() < 0.5 ? [{}] : SPECS,
    agentIntervalMs: random.next() < 0.5 ? 1_000 : 15_000,
  }
  // Some runs give nothing the time to settle.
  const haste = random.next() < 0.3 ? 5 : 1
  return { options, steps: randomSteps(random, stepCount, { kinds, haste }) }
}

/**
 * Plays a run: checks every invariant after every step, then ends all faults and waits until everybody is served.
 *
 * @throws FleetViolation
 */
export async function play({ options, steps }: FleetRun): Promise<PlayedRun> {
  const fleet = await startFleet(options)
  try {
    for (const { thenMs, ...step } of steps) {
      await fleet.apply(step)
      await fleet.advance(thenMs)
      await fleet.assertInvariants()
    }
    fleet.heal()
    const convergedMs = await fleet.converge(CONVERGENCE_BOUND_MS)
    await fleet.assertInvariants()
    const { actions } = fleet.cloud.ec2.calls.report()
    const calls = Object.fromEntries(Object.entries(actions).map(([action, { attempts }]) => [action, attempts]))
    return { convergedMs, virtualMs: fleet.clock.now(), calls, coverage: fleet.watch.coverage }
  } finally {
    await fleet.close()
  }
}

/**
 * Plays a run and, when it fails, looks for a shorter list of steps that fails in the same way.
 *
 * @param play plays a run; replaced only to test the shrinking itself
 * @throws Error with the seed, a command that plays the steps again, and what went wrong
 */
export async function playShrinking(
  run: FleetRun,
  limits: { readonly attempts: number; readonly play?: (run: FleetRun) => Promise<PlayedRun> },
): Promise<PlayedRun> {
  const playOnce = limits.play ?? play
  try {
    return await playOnce(run)
  } catch (cause) {
    const shortest = await shrink(run, cause, { ...limits, play: playOnce })
    throw new Error(describe(run, shortest), { cause })
  }
}

interface FailedRun {
  readonly steps: readonly TimedStep[]
  readonly error: unknown
}

/** Drops ever smaller pieces of the list, as long as what is left fails in the same way. @source Zeller, delta debugging */
async function shrink(
  run: FleetRun,
  error: unknown,
  { attempts, play: playOnce }: { readonly attempts: number; readonly play: (run: FleetRun) => Promise<PlayedRun> },
): Promise<FailedRun> {
  let best: FailedRun = { steps: run.steps, error }
  let left = attempts
  for (let size = Math.ceil(best.steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < best.steps.length && left > 0; left--) {
      const steps = best.steps.toSpliced(start, size)
      const failure = await playOnce({ ...run, steps }).then(
        () => undefined,
        (reason: unknown) => ({ reason }),
      )
      if (failure !== undefined && kindOf(failure.reason) === kindOf(error)) best = { steps, error: failure.reason }
      else start += size
    }
  }
  return best
}

/** What went wrong, without the names in it: `idle-need`. */
function kindOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split(':', 1)[0] ?? ''
}

function describe({ options, steps }: FleetRun, shortest: FailedRun): string {
  const { error } = shortest
  return [
    `seed ${options.seed}: ${error instanceof Error ? error.message : String(error)}`,
    `${shortest.steps.length} of ${steps.length} steps fail alike. To play them again:`,
    `npm run soak -- --replay - <<'RUN'\n${JSON.stringify({ options, steps: shortest.steps })}\nRUN`,
  ].join('\n\n')
}

function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[Math.floor(random.next() * choices.length)]!
}
