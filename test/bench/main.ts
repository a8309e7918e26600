import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { table } from './harness.ts'
import type { BenchReport, Figure } from './harness.ts'

/**
 * `npm run bench -- [name...]`: runs the benchmarks whose names contain one of the given texts, or all, one after another and each in a
 * process of its own; prints a table and records it under `results/`.
 *
 * A benchmark is a file `<name>.bench.ts` here that, run with `--json`, prints one JSON object as the last line of its standard output:
 * a `BenchReport`. Of an object of another form every number is shown under its path.
 */

const USAGE = 2
const FAILED = 1
const SUFFIX = '.bench.ts'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..')
const results = join(here, 'results')

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const names = readdirSync(here)
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length))
    .sort()
  const unknown = args.filter((arg) => arg !== '--list' && !names.some((name) => name.includes(arg)))
  if (unknown.length > 0) {
    process.stderr.write(`bench: no benchmark is named like ${unknown.join(', ')}; there are ${names.join(', ')}\n`)
    return USAGE
  }
  if (args.includes('--list')) {
    process.stdout.write(`${names.join('\n')}\n`)
    return 0
  }
  const failed: string[] = []
  for (const name of names.filter((one) => args.length === 0 || args.some((arg) => one.includes(arg)))) {
    if (!(await runOne(name))) failed.push(name)
  }
  if (failed.length === 0) return 0
  process.stderr.write(`bench: failed: ${failed.join(', ')}\n`)
  return FAILED
}

/** @returns whether it ran to its end */
async function runOne(name: string): Promise<boolean> {
  const sinceMs = performance.now()
  const output = await outputOf(name)
  const report = output === undefined ? undefined : reportOf(name, output)
  if (report === undefined) return false
  const seconds = (performance.now() - sinceMs) / 1000
  process.stdout.write(`${table(report)}${seconds.toFixed(1)} s\n\n`)
  const record = { ...report, commit: commit(), machine: machine(), recorded: new Date().toISOString(), seconds }
  mkdirSync(results, { recursive: true })
  writeFileSync(join(results, `${name}.json`), `${JSON.stringify(record, null, 2)}\n`)
  return true
}

/** The standard output of a benchmark; undefined when it failed. What it says on standard error goes through. */
function outputOf(name: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(here, `${name}${SUFFIX}`), '--json'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const pieces: Buffer[] = []
    child.stdout.on('data', (piece: Buffer) => pieces.push(piece))
    child.on('error', () => resolve(undefined))
    child.on('close', (code) => resolve(code === 0 ? Buffer.concat(pieces).toString('utf8') : undefined))
  })
}

function reportOf(name: string, output: string): BenchReport | undefined {
  const last = output.trimEnd().split('\n').at(-1) ?? ''
  let parsed: unknown
  try {
    parsed = JSON.parse(last)
  } catch {
    process.stderr.write(`bench: ${name}: the last line of its output is no JSON\n`)
    return undefined
  }
  if (isReport(parsed)) return { ...parsed, bench: name }
  return { bench: name, seed: 0, figures: [...numbersOf(parsed, '')], skipped: [] }
}

function isReport(value: unknown): value is BenchReport {
  return typeof value === 'object' && value !== null && 'figures' in value && 'skipped' in value && 'seed' in value
}

function* numbersOf(value: unknown, path: string): Generator<Figure> {
  if (typeof value === 'number') {
    yield { name: path, unit: '', median: value, min: value, max: value, spread: 0, rounds: 1 }
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, one] of Object.entries(value)) yield* numbersOf(one, path === '' ? key : `${path}.${key}`)
  }
}

/** The commit, and whether the sources differ from it. */
function commit(): string {
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()
  try {
    const changes = git('status', '--porcelain', '--', 'src', 'providers', 'simulators')
    return `${git('rev-parse', 'HEAD')}${changes === '' ? '' : '+changes'}`
  } catch {
    return 'unknown'
  }
}

function machine(): Readonly<Record<string, string | number>> {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    /** Processes that wanted a core in the last minute, this one included: much above the cores, elapsed times say little. */
    load: Math.round((loadavg()[0] ?? 0) * 10) / 10,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${process.arch}`,
    node: process.version,
  }
}
