import type { JSONObject } from './json.ts'

/**
 * `Status` objects: what a Kubernetes API server answers when a request fails. Reasons and texts are those of
 * apimachinery/pkg/api/errors, because clients branch on `reason` and people search for the texts.
 */

/** One fault of a 422 answer: `details.causes[]`. */
export interface StatusCause extends JSONObject {
  readonly reason: string
  readonly message: string
  readonly field?: string
}

export interface StatusDetails extends JSONObject {
  readonly name?: string
  readonly group?: string
  /** The resource in the plural, or for a 422 the kind: the real server mixes both under this name. */
  readonly kind?: string
  readonly uid?: string
  readonly causes?: readonly StatusCause[]
  readonly retryAfterSeconds?: number
}

export interface Status extends JSONObject {
  readonly kind: 'Status'
  readonly apiVersion: 'v1'
  readonly metadata: { readonly continue?: string }
  readonly status: 'Success' | 'Failure'
  readonly message?: string
  readonly reason?: string
  readonly details?: StatusDetails
  readonly code: number
}

/** What an error is about. `group` is empty for the core group. */
export interface ResourceName {
  readonly group: string
  readonly plural: string
}

/** A refused request; the server writes `status` as the body and `status.code` as the HTTP status. */
export class APIStatusError extends Error {
  override readonly name = 'APIStatusError'
  readonly status: Status

  constructor(status: Omit<Status, 'kind' | 'apiVersion' | 'metadata' | 'status'>, metadata: Status['metadata'] = {}) {
    super(status.message as string)
    this.status = { kind: 'Status', apiVersion: 'v1', metadata, status: 'Failure', ...status } as Status
  }
}

const PREFIX_LENGTH_LIMIT = 1_000

function qualified(resource: ResourceName): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`
}

function detailsOf(resource: ResourceName, name: string): StatusDetails {
  return { name, ...(resource.group === '' ? {} : { group: resource.group }), kind: resource.plural }
}

function failure(code: number, reason: string, message: string, details?: StatusDetails): APIStatusError {
  return new APIStatusError({ message, reason, ...(details === undefined ? {} : { details }), code })
}

export function unauthorized(): APIStatusError {
  return failure(401, 'Unauthorized', 'Unauthorized')
}

export function badRequest(message: string): APIStatusError {
  return failure(400, 'BadRequest', message)
}

export function notFound(resource: ResourceName, name: string): APIStatusError {
  return failure(404, 'NotFound', `${qualified(resource)} ${JSON.stringify(name)} not found`, detailsOf(resource, name))
}

/** The path names a resource that is not served: nothing to name. */
export function noSuchResource(): APIStatusError {
  return failure(404, 'NotFound', 'the server could not find the requested resource', {})
}

export function alreadyExists(resource: ResourceName, name: string): APIStatusError {
  const message = `${qualified(resource)} ${JSON.stringify(name)} already exists`
  return failure(409, 'AlreadyExists', message, detailsOf(resource, name))
}

export const MODIFIED = 'the object has been modified; please apply your changes to the latest version and try again'

export function conflict(resource: ResourceName, name: string, why: string): APIStatusError {
  const message = `Operation cannot be fulfilled on ${qualified(resource)} ${JSON.stringify(name)}: ${why}`
  return failure(409, 'Conflict', message, detailsOf(resource, name))
}

/** Server-side apply met fields of other managers; one cause for each field. */
export function applyConflict(causes: readonly StatusCause[]): APIStatusError {
  const many = causes.length === 1 ? 'conflict' : 'conflicts'
  const list = causes.map((cause) => `- ${cause.message}: ${cause.field ?? ''}`).join('\n')
  const message = `Apply failed with ${causes.length} ${many}: ${list}`
  return failure(409, 'Conflict', message, { causes })
}

/** 422: the object is well-formed but breaks its schema or a rule. `kind` is the kind's name, not the plural. */
export function invalid(group: string, kind: string, name: string, causes: readonly StatusCause[]): APIStatusError {
  const texts = causes.map((cause) => (cause.field === undefined ? cause.message : `${cause.field}: ${cause.message}`))
  const list = texts.length === 1 ? (texts[0] as string) : `[${texts.join(', ')}]`
  const subject = group === '' ? kind : `${kind}.${group}`
  const message = `${subject} ${JSON.stringify(name)} is invalid: ${list}`
  return failure(422, 'Invalid', message, { name, ...(group === '' ? {} : { group }), kind, causes })
}

/** 422 of a patch that cannot be applied, such as a JSON patch whose `test` fails. */
export function unprocessable(message: string): APIStatusError {
  const text = `the server rejected our request due to an error in our request: ${message.slice(0, PREFIX_LENGTH_LIMIT)}`
  return failure(422, 'Invalid', text, {})
}

export function methodNotAllowed(resource: ResourceName): APIStatusError {
  const details = { ...(resource.group === '' ? {} : { group: resource.group }), kind: resource.plural }
  return failure(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', details)
}

export function unsupportedMediaType(message: string): APIStatusError {
  return failure(415, 'UnsupportedMediaType', message)
}

/** 410: a resourceVersion or continue token from before the kept history. */
export function expired(message: string, continueToken?: string): APIStatusError {
  return new APIStatusError(
    { message, reason: 'Expired', code: 410 },
    continueToken === undefined ? {} : { continue: continueToken },
  )
}

export function tooOldResourceVersion(requested: number, oldest: number): APIStatusError {
  return expired(`too old resource version: ${requested} (${oldest})`)
}

export function tooLargeResourceVersion(requested: number, current: number): APIStatusError {
  return failure(504, 'Timeout', `Too large resource version: ${requested}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  })
}

export function tooManyRequests(message: string, retryAfterSeconds: number): APIStatusError {
  return failure(429, 'TooManyRequests', message, { retryAfterSeconds })
}

export function internalError(message: string): APIStatusError {
  return failure(500, 'InternalError', `Internal error occurred: ${message}`, {
    causes: [{ reason: 'UnexpectedServerError', message }],
  })
}

/** Loud answer for parts of the real API that the simulator does not have. */
export function notImplemented(what: string): APIStatusError {
  return failure(501, 'NotImplemented', `${what} is not implemented by this simulator; see DIFFERENCES.md`)
}
