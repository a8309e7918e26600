import type { Router } from '../../kit/http.ts'
import { isObject, scalarText, valueAt } from '../json.ts'
import type { JSONObject } from '../json.ts'

/** An answer of the API server that is not a success: HTTP status, and the machine-readable reason of its Status object. */
export class APIStatusError extends Error {
  override readonly name = 'APIStatusError'
  readonly status: number
  readonly reason: string

  constructor(status: number, reason: string, message: string) {
    super(message)
    this.status = status
    this.reason = reason
  }
}

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'
  readonly object: JSONObject
}

export interface RequestOptions {
  readonly query?: Readonly<Record<string, string>>
  readonly body?: JSONObject
  readonly contentType?: string
}

const EVENT_TYPES: readonly string[] = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']

/**
 * The Kubernetes wire as the simulated cluster's own parts use it: agents, the pod scheduler. It calls the API server's router in
 * process and knows nothing of what is behind it.
 */
export class APIClient {
  readonly #router: Router
  readonly #userAgent: string

  /** @param userAgent how the server's ledger of calls names the caller */
  constructor(router: Router, userAgent: string) {
    this.#router = router
    this.#userAgent = userAgent
  }

  /** @throws APIStatusError when the server refuses; what the transport throws passes through */
  async request(
    method: string,
    path: string,
    { query = {}, body, contentType = 'application/json' }: RequestOptions,
    signal: AbortSignal,
  ): Promise<JSONObject> {
    const response = await this.#router(
      {
        method,
        path,
        query: new URLSearchParams(query),
        headers: this.#headers(body === undefined ? undefined : contentType),
        body: body === undefined ? '' : JSON.stringify(body),
      },
      signal,
    )
    const answer = parseObject(await textOf(response.body))
    if (response.status >= 400) throw statusError(response.status, answer)
    return answer
  }

  /** A merge patch that the server refuses when the object has changed since `resourceVersion`. */
  patch(path: string, patch: JSONObject, resourceVersion: string, signal: AbortSignal): Promise<JSONObject> {
    const body = { ...patch, metadata: { resourceVersion } }
    return this.request('PATCH', path, { body, contentType: 'application/merge-patch+json' }, signal)
  }

  /** Events until the server ends the stream. @throws APIStatusError with status 410 when the version is too old */
  async *watch(path: string, query: Readonly<Record<string, string>>, signal: AbortSignal): AsyncGenerator<WatchEvent> {
    const response = await this.#router(
      {
        method: 'GET',
        path,
        query: new URLSearchParams({ ...query, watch: 'true' }),
        headers: this.#headers(undefined),
        body: '',
      },
      signal,
    )
    if (response.status >= 400) throw statusError(response.status, parseObject(await textOf(response.body)))
    for await (const line of linesOf(response.body)) {
      const event = parseObject(line)
      const object = isObject(event['object']) ? event['object'] : {}
      const type = scalarText(event['type'])
      if (type === 'ERROR') throw statusError(Number(object['code'] ?? 500), object)
      if (!EVENT_TYPES.includes(type)) throw new APIStatusError(500, 'Unexpected', `Unexpected watch event ${type}`)
      yield { type: type as WatchEvent['type'], object }
    }
  }

  #headers(contentType: string | undefined): Readonly<Record<string, string>> {
    return {
      accept: 'application/json',
      'user-agent': this.#userAgent,
      ...(contentType === undefined ? {} : { 'content-type': contentType }),
    }
  }
}

async function textOf(body: string | AsyncIterable<string>): Promise<string> {
  if (typeof body === 'string') return body
  let text = ''
  for await (const piece of body) text += piece
  return text
}

async function* linesOf(body: string | AsyncIterable<string>): AsyncGenerator<string> {
  let rest = ''
  for await (const piece of typeof body === 'string' ? [body] : body) {
    const lines = (rest + piece).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') yield line
  }
}

function parseObject(text: string): JSONObject {
  const value: unknown = JSON.parse(text)
  if (!isObject(value)) throw new APIStatusError(500, 'Unexpected', 'The answer is not a JSON object')
  return value
}

function statusError(status: number, answer: JSONObject): APIStatusError {
  const message = scalarText(valueAt(answer, 'message')) || `HTTP ${status}`
  return new APIStatusError(status, scalarText(valueAt(answer, 'reason')), message)
}
