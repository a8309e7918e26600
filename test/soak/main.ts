import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { play } from '../support/fleet-run.ts'
import type { FleetRun } from '../support/fleet-run.ts'
import type { SoakResult, SoakTask } from './messages.ts'
import { SoakTally } from './tally.ts'

/**
 * `npm run soak -- --steps N --seed S [--jobs J] [--steps-per-run K]`: the seeded fault simulation (docs/benchmarks.md). Runs of K steps
 * with the seeds S, S + 1, … until N steps are played, on J processes; every invariant is checked after every step. `--replay FILE`
 * plays one failed run again (`-`: standard input).
 *
 * The last line of standard output is one JSON object. Exit code 0: nothing broke; 1: something did; 2: wrong usage.
 */

const USAGE = 2
const DEFAULT_STEPS = 20_000
const DEFAULT_STEPS_PER_RUN = 100
/** One long churn, of ten times the steps of a run, for so many runs: memory that grows shows after hours of virtual time. */
const RUNS_PER_CHURN = 200
const CHURN_FACTOR = 10
/** A soak that breaks again and again has told enough (count). */
const MAX_FAILURES = 10
/** Pause between two lines of progress (ms). */
const PROGRESS_MS = 5_000

interface Settings {
  readonly steps: number
  readonly seed: number
  readonly jobs: number
  readonly stepsPerRun: number
}

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  let settings: Settings | { readonly replay: string }
  try {
    settings = read(args)
  } catch (error) {
    process.stderr.write(`soak: ${error instanceof Error ? error.message : String(error)}\n`)
    return USAGE
  }
  if ('replay' in settings) return replay(settings.replay)
  return soak(settings)
}

function read(args: readonly string[]): Settings | { readonly replay: string } {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: [...args],
    options: { steps: text, seed: text, jobs: text, 'steps-per-run': text, replay: text },
  })
  const whole = (name: Exclude<keyof typeof values, 'replay'>, otherwise: number, max: number): number => {
    const given = values[name]
    if (given === undefined) return otherwise
    if (!/^\d+$/.test(given) || Number(given) < 1 || Number(given) > max)
      throw new Error(`--${name} ${given}: must be a whole number from 1 to ${max}`)
    return Number(given)
  }
  if (values.replay !== undefined) return { replay: values.replay }
  return {
    steps: whole('steps', DEFAULT_STEPS, 1e9),
    seed: whole('seed', 1, 2 ** 31 - 1),
    jobs: whole('jobs', availableParallelism(), 64),
    stepsPerRun: whole('steps-per-run', DEFAULT_STEPS_PER_RUN, 100_000),
  }
}

async function replay(file: string): Promise<number> {
  const run = JSON.parse(readFileSync(file === '-' ? 0 : file, 'utf8')) as FleetRun
  try {
    const { virtualMs } = await play(run)
    process.stdout.write(`${run.steps.length} steps, ${virtualMs / 1000} s of virtual time: nothing broke\n`)
    return 0
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
}

/** What is to be done, in order. */
function* tasksOf({ steps, seed, stepsPerRun }: Settings): Generator<SoakTask> {
  for (let planned = 0, run = 0; planned < steps; run++) {
    const isChurn = run % RUNS_PER_CHURN === RUNS_PER_CHURN - 1
    const size = Math.min(stepsPerRun * (isChurn ? CHURN_FACTOR : 1), steps - planned)
    yield { kind: isChurn ? 'churn' : 'faults', seed: seed + run, steps: size }
    planned += size
  }
}

async function soak(settings: Settings): Promise<number> {
  const tally = new SoakTally(settings.steps, () => performance.now())
  const tasks = tasksOf(settings)
  let isStopping = false
  process.once('SIGINT', () => (isStopping = true))
  const progress = setInterval(() => process.stderr.write(`${tally.line()}\n`), PROGRESS_MS)
  const next = (): SoakTask | undefined =>
    isStopping || tally.failures >= MAX_FAILURES ? undefined : tasks.next().value || undefined
  await Promise.all(
    Array.from({ length: settings.jobs }, () =>
      worker(next, (result) => {
        tally.add(result)
        if (result.failure !== undefined) process.stderr.write(`\n${told(result)}\n\n`)
      }),
    ),
  )
  clearInterval(progress)
  process.stderr.write(`${tally.line()}\n`)
  const summary = { ...tally.summary(), seed: settings.seed, jobs: settings.jobs, stepsPerRun: settings.stepsPerRun }
  process.stdout.write(`${JSON.stringify(summary)}\n`)
  return tally.failures === 0 ? 0 : 1
}

/** One process; resolves when there is nothing left to do. A process that dies is a failure of its task. */
function worker(next: () => SoakTask | undefined, onResult: (result: SoakResult) => void): Promise<void> {
  return new Promise((resolve) => {
    let task = next()
    if (task === undefined) return resolve()
    const child: ChildProcess = fork(fileURLToPath(new URL('worker.ts', import.meta.url)), {
      execArgv: ['--max-semi-space-size=32'],
    })
    child.on('message', (result: SoakResult) => {
      onResult(result)
      task = next()
      if (task === undefined) child.disconnect()
      else child.send(task)
    })
    child.on('exit', (code, signal) => {
      if (task !== undefined) {
        const failure = `the process ended (${signal ?? `code ${code}`})`
        onResult({ ...task, failure, virtualMs: 0, coverage: undefined, heapBytes: undefined })
      }
      resolve()
    })
    child.send(task)
  })
}

function told({ kind, seed, steps, failure }: SoakResult): string {
  return `FAILED: ${kind} with seed ${seed} and ${steps} steps\n${failure}\nThe whole run again: npm run soak -- --seed ${seed} --steps ${steps} --steps-per-run ${steps} --jobs 1`
}
