import { createServer } from 'node:http'
import type { IncomingMessage, Server as NodeServer, ServerResponse } from 'node:http'

/** One request, as any wire delivers it: over a socket or in process. */
export interface WireRequest {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly query: URLSearchParams
  /** Lower-case names; a repeated header is joined with a comma. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface WireResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** A stream is sent piece by piece as it comes (a watch); ending it ends the answer, throwing in it cuts the connection. */
  readonly body: string | AsyncIterable<string>
}

/**
 * Answers one request. The signal fires when the client has gone or the server closes.
 * Throws `ConnectionCut` to break the connection without an answer; anything else thrown is a defect and answers 500.
 */
export type Router = (request: WireRequest, signal: AbortSignal) => Promise<WireResponse>

export interface Server {
  /** `http://host:port`, no trailing slash. */
  readonly url: string
  readonly port: number
  /** Ends open connections and stops listening. May be called twice. */
  close(): Promise<void>
}

export interface ServeOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** Told about every error that a router threw by mistake, and about errors of the listening socket. */
  readonly onDefect?: (error: unknown) => void
}

/** A router or a response stream throws this to break the connection, as a crashed peer would. */
export class ConnectionCut extends Error {
  /** As a socket error of Node has it, so that clients treat it as one. */
  readonly code = 'ECONNRESET'

  constructor(message = 'connection cut by the simulator') {
    super(message)
    this.name = 'ConnectionCut'
  }
}

/** Larger request bodies are refused with 413: no call of a cloud or Kubernetes client comes near. */
export const MAX_BODY_BYTES = 16 * 1024 * 1024

/** How long an idle kept-alive connection stays open: above the client default, so that the client closes first. */
const KEEP_ALIVE_MS = 65_000

/**
 * Serves a router over HTTP/1.1.
 *
 * @returns once it listens; rejects with code EADDRINUSE and a message naming host and port when the port is taken
 */
export async function serve(router: Router, options: ServeOptions): Promise<Server> {
  const closing = new AbortController()
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (incoming, outgoing) => {
    void answer(router, incoming, outgoing, closing.signal, options.onDefect)
  })
  await listen(server, options)
  server.on('error', (error) => options.onDefect?.(error))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : options.port
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  let closed: Promise<void> | undefined
  return {
    url: `http://${host}:${port}`,
    port,
    close() {
      closed ??= new Promise((resolve) => {
        server.close(() => resolve())
        closing.abort(new Error('server closed'))
        server.closeAllConnections()
      })
      return closed
    },
  }
}

function listen(server: NodeServer, { host, port }: ServeOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      const message =
        error.code === 'EADDRINUSE'
          ? `Cannot listen on ${host}:${port}: the port is taken; choose another one, or 0 for a free one`
          : `Cannot listen on ${host}:${port}: ${error.message}`
      reject(Object.assign(new Error(message, { cause: error }), { code: error.code }))
    }
    server.once('error', onError)
    server.listen(port, host, () => {
      server.off('error', onError)
      resolve()
    })
  })
}

async function answer(
  router: Router,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  closing: AbortSignal,
  onDefect: ServeOptions['onDefect'],
): Promise<void> {
  const gone = new AbortController()
  const onClosing = (): void => gone.abort(closing.reason)
  closing.addEventListener('abort', onClosing, { once: true })
  outgoing.once('close', () => {
    closing.removeEventListener('abort', onClosing)
    if (!outgoing.writableFinished) gone.abort(new Error('client has gone'))
  })
  outgoing.on('error', () => gone.abort(new Error('client has gone')))
  try {
    const body = await readBody(incoming)
    if (body === undefined) {
      outgoing.writeHead(413, { 'content-type': 'text/plain', connection: 'close' })
      outgoing.end(`request body above ${MAX_BODY_BYTES} bytes\n`)
      return
    }
    const response = await router(wireRequest(incoming, body), gone.signal)
    await send(response, outgoing, gone.signal)
  } catch (error) {
    const isExpected = error instanceof ConnectionCut || gone.signal.aborted
    if (!isExpected) onDefect?.(error)
    if (isExpected || outgoing.headersSent) {
      outgoing.destroy()
    } else {
      outgoing.writeHead(500, { 'content-type': 'text/plain' })
      outgoing.end(`defect of the simulator: ${error instanceof Error ? error.message : String(error)}\n`)
    }
  }
}

function wireRequest(incoming: IncomingMessage, body: string): WireRequest {
  const target = incoming.url ?? '/'
  const mark = target.indexOf('?')
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return {
    method: incoming.method ?? 'GET',
    path: mark < 0 ? target : target.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1)),
    headers,
    body,
  }
}

/** @returns the whole body, or undefined when it is too large */
function readBody(incoming: IncomingMessage): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let sizeBytes = 0
    incoming.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length
      if (sizeBytes > MAX_BODY_BYTES) {
        incoming.pause()
        resolve(undefined)
      } else {
        chunks.push(chunk)
      }
    })
    incoming.on('end', () => {
      const [only] = chunks
      if (only === undefined) resolve('')
      else resolve((chunks.length === 1 ? only : Buffer.concat(chunks)).toString('utf8'))
    })
    incoming.on('error', reject)
    incoming.on('close', () => reject(new ConnectionCut('client left before the end of its request')))
  })
}

async function send(response: WireResponse, outgoing: ServerResponse, signal: AbortSignal): Promise<void> {
  if (typeof response.body === 'string') {
    const declared = response.headers['content-length']
    const length = declared ?? String(Buffer.byteLength(response.body))
    outgoing.writeHead(response.status, { ...response.headers, 'content-length': length })
    outgoing.end(response.body)
    return
  }
  outgoing.writeHead(response.status, response.headers)
  outgoing.flushHeaders()
  for await (const piece of response.body) {
    if (signal.aborted) return
    if (!outgoing.write(piece)) await drained(outgoing, signal)
  }
  outgoing.end()
}

/** Waits until a slow reader has taken what was written, or is gone. */
function drained(outgoing: ServerResponse, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      outgoing.off('drain', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    outgoing.on('drain', done)
    signal.addEventListener('abort', done, { once: true })
  })
}

/** A response of JSON: the control paths and defects. */
export function jsonResponse(status: number, value: unknown): WireResponse {
  return { status, headers: { 'content-type': 'application/json' }, body: `${JSON.stringify(value)}\n` }
}
