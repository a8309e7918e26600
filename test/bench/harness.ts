import process from 'node:process'

/** What one figure is measured against. */
export interface Gate {
  readonly atMost?: number
  readonly atLeast?: number
}

/** One measured quantity. */
export interface Figure {
  readonly name: string
  readonly unit: string
  readonly median: number
  readonly min: number
  readonly max: number
  /** (max - min) / median of the rounds. */
  readonly spread: number
  readonly rounds: number
  readonly gate?: Gate
}

/** What a benchmark prints with `--json`, as one line. */
export interface BenchReport {
  readonly bench: string
  readonly seed: number
  readonly figures: readonly Figure[]
  /** What was left out, and why. */
  readonly skipped: readonly string[]
}

export const ROUNDS = 7

/** Collects the figures of one benchmark. A benchmark checks its own result first: a wrong answer has no speed. */
export class Bench {
  readonly figures: Figure[] = []
  readonly skipped: string[] = []

  /**
   * One figure of several rounds, the first of which is thrown away: it runs code that is not compiled yet.
   *
   * @param measure one round → its value
   */
  async figure(
    options: { readonly name: string; readonly unit: string; readonly gate?: Gate; readonly rounds?: number },
    measure: () => number | Promise<number>,
  ): Promise<void> {
    const { name, unit, gate, rounds = ROUNDS } = options
    await measure()
    const values: number[] = []
    for (let round = 0; round < rounds; round++) values.push(await measure())
    values.sort((a, b) => a - b)
    const median = quantile(values, 0.5)
    const [min = 0, max = 0] = [values.at(0), values.at(-1)]
    const spread = median === 0 ? 0 : (max - min) / median
    this.figures.push({ name, unit, median, min, max, spread, rounds, ...(gate !== undefined && { gate }) })
  }

  /** One figure that is the same on every machine and in every round: counts, and virtual time. */
  record(options: { readonly name: string; readonly unit: string; readonly gate?: Gate }, value: number): void {
    const { name, unit, gate } = options
    const once = { median: value, min: value, max: value, spread: 0, rounds: 1 }
    this.figures.push({ name, unit, ...once, ...(gate !== undefined && { gate }) })
  }

  skip(name: string, reason: string): void {
    this.skipped.push(`${name}: ${reason}`)
  }
}

/** @param sorted ascending, not empty. @param share in [0, 1] */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}

/**
 * Processor time that this thread takes for synchronous work (µs). What other processes do meanwhile does not count, nor does the
 * collector's own thread.
 */
export function threadMicros(work: () => void): number {
  const before = process.threadCpuUsage()
  work()
  const { user, system } = process.threadCpuUsage(before)
  return user + system
}

/** As `threadMicros`, for work that gives the thread away in between: whatever else it does meanwhile counts. */
export async function threadMicrosAsync(work: () => Promise<void>): Promise<number> {
  const before = process.threadCpuUsage()
  await work()
  const { user, system } = process.threadCpuUsage(before)
  return user + system
}

/** Elapsed time (ms). */
export async function elapsedMs(work: () => Promise<void>): Promise<number> {
  const sinceMs = performance.now()
  await work()
  return performance.now() - sinceMs
}

/** Ends the benchmark when its own result is wrong. */
export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`the result is wrong: ${message}`)
}

/** Runs a benchmark as a program: with `--json` it prints one line for the runner, otherwise a table. */
export async function runBench(name: string, seed: number, body: (bench: Bench) => Promise<void>): Promise<void> {
  const bench = new Bench()
  await body(bench)
  const report: BenchReport = { bench: name, seed, figures: bench.figures, skipped: bench.skipped }
  process.stdout.write(process.argv.includes('--json') ? `${JSON.stringify(report)}\n` : table(report))
}

/** The figures of one benchmark for people. */
export function table({ bench, figures, skipped }: Pick<BenchReport, 'bench' | 'figures' | 'skipped'>): string {
  const rows = figures.map(({ name, unit, median, min, max, gate }) => [
    name,
    `${short(median)} ${unit}`,
    `${short(min)}–${short(max)}`,
    gateText(gate, unit),
    verdict(median, gate),
  ])
  const head = [bench, 'median', 'min–max', 'gate', '']
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  return [line(head), ...rows.map(line), ...skipped.map((one) => `skipped: ${one}`), ''].join('\n')
}

function gateText(gate: Gate | undefined, unit: string): string {
  if (gate?.atMost !== undefined) return `≤ ${short(gate.atMost)} ${unit}`
  return gate?.atLeast === undefined ? '' : `≥ ${short(gate.atLeast)} ${unit}`
}

function verdict(value: number, gate: Gate | undefined): string {
  if (gate === undefined) return ''
  return value <= (gate.atMost ?? Infinity) && value >= (gate.atLeast ?? -Infinity) ? 'reached' : 'missed'
}

/** Three digits that count; thousands are set apart. */
function short(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(3)))
}
