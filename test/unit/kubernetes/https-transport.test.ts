import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import { createServer as createTLSServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import type { ClusterAccess, RequestSettings } from '../../../src/kubernetes/cluster-access.ts'
import { httpsTransport } from '../../../src/kubernetes/https-transport.ts'
import type { KubernetesTransport, TransportRequest } from '../../../src/kubernetes/transport.ts'
import { readText } from '../../../src/kubernetes/transport.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

async function listening(server: Server): Promise<number> {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

const plain = async (listener: RequestListener): Promise<string> =>
  `http://127.0.0.1:${await listening(createServer(listener))}`

const pem = (name: string): Buffer => readFileSync(new URL(`tls/${name}.pem`, import.meta.url))

async function secure(listener: RequestListener): Promise<string> {
  const server = createTLSServer(
    { key: pem('server-key'), cert: pem('server'), ca: pem('ca'), requestCert: true, rejectUnauthorized: false },
    listener,
  )
  return `https://127.0.0.1:${await listening(server)}`
}

function access(
  server: string,
  settings: (attempt: number) => Partial<RequestSettings> = () => ({}),
): ClusterAccess & { readonly invalidated: number } {
  let invalidated = 0
  return {
    server,
    namespace: '',
    source: 'a test',
    settings: () =>
      Promise.resolve({ headers: {}, auth: undefined, tls: {}, proxyAgent: undefined, ...settings(invalidated) }),
    invalidate() {
      invalidated += 1
    },
    get invalidated() {
      return invalidated
    },
  }
}

function get(transport: KubernetesTransport, parts: Partial<TransportRequest> = {}) {
  return transport.request({ method: 'GET', path: '/x', headers: {}, signal: new AbortController().signal, ...parts })
}

const echo = (request: IncomingMessage, response: ServerResponse): void => {
  let body = ''
  request.on('data', (piece: Buffer) => {
    body += piece.toString()
  })
  request.on('end', () =>
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body })),
  )
}

describe('a request', () => {
  test('arrives with path, credentials and body', async () => {
    const server = `${await plain(echo)}/prefix/`.replace(/\/$/, '')
    const transport = httpsTransport(
      access(server, () => ({ headers: { authorization: 'Bearer t' } })),
      new ManualClock(),
    )
    const answer = await get(transport, {
      method: 'PATCH',
      path: '/x?a=b%20c',
      body: '{"ä":1}',
      headers: { accept: 'text/x' },
    })
    expect(answer.status).toBe(200)
    expect(JSON.parse(await readText(answer.body))).toMatchObject({
      method: 'PATCH',
      url: '/prefix/x?a=b%20c',
      headers: { accept: 'text/x', authorization: 'Bearer t', 'content-length': '8' },
      body: '{"ä":1}',
    })
  })

  test('of basic authentication carries user and password', async () => {
    const transport = httpsTransport(
      access(await plain(echo), () => ({ auth: 'me:word' })),
      new ManualClock(),
    )
    const { headers } = JSON.parse(await readText((await get(transport)).body)) as { headers: Record<string, string> }
    expect(headers['authorization']).toBe(`Basic ${Buffer.from('me:word').toString('base64')}`)
  })

  test('rejects with the words of the socket when nobody listens', async () => {
    await expect(get(httpsTransport(access('http://127.0.0.1:1'), new ManualClock()))).rejects.toThrow('ECONNREFUSED')
  })

  test('that is aborted rejects with the reason, before and within the answer', async () => {
    const server = await plain((_request, response) => {
      response.writeHead(200)
      response.write('first')
    })
    const transport = httpsTransport(access(server), new ManualClock())
    const stop = new AbortController()
    const answer = await get(transport, { signal: stop.signal })
    const pieces = answer.body[Symbol.asyncIterator]()
    expect((await pieces.next()).value).toBe('first')
    stop.abort(new Error('enough'))
    await expect(pieces.next()).rejects.toThrow('enough')
    await expect(get(transport, { signal: stop.signal })).rejects.toThrow('enough')
  })

  test('whose answer is cut rejects while it is read', async () => {
    const server = await plain((_request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('half')
      setTimeout(() => response.destroy(), 20)
    })
    const answer = await get(httpsTransport(access(server), new ManualClock()))
    await expect(readText(answer.body)).rejects.toThrow()
  })

  test('splits no character over two pieces', async () => {
    const text = Buffer.from('ä€😀')
    const server = await plain((_request, response) => {
      response.writeHead(200)
      let index = 0
      const next = (): void => {
        if (index === text.length) response.end()
        else response.write(text.subarray(index, ++index), () => setTimeout(next, 1))
      }
      next()
    })
    const answer = await get(httpsTransport(access(server), new ManualClock()))
    expect(await readText(answer.body)).toBe('ä€😀')
  })

  test('on a connection that the server has closed meanwhile is sent once more', async () => {
    let count = 0
    const server = await plain((request, response) => {
      count += 1
      // As a server whose idle timeout strikes at the moment of the second request.
      if (count === 2) request.socket.destroy()
      else response.end(String(count))
    })
    const transport = httpsTransport(access(server), new ManualClock())
    expect(await readText((await get(transport)).body)).toBe('1')
    expect(await readText((await get(transport)).body)).toBe('3')
    transport.close()
  })

  test('is not repeated when a fresh connection breaks', async () => {
    let count = 0
    const server = await plain((request) => {
      count += 1
      request.socket.destroy()
    })
    await expect(get(httpsTransport(access(server), new ManualClock()))).rejects.toThrow()
    expect(count).toBe(1)
  })
})

describe('credentials', () => {
  test('are read again after a 401, once', async () => {
    const seen: (string | undefined)[] = []
    const server = await plain((request, response) => {
      seen.push(request.headers.authorization)
      response.writeHead(request.headers.authorization === 'Bearer new' ? 200 : 401)
      response.end('{}')
    })
    const changing = access(server, (attempt) => ({
      headers: { authorization: attempt === 0 ? 'Bearer old' : 'Bearer new' },
    }))
    const transport = httpsTransport(changing, new ManualClock())
    expect((await get(transport)).status).toBe(200)
    expect(seen).toEqual(['Bearer old', 'Bearer new'])
    const wrong = access(server, () => ({ headers: { authorization: 'Bearer wrong' } }))
    expect((await get(httpsTransport(wrong, new ManualClock()))).status).toBe(401)
    expect(wrong.invalidated).toBe(1)
  })

  test('are worked out anew every 10 s, not at every request', async () => {
    let reads = 0
    const clock = new ManualClock()
    const counting = access(await plain(echo), () => {
      reads += 1
      return {}
    })
    const transport = httpsTransport(counting, clock)
    for (let index = 0; index < 3; index++) await readText((await get(transport)).body)
    expect(reads).toBe(1)
    await clock.advance(10_001)
    await readText((await get(transport)).body)
    expect(reads).toBe(2)
  })

  test('that cannot be had fail the request, and are asked for again by the next', async () => {
    let isBroken = true
    const flaky: ClusterAccess = {
      ...access(await plain(echo)),
      settings: () =>
        isBroken
          ? Promise.reject(new Error('the plug-in failed'))
          : Promise.resolve({ headers: {}, auth: undefined, tls: {}, proxyAgent: undefined }),
    }
    const transport = httpsTransport(flaky, new ManualClock())
    await expect(get(transport)).rejects.toThrow('the plug-in failed')
    isBroken = false
    expect((await get(transport)).status).toBe(200)
  })
})

describe('over TLS', () => {
  const whoAmI: RequestListener = (request, response) => {
    const { CN } = (request.socket as TLSSocket).getPeerCertificate().subject ?? {}
    response.end(CN ?? 'nobody')
  }

  test('the server is checked against the CA', async () => {
    const server = await secure(whoAmI)
    const trusting = httpsTransport(
      access(server, () => ({ tls: { ca: pem('ca') } })),
      new ManualClock(),
    )
    expect(await readText((await get(trusting)).body)).toBe('nobody')
    await expect(get(httpsTransport(access(server), new ManualClock()))).rejects.toThrow(/certificate/)
  })

  test('a client certificate is shown, and a renewed one is used for the next connection', async () => {
    const server = await secure(whoAmI)
    const clock = new ManualClock()
    let tls: RequestSettings['tls'] = { ca: pem('ca') }
    const transport = httpsTransport(
      access(server, () => ({ tls })),
      clock,
    )
    expect(await readText((await get(transport)).body)).toBe('nobody')
    tls = { ca: pem('ca'), cert: pem('client'), key: pem('client-key') }
    await clock.advance(10_001)
    expect(await readText((await get(transport)).body)).toBe('berth')
  })

  test('another name than the one in the URL can be expected of the server', async () => {
    const server = await secure(whoAmI)
    const named = (servername: string) =>
      httpsTransport(
        access(server, () => ({ tls: { ca: pem('ca'), servername } })),
        new ManualClock(),
      )
    expect((await get(named('localhost'))).status).toBe(200)
    await expect(get(named('elsewhere.example'))).rejects.toThrow(/altnames/)
  })
})
