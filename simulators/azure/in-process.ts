import type { Router, WireRequest } from '../kit/http.ts'

/** What an `HttpClient` of `@azure/core-rest-pipeline` is handed. */
export interface InProcessRequest {
  readonly url: string
  readonly method: string
  readonly headers: Iterable<readonly [name: string, value: string]>
  readonly body?: unknown
  readonly abortSignal?: {
    readonly aborted: boolean
    addEventListener(type: 'abort', listener: () => void): void
    removeEventListener(type: 'abort', listener: () => void): void
  }
}

export interface InProcessResponse<R> {
  readonly request: R
  readonly status: number
  readonly headers: AnswerHeaders
  readonly bodyAsText: string
}

/**
 * An `HttpClient` for the SDK's clients that answers from the router, without a socket: virtual time can drive it.
 * `new NetworkManagementClient(credential, subscription, { httpClient: inProcessHTTPClient(simulator.router) })`. The endpoint may stay
 * the cloud's own, so that the scheme is https and nothing else has to be allowed.
 */
export function inProcessHTTPClient(router: Router): {
  sendRequest<R extends InProcessRequest>(request: R): Promise<InProcessResponse<R>>
} {
  return {
    async sendRequest(request) {
      const abort = abortOf(request.abortSignal)
      try {
        const response = await router(wireRequest(request), abort.signal)
        const bodyAsText = typeof response.body === 'string' ? response.body : await joined(response.body)
        return { request, status: response.status, headers: new AnswerHeaders(response.headers), bodyAsText }
      } catch (error) {
        throw abort.signal.aborted ? abortError(error) : error
      } finally {
        abort.release()
      }
    },
  }
}

/** Headers of an answer, in the shape the SDK expects. */
export class AnswerHeaders implements Iterable<[string, string]> {
  readonly #values = new Map<string, string>()

  constructor(headers: Readonly<Record<string, string>>) {
    for (const [name, value] of Object.entries(headers)) this.set(name, value)
  }

  get(name: string): string | undefined {
    return this.#values.get(name.toLowerCase())
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase())
  }

  set(name: string, value: string | number | boolean): void {
    this.#values.set(name.toLowerCase(), String(value))
  }

  delete(name: string): void {
    this.#values.delete(name.toLowerCase())
  }

  toJSON(): Record<string, string> {
    return Object.fromEntries(this.#values)
  }

  [Symbol.iterator](): Iterator<[string, string]> {
    return this.#values.entries()
  }
}

function wireRequest(request: InProcessRequest): WireRequest {
  const url = new URL(request.url)
  const headers: Record<string, string> = { host: url.host, 'x-forwarded-proto': url.protocol.slice(0, -1) }
  for (const [name, value] of request.headers) headers[name.toLowerCase()] = value
  return {
    method: request.method,
    path: url.pathname,
    query: url.searchParams,
    headers,
    body: textOf(request.body),
  }
}

/** Bodies of Resource Manager calls are texts; bytes are taken as UTF-8. */
function textOf(body: unknown): string {
  if (typeof body === 'string') return body
  if (body instanceof Uint8Array) return Buffer.from(body).toString('utf8')
  if (body === undefined || body === null) return ''
  throw new TypeError('the in-process client takes texts and bytes as request bodies, not streams')
}

async function joined(pieces: AsyncIterable<string>): Promise<string> {
  let text = ''
  for await (const piece of pieces) text += piece
  return text
}

/** The SDK tells an abort by this name. */
function abortError(cause: unknown): Error {
  const error = new Error('The operation was aborted.', { cause })
  error.name = 'AbortError'
  return error
}

/** A signal that follows the caller's. */
function abortOf(given: InProcessRequest['abortSignal']): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController()
  if (given === undefined) return { signal: controller.signal, release() {} }
  const onAbort = (): void => controller.abort(new Error('request aborted'))
  if (given.aborted) onAbort()
  else given.addEventListener('abort', onAbort)
  return { signal: controller.signal, release: () => given.removeEventListener('abort', onAbort) }
}
