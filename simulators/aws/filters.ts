import { globMatcher, hasWildcard, unescapeGlob } from '../kit/glob.ts'
import type { Tags } from './cloud/types.ts'
import names from './data/filter-names.json' with { type: 'json' }
import { fault } from './errors.ts'

/** A filter as sent. */
export interface FilterInput {
  readonly Name: string
  readonly Value: readonly string[]
}

/** The texts of a resource that a filter compares: none, one or several. */
export type FilterValues<T> = (item: T, nowMs: number) => string | undefined | Iterable<string>

/** What can be filtered by, besides `tag:<key>` and `tag-key`, which every resource has. */
export type FilterTable<T> = Readonly<Record<string, FilterValues<T>>>

export interface CompiledFilters<T> {
  matches(item: T, nowMs: number): boolean
  /** The values that a filter allows, when it is given without wildcards: an index can answer it. */
  exact(name: string): readonly string[] | undefined
  /** Names of the filters given. */
  readonly names: readonly string[]
  /** Whether a filter of this name narrows the answer: given, and not just `*`. */
  narrows(name: string): boolean
}

/** @source Amazon EC2 API Reference, filtering */
const MAX_FILTERS = 50
const MAX_VALUES = 200
const MAX_VALUE_LENGTH = 255
const TAG_PREFIX = 'tag:'

/** An action whose filters are known. */
export type FilteredAction = keyof typeof names.filters

/**
 * Prepares filters: all of them must match, each by any of its values; case counts, `*`, `?` and backslash as in `globMatcher`.
 *
 * @throws EC2Error FilterLimitExceeded, InvalidFilter for an unknown name, NotImplemented for one that the simulator lacks,
 *   InvalidParameterValue for a filter without values
 */
export function compileFilters<T extends { readonly tags?: Tags }>(
  action: FilteredAction,
  filters: readonly FilterInput[],
  table: FilterTable<T>,
): CompiledFilters<T> {
  if (filters.length > MAX_FILTERS) {
    throw fault('FilterLimitExceeded', `The maximum number of filters specified in a request is ${MAX_FILTERS}`)
  }
  const tests = filters.map((filter) => compile(filter, valuesOf(action, filter.Name, table)))
  const byName = new Map(filters.map((filter) => [filter.Name, filter.Value]))
  return {
    matches(item, nowMs) {
      for (const test of tests) if (!test(item, nowMs)) return false
      return true
    },
    exact(name) {
      const values = byName.get(name)
      return values === undefined || values.some(hasWildcard) ? undefined : values.map(unescapeGlob)
    },
    names: [...byName.keys()],
    narrows: (name) => byName.has(name) && byName.get(name)?.every((value) => value !== '*') === true,
  }
}

function valuesOf<T extends { readonly tags?: Tags }>(
  action: FilteredAction,
  name: string,
  table: FilterTable<T>,
): FilterValues<T> {
  checkLength(name)
  const known: readonly string[] = names.filters[action]
  const values = Object.hasOwn(table, name) ? table[name] : undefined
  if (values !== undefined) return values
  if (name.startsWith(TAG_PREFIX) && name.length > TAG_PREFIX.length && known.includes('tag')) {
    const key = name.slice(TAG_PREFIX.length)
    return (item) => item.tags?.get(key)
  }
  if (name === 'tag-key' && known.includes(name)) return (item) => item.tags?.keys()
  if (name !== 'tag' && known.includes(name)) {
    throw fault('NotImplemented', `The filter ${name} of ${action} is not implemented by this simulator.`)
  }
  throw fault('InvalidFilter', name)
}

function checkLength(text: string): void {
  if (text.length > MAX_VALUE_LENGTH) {
    throw fault('FilterLimitExceeded', `The maximum length of a filter is ${MAX_VALUE_LENGTH} characters`)
  }
}

function compile<T>(
  { Name: name, Value: values }: FilterInput,
  read: FilterValues<T>,
): (item: T, nowMs: number) => boolean {
  if (values.length === 0) throw fault('InvalidParameterValue', `The filter '${name}' has no values`)
  if (values.length > MAX_VALUES) {
    throw fault(
      'FilterLimitExceeded',
      `The maximum number of filter values specified on a single call is ${MAX_VALUES}`,
    )
  }
  values.forEach(checkLength)
  const matches = anyOf(values)
  return (item, nowMs) => {
    const found = read(item, nowMs)
    if (found === undefined) return false
    if (typeof found === 'string') return matches(found)
    for (const one of found) if (matches(one)) return true
    return false
  }
}

/** Plain values are looked up, only patterns are tried one by one. */
function anyOf(values: readonly string[]): (text: string) => boolean {
  const [only = ''] = values
  if (values.length === 1) return globMatcher(only)
  const plain = new Set(values.filter((value) => !hasWildcard(value)).map(unescapeGlob))
  const patterns = values.filter(hasWildcard).map(globMatcher)
  return (text) => plain.has(text) || patterns.some((matches) => matches(text))
}
