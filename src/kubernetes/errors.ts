import { isObject } from './json.ts'

/** What the API server's refusal means to a caller. Set once, where the answer is read. */
export type KubernetesErrorKind =
  /** the resourceVersion or uid of the request is not the current one: read again */
  | 'conflict'
  | 'alreadyExists'
  | 'notFound'
  /** the resourceVersion or continue token has left the server's history: list again */
  | 'gone'
  /** too many requests; the request had no effect */
  | 'throttled'
  /** credentials or permission */
  | 'denied'
  /** the request itself is wrong */
  | 'invalid'
  /** an answer that is not what the API promises */
  | 'malformed'
  /** no answer, a cut answer or trouble on the server's side: the request may or may not have had its effect */
  | 'unavailable'
  | 'unknown'

/** A request that the Kubernetes API server refused or did not answer. */
export class KubernetesAPIError extends Error {
  override readonly name = 'KubernetesAPIError'
  readonly kind: KubernetesErrorKind
  /** HTTP status; 0 when there was no answer. */
  readonly status: number
  /** `reason` of the Status object, e.g. `AlreadyExists`; empty when there was none. */
  readonly reason: string
  /** What the server asked to wait before the next try; undefined when it did not. */
  readonly retryAfterMs: number | undefined

  constructor(
    message: string,
    details: {
      readonly kind: KubernetesErrorKind
      readonly status?: number
      readonly reason?: string
      readonly retryAfterMs?: number | undefined
      readonly cause?: unknown
    },
  ) {
    super(message, { cause: details.cause })
    this.kind = details.kind
    this.status = details.status ?? 0
    this.reason = details.reason ?? ''
    this.retryAfterMs = details.retryAfterMs
  }
}

/** @source Kubernetes apimachinery, pkg/apis/meta/v1/types.go, StatusReason */
const KIND_BY_REASON: Readonly<Record<string, KubernetesErrorKind>> = {
  AlreadyExists: 'alreadyExists',
  Conflict: 'conflict',
  Expired: 'gone',
  Gone: 'gone',
  TooManyRequests: 'throttled',
  Timeout: 'unavailable',
  ServerTimeout: 'unavailable',
}

const KIND_BY_STATUS: Readonly<Record<number, KubernetesErrorKind>> = {
  400: 'invalid',
  401: 'denied',
  403: 'denied',
  404: 'notFound',
  405: 'invalid',
  406: 'invalid',
  409: 'conflict',
  410: 'gone',
  413: 'invalid',
  415: 'invalid',
  422: 'invalid',
  429: 'throttled',
}

/** How much of an answer that is not a Status object goes into a message (characters). */
const EXCERPT_LENGTH = 200

export function kindOf(status: number, reason: string): KubernetesErrorKind {
  return KIND_BY_REASON[reason] ?? KIND_BY_STATUS[status] ?? (status >= 500 ? 'unavailable' : 'unknown')
}

/**
 * The error of an answer that is not a success.
 *
 * @param action what was tried, e.g. `PATCH /apis/cilium.io/v2/ciliumnodes/a`: begins the message
 * @param body the answer's text: a Status object, or what a proxy in between had to say
 */
export function errorFromAnswer(
  action: string,
  answer: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string },
): KubernetesAPIError {
  const { reason, message } = statusOf(answer.body)
  return new KubernetesAPIError(`${action}: ${answer.status} ${message}`.trim(), {
    kind: kindOf(answer.status, reason),
    status: answer.status,
    reason,
    retryAfterMs: parseRetryAfter(answer.headers['retry-after']),
  })
}

/** Seconds only: the API server never sends a date. */
export function parseRetryAfter(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,9}$/.test(text.trim())) return undefined
  return Number(text) * 1000
}

function statusOf(body: string): { reason: string; message: string } {
  try {
    const status: unknown = JSON.parse(body)
    if (isObject(status) && status['kind'] === 'Status') {
      const { reason, message } = status
      return { reason: typeof reason === 'string' ? reason : '', message: typeof message === 'string' ? message : '' }
    }
  } catch {
    // Not JSON: a proxy or a load balancer answered; its words are the message.
  }
  return { reason: '', message: body.slice(0, EXCERPT_LENGTH).replaceAll(/\s+/g, ' ').trim() }
}
