import { describe, expect, test } from 'vitest'
import type { APIRequest } from '../../../src/agent/api-router.ts'
import { createRouter } from '../../../src/agent/api-router.ts'
import type { AgentOptions } from './builders.ts'
import { openAgent, restoredAgent } from './builders.ts'
import { FakePoolAllocator } from './fake-pool-allocator.ts'

const DUAL: AgentOptions = { ipv4: '10.0.0.0/29', ipv6: 'fd00::/125' }

async function apiOf(options: AgentOptions, { isOpen = true } = {}) {
  const life = await (isOpen ? openAgent(options) : restoredAgent(options))
  const errors: string[] = []
  const quiet = (): void => undefined
  const router = createRouter({
    core: () => life.core,
    expirationMs: 600_000,
    health: () => (life.core.isOpen ? { ok: true, reasons: [] } : { ok: false, reasons: ['starting'] }),
    hostAddressing: () => ({ ipv4: { enabled: true, ip: '10.0.0.6' } }),
    metrics: () => Promise.resolve({ text: 'berth_up 1\n', contentType: 'text/plain' }),
    log: { debug: quiet, info: quiet, warn: quiet, error: (_, message) => void errors.push(message) },
  })
  const call = async (method: string, target: string, more: Partial<APIRequest> = {}) => {
    const signal = new AbortController().signal
    const { status, headers, body } = await router({ method, target, headers: {}, body: '', signal, ...more })
    const isJSON = headers['content-type'] === 'application/json'
    return {
      status,
      code: headers['x-berth-error-code'],
      body: (isJSON ? JSON.parse(body) : body) as Record<string, unknown>,
    }
  }
  return { ...life, call, errors }
}

describe('POST /v1/ipam', () => {
  test('answers in the shape of the reference', async () => {
    const ipv4Allocator = new FakePoolAllocator({ red: ['10.0.0.9'] })
    const { call } = await apiOf({ ipv4Allocator })
    expect(await call('POST', '/v1/ipam?family=ipv4&owner=default%2Fa&pool=red')).toEqual({
      status: 201,
      code: undefined,
      body: {
        address: { ipv4: '10.0.0.9', 'ipv4-pool-name': 'red' },
        'host-addressing': { ipv4: { enabled: true, ip: '10.0.0.6' } },
        ipv4: { ip: '10.0.0.9', gateway: '10.0.0.1', 'master-mac': '02:00:00:00:00:01' },
      },
    })
  })

  test('gives both families, and a token for each with the header expiration', async () => {
    const { call, clock, core } = await apiOf(DUAL)
    const { body } = await call('POST', '/v1/ipam?owner=default%2Fa', { headers: { expiration: 'true' } })
    const { ipv4, ipv6, address } = body as Record<string, Record<string, string>>
    expect(ipv4!['expiration-uuid']).toMatch(/^[0-9a-f]{8}-/)
    expect(address!['ipv6-expiration-uuid']).toBe(ipv6!['expiration-uuid'])
    await clock.advance(600_000)
    expect(core.leaseCount).toBe(0)
  })

  test.each([
    { target: '/v1/ipam?family=ipx&owner=o&pool=red', code: 'FAMILY_UNKNOWN', text: /ipx.*owner o.*pool red/ },
    { target: '/v1/ipam?family=ipv6&owner=o', code: 'ALLOCATOR_UNAVAILABLE', text: /ipv6/ },
  ])('answers 502 with the message: $code', async ({ target, code, text }) => {
    const { call } = await apiOf({ ipv4: '10.0.0.0/29' })
    expect(await call('POST', target)).toEqual({ status: 502, code, body: expect.stringMatching(text) })
  })

  test('answers 502 when the pool is full, naming the owner', async () => {
    const { call } = await apiOf({ ipv4: '10.0.0.0/32' })
    await call('POST', '/v1/ipam?owner=default%2Fa')
    const full = await call('POST', '/v1/ipam?owner=default%2Fb')
    expect(full).toEqual({ status: 502, code: 'RANGE_FULL', body: expect.stringContaining('default/b') })
  })

  test('answers 502 when the state cannot be saved', async () => {
    const { call, storage } = await apiOf(DUAL)
    storage.failures.push(new Error('ENOSPC'))
    expect(await call('POST', '/v1/ipam?owner=a')).toMatchObject({ status: 502, code: 'STATE_NOT_SAVED' })
  })
})

describe('POST /v1/ipam/{ip}', () => {
  test.each([
    { name: 'a free address', ip: '10.0.0.2', status: 200, code: undefined },
    { name: 'no address', ip: 'pod-7', status: 400, code: 'INVALID_IP' },
    { name: 'a held address', ip: '10.0.0.1', status: 409, code: 'ALREADY_ALLOCATED' },
    { name: 'an address outside of the range', ip: '10.0.1.1', status: 500, code: 'NOT_IN_RANGE' },
    { name: 'a disabled family', ip: 'fd00::1', status: 501, code: 'IPV6_DISABLED' },
  ])('answers $status for $name', async ({ ip, status, code }) => {
    const { call, core } = await apiOf({ ipv4: '10.0.0.0/29' })
    await core.allocateIP('10.0.0.1', 'default/first')
    expect(await call('POST', `/v1/ipam/${encodeURIComponent(ip)}?owner=default%2Fa`)).toMatchObject({ status, code })
  })
})

describe('DELETE /v1/ipam/{ip}', () => {
  test.each([
    { name: 'an address', arg: '10.0.0.1', status: 200, code: undefined, left: 1 },
    { name: 'an owner', arg: 'default/a', status: 200, code: undefined, left: 1 },
    { name: 'an unknown owner', arg: 'default/b', status: 404, code: 'INVALID_IP_OR_OWNER', left: 2 },
    { name: 'an address of a container', arg: '10.0.0.2', status: 500, code: 'ADDRESS_ATTACHED', left: 2 },
    { name: 'a disabled family', arg: 'fd00::1', status: 501, code: 'IPV6_DISABLED', left: 2 },
  ])('answers $status for $name', async ({ arg, status, code, left }) => {
    const { call, core } = await apiOf({ ipv4Allocator: new FakePoolAllocator({ default: ['10.0.0.1', '10.0.0.2'] }) })
    await core.allocateIP('10.0.0.1', 'default/a')
    await core.allocate({ owner: 'default/c', attachment: 'net/c/eth0' })
    expect(await call('DELETE', `/v1/ipam/${encodeURIComponent(arg)}`)).toMatchObject({ status, code })
    expect(core.leaseCount).toBe(left)
  })

  test.each([{ target: '/v1/ipam/10.0.0.9', code: 'IP_NOT_ALLOCATED' }])(
    'answers 404 for what nobody holds',
    async ({ target, code }) => {
      const { call } = await apiOf({ ipv4Allocator: new FakePoolAllocator({ default: [] }) })
      expect(await call('DELETE', target)).toMatchObject({ status: 404, code })
    },
  )
})

describe('DELETE /v1/ipam/{ip}/expiration', () => {
  test.each([
    { name: 'the token', uuid: (right: string) => right, status: 200, left: 1 },
    { name: 'another token', uuid: () => 'wrong', status: 409, left: 0 },
    { name: 'no token', uuid: () => '', status: 409, left: 0 },
  ])('with $name answers $status', async ({ uuid, status, left }) => {
    const { call, core, clock } = await apiOf({ ipv4: '10.0.0.0/29' })
    const { ipv4 } = await core.allocate({ owner: 'a', expirationMs: 60_000 })
    const target = `/v1/ipam/${ipv4!.ip}/expiration?expiration-uuid=${uuid(ipv4!.expirationUUID!)}`
    expect((await call('DELETE', target)).status).toBe(status)
    await clock.advance(60_000)
    expect(core.leaseCount).toBe(left)
  })

  test('answers 404 where nothing expires', async () => {
    const { call } = await apiOf({ ipv4: '10.0.0.0/29' })
    const target = '/v1/ipam/10.0.0.1/expiration?expiration-uuid=u'
    expect(await call('DELETE', target)).toMatchObject({ status: 404, code: 'TIMER_NOT_FOUND' })
  })
})

describe('/v1/attachment', () => {
  test('is put, read and deleted, each as often as one likes', async () => {
    const { call } = await apiOf(DUAL)
    const path = '/v1/attachment/net/c1/eth0'
    expect(await call('GET', path)).toMatchObject({ status: 404, code: 'ATTACHMENT_UNKNOWN' })
    const first = await call('PUT', `${path}?owner=default%2Fa`)
    expect(first.status).toBe(201)
    expect((await call('PUT', `${path}?owner=default%2Fa`)).body).toEqual(first.body)
    expect(await call('GET', path)).toMatchObject({ status: 200, body: first.body })
    for (let time = 0; time < 2; time++) expect((await call('DELETE', path)).status).toBe(200)
    expect((await call('GET', path)).status).toBe(404)
  })

  test('ends what the list of a network does not have', async () => {
    const { call, core } = await apiOf({ ipv4: '10.0.0.0/29' })
    for (const id of ['c1', 'c2', 'c3']) await call('PUT', `/v1/attachment/net/${id}/eth0?owner=${id}`)
    const body = JSON.stringify({ valid: [{ containerID: 'c2', ifname: 'eth0' }] })
    expect(await call('POST', '/v1/attachment/net', { body })).toMatchObject({ status: 200, body: { released: 2 } })
    expect(core.leaseCount).toBe(1)
  })

  test.each(['', 'null', '{}', '{"valid": {}}', '{"valid": [{"containerID": "c1"}]}', '{"valid": [null]}'])(
    'ends nothing for the list %s',
    async (body) => {
      const { call, core } = await apiOf({ ipv4: '10.0.0.0/29' })
      await call('PUT', '/v1/attachment/net/c1/eth0?owner=a')
      expect((await call('POST', '/v1/attachment/net', { body })).status).toBe(400)
      expect(core.leaseCount).toBe(1)
    },
  )
})

describe('the API', () => {
  test('dumps who holds what', async () => {
    const { call, core } = await apiOf(DUAL)
    await core.allocateIP('10.0.0.2', 'default/a')
    await core.allocateIP('fd00::3', 'default/a')
    expect(await call('GET', '/v1/ipam')).toMatchObject({
      status: 200,
      body: {
        allocations: { '10.0.0.2': 'default/a', 'fd00::3': 'default/a' },
        ipv4: ['10.0.0.2'],
        ipv6: ['fd00::3'],
        status: expect.stringContaining('IPv4: 1/6 allocated from 10.0.0.0/29'),
      },
    })
  })

  test('answers 503 to everything that changes something before it is ready, and says so', async () => {
    const { call } = await apiOf(DUAL, { isOpen: false })
    for (const [method, target] of [
      ['POST', '/v1/ipam?owner=a'],
      ['POST', '/v1/ipam/10.0.0.1?owner=a'],
      ['DELETE', '/v1/ipam/10.0.0.1'],
      ['DELETE', '/v1/ipam/10.0.0.1/expiration'],
      ['PUT', '/v1/attachment/net/c1/eth0'],
      ['DELETE', '/v1/attachment/net/c1/eth0'],
    ] as const)
      expect(await call(method, target)).toMatchObject({ status: 503, code: 'NOT_READY' })
    expect(await call('GET', '/healthz')).toMatchObject({ status: 503, body: { ok: false, reasons: ['starting'] } })
    expect((await call('GET', '/v1/healthz')).status).toBe(503)
    expect((await call('GET', '/metrics')).body).toBe('berth_up 1\n')
  })

  test.each([
    ['GET', '/v1/nothing', 404],
    ['GET', '/v1/ipam/', 404],
    ['PUT', '/v1/attachment/net/c1%2Fx/eth0', 404],
    ['GET', '/v1/ipam/%zz', 404],
    ['PUT', '/v1/ipam', 405],
    ['GET', '/v1/ipam/10.0.0.1', 405],
  ])('answers %s %s with %i', async (method, target, status) => {
    const { call } = await apiOf(DUAL)
    expect((await call(method, target)).status).toBe(status)
  })

  test('waits for an address for as long as it is told, a minute at most', async () => {
    const { call, clock } = await apiOf({ ipv4Allocator: new FakePoolAllocator({ default: [] }) })
    const answer = call('PUT', '/v1/attachment/net/c1/eth0?wait-ms=999999')
    await clock.advance(60_000)
    expect(await answer).toMatchObject({ status: 502, code: 'NO_MORE_IPS' })
  })

  test('reports a defect of its own as 500, in the log too', async () => {
    const ipv4Allocator = new FakePoolAllocator({ default: ['10.0.0.1'] })
    const { call, errors } = await apiOf({ ipv4Allocator })
    ipv4Allocator.allocateNext = () => {
      throw new TypeError('oops')
    }
    expect(await call('POST', '/v1/ipam')).toMatchObject({ status: 500, code: '', body: 'oops' })
    expect(errors).toEqual(['A request failed through a defect'])
  })
})
