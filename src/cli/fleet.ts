import { writeFileSync } from 'node:fs'
import { describeFleetReport, formatFleetReport } from '../fleet/fleet-report.ts'
import { renderReportPage } from '../fleet/report-page/page.ts'
import { RunSeries } from '../fleet/run-series.ts'
import type { Logger } from '../ipam/contracts.ts'
import { ConfigError } from '../ipam/errors.ts'
import { runVirtually } from '../fleet/virtual-run.ts'
import type { VirtualRunResult } from '../fleet/virtual-run.ts'
import { PlanError } from '../fleet/world-plan.ts'
import { systemClock } from '../runtime/clock.ts'
import { UsageError } from './command-options.ts'
import { FLEET_HELP, parseFleetOptions } from './fleet-options.ts'
import type { FleetOptions } from './fleet-options.ts'

/** Exit codes of the command. */
const OK = 0
const FAILED = 1
const USAGE = 2

/** Of a run that went wrong, so many lines of the controller's log are told (count). */
const TOLD_PROBLEMS = 20

/** Real time: what a run costs, not what it plays. */
const clock = systemClock()

/**
 * `berth fleet`: a whole fleet in this process and in virtual time.
 *
 * @param args what follows `fleet` on the command line
 * @returns the exit code: 0 settled, 1 not settled or an invariant broken, 2 wrong usage
 */
export async function runFleet(args: readonly string[]): Promise<number> {
  let options: FleetOptions | 'help'
  try {
    options = parseFleetOptions(args)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return complain(error.message, USAGE)
  }
  if (options === 'help') {
    process.stdout.write(FLEET_HELP)
    return OK
  }
  const startMs = clock.now()
  const problems = new Problems()
  const series = options.report === undefined ? undefined : new RunSeries()
  try {
    const result = await runVirtually({
      ...options,
      ...(series !== undefined && { series }),
      log: problems,
      resources: () => ({ wallSeconds: (clock.now() - startMs) / 1000, cpuSeconds: cpuSeconds() }),
    })
    if (options.report !== undefined && series !== undefined) writeReport(options.report, options, result, series)
    return conclude(result, options, problems)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    if (error instanceof PlanError || error instanceof RangeError || error instanceof ConfigError)
      return complain(message, USAGE)
    problems.tell()
    return complain(message, FAILED)
  }
}

function writeReport(
  file: string,
  { instanceType, prefixDelegation, scenario }: FleetOptions,
  { report, bound, measuredFromSeconds }: VirtualRunResult,
  series: RunSeries,
): void {
  const { help } = scenario
  const page = renderReportPage({
    report,
    bound,
    measuredFromSeconds,
    samples: series.samples,
    help,
    instanceType,
    prefixDelegation,
  })
  writeFileSync(file, page)
}

function conclude(
  { report, violations, isSettled }: VirtualRunResult,
  { isJSON }: FleetOptions,
  problems: Problems,
): number {
  for (const violation of violations) complain(`broken invariant: ${violation}`, FAILED)
  if (!isSettled) {
    problems.tell()
    complain('the fleet did not settle', FAILED)
  }
  process.stdout.write(`${isJSON ? formatFleetReport(report) : describeFleetReport(report)}\n`)
  return isSettled && violations.length === 0 ? OK : FAILED
}

function complain(text: string, code: number): number {
  process.stderr.write(`berth fleet: ${text}\n`)
  return code
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** The controller's log in a virtual run: the first warnings and errors are kept, in case that the run goes wrong. */
class Problems implements Logger {
  readonly #lines: string[] = []

  debug(): void {}

  info(): void {}

  warn(fields: object, message: string): void {
    this.#keep(fields, message)
  }

  error(fields: object, message: string): void {
    this.#keep(fields, message)
  }

  tell(): void {
    for (const line of this.#lines) process.stderr.write(`${line}\n`)
  }

  #keep(fields: object, message: string): void {
    if (this.#lines.length < TOLD_PROBLEMS) this.#lines.push(`${message} ${describe(fields)}`)
  }
}

function describe(fields: object): string {
  return JSON.stringify(fields, (_, value: unknown) => (value instanceof Error ? value.message : value))
}
