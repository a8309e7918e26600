/**
 * Compares a result with the expectation of a vector. `''`, `null` and absent are equal, texts compare without case, and an
 * expected `{ "oneOf": […], "preferred": … }` holds when any of its values does.
 */

/** How one kind's result is compared. Paths are dotted; `*` stands for any one key or index. */
export interface ComparisonRules {
  /** Lists without order: those of addresses and CIDRs only (default), all, or none. */
  readonly listOrder?: 'addresses-unordered' | 'unordered' | 'ordered'
  /** Lists that are compared in order whatever `listOrder` says. */
  readonly ordered?: readonly string[]
  /** Lists that are compared without order whatever `listOrder` says. */
  readonly unordered?: readonly string[]
  /** Objects of which only the expected members are compared. The top level always is one. */
  readonly partial?: readonly string[]
  /** Numbers are equal within this; without it they must be the same. */
  readonly tolerance?: { readonly absolute: number } | { readonly relative: number }
}

export interface Mismatch {
  /** Dotted; empty for the whole. */
  readonly path: string
  readonly expected: unknown
  readonly actual: unknown
}

type Path = readonly string[]

/** @returns the first place where the result does not hold, undefined when it does */
export function findMismatch(expected: unknown, actual: unknown, rules: ComparisonRules = {}): Mismatch | undefined {
  return mismatchAt([], expected, actual, rules)
}

export function describeMismatch(mismatch: Mismatch): string {
  const place = mismatch.path === '' ? '' : `${mismatch.path}: `
  return `${place}expected ${asText(mismatch.expected)}, got ${asText(mismatch.actual)}`
}

function asText(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value)
}

function mismatchAt(path: Path, expected: unknown, actual: unknown, rules: ComparisonRules): Mismatch | undefined {
  const fault: Mismatch = { path: path.join('.'), expected, actual }
  const options = alternatives(expected)
  if (options !== undefined)
    return options.some((option) => mismatchAt(path, option, actual, rules) === undefined) ? undefined : fault
  if (isNothing(expected) || isNothing(actual)) return isNothing(expected) && isNothing(actual) ? undefined : fault
  if (Array.isArray(expected))
    return Array.isArray(actual) ? mismatchOfLists(path, expected, actual as unknown[], rules) : fault
  if (isRecord(expected)) return isRecord(actual) ? mismatchOfObjects(path, expected, actual, rules) : fault
  return scalarsEqual(expected, actual, rules) ? undefined : fault
}

function mismatchOfObjects(
  path: Path,
  expected: Record<string, unknown>,
  actual: Record<string, unknown>,
  rules: ComparisonRules,
): Mismatch | undefined {
  const wanted = withoutKeyCase(expected)
  const given = withoutKeyCase(actual)
  const isPartial = path.length === 0 || isListed(rules.partial, path)
  const keys = isPartial ? [...wanted.keys()] : [...new Set([...wanted.keys(), ...given.keys()])]
  for (const key of keys) {
    const name = wanted.get(key)?.name ?? given.get(key)?.name ?? key
    const fault = mismatchAt([...path, name], wanted.get(key)?.value, given.get(key)?.value, rules)
    if (fault !== undefined) return fault
  }
  return undefined
}

function mismatchOfLists(
  path: Path,
  expected: readonly unknown[],
  actual: readonly unknown[],
  rules: ComparisonRules,
): Mismatch | undefined {
  const fault: Mismatch = { path: path.join('.'), expected, actual }
  if (expected.length !== actual.length) return fault
  if (hasOrder(path, expected, rules)) {
    for (const [index, item] of expected.entries()) {
      const itemFault = mismatchAt([...path, String(index)], item, actual[index], rules)
      if (itemFault !== undefined) return itemFault
    }
    return undefined
  }
  const fits = expected.map((item) =>
    actual.flatMap((candidate, index) =>
      mismatchAt([...path, '*'], item, candidate, rules) === undefined ? [index] : [],
    ),
  )
  return canMatchAll(fits) ? undefined : fault
}

/** Whether each expected item can have an actual item of its own (Kuhn's bipartite matching: `oneOf` makes fits overlap). */
function canMatchAll(fits: readonly (readonly number[])[]): boolean {
  const takenBy = new Map<number, number>()
  const place = (item: number, tried: Set<number>): boolean => {
    for (const index of fits[item] ?? []) {
      if (tried.has(index)) continue
      tried.add(index)
      const holder = takenBy.get(index)
      if (holder === undefined || place(holder, tried)) {
        takenBy.set(index, item)
        return true
      }
    }
    return false
  }
  return fits.every((_, item) => place(item, new Set()))
}

function hasOrder(path: Path, expected: readonly unknown[], rules: ComparisonRules): boolean {
  if (isListed(rules.ordered, path)) return true
  if (isListed(rules.unordered, path)) return false
  if (rules.listOrder === 'ordered') return true
  if (rules.listOrder === 'unordered') return false
  return !expected.every((item) => typeof item === 'string' && ADDRESS_OR_CIDR.test(item))
}

/** Enough to tell an address or CIDR of either family from other texts. */
const ADDRESS_OR_CIDR = /^(\d{1,3}(\.\d{1,3}){3}|[\da-f]{0,4}(:[\da-f.]{0,15}){2,8})(\/\d{1,3})?$/i

function scalarsEqual(expected: unknown, actual: unknown, rules: ComparisonRules): boolean {
  if (typeof expected === 'string' && typeof actual === 'string') return expected.toLowerCase() === actual.toLowerCase()
  if (typeof expected !== 'number' || typeof actual !== 'number' || rules.tolerance === undefined)
    return expected === actual
  const limit = 'absolute' in rules.tolerance ? rules.tolerance.absolute : rules.tolerance.relative * Math.abs(expected)
  return Math.abs(expected - actual) <= limit
}

function alternatives(expected: unknown): readonly unknown[] | undefined {
  return isRecord(expected) && Array.isArray(expected['oneOf']) ? (expected['oneOf'] as unknown[]) : undefined
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || value === ''
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function withoutKeyCase(record: Record<string, unknown>): Map<string, { name: string; value: unknown }> {
  return new Map(Object.entries(record).map(([name, value]) => [name.toLowerCase(), { name, value }]))
}

function isListed(patterns: readonly string[] | undefined, path: Path): boolean {
  return (patterns ?? []).some((pattern) => {
    const steps = pattern.split('.')
    return steps.length === path.length && steps.every((step, index) => step === '*' || step === path[index])
  })
}
