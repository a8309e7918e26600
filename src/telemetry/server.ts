import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Registry } from 'prom-client'

/** The option that names the address, for messages. */
const ADDRESS_OPTION = '--operator-prometheus-serve-addr'
/** A scrape or probe sends no body and few headers; whoever is slower than this has gone (ms). */
const REQUEST_TIMEOUT_MS = 10_000
const TEXT = 'text/plain; charset=utf-8'

/** A request for one of the routes. */
export interface RouteRequest {
  /** Without the query; as it was sent, still percent-encoded. */
  readonly path: string
  readonly query: URLSearchParams
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Aborted when the client has gone, and when the server closes. */
  readonly signal: AbortSignal
}

export interface RouteAnswer {
  readonly status: number
  readonly contentType: string
  /** Pieces are sent as they come and as fast as the client takes them; the answer ends with them. */
  readonly body: string | AsyncIterable<string>
  readonly headers?: Readonly<Record<string, string>>
}

/** What else is served on the port. GET and HEAD only. */
export interface Route {
  /** The exact path, or a prefix when it ends in `/*`: `/v1/explain/*`. */
  readonly path: string
  /** What it shows, for the answer to a path that nobody serves. */
  readonly help: string
  /** A throw is an answer 500 with its message. */
  answer(request: RouteRequest): RouteAnswer | Promise<RouteAnswer>
}

export interface Readiness {
  readonly ok: boolean
  /** Why not, one constant phrase each; may name what is degraded although it is ok. */
  readonly reasons: readonly string[]
}

export interface TelemetryServerOptions {
  /** `host:port`, `:port` for all addresses, `[::1]:port`; port 0 takes a free one. */
  readonly address: string
  readonly isReady: () => Readiness
  readonly isHealthy: () => Readiness
  readonly registry: Registry
  /** Besides the three paths above; the first one that matches answers. */
  readonly routes?: readonly Route[]
}

export interface TelemetryServer {
  /** `http://host:port`, with the port that was taken. */
  readonly url: string
  /** Takes no more requests and lets running ones end; when the signal is aborted, cuts them. */
  close(signal: AbortSignal): Promise<void>
}

/** The address cannot be listened on. The message says what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly address: string

  constructor(address: string, message: string, cause?: unknown) {
    super(message, { cause })
    this.address = address
  }
}

/** Serves `/healthz`, `/readyz`, `/metrics` and the given routes. @throws ListenError */
export async function startTelemetryServer(options: TelemetryServerOptions): Promise<TelemetryServer> {
  const { host, port } = parseAddress(options.address)
  const closing = new AbortController()
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS })
  server.on('request', (request, response) => {
    // A connection that was busy when the server was closed would otherwise be kept open for the next request.
    response.once('close', () => {
      if (!server.listening) server.closeIdleConnections()
    })
    answer(request, response, options, closing.signal).catch((error: unknown) => {
      send(response, 500, error instanceof Error ? error.message : String(error))
    })
  })
  await listen(server, host, port, options.address)
  return {
    url: urlOf(server),
    close(signal) {
      const closed = close(server, signal)
      // Streams would never end by themselves.
      closing.abort(new Error('the server closes'))
      return closed
    },
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: TelemetryServerOptions,
  closing: AbortSignal,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    send(response, 405, 'only GET and HEAD')
    return
  }
  const [path = '/', query = ''] = (request.url ?? '/').split('?')
  switch (path) {
    case '/healthz':
      sendReadiness(response, options.isHealthy())
      return
    case '/readyz':
      sendReadiness(response, options.isReady())
      return
    case '/metrics':
      send(response, 200, await options.registry.metrics(), options.registry.contentType)
      return
    default:
  }
  const { routes = [] } = options
  const route = routes.find((candidate) => isServedBy(candidate, path))
  if (route === undefined) {
    const others = routes.map((candidate) => `${candidate.path}  ${candidate.help}`)
    send(response, 404, ['try /healthz, /readyz or /metrics', ...others].join('\n'))
    return
  }
  const gone = new AbortController()
  response.once('close', () => gone.abort(new Error('the client has gone')))
  const signal = AbortSignal.any([gone.signal, closing])
  const { headers } = request
  await sendAnswer(response, await route.answer({ path, query: new URLSearchParams(query), headers, signal }), signal)
}

function isServedBy(route: Route, path: string): boolean {
  return route.path.endsWith('/*') ? path.startsWith(route.path.slice(0, -1)) : path === route.path
}

async function sendAnswer(response: ServerResponse, answer: RouteAnswer, signal: AbortSignal): Promise<void> {
  const { status, contentType, body, headers } = answer
  for (const [name, value] of Object.entries(headers ?? {})) response.setHeader(name, value)
  if (typeof body === 'string') {
    send(response, status, body, contentType)
    return
  }
  response.writeHead(status, { 'content-type': contentType })
  response.flushHeaders()
  if (response.req.method !== 'HEAD') {
    for await (const piece of body) {
      if (signal.aborted) break
      if (!response.write(piece)) await drained(response, signal)
      if (signal.aborted) break
    }
  }
  response.end()
}

/** Resolves when the client has taken what was sent, or when nobody waits for it any more. */
function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    response.once('drain', done)
    if (signal.aborted) done()
    else signal.addEventListener('abort', done, { once: true })
  })
}

/** As Kubernetes answers: `ok`, or the reasons, one a line. */
function sendReadiness(response: ServerResponse, { ok, reasons }: Readiness): void {
  const lines = [ok ? 'ok' : 'not ok', ...reasons.map((reason) => `- ${reason}`)]
  send(response, ok ? 200 : 503, lines.join('\n'))
}

function send(response: ServerResponse, status: number, body: string, contentType = TEXT): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

/** @throws ListenError */
function parseAddress(address: string): { readonly host: string | undefined; readonly port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(address) ?? []
  const port = Number(digits)
  if (digits === undefined || port > 65_535)
    throw new ListenError(
      address,
      `Cannot listen on ${address}: give ${ADDRESS_OPTION} as host:port, :port or [IPv6]:port`,
    )
  const host = bracketed ?? plain
  return { host: host === '' ? undefined : host, port }
}

function listen(server: Server, host: string | undefined, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      const why =
        error.code === 'EADDRINUSE'
          ? `the port is taken. Stop the process that has it, or choose another one with ${ADDRESS_OPTION}`
          : `${error.message}. Choose another address with ${ADDRESS_OPTION}`
      reject(new ListenError(address, `Cannot listen on ${address}: ${why}`, error))
    }
    server.once('error', onError)
    server.listen({ port, host }, () => {
      server.off('error', onError)
      resolve()
    })
  })
}

function urlOf(server: Server): string {
  const bound = server.address()
  if (bound === null || typeof bound === 'string') return ''
  const host = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address
  return `http://${host}:${bound.port}`
}

function close(server: Server, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cut = (): void => server.closeAllConnections()
    server.close(() => {
      signal.removeEventListener('abort', cut)
      resolve()
    })
    server.closeIdleConnections()
    if (signal.aborted) cut()
    else signal.addEventListener('abort', cut, { once: true })
  })
}
