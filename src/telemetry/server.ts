import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Registry } from 'prom-client'

/** The option that names the address, for messages. */
const ADDRESS_OPTION = '--operator-prometheus-serve-addr'
/** A scrape or probe sends no body and few headers; whoever is slower than this has gone (ms). */
const REQUEST_TIMEOUT_MS = 10_000
const TEXT = 'text/plain; charset=utf-8'

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

/** Serves `/healthz`, `/readyz` and `/metrics`. @throws ListenError */
export async function startTelemetryServer(options: TelemetryServerOptions): Promise<TelemetryServer> {
  const { host, port } = parseAddress(options.address)
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS })
  server.on('request', (request, response) => {
    // A connection that was busy when the server was closed would otherwise be kept open for the next request.
    response.once('close', () => {
      if (!server.listening) server.closeIdleConnections()
    })
    answer(request, response, options).catch((error: unknown) => {
      send(response, 500, error instanceof Error ? error.message : String(error))
    })
  })
  await listen(server, host, port, options.address)
  return { url: urlOf(server), close: (signal) => close(server, signal) }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: TelemetryServerOptions,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    send(response, 405, 'only GET and HEAD')
    return
  }
  const [path = '/'] = (request.url ?? '/').split('?')
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
      send(response, 404, 'try /healthz, /readyz or /metrics')
  }
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
