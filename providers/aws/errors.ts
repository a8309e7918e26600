import { CloudAPIError, type CloudErrorKind, type CloudErrorReason } from '../../src/ipam/errors.ts'
import type { EC2Action } from './buckets.ts'

export interface Classification {
  readonly kind: CloudErrorKind
  readonly reason?: CloudErrorReason
}

/**
 * Error code → class. What is not listed goes by the shape of its code, then by the HTTP status.
 *
 * @source AWS documentation, EC2 API Reference, Error codes; cilium pkg/aws/ipam/node.go for the reasons
 */
const CLASS_BY_CODE: Readonly<Record<string, Classification>> = {
  RequestLimitExceeded: { kind: 'throttled' },
  Throttling: { kind: 'throttled' },
  ThrottlingException: { kind: 'throttled' },
  ThrottledException: { kind: 'throttled' },
  RequestThrottled: { kind: 'throttled' },
  RequestThrottledException: { kind: 'throttled' },
  TooManyRequestsException: { kind: 'throttled' },
  EC2ThrottledException: { kind: 'throttled' },
  InsufficientCidrBlocks: { kind: 'exhausted', reason: 'prefixExhausted' },
  InsufficientFreeAddressesInSubnet: { kind: 'exhausted' },
  PrivateIpAddressLimitExceeded: { kind: 'limit' },
  'InvalidInterface.IpAddressLimitExceeded': { kind: 'limit' },
  AttachmentLimitExceeded: { kind: 'limit' },
  NetworkInterfaceLimitExceeded: { kind: 'limit' },
  AddressLimitExceeded: { kind: 'limit' },
  'Resource.AlreadyAssociated': { kind: 'taken' },
  'InvalidIPAddress.InUse': { kind: 'taken' },
  'InvalidNetworkInterface.InUse': { kind: 'conflict' },
  IncorrectState: { kind: 'conflict' },
  IncorrectInstanceState: { kind: 'conflict' },
  IdempotentParameterMismatch: { kind: 'conflict' },
  'InvalidNetworkInterface.NotFound': { kind: 'notFound' },
  AuthFailure: { kind: 'denied' },
  UnauthorizedOperation: { kind: 'denied' },
  UnrecognizedClientException: { kind: 'denied' },
  InvalidClientTokenId: { kind: 'denied' },
  SignatureDoesNotMatch: { kind: 'denied' },
  MissingAuthenticationToken: { kind: 'denied' },
  AccessDenied: { kind: 'denied' },
  AccessDeniedException: { kind: 'denied' },
  ExpiredToken: { kind: 'denied' },
  ExpiredTokenException: { kind: 'denied' },
  RequestExpired: { kind: 'denied' },
  OptInRequired: { kind: 'denied' },
  Blocked: { kind: 'denied' },
  PendingVerification: { kind: 'denied' },
  CredentialsProviderError: { kind: 'denied' },
  OperationNotPermitted: { kind: 'invalid' },
  InvalidParameterValue: { kind: 'invalid' },
  InvalidParameterCombination: { kind: 'invalid' },
  InvalidParameter: { kind: 'invalid' },
  MissingParameter: { kind: 'invalid' },
  UnknownParameter: { kind: 'invalid' },
  InvalidAction: { kind: 'invalid' },
  FilterLimitExceeded: { kind: 'invalid' },
  InvalidFilter: { kind: 'invalid' },
  InvalidMaxResults: { kind: 'invalid' },
  InvalidNextToken: { kind: 'stale' },
  InvalidPaginationToken: { kind: 'stale' },
  InternalError: { kind: 'unavailable' },
  InternalFailure: { kind: 'unavailable' },
  ServiceUnavailable: { kind: 'unavailable' },
  Unavailable: { kind: 'unavailable' },
  RequestTimeout: { kind: 'unavailable' },
  RequestTimeoutException: { kind: 'unavailable' },
}

/** Codes that mean several things: the text decides. The first match of a code wins; no code = any code. */
const CLASS_BY_MESSAGE: readonly (Classification & { readonly code?: string; readonly text: string })[] = [
  {
    code: 'InvalidParameterValue',
    text: "There aren't sufficient free Ipv4 addresses or prefixes",
    kind: 'exhausted',
    reason: 'prefixExhausted',
  },
  {
    code: 'InvalidParameterValue',
    text: 'interface attached at device',
    kind: 'taken',
    reason: 'indexConflict',
  },
  { code: 'InvalidParameterValue', text: 'is currently in use', kind: 'conflict' },
  { code: 'InvalidParameterValue', text: 'are not assigned to interface', kind: 'stale' },
  { text: "is not 'running'", kind: 'conflict', reason: 'instanceNotRunning' },
]

/**
 * The class of an EC2 error, by its code and, where a code means several things, by its text.
 *
 * @param httpStatus of the answer; undefined when there was none
 * @source cilium pkg/aws/ipam/node.go, isSubnetAtPrefixCapacity, isAttachmentIndexConflict, attachment errors
 */
export function classify(code: string, message: string, httpStatus?: number): Classification {
  for (const { code: wantedCode, text, kind, reason } of CLASS_BY_MESSAGE) {
    if (wantedCode !== undefined && wantedCode !== code) continue
    if (message.includes(text)) return reason === undefined ? { kind } : { kind, reason }
  }
  const listed = Object.hasOwn(CLASS_BY_CODE, code) ? CLASS_BY_CODE[code] : undefined
  if (listed !== undefined) return listed
  if (code.endsWith('.NotFound')) return { kind: 'notFound' }
  if (code.endsWith('.Malformed')) return { kind: 'invalid' }
  if (httpStatus === undefined || httpStatus >= 500 || httpStatus < 400) return { kind: 'unavailable' }
  return { kind: httpStatus === 401 || httpStatus === 403 ? 'denied' : 'unknown' }
}

/**
 * Whatever a call of the SDK threw, as an error of that call. No answer, a cut answer and an answer that is not XML are
 * `unavailable`: the call may have had its effect.
 */
export function toCloudAPIError(action: EC2Action, cause: unknown): CloudAPIError {
  if (cause instanceof CloudAPIError) return cause
  const message = cause instanceof Error ? cause.message : String(cause)
  const httpStatus = httpStatusOf(cause)
  const code = codeOf(cause)
  const classification = classify(code, message, httpStatus)
  // An instance that EC2 does not know can no more be attached to than one that is stopped (cilium/cilium#9533).
  const isInstanceGone = action === 'AttachNetworkInterface' && code === 'InvalidInstanceID.NotFound'
  return new CloudAPIError(`${action}: ${code === '' ? 'no usable answer' : code}: ${firstLine(message)}`, {
    kind: classification.kind,
    reason: isInstanceGone ? 'instanceNotRunning' : classification.reason,
    code,
    action,
    cause,
  })
}

/** An answer that arrived but lacks what the call was made for, e.g. because it was cut: as good as none. */
export function unusableAnswer(action: EC2Action, missing: string): CloudAPIError {
  return new CloudAPIError(`${action}: no usable answer: it has no ${missing}`, {
    kind: 'unavailable',
    code: '',
    action,
  })
}

/** The same error, with what we were about to do in front of it. */
export function wrapError(intent: string, cause: CloudAPIError): CloudAPIError {
  return new CloudAPIError(`${intent}: ${cause.message}`, {
    kind: cause.kind,
    reason: cause.reason,
    code: cause.code,
    action: cause.action,
    cause,
  })
}

/** Refused for its rate: the call had no effect. For the API budget. */
export function isThrottled(error: unknown): { readonly retryAfterMs?: number } | undefined {
  return error instanceof CloudAPIError && error.kind === 'throttled' ? {} : undefined
}

/**
 * EC2 refused addresses that were named, not the call as such: one of them is in use or reserved. Which code it answers is documented
 * for some cases only, so that everything without a meaning of its own counts.
 */
export function isChoiceRefused(error: unknown): boolean {
  return (
    error instanceof CloudAPIError &&
    error.reason === undefined &&
    (error.kind === 'taken' || error.kind === 'invalid' || error.kind === 'unknown')
  )
}

/** EC2 refuses a listing that is too large for one answer. @source cilium pkg/aws/ec2/ec2.go (cilium/cilium#42127) */
export function isUnpagedListingRefused(error: unknown): boolean {
  return error instanceof CloudAPIError && error.code === 'OperationNotPermitted'
}

/** The account lacks one permission, as opposed to having bad credentials. */
export function isPermissionMissing(error: unknown): boolean {
  return error instanceof CloudAPIError && error.code === 'UnauthorizedOperation'
}

/** The endpoint does not have the action: a private or older one that speaks EC2. */
export function isActionUnknown(error: unknown): boolean {
  return error instanceof CloudAPIError && (error.code === 'InvalidAction' || error.code === 'NotImplemented')
}

/** The label of a failed call in the metrics: the status line of the answer, or `Failed` when there was none. */
export function responseCodeOf(error: CloudAPIError): string {
  const status = httpStatusOf(error.cause)
  return status === undefined || status < 400 ? 'Failed' : `${status} ${STATUS_TEXT[status] ?? 'Unknown'}`
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  412: 'Precondition Failed',
  413: 'Request Entity Too Large',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
}

function httpStatusOf(error: unknown): number | undefined {
  const metadata = property(error, '$metadata')
  const status = property(metadata, 'httpStatusCode')
  return typeof status === 'number' ? status : undefined
}

/** The cloud's error code; empty when what was thrown is not an error of the cloud. */
function codeOf(error: unknown): string {
  const name = property(error, 'name')
  if (typeof name !== 'string') return ''
  if (property(error, '$fault') === undefined) return Object.hasOwn(CLASS_BY_CODE, name) ? name : ''
  return name === 'Unknown' ? '' : name
}

function property(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && key in value
    ? (value as Record<string, unknown>)[key]
    : undefined
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
