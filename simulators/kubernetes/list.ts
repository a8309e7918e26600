import { keyOf } from './collection.ts'
import type { Collection } from './collection.ts'
import type { ObjectVersion } from './event-log.ts'
import { isObject } from './json.ts'
import { matchesSelection } from './selectors.ts'
import type { FieldReader, Selection } from './selectors.ts'
import { badRequest, expired, tooLargeResourceVersion, tooOldResourceVersion } from './status-errors.ts'

/** A list request after its parameters have been read. */
export interface ListRequest {
  /** undefined: all namespaces, or a resource without them. */
  readonly namespace: string | undefined
  readonly selection: Selection
  /** Objects a page at most (count); 0 for all. */
  readonly limit: number
  /** Token of the page before; `''` for the first page. */
  readonly continueToken: string
  /** As sent: `''`, `'0'` or a number. */
  readonly resourceVersion: string
  readonly resourceVersionMatch: '' | 'Exact' | 'NotOlderThan'
}

export interface ListPage {
  readonly items: readonly ObjectVersion[]
  /** Of the moment that the list shows: the same on all its pages. */
  readonly resourceVersion: number
  /** `''` on the last page. */
  readonly continueToken: string
  /** Objects after this page (count); unknown, and absent, when a selector is given. */
  readonly remainingItemCount: number | undefined
}

/** Position of a chunked list. As on the real server it is opaque to clients: base64 of JSON. */
interface ListPosition {
  /** The moment of the first page; -1 continues at the present (the way out that a 410 offers). */
  readonly resourceVersion: number
  readonly startKey: string
  /** Objects from `startKey` on, when no selector is given (count). */
  readonly remaining: number | undefined
}

/** @source apiserver pkg/storage/errors.go, NewContinueTokenExpired */
const EXPIRED_TOKEN =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue ' +
  'parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided ' +
  'token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was ' +
  'returned and now may show up in the list.'

/**
 * One page of a list. Pages of one list show one moment; its cost is that of the page (and of the objects a selector leaves out).
 *
 * @param current the present resourceVersion
 * @throws APIStatusError 400 for parameters that do not go together, 410 for a moment outside the kept history, 504 for one that
 *   has not come yet
 */
export function listPage(
  collection: Collection,
  readers: Readonly<Record<string, FieldReader>>,
  request: ListRequest,
  current: number,
): ListPage {
  const position = startOf(collection, request, current)
  const moment = position.resourceVersion
  const isUnselected = request.selection.labels.length === 0 && request.selection.fields.length === 0
  const prefix = request.namespace === undefined ? '' : `${request.namespace}/`
  const items: ObjectVersion[] = []
  for (const [key, version] of candidates(collection, request, {
    moment,
    prefix,
    startKey: position.startKey,
    current,
  })) {
    if (!isUnselected && !matchesSelection(version.object, request.selection, readers)) continue
    if (request.limit > 0 && items.length === request.limit) {
      const remaining = isUnselected && position.remaining !== undefined ? position.remaining - items.length : undefined
      const continueToken = encodePosition({ resourceVersion: moment, startKey: key, remaining })
      return { items, resourceVersion: moment, continueToken, remainingItemCount: remaining }
    }
    items.push(version)
  }
  return { items, resourceVersion: moment, continueToken: '', remainingItemCount: undefined }
}

interface Range {
  readonly moment: number
  readonly prefix: string
  readonly startKey: string
  readonly current: number
}

/** The objects to look at: by name or by index where the selector allows it and the list shows the present, else all of the range. */
function candidates(
  collection: Collection,
  request: ListRequest,
  { moment, prefix, startKey, current }: Range,
): Iterable<readonly [string, ObjectVersion]> {
  if (moment === current) {
    for (const { field, isEqual, value } of request.selection.fields) {
      if (!isEqual) continue
      if (field === 'metadata.name' && (request.namespace !== undefined || !collection.isNamespaced)) {
        const key = keyOf(request.namespace, value)
        const version = collection.get(key)
        return version === undefined || key < startKey ? [] : [[key, version]]
      }
      const found = collection.withField(field, value)
      if (found !== undefined) return found.filter(([key]) => key.startsWith(prefix) && key >= startKey)
    }
  }
  return collection.at(moment, prefix, startKey)
}

function startOf(collection: Collection, request: ListRequest, current: number): ListPosition {
  const { resourceVersion: text, resourceVersionMatch: match, continueToken } = request
  if (match !== '' && (text === '' || continueToken !== '')) {
    throw badRequest('resourceVersionMatch is forbidden unless resourceVersion is provided, and with continue')
  }
  if (match === 'Exact' && text === '0') {
    throw badRequest('resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
  }
  if (continueToken !== '') return continued(collection, request, current)
  const requested = parseResourceVersion(text)
  if (requested > current) throw tooLargeResourceVersion(requested, current)
  // With a limit and no match, an old version means "exactly this one": the legacy rule for chunked lists.
  const isExact = match === 'Exact' || (match === '' && request.limit > 0 && requested > 0)
  const moment = isExact ? requested : current
  if (moment < collection.log.compactedVersion) throw tooOldResourceVersion(moment, collection.log.compactedVersion)
  const remaining = moment === current ? collection.count(request.namespace) : undefined
  return { resourceVersion: moment, startKey: '', remaining }
}

function continued(collection: Collection, request: ListRequest, current: number): ListPosition {
  if (request.resourceVersion !== '' && request.resourceVersion !== '0') {
    throw badRequest('specifying resource version is not allowed when using continue')
  }
  const position = decodePosition(request.continueToken)
  if (position.resourceVersion < 0) return { ...position, resourceVersion: current, remaining: undefined }
  if (position.resourceVersion < collection.log.compactedVersion) {
    throw expired(EXPIRED_TOKEN, encodePosition({ ...position, resourceVersion: -1, remaining: undefined }))
  }
  return position
}

/** `''` and `'0'` are 0. @throws APIStatusError 400 when it is not a number */
export function parseResourceVersion(text: string): number {
  if (text === '') return 0
  if (!/^\d{1,15}$/.test(text)) {
    throw badRequest(
      `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
    )
  }
  return Number(text)
}

function encodePosition({ resourceVersion, startKey, remaining }: ListPosition): string {
  const fields = { v: 'meta.k8s.io/v1', rv: resourceVersion, start: startKey, remaining }
  return Buffer.from(JSON.stringify(fields)).toString('base64url')
}

function decodePosition(token: string): ListPosition {
  let fields: unknown
  try {
    fields = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'))
  } catch {
    throw badRequest('continue key is not valid: it was not issued by this server')
  }
  const { rv, start, remaining } = isObject(fields) ? fields : {}
  if (typeof rv !== 'number' || typeof start !== 'string') {
    throw badRequest('continue key is not valid: it was not issued by this server')
  }
  return { resourceVersion: rv, startKey: start, remaining: typeof remaining === 'number' ? remaining : undefined }
}
