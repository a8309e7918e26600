import http from 'node:http'
import https from 'node:https'
import type { Clock } from '../runtime/clock.ts'
import type { ClusterAccess, RequestSettings, TLSSettings } from './cluster-access.ts'
import type { KubernetesTransport, TransportRequest, TransportResponse } from './transport.ts'

/** Credentials are worked out again this often; the library itself reads files and plug-ins at every request. */
const SETTINGS_MAX_AGE_MS = 10_000

/** First probe of an idle connection. @source client-go, 30 s; load balancers in between drop idle ones after 60 s */
const KEEP_ALIVE_MS = 30_000

/** Connections to the one API server (count): three watches, and writes of at most this many nodes at once. */
const MAX_SOCKETS = 128

interface Connection {
  readonly settings: RequestSettings
  readonly agent: http.Agent
}

/**
 * Requests over TLS, or plain HTTP where the server's URL says so, with the credentials of a kubeconfig or of the pod.
 * After a 401 the credentials are read again and the request is sent once more: tokens and certificates rotate.
 */
export function httpsTransport(access: ClusterAccess, clock: Clock): KubernetesTransport {
  const base = new URL(access.server)
  let connection: { readonly value: Promise<Connection>; readonly atMs: number } | undefined
  let agent: { readonly tls: TLSSettings; readonly agent: http.Agent } | undefined

  const agentFor = (settings: RequestSettings): http.Agent => {
    if (settings.proxyAgent !== undefined) return settings.proxyAgent as http.Agent
    if (agent === undefined || !isSameTLS(agent.tls, settings.tls)) {
      const options = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, maxSockets: MAX_SOCKETS }
      // The old agent is left to its open requests; its idle connections are closed.
      closeIdle(agent?.agent)
      agent = {
        tls: settings.tls,
        agent: base.protocol === 'http:' ? new http.Agent(options) : new https.Agent({ ...options, ...settings.tls }),
      }
    }
    return agent.agent
  }

  const connect = (): Promise<Connection> => {
    if (connection === undefined || clock.now() - connection.atMs > SETTINGS_MAX_AGE_MS) {
      const value = access.settings().then((settings) => ({ settings, agent: agentFor(settings) }))
      connection = { value, atMs: clock.now() }
      value.catch(() => {
        connection = undefined
      })
    }
    return connection.value
  }

  return {
    server: access.server,
    async request(request) {
      const first = await send(base, await connect(), request)
      if (first.status !== 401) return first
      access.invalidate()
      connection = undefined
      const second = await connect()
      for await (const _piece of first.body) void _piece
      return send(base, second, request)
    },
    close() {
      closeIdle(agent?.agent)
    },
  }
}

/**
 * A kept connection may have been closed by the server at the moment it was used again. Such a request is sent once more, on any
 * other connection: every write of ours is conditional on a version, so that a second one does no harm.
 */
async function send(base: URL, connection: Connection, request: TransportRequest): Promise<TransportResponse> {
  const first = await sendOnce(base, connection, request)
  return first === 'staleConnection' ? sendAgain(base, connection, request) : first
}

async function sendAgain(base: URL, connection: Connection, request: TransportRequest): Promise<TransportResponse> {
  closeIdle(connection.agent)
  const second = await sendOnce(base, connection, request)
  if (second === 'staleConnection') throw new Error('the connection was reset')
  return second
}

function sendOnce(
  base: URL,
  { settings, agent }: Connection,
  request: TransportRequest,
): Promise<TransportResponse | 'staleConnection'> {
  const { method, path, headers, body, signal } = request
  const isTLS = base.protocol === 'https:'
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const outgoing = (isTLS ? https : http).request({
      ...(isTLS && settings.tls),
      protocol: base.protocol,
      hostname: base.hostname.replace(/^\[|\]$/g, ''),
      port: base.port === '' ? (isTLS ? 443 : 80) : base.port,
      path: base.pathname.replace(/\/$/, '') + path,
      method,
      headers: {
        ...headers,
        ...settings.headers,
        ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
      },
      ...(settings.auth !== undefined && { auth: settings.auth }),
      agent,
      signal,
    })
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      if (signal.aborted) reject(signal.reason as Error)
      else if (outgoing.reusedSocket && error.code === 'ECONNRESET') resolve('staleConnection')
      else reject(error)
    })
    outgoing.on('response', (incoming) => {
      incoming.setEncoding('utf8')
      resolve({
        status: incoming.statusCode ?? 0,
        headers: flatHeaders(incoming.headers),
        body: textOf(incoming, signal),
      })
    })
    outgoing.end(body)
  })
}

async function* textOf(incoming: http.IncomingMessage, signal: AbortSignal): AsyncGenerator<string> {
  try {
    for await (const piece of incoming) yield piece as string
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}

function flatHeaders(headers: http.IncomingHttpHeaders): Readonly<Record<string, string>> {
  const flat: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return flat
}

function isSameTLS(left: TLSSettings, right: TLSSettings): boolean {
  const isSame = (a: string | Buffer | undefined, b: string | Buffer | undefined): boolean =>
    a === b || (a !== undefined && b !== undefined && Buffer.from(a).equals(Buffer.from(b)))
  return (
    isSame(left.ca, right.ca) &&
    isSame(left.cert, right.cert) &&
    isSame(left.key, right.key) &&
    left.servername === right.servername &&
    left.rejectUnauthorized === right.rejectUnauthorized
  )
}

function closeIdle(agent: http.Agent | undefined): void {
  for (const sockets of Object.values(agent?.freeSockets ?? {})) {
    for (const socket of sockets ?? []) socket.destroy()
  }
}
