import type { IPAMProfile } from '../../src/ipam/types.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { Adapter, AdapterRegistry } from './adapter.ts'
import type { ComparisonRules, Mismatch } from './compare.ts'
import { describeMismatch, findMismatch } from './compare.ts'
import type { Difference } from './differences.ts'
import { applicableDifferences, expectationWith } from './differences.ts'
import type { ConformanceCase, Suite } from './load-vectors.ts'
import { profileFor } from './profiles.ts'

/** How a case ended. */
export type CaseOutcome =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'differ'; readonly reasons: readonly string[] }
  | { readonly kind: 'skipped' }

export interface RunnerOptions {
  /** Suite → kind → adapter. */
  readonly adapters: Readonly<Record<Suite, AdapterRegistry>>
  readonly differences: readonly Difference[]
  /** Real time: an adapter that never answers fails its case. */
  readonly clock: Clock
}

/** The longest a case may take (ms of real time); adapters themselves run on virtual time. */
const CASE_LIMIT_MS = 60_000

/** What a suite says of its lists where the kind says nothing: `spec` conventions of the files. */
const SUITE_RULES: Readonly<Record<Suite, ComparisonRules>> = {
  core: { listOrder: 'addresses-unordered' },
  aws: { listOrder: 'addresses-unordered' },
  azure: { listOrder: 'unordered' },
  alibabacloud: { listOrder: 'unordered' },
  agent: { listOrder: 'ordered' },
}

/** Runs one case; never throws. */
export async function runCase(testCase: ConformanceCase, options: RunnerOptions): Promise<CaseOutcome> {
  const adapter = adapterOf(options.adapters[testCase.suite], testCase.kind)
  if (adapter === undefined) return { kind: 'skipped' }
  const profile = profileFor(testCase.bound)
  let actual: unknown
  try {
    actual = await withinLimit(() => adapter.run(testCase.input, { profile, testCase }), options.clock)
  } catch (error) {
    return { kind: 'failed', message: error instanceof Error ? `${error.name}: ${error.message}` : String(error) }
  }
  return judge(testCase, actual, profile, adapter, options.differences)
}

function judge(
  testCase: ConformanceCase,
  actual: unknown,
  profile: IPAMProfile,
  adapter: Adapter,
  differences: readonly Difference[],
): CaseOutcome {
  const rules = { ...SUITE_RULES[testCase.suite], ...adapter.comparison }
  const canonical = (value: unknown): unknown => adapter.canonical?.(value, testCase.input) ?? value
  const compare = (expected: unknown): Mismatch | undefined =>
    findMismatch(canonical(expected), canonical(actual), rules)
  const mismatch = compare(testCase.expect)
  if (mismatch === undefined) return { kind: 'passed' }
  const applicable = applicableDifferences(testCase, profile, differences)
  if (applicable.length > 0 && compare(expectationWith(applicable, testCase)) === undefined)
    return { kind: 'differ', reasons: applicable.map(({ reason }) => reason) }
  return { kind: 'failed', message: describeMismatch(mismatch) }
}

/** A kind named like a member of every object (`constructor`) is not a kind. */
function adapterOf(registry: AdapterRegistry, kind: string): Adapter | undefined {
  const entry = Object.hasOwn(registry, kind) ? registry[kind] : undefined
  return typeof entry === 'function' ? { run: entry } : entry
}

async function withinLimit(run: () => unknown, clock: Clock): Promise<unknown> {
  const timer = new AbortController()
  const limit = clock.sleep(CASE_LIMIT_MS, timer.signal).then(
    () => Promise.reject(new Error(`no result within ${CASE_LIMIT_MS / 1000} s`)),
    () => undefined,
  )
  try {
    return await Promise.race([Promise.resolve().then(run), limit])
  } finally {
    timer.abort(new Error('finished'))
  }
}

/** Counts of a run, and what was skipped or differs, by kind. */
export interface Totals {
  readonly passed: number
  readonly failed: number
  readonly differ: number
  readonly skipped: number
}

/** The runner's last line. */
export function totalsLine({ passed, failed, differ, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed, ${differ} differ, ${skipped} skipped`
}

/**
 * Runs all cases one after another.
 *
 * @param write takes one line, without its end: one for each failure, then one for each kind without an adapter and one for each
 *   difference that showed, then the totals
 */
export async function runCases(
  cases: readonly ConformanceCase[],
  options: RunnerOptions,
  write: (line: string) => void,
): Promise<Totals> {
  const counts = { passed: 0, failed: 0, differ: 0, skipped: 0 }
  const skippedKinds = new Map<string, number>()
  const shownDifferences = new Map<string, number>()
  for (const testCase of cases) {
    const kind = `${testCase.suite} ${testCase.kind}`
    const outcome = await runCase(testCase, options)
    counts[outcome.kind] += 1
    if (outcome.kind === 'failed') write(`failed: ${kind} ${testCase.id}: ${oneLine(outcome.message)}`)
    if (outcome.kind === 'skipped') increase(skippedKinds, kind)
    if (outcome.kind === 'differ') increase(shownDifferences, `${kind}: ${outcome.reasons.join(' ')}`)
  }
  for (const [kind, count] of skippedKinds) write(`skipped: ${kind}: ${count} (no adapter)`)
  for (const [difference, count] of shownDifferences) write(`differ: ${count} of ${difference}`)
  write(totalsLine(counts))
  return counts
}

function increase(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ')
}
