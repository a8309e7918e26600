import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { WorldReport } from '../fleet/report.ts'
import { nextStep } from '../fleet/run-goal.ts'
import { describeSummary, formatSummary, summaryOf } from '../fleet/summary.ts'
import { WorldHandle } from '../fleet/world-handle.ts'
import { PlanError } from '../fleet/world-plan.ts'
import type { WorldEndpoints } from '../fleet/world-plan.ts'
import { systemClock } from '../runtime/clock.ts'
import { UsageError } from './command-options.ts'
import type { ControllerHandle } from './controller.ts'
import { interruption } from './interruption.ts'
import { logTail } from './log-tail.ts'
import { ProcessVitals } from './process-vitals.ts'
import { UP_HELP, parseUpOptions } from './up-options.ts'
import type { UpOptions } from './up-options.ts'
import { UpDisplay } from './up-display.ts'
import { startUpController } from './up-controller.ts'

/** Exit codes of the command. */
const OK = 0
const FAILED = 1
const USAGE = 2

/** How long the world's process may take to end by itself (ms). */
const WORLD_GRACE_MS = 5000
const KEPT_LOG_LINES = 50

const clock = systemClock()

/** Why a run came to its end. */
type Ending =
  | { readonly kind: 'converged'; readonly report: WorldReport }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'failed'; readonly error: unknown }

/**
 * `berth up`: the controller in this process, everything it talks to in a child, real HTTP between the two.
 *
 * @param args what follows `up` on the command line
 * @returns the exit code: 0 converged or ended by Ctrl-C, 1 failed, not converged in time or an invariant broken, 2 wrong usage
 */
export async function runUp(args: readonly string[]): Promise<number> {
  let options: UpOptions | 'help'
  try {
    options = parseUpOptions(args)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`berth up: ${error.message}\n`)
    return USAGE
  }
  if (options === 'help') {
    process.stdout.write(UP_HELP)
    return OK
  }
  const interrupted = interruption()
  try {
    return await run(options, interrupted.promise)
  } finally {
    interrupted.release()
  }
}

async function run(options: UpOptions, interrupted: Promise<void>): Promise<number> {
  const startMs = clock.now()
  const over = new AbortController()
  const display = new UpDisplay(options)
  const goal = new Goal(options)
  const world = new WorldHandle(options.plan, (report) => {
    display.update(report)
    goal.observe(report, world)
  })
  const folder = mkdtempSync(join(tmpdir(), 'berth-up-'))
  let starting: Promise<ControllerHandle> | undefined
  let ending: Ending
  try {
    const endpoints = await Promise.race([world.ready, interrupted])
    if (endpoints !== undefined) {
      starting = startIn(folder, endpoints, options, display)
      const controller = await Promise.race([starting, world.ended.then(raise)])
      display.announce([`status page: ${controller.telemetryURL}/`])
      display.showVitals(new ProcessVitals())
    }
    const timeLeftMs = options.timeoutMs - (clock.now() - startMs)
    ending = await Promise.race([
      interrupted.then((): Ending => ({ kind: 'interrupted' })),
      world.ended.then(failure),
      goal.reached,
      ...(starting === undefined ? [] : [starting.then(({ ended }) => ended).then(failure)]),
      ...(options.isUntilConverged ? [timeout(timeLeftMs, over.signal)] : []),
    ])
  } catch (error) {
    ending = failure(error)
  }
  world.stopChurn()
  const report = ending.kind === 'converged' ? ending.report : await world.verify().catch(() => undefined)
  // The controller stops while its servers still answer: it finishes its writes and releases its lease.
  await starting?.then((controller) => controller.stop()).catch(() => undefined)
  await world.stop(clock.sleep(WORLD_GRACE_MS, over.signal))
  over.abort(new Error('the run is over'))
  rmSync(folder, { recursive: true, force: true })
  display.close()
  return conclude(ending, report, options, (clock.now() - startMs) / 1000)
}

/** The controller with a kubeconfig of its own; rejects with what keeps it from starting. */
function startIn(
  folder: string,
  endpoints: WorldEndpoints,
  { plan }: UpOptions,
  display: UpDisplay,
): Promise<ControllerHandle> {
  const kubeconfigPath = join(folder, 'kubeconfig')
  writeFileSync(kubeconfigPath, endpoints.kubeconfig, { mode: 0o600 })
  display.announce([...endpoints.exportLines, `export KUBECONFIG=${kubeconfigPath}`])
  const log = logTail(KEPT_LOG_LINES, (line) => display.problem(line))
  display.showLog(log.lines)
  return startUpController({ plan, endpoints, kubeconfigPath, destination: log.destination })
}

/** Says how it ended. @returns the exit code */
function conclude(
  ending: Ending,
  report: WorldReport | undefined,
  { plan, isJSON, timeoutMs }: UpOptions,
  wallSeconds: number,
): number {
  const complain = (text: string): boolean => process.stderr.write(`berth up: ${text}\n`)
  if (ending.kind === 'failed') complain(describeError(ending.error))
  if (ending.kind === 'timeout') complain(`not converged after ${timeoutMs / 1000} s`)
  for (const violation of report?.violations ?? []) complain(`broken invariant: ${violation}`)
  if (report !== undefined) {
    const summary = summaryOf(report, { ...plan, wallSeconds })
    process.stdout.write(`${isJSON ? formatSummary(summary) : describeSummary(summary)}\n`)
  }
  if (ending.kind === 'failed') return ending.error instanceof PlanError ? USAGE : FAILED
  return ending.kind === 'timeout' || (report?.violations.length ?? 0) > 0 ? FAILED : OK
}

/** Watches the reports until the run has come to what `--until-converged` asks for; never, without it. */
class Goal {
  readonly #isWanted: boolean
  readonly #reached = Promise.withResolvers<Ending>()
  #isVerifying = false

  constructor({ isUntilConverged }: UpOptions) {
    this.#isWanted = isUntilConverged
  }

  get reached(): Promise<Ending> {
    return this.#reached.promise
  }

  observe(report: WorldReport, world: WorldHandle): void {
    if (!this.#isWanted || this.#isVerifying) return
    const step = nextStep(report)
    if (step === 'stop-churn') world.stopChurn()
    if (step === 'done') {
      this.#isVerifying = true
      void this.#verify(world)
    }
  }

  /** What the resources say is believed once the cloud says so too. */
  async #verify(world: WorldHandle): Promise<void> {
    try {
      const report = await world.verify()
      if (nextStep(report) === 'done') this.#reached.resolve({ kind: 'converged', report })
    } catch {
      // The world has ended, which `ended` tells.
    } finally {
      this.#isVerifying = false
    }
  }
}

/** Rejects when the run is over first. */
async function timeout(ms: number, signal: AbortSignal): Promise<Ending> {
  await clock.sleep(ms, signal)
  return { kind: 'timeout' }
}

function failure(error: unknown): Ending {
  return { kind: 'failed', error }
}

function raise(error: Error): never {
  throw error
}

function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
