import { untilAborted } from '../runtime/until-aborted.ts'

/** One request to an API server. */
export interface TransportRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With the query, e.g. `/api/v1/pods?limit=100`. */
  readonly path: string
  /** Lower-case names. Credentials are added by the transport. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** Ends the request and the reading of its answer; both then reject with the signal's reason. */
  readonly signal: AbortSignal
}

export interface TransportResponse {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** The answer's text as it comes, in pieces of any size. Must be read to its end, or the request aborted. */
  readonly body: AsyncIterable<string>
}

/**
 * How requests reach an API server: over TLS, or in process.
 * `request` rejects when there is no answer (refused connection, reset, TLS failure); any HTTP status is an answer.
 */
export interface KubernetesTransport {
  /** Where requests go, for messages: `https://10.0.0.1:443`. */
  readonly server: string
  request(request: TransportRequest): Promise<TransportResponse>
  /** Closes idle connections. Open requests end through their own signals. */
  close(): void
}

/** What an in-process server offers: a function from request to answer, as the simulators' routers have it. */
export type RequestHandler = (
  request: {
    readonly method: string
    /** Without the query. */
    readonly path: string
    readonly query: URLSearchParams
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  },
  signal: AbortSignal,
) => Promise<{
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | AsyncIterable<string>
}>

/** Longer than a page of the largest objects that etcd stores (100 × 1.5 MiB): whoever answers that is no API server. Characters. */
const MAX_ANSWER_LENGTH = 192 * 1024 * 1024

/** Reads an answer to its end. @throws Error when it has none */
export async function readText(body: AsyncIterable<string>): Promise<string> {
  let text = ''
  for await (const piece of body) {
    text += piece
    if (text.length > MAX_ANSWER_LENGTH) throw new Error(`the answer is longer than ${MAX_ANSWER_LENGTH} characters`)
  }
  return text
}

/** A transport without a socket, so that virtual time can drive both sides. */
export function inProcessTransport(handler: RequestHandler, server = 'in-process'): KubernetesTransport {
  return {
    server,
    async request({ method, path, headers, body = '', signal }) {
      signal.throwIfAborted()
      const mark = path.indexOf('?')
      const request = {
        method,
        path: mark < 0 ? path : path.slice(0, mark),
        query: new URLSearchParams(mark < 0 ? '' : path.slice(mark + 1)),
        headers,
        body,
      }
      const answer = await untilAborted(handler(request, signal), signal)
      const pieces = typeof answer.body === 'string' ? once(answer.body) : answer.body
      return { status: answer.status, headers: answer.headers, body: abortable(pieces, signal) }
    },
    close() {},
  }
}

async function* once(text: string): AsyncGenerator<string> {
  yield await Promise.resolve(text)
}

/** Ends with the signal's reason although the other side may be silent, as a destroyed socket does. */
async function* abortable(pieces: AsyncIterable<string>, signal: AbortSignal): AsyncGenerator<string> {
  const iterator = pieces[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await untilAborted(iterator.next(), signal)
      if (next.done === true) return
      yield next.value
    }
  } finally {
    // Not awaited: a silent generator would never settle it.
    iterator.return?.().catch(() => undefined)
  }
}

/** A transport that only reads: whoever would write does not, and learns of it. For a dry run, whatever is added to the program. */
export function readOnlyTransport(transport: KubernetesTransport): KubernetesTransport {
  return {
    server: transport.server,
    request(request) {
      if (request.method === 'GET') return transport.request(request)
      return Promise.reject(new Error(`a dry run sends no ${request.method} ${request.path}`))
    },
    close: () => transport.close(),
  }
}

/** A transport that sends nothing any more once the signal is aborted: who has lost the lease may not write. */
export function transportUntil(transport: KubernetesTransport, end: AbortSignal): KubernetesTransport {
  return {
    server: transport.server,
    async request(request) {
      end.throwIfAborted()
      return transport.request(request)
    },
    close: () => transport.close(),
  }
}
