import type { Ordered } from './cloud/ordered-index.ts'
import type { Tags } from './cloud/types.ts'
import { fault } from './errors.ts'
import { compileFilters } from './filters.ts'
import type { CompiledFilters, FilteredAction, FilterInput, FilterTable } from './filters.ts'

/** The parameters that every listing has. */
export interface ListingRequest {
  readonly Filter: readonly FilterInput[]
  readonly MaxResults?: number | undefined
  readonly NextToken?: string | undefined
}

/** Candidates in order of creation, from any place in it. */
export interface Source<T> {
  after(ordinal: number): Iterable<T>
}

export interface ListingRules<T> {
  /** Name of the listing: a page token of another one is refused. */
  readonly action: FilteredAction
  readonly filters: FilterTable<T>
  /** Allowed page sizes, both inclusive. */
  readonly pageSize: { readonly min: number; readonly max: number }
  /** Page size when none is asked for; undefined lists everything at once. */
  readonly defaultPageSize?: number
  /** Where to look, given the filters: the narrowest index that holds all that can match. */
  candidates(filters: CompiledFilters<T>): Source<T>
  /** Ids asked for, how the parameter is called, and how one is found (throws the NotFound of its kind). */
  readonly ids?: { readonly parameter: string; readonly values: readonly string[]; find(id: string): T }
  /** Refuses the listing; told whether it is paged and by which filters. */
  check?(filters: CompiledFilters<T>, isPaged: boolean): void
  /** Pages count what was looked at and not what matches. */
  readonly shortPages?: boolean
}

export interface Page<T> {
  readonly items: readonly T[]
  readonly nextToken: string | undefined
}

/**
 * One page, or all, of a listing. A page costs the candidates between its first and its last match, and one more match.
 *
 * @throws EC2Error InvalidParameterCombination (ids with a page size), InvalidParameterValue (page size), InvalidNextToken, those of
 *   the filters, and NotFound of ids
 */
export function listPage<T extends Ordered & { readonly tags?: Tags }>(
  request: ListingRequest,
  rules: ListingRules<T>,
  nowMs: number,
): Page<T> {
  const { MaxResults: maxResults, NextToken: nextToken } = request
  const ids = rules.ids
  const hasIDs = ids !== undefined && ids.values.length > 0
  if (hasIDs && maxResults !== undefined) {
    throw fault(
      'InvalidParameterCombination',
      `The parameter ${ids.parameter} cannot be used with the parameter maxResults`,
    )
  }
  checkPageSize(maxResults, rules.pageSize)
  const filters = compileFilters(rules.action, request.Filter, rules.filters)
  const startAfter = nextToken === undefined ? -1 : readToken(rules.action, nextToken)
  if (hasIDs) {
    const found = [...new Set(ids.values)].map((id) => ids.find(id)).sort((a, b) => a.ordinal - b.ordinal)
    return { items: found.filter((item) => filters.matches(item, nowMs)), nextToken: undefined }
  }
  rules.check?.(filters, maxResults !== undefined || nextToken !== undefined)
  const size = maxResults ?? rules.defaultPageSize ?? Infinity
  return collect(rules, filters, { startAfter, size, nowMs })
}

function collect<T extends Ordered>(
  rules: ListingRules<T>,
  filters: CompiledFilters<T>,
  { startAfter, size, nowMs }: { startAfter: number; size: number; nowMs: number },
): Page<T> {
  const items: T[] = []
  let looked = 0
  let last = startAfter
  for (const item of rules.candidates(filters).after(startAfter)) {
    if (rules.shortPages === true && looked === size) return { items, nextToken: writeToken(rules.action, last) }
    looked++
    if (filters.matches(item, nowMs)) {
      if (items.length === size) return { items, nextToken: writeToken(rules.action, last) }
      items.push(item)
      last = item.ordinal
    }
    if (rules.shortPages === true) last = item.ordinal
  }
  return { items, nextToken: undefined }
}

function checkPageSize(size: number | undefined, { min, max }: { readonly min: number; readonly max: number }): void {
  if (size === undefined) return
  const bound = size < min ? `greater than or equal to ${min}` : size > max ? `less than or equal to ${max}` : undefined
  if (bound !== undefined) {
    throw fault(
      'InvalidParameterValue',
      `Value ( ${size} ) for parameter maxResults is invalid. Expecting a value ${bound}.`,
    )
  }
}

/** A token names its listing and the last item given; opaque to clients. */
function writeToken(action: string, ordinal: number): string {
  return Buffer.from(`${action}/${ordinal}`).toString('base64url')
}

function readToken(action: string, token: string): number {
  const [owner, ordinal = ''] = Buffer.from(token, 'base64url').toString().split('/')
  if (owner !== action || !/^\d{1,15}$/.test(ordinal) || writeToken(action, Number(ordinal)) !== token) {
    throw fault('InvalidNextToken', token)
  }
  return Number(ordinal)
}

/** A short list of candidates that no index holds in order. */
export function sourceOf<T extends Ordered>(items: readonly T[]): Source<T> {
  const ordered = items.length < 2 ? items : [...items].sort((a, b) => a.ordinal - b.ordinal)
  return {
    after: (ordinal) =>
      ordinal < (ordered[0]?.ordinal ?? 0) ? ordered : ordered.filter((item) => item.ordinal > ordinal),
  }
}
