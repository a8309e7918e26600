import type { JSONObject } from '../ipam/types.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import { withDeadline } from './deadline.ts'
import { errorFromAnswer, KubernetesAPIError } from './errors.ts'
import { isObject } from './json.ts'
import type { RateLimiter } from './rate-limiter.ts'
import type { KubernetesTransport, TransportRequest, TransportResponse } from './transport.ts'
import { readText } from './transport.ts'

/** Names the controller in `managedFields` and in the audit log. */
export const FIELD_MANAGER = 'berth-controller'

/** An answer that takes longer is taken for lost. client-go leaves it unset; the server's own limit is 60 s. */
export const REQUEST_TIMEOUT_MS = 30_000

/** How often a request that the server refused for its load is sent in all (count). client-go: 10. */
const MAX_ATTEMPTS = 5

/** The wait when the server asks for none. @source client-go rest/request.go, retry after 1 s */
const DEFAULT_RETRY_AFTER_MS = 1_000

/** No server's wish keeps a request longer than this; the caller's own backoff takes over. */
const MAX_RETRY_AFTER_MS = 30_000

export interface Query {
  readonly [name: string]: string | number | undefined
}

export interface KubernetesClientOptions {
  readonly transport: KubernetesTransport
  readonly clock: Clock
  readonly random: Random
  readonly limiter: RateLimiter
  readonly requestTimeoutMs?: number
  /** Who writes; the controller when absent. */
  readonly fieldManager?: string
}

interface CallOptions {
  readonly query?: Query
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: JSONObject
  readonly signal: AbortSignal
}

interface SendOptions extends CallOptions {
  /** The answer is still read after `read` has returned: the signal must go on ending it. */
  readonly outlivesAnswer?: boolean
}

/**
 * Requests of JSON to one API server, each within the client-side limit and a deadline.
 * A request refused for load (429, or 503 with Retry-After) had no effect and is repeated after the wait that the server asks for.
 * Everything else that is not a success throws `KubernetesAPIError`, an abort the signal's reason.
 */
export class KubernetesClient {
  readonly #transport: KubernetesTransport
  readonly #clock: Clock
  readonly #random: Random
  readonly #limiter: RateLimiter
  readonly #timeoutMs: number
  readonly #fieldManager: string

  constructor(options: KubernetesClientOptions) {
    this.#transport = options.transport
    this.#clock = options.clock
    this.#random = options.random
    this.#limiter = options.limiter
    this.#timeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS
    this.#fieldManager = options.fieldManager ?? FIELD_MANAGER
  }

  /** Where requests go, for messages. */
  get server(): string {
    return this.#transport.server
  }

  /** How long until so many further requests may have been sent (ms). */
  waitMs(count: number): number {
    return this.#limiter.waitMs(count)
  }

  get(path: string, options: CallOptions): Promise<JSONObject> {
    return this.#json('GET', path, options)
  }

  /** A merge patch (RFC 7386). The type is always named: without it the server takes a patch for a JSON patch. */
  mergePatch(path: string, patch: JSONObject, signal: AbortSignal): Promise<JSONObject> {
    return this.#json('PATCH', path, {
      query: { fieldManager: this.#fieldManager },
      headers: { 'content-type': 'application/merge-patch+json' },
      body: patch,
      signal,
    })
  }

  create(path: string, object: JSONObject, signal: AbortSignal): Promise<JSONObject> {
    return this.#json('POST', path, { query: { fieldManager: this.#fieldManager }, body: object, signal })
  }

  delete(path: string, deleteOptions: JSONObject, signal: AbortSignal): Promise<JSONObject> {
    return this.#json('DELETE', path, { body: deleteOptions, signal })
  }

  /**
   * Starts a watch. Only its start has a deadline: the reader watches over silence.
   *
   * @param options its signal ends the watch; it must belong to this watch alone
   * @returns the text as it comes, in pieces of any size
   */
  watch(path: string, options: CallOptions): Promise<AsyncIterable<string>> {
    return this.#send('GET', path, { ...options, outlivesAnswer: true }, (answer) => Promise.resolve(answer.body))
  }

  async #json(method: TransportRequest['method'], path: string, options: CallOptions): Promise<JSONObject> {
    const text = await this.#send(method, path, options, (answer) => readText(answer.body))
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (error) {
      throw new KubernetesAPIError(`${method} ${path}: the answer is not JSON`, { kind: 'malformed', cause: error })
    }
    if (isObject(value)) return value
    throw new KubernetesAPIError(`${method} ${path}: the answer is not an object`, { kind: 'malformed' })
  }

  async #send<T>(
    method: TransportRequest['method'],
    path: string,
    options: SendOptions,
    read: (answer: TransportResponse) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      await this.#limiter.acquire(options.signal)
      try {
        return await this.#attempt(method, path, options, read)
      } catch (error) {
        const waitMs = retryWaitMs(error)
        if (waitMs === undefined || attempt >= MAX_ATTEMPTS) throw error
        // Never earlier than asked; a little later, so that all who were refused do not come back together.
        await this.#clock.sleep(waitMs * (1 + 0.2 * this.#random.next()), options.signal)
      }
    }
  }

  async #attempt<T>(
    method: TransportRequest['method'],
    path: string,
    options: SendOptions,
    read: (answer: TransportResponse) => Promise<T>,
  ): Promise<T> {
    const action = `${method} ${path}`
    const timeoutError = (): Error =>
      new KubernetesAPIError(`${action}: no answer within ${this.#timeoutMs / 1000} s`, { kind: 'unavailable' })
    const deadline = {
      clock: this.#clock,
      ms: this.#timeoutMs,
      signal: options.signal,
      timeoutError,
      staysLinked: options.outlivesAnswer === true,
    }
    try {
      return await withDeadline(deadline, async (signal) => {
        const answer = await this.#transport.request({
          method,
          path: path + queryText(options.query),
          headers: {
            accept: 'application/json',
            'user-agent': this.#fieldManager,
            ...(options.body !== undefined && { 'content-type': 'application/json' }),
            ...options.headers,
          },
          ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
          signal,
        })
        if (answer.status >= 200 && answer.status < 300) return read(answer)
        const body = await readText(answer.body)
        throw errorFromAnswer(action, { status: answer.status, headers: answer.headers, body })
      })
    } catch (error) {
      options.signal.throwIfAborted()
      if (error instanceof KubernetesAPIError) throw error
      throw new KubernetesAPIError(`${action}: ${causeText(error)}`, { kind: 'unavailable', cause: error })
    }
  }
}

/** How long to wait before the same request may be sent again; undefined when it must not be. */
function retryWaitMs(error: unknown): number | undefined {
  if (!(error instanceof KubernetesAPIError)) return undefined
  if (error.status !== 429 && (error.status !== 503 || error.retryAfterMs === undefined)) return undefined
  return Math.min(error.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS, MAX_RETRY_AFTER_MS)
}

function queryText(query: Query | undefined): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== '') parameters.set(name, String(value))
  }
  const text = parameters.toString()
  return text === '' ? '' : `?${text}`
}

/** A socket error of Node may carry its words in `errors` (one per address tried) or only in `code`. */
export function causeText(error: unknown): string {
  if (error instanceof AggregateError && error.message === '' && error.errors.length > 0) {
    return causeText(error.errors[0])
  }
  if (!(error instanceof Error)) return String(error)
  if (error.message !== '') return error.message
  return 'code' in error ? String(error.code) : error.name
}
