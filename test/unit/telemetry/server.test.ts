import { connect } from 'node:net'
import { Registry } from 'prom-client'
import { afterEach, describe, expect, test } from 'vitest'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import { ListenError, startTelemetryServer } from '../../../src/telemetry/server.ts'
import type { Route, TelemetryServer, TelemetryServerOptions } from '../../../src/telemetry/server.ts'
import { systemClock } from '../../../src/runtime/clock.ts'

const ok = { ok: true, reasons: [] }
const never = new AbortController().signal
const servers: TelemetryServer[] = []

async function start(options: Partial<TelemetryServerOptions> = {}): Promise<TelemetryServer> {
  const server = await startTelemetryServer({
    address: '127.0.0.1:0',
    isReady: () => ok,
    isHealthy: () => ok,
    registry: new Registry(),
    ...options,
  })
  servers.push(server)
  return server
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close(AbortSignal.abort())))
})

describe('startTelemetryServer', () => {
  test('answers health and readiness as Kubernetes probes expect it', async () => {
    const { url } = await start()
    for (const path of ['/healthz', '/readyz', '/readyz?verbose']) {
      const response = await fetch(url + path)
      expect(response.status).toBe(200)
      expect(await response.text()).toBe('ok')
    }
  })

  test('says why it is not ready, with 503, and changes its mind', async () => {
    const readiness = { ok: false, reasons: ['the CiliumNodes are not listed yet', 'no lease'] }
    const { url } = await start({ isReady: () => readiness })
    const response = await fetch(`${url}/readyz`)
    expect(response.status).toBe(503)
    expect(await response.text()).toBe('not ok\n- the CiliumNodes are not listed yet\n- no lease')
    readiness.ok = true
    readiness.reasons = []
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  test('shows the metrics in the text format of Prometheus', async () => {
    const metrics = createMetrics({ enabled: true, profile: 'latest', api: 'ec2' })
    metrics.core.setNodes('total', 50)
    const { url } = await start({ registry: metrics.registry })
    const response = await fetch(`${url}/metrics`)
    expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4')
    expect(await response.text()).toContain('cilium_operator_ipam_nodes{category="total"} 50')
  })

  test.each([
    { method: 'GET', path: '/', status: 404 },
    { method: 'GET', path: '/healthz/', status: 404 },
    { method: 'POST', path: '/healthz', status: 405 },
    { method: 'DELETE', path: '/metrics', status: 405 },
    { method: 'HEAD', path: '/healthz', status: 200 },
  ])('$method $path is $status', async ({ method, path, status }) => {
    const { url } = await start()
    expect((await fetch(url + path, { method })).status).toBe(status)
  })

  test('a metric that cannot be read is an error of that scrape alone', async () => {
    const metrics = createMetrics({ enabled: true, profile: 'latest', api: 'ec2' })
    metrics.controller.watchEventLoop(() => {
      throw new Error('no histogram')
    })
    const { url } = await start({ registry: metrics.registry })
    const response = await fetch(`${url}/metrics`)
    expect(response.status).toBe(500)
    expect(await response.text()).toBe('no histogram')
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  test('a taken port is one clear error that says what to do', async () => {
    const { url } = await start()
    const address = url.slice('http://'.length)
    const failure = start({ address })
    await expect(failure).rejects.toThrow(ListenError)
    await expect(failure).rejects.toThrow(
      `Cannot listen on ${address}: the port is taken. Stop the process that has it, or choose another one with --operator-prometheus-serve-addr`,
    )
  })

  test.each(['9963', 'localhost', ':70000', ':abc', ''])('the address %j is refused', async (address) => {
    await expect(start({ address })).rejects.toThrow('give --operator-prometheus-serve-addr as host:port')
  })

  test('an address of somebody else is refused with the reason', async () => {
    await expect(start({ address: '192.0.2.1:0' })).rejects.toThrow(/^Cannot listen on 192\.0\.2\.1:0: .*EADDRNOTAVAIL/)
  })

  test('without a host it listens on all addresses', async () => {
    const { url } = await start({ address: ':0' })
    const port = new URL(url).port
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200)
  })

  test('closing waits for nobody who is idle, and frees the port', async () => {
    const server = await start()
    await fetch(`${server.url}/healthz`)
    await server.close(never)
    await expect(fetch(`${server.url}/healthz`)).rejects.toThrow()
    await start({ address: server.url.slice('http://'.length) })
  })

  test('closing lets a running scrape end', async () => {
    const { registry, started, release } = slowRegistry()
    const server = await start({ registry })
    const scrape = fetch(`${server.url}/metrics`)
    await started
    const closed = server.close(never)
    release('done 1\n')
    expect(await (await scrape).text()).toBe('done 1\n')
    await closed
  })

  test('closing cuts what still runs when the time is up', async () => {
    const { registry, started } = slowRegistry()
    const server = await start({ registry })
    const scrape = expect(fetch(`${server.url}/metrics`)).rejects.toThrow()
    await started
    const halfOpen = connect(Number(new URL(server.url).port), '127.0.0.1')
    await new Promise((resolve) => halfOpen.once('connect', resolve))
    const grace = new AbortController()
    const closed = server.close(grace.signal)
    grace.abort()
    await Promise.all([closed, scrape])
    halfOpen.destroy()
  })
})

/** A registry whose scrape ends when told. */
function slowRegistry(): { registry: Registry; started: Promise<void>; release: (text: string) => void } {
  const registry = new Registry()
  const started = Promise.withResolvers<void>()
  const text = Promise.withResolvers<string>()
  registry.metrics = () => {
    started.resolve()
    return text.promise
  }
  return { registry, started: started.promise, release: text.resolve }
}

describe('routes', () => {
  test('answer beside health and metrics, the exact path or what begins with it', async () => {
    const seen: string[] = []
    const { url } = await start({
      routes: [
        { path: '/v1/one', help: 'one', answer: () => ({ status: 200, contentType: 'text/plain', body: 'one' }) },
        {
          path: '/v1/many/*',
          help: 'many',
          answer: ({ path, query }) => {
            seen.push(`${path} ${query.get('a')}`)
            return { status: 404, contentType: 'text/plain', headers: { 'x-test': 'yes' }, body: 'none' }
          },
        },
      ],
    })
    expect(await (await fetch(`${url}/v1/one`)).text()).toBe('one')
    const many = await fetch(`${url}/v1/many/x%2Fy?a=1`)
    expect([many.status, many.headers.get('x-test'), seen]).toEqual([404, 'yes', ['/v1/many/x%2Fy 1']])
    expect((await fetch(`${url}/v1/one/`)).status).toBe(404)
    const unknown = await fetch(`${url}/v2`)
    expect([unknown.status, await unknown.text()]).toEqual([
      404,
      'try /healthz, /readyz or /metrics\n/v1/one  one\n/v1/many/*  many',
    ])
    expect((await fetch(`${url}/v1/one`, { method: 'POST' })).status).toBe(405)
  })

  test('that throw are an error of that request alone', async () => {
    const { url } = await start({
      routes: [
        {
          path: '/v1/broken',
          help: '',
          answer: () => {
            throw new Error('no facts')
          },
        },
      ],
    })
    const response = await fetch(`${url}/v1/broken`)
    expect([response.status, await response.text()]).toEqual([500, 'no facts'])
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  test('stream piece by piece, and learn that their client has gone', async () => {
    const gone = Promise.withResolvers<void>()
    const { url } = await start({ routes: [streamRoute(gone.resolve)] })
    const client = new AbortController()
    const response = await fetch(`${url}/v1/stream`, { signal: client.signal })
    const reader = response.body!.getReader()
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('piece 0\n')
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('piece 1\n')
    client.abort()
    await gone.promise
  })

  test('closing ends streams, which would never end by themselves', async () => {
    const gone = Promise.withResolvers<void>()
    const server = await start({ routes: [streamRoute(gone.resolve)] })
    const response = await fetch(`${server.url}/v1/stream`)
    const reader = response.body!.getReader()
    await reader.read()
    await server.close(never)
    await gone.promise
  })

  test('a HEAD request of a stream has its headers and no body', async () => {
    const { url } = await start({ routes: [streamRoute(() => undefined)] })
    const response = await fetch(`${url}/v1/stream`, { method: 'HEAD' })
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([
      200,
      'text/plain',
      '',
    ])
  })
})

/** A piece every few milliseconds, without end. */
function streamRoute(onGone: () => void): Route {
  return {
    path: '/v1/stream',
    help: 'pieces',
    answer: ({ signal }) => {
      async function* pieces(): AsyncGenerator<string> {
        try {
          for (let piece = 0; !signal.aborted; piece++) {
            yield `piece ${piece}\n`
            await systemClock().sleep(20, signal)
          }
        } catch {
          // The signal.
        } finally {
          onGone()
        }
      }
      return { status: 200, contentType: 'text/plain', body: pieces() }
    },
  }
}
