import type { Refusal } from '../../src/budget/api-budget.ts'
import { CloudAPIError, type CloudErrorKind, type CloudErrorReason } from '../../src/ipam/errors.ts'
import type { JSONObject } from '../../src/ipam/types.ts'
import { objectAt, objectsAt, parseObject, textAt } from './json.ts'

/** What Azure refused, in the classes that clients of Resource Manager treat differently. */
export type ARMErrorClass =
  /** refused for the rate of requests: wait for `Retry-After` */
  | 'throttled'
  /** another write is under way: read again, build again, try again */
  | 'conflict'
  /** the entity tag was old */
  | 'stale'
  /** no free address */
  | 'capacity'
  | 'quota'
  | 'taken'
  | 'auth'
  | 'not-found'
  | 'transient'
  /** the request itself is wrong, or the machine is not active */
  | 'fatal'

const KIND_BY_CLASS: Readonly<Record<ARMErrorClass, CloudErrorKind>> = {
  throttled: 'throttled',
  conflict: 'conflict',
  stale: 'stale',
  capacity: 'exhausted',
  quota: 'limit',
  taken: 'taken',
  auth: 'denied',
  'not-found': 'notFound',
  transient: 'unavailable',
  fatal: 'invalid',
}

/**
 * Error code → class, whatever the status. 429 and the statuses of `CLASS_BY_STATUS` say it themselves, but for the codes of
 * temporary locks.
 *
 * @source Azure documentation, Resource Manager, Common deployment errors and throttling; Network and Compute REST references; recorded
 * answers in public issues of Cilium, Terraform and the Kubernetes cloud provider
 */
const CLASS_BY_CODE: Readonly<Record<string, ARMErrorClass>> = {
  SubscriptionRequestsThrottled: 'throttled',
  TenantRequestsThrottled: 'throttled',
  TooManyRequests: 'throttled',
  AnotherOperationInProgress: 'conflict',
  RetryableError: 'conflict',
  RetryableErrorDueToAnotherOperation: 'conflict',
  ReferencedResourceNotProvisioned: 'conflict',
  CanceledAndSupersededDueToAnotherOperation: 'conflict',
  ConflictingConcurrentWriteNotAllowed: 'conflict',
  Conflict: 'conflict',
  Canceled: 'conflict',
  OperationCanceled: 'conflict',
  PreconditionFailed: 'stale',
  SubnetIsFull: 'capacity',
  NoAvailableIPAddressesInSubnet: 'capacity',
  PublicIpPrefixOutOfIpAddressesForVMScaleSet: 'capacity',
  PublicIpPrefixOutOfIpAddresses: 'capacity',
  QuotaExceeded: 'quota',
  NetworkInterfaceCountLimitReached: 'quota',
  PublicIPCountLimitReached: 'quota',
  PrivateIPAddressInUse: 'taken',
  PrivateIPAddressIsAllocated: 'taken',
  InvalidAuthenticationToken: 'auth',
  ExpiredAuthenticationToken: 'auth',
  AuthenticationFailed: 'auth',
  AuthorizationFailed: 'auth',
  LinkedAuthorizationFailed: 'auth',
  ResourceNotFound: 'not-found',
  ResourceGroupNotFound: 'not-found',
  ParentResourceNotFound: 'not-found',
  SubscriptionNotFound: 'not-found',
  NotFound: 'not-found',
  InternalServerError: 'transient',
  ServiceUnavailable: 'transient',
  GatewayTimeout: 'transient',
  ServerTimeout: 'transient',
  InternalExecutionError: 'transient',
  NetworkingInternalOperationError: 'transient',
}

const CLASS_BY_STATUS: Readonly<Record<number, ARMErrorClass>> = {
  401: 'auth',
  403: 'auth',
  404: 'not-found',
  408: 'transient',
  412: 'stale',
}

/** Statuses whose code decides between several classes. */
const CODE_DECIDES: ReadonlySet<number> = new Set([400, 409])

/** Texts that say what the code does not. @source kubernetes-sigs/cloud-provider-azure#2386; Azure/azure-sdk-for-go */
const NOT_ACTIVE = 'not an active virtual machine scale set vm instanceid'
const CONCURRENT = 'conflict with a concurrent request'

/**
 * The class of an error, by its status first and its code second, so that an unknown code still lands in a sensible class.
 *
 * @param status HTTP status; undefined for the end of a long-running operation
 * @param code the most specific one (`errorOf`)
 * @returns undefined for the end of an operation whose code says nothing
 */
export function errorClassOf(status: number | undefined, code: string, message: string): ARMErrorClass | undefined {
  const byCode = Object.hasOwn(CLASS_BY_CODE, code) ? CLASS_BY_CODE[code] : undefined
  const text = message.toLowerCase()
  if (text.includes(NOT_ACTIVE)) return 'fatal'
  if (status === 429) return byCode === 'conflict' ? 'conflict' : 'throttled'
  if (status !== undefined && !CODE_DECIDES.has(status)) {
    const byStatus = CLASS_BY_STATUS[status]
    if (byStatus !== undefined) return byStatus
    // A status of success on an error: a cut or foreign answer.
    return status >= 500 || status < 400 ? 'transient' : 'fatal'
  }
  if (byCode !== undefined) return byCode
  if (text.includes(CONCURRENT)) return 'conflict'
  return status === undefined ? undefined : 'fatal'
}

/** What the body of a refusal, or the status of a failed operation, says. */
export interface ARMErrorBody {
  /** The most specific code; empty when the answer has none. */
  readonly code: string
  readonly message: string
  /** The code at the top, where `code` comes from the details. */
  readonly outerCode: string
  /** Of Compute's throttling: the policy whose bucket is empty. */
  readonly target: string
}

/** Codes whose first detail tells more. `OperationNotAllowed` does only when it stands for throttling. */
const OUTER_CODES: ReadonlySet<string> = new Set(['RetryableError', 'Canceled', 'Cancelled', 'OperationCanceled'])

/** @param error the `error` member, or the body itself where Compute leaves that out. @param status HTTP status, if any */
export function errorOf(error: JSONObject | undefined, status?: number): ARMErrorBody {
  const outerCode = textAt(error, 'code')
  const detail = objectsAt(error, 'details')?.[0]
  const isSpecific = OUTER_CODES.has(outerCode) || (outerCode === 'OperationNotAllowed' && status === 429)
  const code = (isSpecific ? textAt(detail, 'code') : '') || outerCode
  return { code, outerCode, message: textAt(error, 'message'), target: textAt(detail, 'target') }
}

/** The error member of a body. Compute's throttling comes without the outer object. */
export function errorInBody(body: string, status: number): ARMErrorBody {
  const parsed = parseObject(body)
  return errorOf(objectAt(parsed, 'error') ?? parsed, status)
}

/** Whose bucket was empty: one that all calls share, or that of one resource alone (`resource-pace.ts`). */
export type RefusalScope = { readonly kind: 'shared'; readonly bucket: string } | { readonly kind: 'resource' }

/** What the answer said beside its class. The cause of a `CloudAPIError`. */
export class ARMRefusal extends Error {
  override readonly name = 'ARMRefusal'
  /** HTTP status; undefined for the end of a long-running operation. */
  readonly status: number | undefined
  /** What Azure asked to wait (ms). */
  readonly retryAfterMs: number | undefined
  /** Of a throttled call only. */
  readonly scope: RefusalScope | undefined

  constructor(
    message: string,
    details: {
      readonly status: number | undefined
      readonly retryAfterMs?: number | undefined
      readonly scope?: RefusalScope | undefined
    },
  ) {
    super(message)
    this.status = details.status
    this.retryAfterMs = details.retryAfterMs
    this.scope = details.scope
  }
}

/** The error of a call that Azure answered, or of an operation that it ended. */
export function refusalError(
  action: string,
  body: ARMErrorBody,
  details: {
    readonly status: number | undefined
    readonly retryAfterMs?: number | undefined
    readonly scope?: RefusalScope | undefined
  },
): CloudAPIError {
  const { code, message } = body
  const found = errorClassOf(details.status, code, message)
  const reason: CloudErrorReason | undefined = message.toLowerCase().includes(NOT_ACTIVE)
    ? 'instanceNotRunning'
    : undefined
  const status = details.status === undefined ? 'failed operation' : `HTTP ${details.status}`
  return new CloudAPIError(`${action}: ${code === '' ? status : code}: ${firstLine(message) || 'no message'}`, {
    kind: found === undefined ? 'unknown' : KIND_BY_CLASS[found],
    reason,
    code,
    action,
    cause: new ARMRefusal(message, details),
  })
}

/** Names of errors by which `@azure/identity` says that nobody gives us a token. */
const IDENTITY_ERRORS: ReadonlySet<string> = new Set([
  'AuthenticationError',
  'AggregateAuthenticationError',
  'AuthenticationRequiredError',
  'CredentialUnavailableError',
  'ChainedTokenCredentialError',
])

/** Whatever kept a call from being answered: no token is `denied`, everything else `unavailable`, it may have had its effect. */
export function noAnswerError(action: string, cause: unknown): CloudAPIError {
  if (cause instanceof CloudAPIError) return cause
  const isDenied = cause instanceof Error && IDENTITY_ERRORS.has(cause.name)
  const text = firstLine(cause instanceof Error ? cause.message : String(cause))
  return new CloudAPIError(`${action}: ${isDenied ? 'no token' : 'no answer'}: ${text}`, {
    kind: isDenied ? 'denied' : 'unavailable',
    code: '',
    action,
    cause,
  })
}

/** An answer that arrived but lacks what the call was made for, e.g. because it was cut: as good as none. */
export function unusableAnswer(action: string, missing: string): CloudAPIError {
  return new CloudAPIError(`${action}: no usable answer: it has no ${missing}`, {
    kind: 'unavailable',
    code: '',
    action,
  })
}

/** What we refuse ourselves, with nothing sent. */
export function refusedByUs(action: string, message: string, code: string, kind: CloudErrorKind): CloudAPIError {
  return new CloudAPIError(message, { kind, code, action })
}

/** Refused for its rate by a bucket that all calls share: the call had no effect. For the API budget. */
export function isThrottled(error: unknown): Refusal | undefined {
  if (!(error instanceof CloudAPIError) || error.kind !== 'throttled') return undefined
  const { cause } = error
  if (!(cause instanceof ARMRefusal)) return {}
  if (cause.scope?.kind === 'resource') return undefined
  return {
    ...(cause.retryAfterMs !== undefined && { retryAfterMs: cause.retryAfterMs }),
    ...(cause.scope !== undefined && { bucket: cause.scope.bucket }),
  }
}

/** Refused for its rate by the bucket of the one resource that it is about. */
export function isResourceThrottled(error: unknown): boolean {
  return error instanceof CloudAPIError && error.cause instanceof ARMRefusal && error.cause.scope?.kind === 'resource'
}

/** What Azure asked to wait before the next try (ms); undefined when it did not say. */
export function retryAfterMsOf(error: CloudAPIError): number | undefined {
  return error.cause instanceof ARMRefusal ? error.cause.retryAfterMs : undefined
}

/** The subnet has no room for what was asked, as opposed to a public prefix. */
export function isSubnetFull(error: unknown): error is CloudAPIError {
  return error instanceof CloudAPIError && error.kind === 'exhausted' && !error.code.startsWith('PublicIpPrefix')
}

/** Codes of a subscription, or of an API version, that has no blocks on configurations: a preview that wants a registration. */
const FEATURE_CODES: ReadonlySet<string> = new Set([
  'SubscriptionNotRegisteredForFeature',
  'FeatureNotRegistered',
  'InvalidParameter',
  'InvalidRequestFormat',
])

export function isFeatureMissing(error: unknown): boolean {
  return error instanceof CloudAPIError && error.reason === undefined && FEATURE_CODES.has(error.code)
}

/** The code by which a scale-set VM says that the prefix of its public address is used up. */
export const PUBLIC_PREFIX_EXHAUSTED = 'PublicIpPrefixOutOfIpAddressesForVMScaleSet'

const SECOND_MS = 1000

/**
 * How long an answer asks to wait (ms): seconds, a date, or the milliseconds of Azure's own headers. Undefined when it does not.
 *
 * @param header reads one header
 * @param nowMs wall-clock time (ms since 1970), for dates
 */
export function retryAfterMs(header: (name: string) => string | undefined, nowMs: number): number | undefined {
  for (const name of ['retry-after-ms', 'x-ms-retry-after-ms']) {
    const value = Number(header(name) ?? Number.NaN)
    if (value >= 0) return value
  }
  const text = header('retry-after')
  if (text === undefined || text.trim() === '') return undefined
  const seconds = Number(text)
  if (!Number.isNaN(seconds)) return seconds >= 0 ? seconds * SECOND_MS : undefined
  const dateMs = Date.parse(text)
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs)
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
