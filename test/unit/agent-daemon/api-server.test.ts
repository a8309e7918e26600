import { existsSync, linkSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { APIRequest, APIResponse } from '../../../src/agent/api-router.ts'
import type { APIServer, Endpoint } from '../../../src/agent/api-server.ts'
import { EndpointError, serveAPI } from '../../../src/agent/api-server.ts'

let folder = ''
let servers: APIServer[] = []
const never = new AbortController().signal
const now = AbortSignal.abort(new Error('now'))

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-api-'))
  servers = []
})
afterEach(async () => {
  for (const server of servers) await server.close(now)
  rmSync(folder, { recursive: true, force: true })
})

const echo = ({ method, target, headers, body }: APIRequest): Promise<APIResponse> =>
  Promise.resolve({ status: 200, headers: {}, body: `${method} ${target} ${headers['expiration'] ?? '-'} ${body}` })

async function serve(endpoint: Endpoint, router = echo): Promise<APIServer> {
  const server = await serveAPI(endpoint, router)
  servers.push(server)
  return server
}

function call(options: RequestOptions, body = ''): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ method: 'POST', path: '/v1/ipam?owner=a', ...options }, (response: IncomingMessage) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => (text += piece))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

const socket = (): Endpoint & { readonly kind: 'socket' } => ({ kind: 'socket', path: join(folder, 'agent.sock') })

describe('a Unix socket', () => {
  test('takes requests of its owner only, and is gone when it is closed', async () => {
    const { path } = socket()
    const server = await serve(socket())
    expect(server.address).toBe(path)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(await call({ socketPath: path, headers: { Expiration: 'true' } }, 'x')).toEqual({
      status: 200,
      body: 'POST /v1/ipam?owner=a true x',
    })
    await server.close(never)
    expect(existsSync(path)).toBe(false)
  })

  test('that another process listens on is refused, and goes on working', async () => {
    await serve(socket())
    const failure = await serveAPI(socket(), echo).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(EndpointError)
    expect((failure as Error).message).toContain(`${socket().path}: another process listens there`)
    expect((await call({ socketPath: socket().path })).status).toBe(200)
  })

  test('that a crash left behind is replaced', async () => {
    const stale = createServer()
    await new Promise<void>((resolve) => void stale.listen(socket().path, resolve))
    // Node removes the file on close; a killed process does not.
    const keep = join(folder, 'kept')
    linkSync(socket().path, keep)
    await new Promise((resolve) => void stale.close(resolve))
    renameSync(keep, socket().path)
    await serve(socket())
    expect((await call({ socketPath: socket().path })).status).toBe(200)
  })

  test('never takes the place of a file', async () => {
    writeFileSync(socket().path, 'precious')
    await expect(serveAPI(socket(), echo)).rejects.toThrow(/it is a file/)
    expect(statSync(socket().path).size).toBe(8)
  })

  test.each([
    { name: 'a folder that does not exist', path: 'missing/agent.sock', text: /Check the folder/ },
    { name: 'a path too long', path: `${'x'.repeat(120)}.sock`, text: /longer than 107 bytes/ },
  ])('is refused for $name', async ({ path, text }) => {
    await expect(serveAPI({ kind: 'socket', path: join(folder, path) }, echo)).rejects.toThrow(text)
  })

  test('refuses a body beyond any list of attachments', async () => {
    await serve(socket())
    const answer = call({ socketPath: socket().path }, 'x'.repeat(5 * 1024 * 1024))
    expect(await answer.catch((error: NodeJS.ErrnoException) => ({ status: 413, body: error.code }))).toMatchObject({
      status: 413,
    })
  })

  test('tells the router when the client has gone', async () => {
    const started = Promise.withResolvers<APIRequest>()
    await serve(socket(), (incoming) => {
      started.resolve(incoming)
      return new Promise<APIResponse>(() => undefined)
    })
    const sent = request({ method: 'POST', path: '/', socketPath: socket().path })
    sent.on('error', () => undefined)
    sent.end()
    const { signal } = await started.promise
    const gone = new Promise((resolve) => signal.addEventListener('abort', resolve))
    sent.destroy()
    await gone
    expect(signal.aborted).toBe(true)
  })

  test('lets a running request end when it is closed', async () => {
    const started = Promise.withResolvers<void>()
    const finish = Promise.withResolvers<void>()
    const server = await serve(socket(), async () => {
      started.resolve()
      await finish.promise
      return { status: 200, headers: {}, body: 'done' }
    })
    const answer = call({ socketPath: socket().path })
    await started.promise
    const closed = server.close(never)
    finish.resolve()
    expect((await answer).body).toBe('done')
    await closed
  })
})

describe('loopback HTTP', () => {
  test('serves on a port of its own', async () => {
    const { address } = await serve({ kind: 'loopback', host: '127.0.0.1', port: 0 })
    const { port } = new URL(address)
    expect((await call({ host: '127.0.0.1', port })).status).toBe(200)
  })

  test('refuses a request that came by another name: a page in a browser could make it', async () => {
    const { address } = await serve({ kind: 'loopback', host: '127.0.0.1', port: 0 })
    const { port } = new URL(address)
    expect((await call({ host: '127.0.0.1', port, headers: { host: `evil.example:${port}` } })).status).toBe(403)
  })

  test('says which port is taken', async () => {
    const { address } = await serve({ kind: 'loopback', host: '127.0.0.1', port: 0 })
    const port = Number(new URL(address).port)
    await expect(serveAPI({ kind: 'loopback', host: '127.0.0.1', port }, echo)).rejects.toThrow(
      new RegExp(`127\\.0\\.0\\.1:${port}.*--api-address`),
    )
  })
})
