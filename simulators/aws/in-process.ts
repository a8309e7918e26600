import { Readable } from 'node:stream'
import type { HttpHandlerOptions, HttpRequest, HttpResponse, QueryParameterBag } from '@smithy/types'
import type { Router, WireRequest } from '../kit/http.ts'

/** What the SDK asks of its `requestHandler`. */
export interface InProcessHandler {
  readonly metadata: { readonly handlerProtocol: string }
  handle(request: HttpRequest, options?: HttpHandlerOptions): Promise<{ response: HttpResponse }>
  updateHttpClientConfig(): void
  httpHandlerConfigs(): Record<string, never>
  destroy(): void
}

/**
 * A request handler for an SDK client that answers from the router, without a socket: virtual time can drive it.
 * `new EC2Client({ requestHandler: inProcessHandler(simulator.router), … })`
 *
 * The handler counts as the client's own, so the client does not close it.
 */
export function inProcessHandler(router: Router): InProcessHandler {
  return {
    metadata: { handlerProtocol: 'http/1.1' },
    async handle(request, options = {}) {
      const abort = abortOf(options)
      try {
        const response = await router(wireRequest(request), abort.signal)
        const body =
          typeof response.body === 'string' ? Buffer.from(response.body) : Readable.from(encoded(response.body))
        return { response: { statusCode: response.status, headers: { ...response.headers }, body } }
      } catch (error) {
        throw abort.signal.aborted ? abortError(error) : error
      } finally {
        abort.release()
      }
    },
    updateHttpClientConfig() {},
    httpHandlerConfigs: () => ({}),
    destroy() {},
  }
}

async function* encoded(pieces: AsyncIterable<string>): AsyncIterable<Buffer> {
  for await (const piece of pieces) yield Buffer.from(piece)
}

/** The SDK tells an abort by this name. */
function abortError(cause: unknown): Error {
  const error = new Error('Request aborted', { cause })
  error.name = 'AbortError'
  return error
}

/** A signal that follows the caller's. */
function abortOf({ abortSignal }: HttpHandlerOptions): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController()
  if (abortSignal === undefined) return { signal: controller.signal, release() {} }
  const onAbort = (): void => controller.abort(new Error('request aborted'))
  if (abortSignal.aborted) onAbort()
  // The SDK's older kind of signal cannot be listened to; no current client passes one.
  if (!('addEventListener' in abortSignal)) return { signal: controller.signal, release() {} }
  abortSignal.addEventListener('abort', onAbort, { once: true })
  return { signal: controller.signal, release: () => abortSignal.removeEventListener('abort', onAbort) }
}

function wireRequest(request: HttpRequest): WireRequest {
  const headers: Record<string, string> = {}
  for (const name in request.headers) headers[name.toLowerCase()] = request.headers[name] ?? ''
  return {
    method: request.method,
    path: request.path,
    query: queryOf(request.query),
    headers,
    body: textOf(request.body),
  }
}

function queryOf(query: QueryParameterBag | undefined): URLSearchParams {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of Array.isArray(value) ? value : [value ?? '']) parameters.append(name, one)
  }
  return parameters
}

/** Bodies of EC2 calls are texts; bytes are taken as UTF-8. */
function textOf(body: unknown): string {
  if (typeof body === 'string') return body
  if (body instanceof Uint8Array) return Buffer.from(body).toString('utf8')
  if (body === undefined || body === null) return ''
  throw new TypeError('the in-process handler takes texts and bytes as request bodies, not streams')
}
