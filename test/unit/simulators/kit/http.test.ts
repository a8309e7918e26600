import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { ConnectionCut, MAX_BODY_BYTES, serve } from '../../../../simulators/kit/http.ts'
import type { Router, Server, WireRequest } from '../../../../simulators/kit/http.ts'

const servers: Server[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

async function start(router: Router, onDefect?: (error: unknown) => void): Promise<Server> {
  const server = await serve(router, { host: '127.0.0.1', port: 0, ...(onDefect === undefined ? {} : { onDefect }) })
  servers.push(server)
  return server
}

test('delivers method, path, query, headers and body, and sends the answer', async () => {
  const requests: WireRequest[] = []
  const server = await start(async (request) => {
    requests.push(request)
    return { status: 201, headers: { 'x-answer': 'yes' }, body: 'grüße' }
  })
  const response = await fetch(`${server.url}/a/b?x=1&x=2`, {
    method: 'POST',
    body: 'ü=1',
    headers: { 'X-Mixed': 'Case' },
  })
  expect([response.status, response.headers.get('x-answer'), await response.text()]).toEqual([201, 'yes', 'grüße'])
  expect(requests[0]).toMatchObject({ method: 'POST', path: '/a/b', body: 'ü=1', headers: { 'x-mixed': 'Case' } })
  expect(requests[0]!.query.getAll('x')).toEqual(['1', '2'])
})

test('a taken port is an error that names it', async () => {
  const server = await start(async () => ({ status: 200, headers: {}, body: '' }))
  const second = serve(async () => ({ status: 200, headers: {}, body: '' }), { host: '127.0.0.1', port: server.port })
  await expect(second).rejects.toMatchObject({
    code: 'EADDRINUSE',
    message: expect.stringContaining(`127.0.0.1:${server.port}`),
  })
})

test('a stream arrives piece by piece, and its router learns when the client leaves', async () => {
  const left = Promise.withResolvers<string>()
  const server = await start(async (_, signal) => ({
    status: 200,
    headers: {},
    body: (async function* () {
      yield 'one\n'
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      left.resolve((signal.reason as Error).message)
    })(),
  }))
  const abort = new AbortController()
  const response = await fetch(server.url, { signal: abort.signal })
  const first = await response.body!.getReader().read()
  expect(new TextDecoder().decode(first.value)).toBe('one\n')
  abort.abort()
  expect(await left.promise).toBe('client has gone')
})

test('a cut connection gives the client no answer and is no defect', async () => {
  const defects: unknown[] = []
  const server = await start(
    () => Promise.reject(new ConnectionCut()),
    (error) => defects.push(error),
  )
  await expect(fetch(server.url)).rejects.toThrow()
  expect(defects).toEqual([])
})

test('a defect of a router answers 500 and is told', async () => {
  const defects: unknown[] = []
  const server = await start(
    () => Promise.reject(new Error('slip')),
    (error) => defects.push(error),
  )
  const response = await fetch(server.url)
  expect([response.status, await response.text()]).toEqual([500, 'defect of the simulator: slip\n'])
  expect(defects).toHaveLength(1)
})

test('a stream that breaks cuts the connection instead of ending well', async () => {
  const server = await start(async () => ({
    status: 200,
    headers: {},
    body: (async function* () {
      yield 'half'
      throw new ConnectionCut()
    })(),
  }))
  const response = await fetch(server.url)
  await expect(response.text()).rejects.toThrow()
})

test('a body above the limit is refused', async () => {
  const server = await start(async () => ({ status: 200, headers: {}, body: 'never' }))
  const response = await new Promise<string>((resolve, reject) => {
    const socket = connect(server.port, '127.0.0.1')
    const length = MAX_BODY_BYTES + 1
    socket.write(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n`)
    socket.write(Buffer.alloc(length))
    socket.once('data', (data) => {
      resolve(data.toString('latin1'))
      socket.destroy()
    })
    socket.once('error', reject)
  })
  expect(response).toMatch(/^HTTP\/1\.1 413/)
})

test('closing ends open streams', async () => {
  const server = await start(async (_, signal) => ({
    status: 200,
    headers: {},
    body: (async function* () {
      yield 'open'
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    })(),
  }))
  const response = await fetch(server.url)
  await server.close()
  await expect(response.text()).rejects.toThrow()
})
