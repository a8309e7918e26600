import { chmodSync, lstatSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { APIRequest, APIResponse } from './api-router.ts'
import { isListening, MAX_SOCKET_PATH_BYTES } from './api-socket.ts'

/** Where requests are taken. */
export type Endpoint =
  | { readonly kind: 'socket'; readonly path: string }
  /** Loopback only: whoever reaches it can take and release addresses. Port 0 takes a free one. */
  | { readonly kind: 'loopback'; readonly host: '127.0.0.1' | '::1'; readonly port: number }

export interface APIServer {
  /** The socket's path, or `http://host:port` with the port that was taken. */
  readonly address: string
  /** Takes no more requests, lets running ones end until the signal is aborted, and removes the socket. */
  close(signal: AbortSignal): Promise<void>
}

/** An endpoint cannot be had. The message says what to do. */
export class EndpointError extends Error {
  override readonly name = 'EndpointError'
  readonly address: string

  constructor(address: string, message: string, cause?: unknown) {
    super(message, { cause })
    this.address = address
  }
}

/** Only the list of GC is long: about 100 bytes for an attachment (bytes). */
const MAX_BODY_BYTES = 4 * 1024 * 1024
/** A local client sends its request at once (ms). */
const REQUEST_TIMEOUT_MS = 10_000
/** Requests at once (count): a node has a few hundred pods. */
const MAX_CONNECTIONS = 1024
/** Only root, who runs plug-ins, may ask for addresses. */
const SOCKET_MODE = 0o600

/**
 * Serves a router. A socket file that no process listens on any more is replaced; a file that is no socket is not touched.
 *
 * @throws EndpointError
 */
export async function serveAPI(
  endpoint: Endpoint,
  router: (request: APIRequest) => Promise<APIResponse>,
): Promise<APIServer> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS })
  server.maxConnections = MAX_CONNECTIONS
  server.on('request', (request, response) => {
    // A connection that was busy when the server was closed would otherwise be kept open for the next request.
    response.once('close', () => {
      if (!server.listening) server.closeIdleConnections()
    })
    void answer(endpoint, request, response, router)
  })
  if (endpoint.kind === 'socket') await makeRoom(endpoint.path)
  await listen(server, endpoint)
  return { address: addressOf(server, endpoint), close: (signal) => close(server, signal) }
}

/** @throws EndpointError */
async function makeRoom(path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    const text = `Cannot listen on ${path}: longer than ${MAX_SOCKET_PATH_BYTES} bytes. Choose a shorter --socket`
    throw new EndpointError(path, text)
  }
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket()) {
    throw new EndpointError(path, `Cannot listen on ${path}: it is a file, and no socket. Choose another --socket`)
  }
  if (await isListening(path)) {
    const text = `Cannot listen on ${path}: another process listens there. Stop it, or choose another --socket`
    throw new EndpointError(path, text)
  }
  rmSync(path, { force: true })
}

function listen(server: Server, endpoint: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      const [name, option] =
        endpoint.kind === 'socket'
          ? [endpoint.path, '--socket']
          : [`${endpoint.host}:${endpoint.port}`, '--api-address']
      const text = `Cannot listen on ${name}: ${error.message}. Check the folder, or choose another ${option}`
      reject(new EndpointError(name, text, error))
    }
    server.once('error', onError)
    const onListening = (): void => {
      server.off('error', onError)
      resolve()
    }
    if (endpoint.kind === 'loopback') {
      server.listen({ host: endpoint.host, port: endpoint.port }, onListening)
      return
    }
    // The socket is bound within `listen`: with this mask it is never open to others, not even for a moment.
    const mask = process.umask(0o177)
    try {
      server.listen(endpoint.path, () => {
        chmodSync(endpoint.path, SOCKET_MODE)
        onListening()
      })
    } finally {
      process.umask(mask)
    }
  })
}

async function answer(
  endpoint: Endpoint,
  request: IncomingMessage,
  response: ServerResponse,
  router: (request: APIRequest) => Promise<APIResponse>,
): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort(new Error('the client has gone')))
  try {
    if (endpoint.kind === 'loopback' && !isLoopbackName(request.headers.host)) {
      send(response, { status: 403, headers: {}, body: 'only requests to a loopback address\n' })
      return
    }
    const body = await bodyOf(request)
    if (body === undefined) {
      send(response, { status: 413, headers: { connection: 'close' }, body: 'the body is too long\n' })
      return
    }
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
    )
    const { method = '', url = '' } = request
    send(response, await router({ method, target: url, headers, body, signal: gone.signal }))
  } catch (error) {
    // The client broke off, or a defect of the router's own: nobody, or nothing, to answer with.
    send(response, { status: 500, headers: {}, body: error instanceof Error ? error.message : String(error) })
  }
}

/** A page of the web that was made to resolve to loopback names its own host. */
function isLoopbackName(host = ''): boolean {
  return /^(127\.0\.0\.1|\[::1\]|localhost)(:\d+)?$/.test(host)
}

/** @returns undefined when it is too long */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of request) {
    const bytes = piece as Buffer
    length += bytes.length
    if (length > MAX_BODY_BYTES) return undefined
    pieces.push(bytes)
  }
  return Buffer.concat(pieces).toString('utf8')
}

function send(response: ServerResponse, { status, headers, body }: APIResponse): void {
  if (response.headersSent || response.destroyed) return
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

function addressOf(server: Server, endpoint: Endpoint): string {
  if (endpoint.kind === 'socket') return endpoint.path
  const bound = server.address()
  const port = bound === null || typeof bound === 'string' ? endpoint.port : bound.port
  return endpoint.host === '::1' ? `http://[::1]:${port}` : `http://127.0.0.1:${port}`
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
