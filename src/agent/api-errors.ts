import { DaemonError } from './daemon-errors.ts'
import type { DaemonErrorCode } from './daemon-errors.ts'
import { AggregateIPAMError, IPAMError } from './errors.ts'
import type { IPAMErrorCode } from './errors.ts'
import { JournalWriteError } from './journal-errors.ts'

/** An answer that is not a success: the text is the body, as a JSON string, and the code a header. */
export interface Refusal {
  readonly status: number
  /** A code of `IPAMError` or `DaemonError`, `STATE_NOT_SAVED`, or empty for a defect of ours. */
  readonly code: string
  readonly message: string
}

/** Statuses that a request has for certain codes; for all others it has its own for failure. */
type StatusByCode = Readonly<Partial<Record<IPAMErrorCode | DaemonErrorCode, number>>>

export interface FailureStatuses {
  readonly byCode: StatusByCode
  readonly otherwise: number
}

/** Whatever the request is: come back later. */
const UNAVAILABLE: ReadonlySet<string> = new Set<DaemonErrorCode>(['NOT_READY', 'STOPPING'])

/** @source cilium api/v1/openapi.yaml, POST /ipam: 502 allocation failure */
export const ALLOCATE_FAILURES: FailureStatuses = { byCode: {}, otherwise: 502 }

/**
 * The reference declares these and answers 500 to everything.
 *
 * @source cilium api/v1/openapi.yaml, POST /ipam/{ip}: 400 invalid, 409 exists, 500 failure, 501 disabled
 */
export const ALLOCATE_IP_FAILURES: FailureStatuses = {
  byCode: {
    INVALID_IP: 400,
    POOL_REQUIRED: 400,
    IP_IN_USE: 409,
    ALREADY_ALLOCATED: 409,
    IPV4_DISABLED: 501,
    IPV6_DISABLED: 501,
    NOT_SUPPORTED: 501,
  },
  otherwise: 500,
}

/** @source cilium api/v1/openapi.yaml, DELETE /ipam/{ip}: 400 invalid, 404 not found, 500 failure, 501 disabled */
export const RELEASE_FAILURES: FailureStatuses = {
  byCode: {
    INVALID_IP: 400,
    POOL_REQUIRED: 400,
    INVALID_IP_OR_OWNER: 404,
    IP_NOT_ALLOCATED: 404,
    POOL_UNKNOWN: 404,
    IPV4_DISABLED: 501,
    IPV6_DISABLED: 501,
    NOT_SUPPORTED: 501,
  },
  otherwise: 500,
}

/** Our own paths. */
export const KEEP_FAILURES: FailureStatuses = {
  byCode: { INVALID_IP: 400, TIMER_NOT_FOUND: 404, TIMER_UUID_MISMATCH: 409 },
  otherwise: 500,
}
export const ATTACHMENT_FAILURES: FailureStatuses = {
  byCode: { FAMILY_UNKNOWN: 400, ATTACHMENT_UNKNOWN: 404, LEASE_UNBACKED: 409, LEASE_ENDED: 409 },
  otherwise: 502,
}

/** What to answer to a failed request. */
export function refusalOf(error: unknown, { byCode, otherwise }: FailureStatuses): Refusal {
  if (error instanceof IPAMError || error instanceof DaemonError) {
    const status = UNAVAILABLE.has(error.code) ? 503 : (byCode[error.code] ?? otherwise)
    return { status, code: error.code, message: error.message }
  }
  if (error instanceof AggregateIPAMError) {
    const [first] = error.errors
    return { status: otherwise, code: first?.code ?? '', message: error.message }
  }
  if (error instanceof JournalWriteError) {
    return { status: otherwise, code: 'STATE_NOT_SAVED', message: error.message }
  }
  return { status: 500, code: '', message: error instanceof Error ? error.message : String(error) }
}
