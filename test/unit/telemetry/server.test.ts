import { connect } from 'node:net'
import { Registry } from 'prom-client'
import { afterEach, describe, expect, test } from 'vitest'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import { ListenError, startTelemetryServer } from '../../../src/telemetry/server.ts'
import type { TelemetryServer, TelemetryServerOptions } from '../../../src/telemetry/server.ts'

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
