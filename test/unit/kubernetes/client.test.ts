import { describe, expect, test } from 'vitest'
import { KubernetesClient } from '../../../src/kubernetes/client.ts'
import { KubernetesAPIError } from '../../../src/kubernetes/errors.ts'
import { RateLimiter } from '../../../src/kubernetes/rate-limiter.ts'
import { inProcessTransport } from '../../../src/kubernetes/transport.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import type { Answer, SeenRequest } from './scripted-server.ts'
import { FedWatch, scriptedServer, statusAnswer } from './scripted-server.ts'

const never = new AbortController().signal

function setUp(script: (request: SeenRequest, count: number) => Answer | Promise<Answer>, qps = 1_000, burst = 1_000) {
  const clock = new ManualClock()
  let count = 0
  const server = scriptedServer((request) => script(request, count++))
  const client = new KubernetesClient({
    transport: inProcessTransport(server.handler),
    clock,
    random: { next: () => 0.5 },
    limiter: new RateLimiter({ clock, qps, burst }),
  })
  return { clock, client, requests: server.requests }
}

async function failure(work: Promise<unknown>): Promise<KubernetesAPIError> {
  const error: unknown = await work.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(KubernetesAPIError)
  return error as KubernetesAPIError
}

describe('a refusal', () => {
  test.each([
    [409, 'Conflict', 'conflict'],
    [409, 'AlreadyExists', 'alreadyExists'],
    [404, 'NotFound', 'notFound'],
    [410, 'Expired', 'gone'],
    [401, 'Unauthorized', 'denied'],
    [403, 'Forbidden', 'denied'],
    [422, 'Invalid', 'invalid'],
    [415, 'UnsupportedMediaType', 'invalid'],
    [500, 'InternalError', 'unavailable'],
    [504, 'Timeout', 'unavailable'],
    [302, '', 'unknown'],
  ])('%i %s is %s', async (status, reason, kind) => {
    const { client } = setUp(() => statusAnswer(status, reason, 'the words of the server'))
    const error = await failure(client.get('/api/v1/nodes/a', { signal: never }))
    expect(error).toMatchObject({ kind, status, reason })
    expect(error.message).toBe(`GET /api/v1/nodes/a: ${status} the words of the server`)
  })

  test('of a proxy that speaks no Kubernetes keeps its words', async () => {
    const { client } = setUp(() => ({ status: 502, body: '<html>bad gateway</html>' }))
    expect((await failure(client.get('/x', { signal: never }))).message).toBe('GET /x: 502 <html>bad gateway</html>')
  })
})

test('an answer cut in half is malformed, not a crash', async () => {
  const { client } = setUp(() => ({ body: '{"items": [' }))
  expect(await failure(client.get('/x', { signal: never }))).toMatchObject({ kind: 'malformed' })
})

test('a connection that fails is unavailable, with the words of the socket', async () => {
  const { client } = setUp(() => {
    throw Object.assign(new AggregateError([new Error('connect ECONNREFUSED 127.0.0.1:6443')], ''))
  })
  expect(await failure(client.get('/x', { signal: never }))).toMatchObject({
    kind: 'unavailable',
    message: 'GET /x: connect ECONNREFUSED 127.0.0.1:6443',
  })
})

describe('a server under load', () => {
  test('is asked again after the time that it names, and a little later', async () => {
    const { clock, client, requests } = setUp((_, count) =>
      count === 0 ? statusAnswer(429, 'TooManyRequests', 'slow', { 'retry-after': '3' }) : { body: { ok: true } },
    )
    const answer = client.get('/x', { signal: never })
    await clock.advance(3_000)
    expect(requests).toHaveLength(1)
    await clock.advance(400)
    await expect(answer).resolves.toEqual({ ok: true })
    expect(requests).toHaveLength(2)
  })

  test('that names no time is asked again after a second', async () => {
    const { clock, client, requests } = setUp((_, count) => (count === 0 ? statusAnswer(429, '') : {}))
    const answer = client.get('/x', { signal: never })
    await clock.advance(999)
    expect(requests).toHaveLength(1)
    await clock.advance(200)
    await answer
  })

  test('that refuses again and again is given up on, with its wish', async () => {
    const { clock, client, requests } = setUp(() =>
      statusAnswer(429, 'TooManyRequests', 'slow', { 'retry-after': '1' }),
    )
    const error = failure(client.get('/x', { signal: never }))
    await clock.advance(20_000)
    expect(await error).toMatchObject({ kind: 'throttled', retryAfterMs: 1_000 })
    expect(requests).toHaveLength(5)
  })

  test('that shuts down (503 with Retry-After) is asked again; a plain 503 is not', async () => {
    const first = setUp((_, count) => (count === 0 ? statusAnswer(503, '', '', { 'retry-after': '1' }) : {}))
    const answer = first.client.get('/x', { signal: never })
    await first.clock.advance(2_000)
    await answer
    const second = setUp(() => statusAnswer(503, 'ServiceUnavailable'))
    expect(await failure(second.client.get('/x', { signal: never }))).toMatchObject({ kind: 'unavailable' })
    expect(second.requests).toHaveLength(1)
  })
})

test('a silent server is given up on at the deadline', async () => {
  const { clock, client } = setUp(() => new Promise<Answer>(() => undefined))
  const error = failure(client.get('/x', { signal: never }))
  await clock.advance(30_000)
  expect(await error).toMatchObject({ kind: 'unavailable', message: 'GET /x: no answer within 30 s' })
  expect(clock.sleeping).toBe(0)
})

test('an abort rejects with its own reason and leaves no timer behind', async () => {
  const { clock, client } = setUp(() => new Promise<Answer>(() => undefined))
  const stop = new AbortController()
  const answer = client.get('/x', { signal: stop.signal })
  await settle()
  stop.abort(new Error('stopping'))
  await expect(answer).rejects.toThrow('stopping')
  expect(clock.sleeping).toBe(0)
})

describe('the wire form', () => {
  test('a merge patch names its type and who writes', async () => {
    const { client, requests } = setUp(() => ({}))
    await client.mergePatch('/apis/cilium.io/v2/ciliumnodes/a', { spec: { x: null } }, never)
    expect(requests[0]).toMatchObject({
      method: 'PATCH',
      body: '{"spec":{"x":null}}',
      headers: { 'content-type': 'application/merge-patch+json' },
    })
    expect(requests[0]?.query.get('fieldManager')).toBe('berth-controller')
  })

  test('a query leaves out what is not set and encodes the rest', async () => {
    const { client, requests } = setUp(() => ({}))
    await client.get('/x', {
      query: { limit: 100, continue: undefined, fieldSelector: 'status.phase=Pending' },
      signal: never,
    })
    expect(requests[0]?.query.toString()).toBe('limit=100&fieldSelector=status.phase%3DPending')
  })
})

test('a watch still ends with its signal after its first line', async () => {
  const watch = new FedWatch()
  const { client } = setUp(() => ({ body: watch }))
  const stop = new AbortController()
  const pieces = await client.watch('/x', { signal: stop.signal })
  watch.sendText('one\n')
  const read: string[] = []
  const reading = (async () => {
    for await (const piece of pieces) read.push(piece)
  })()
  await settle()
  expect(read).toEqual(['one\n'])
  stop.abort(new Error('enough'))
  await expect(reading).rejects.toThrow('enough')
})

describe('the rate limiter', () => {
  test.each([
    { qps: 4, burst: 2, callsAt: [0, 0, 0, 0], delays: [0, 0, 250, 500] },
    { qps: 2, burst: 1, callsAt: [0, 0, 5_000, 5_000], delays: [0, 500, 0, 500] },
  ])('lets $burst through at once and then $qps a second', async ({ qps, burst, callsAt, delays }) => {
    const clock = new ManualClock()
    const limiter = new RateLimiter({ clock, qps, burst })
    const seen: number[] = []
    for (const [index, atMs] of callsAt.entries()) {
      await clock.advance(atMs - clock.now())
      const startMs = clock.now()
      void limiter.acquire(never).then(() => {
        seen[index] = clock.now() - startMs
      })
    }
    await clock.advance(10_000)
    expect(seen).toEqual(delays)
  })

  test('gets the token of an aborted wait back', async () => {
    const clock = new ManualClock()
    const limiter = new RateLimiter({ clock, qps: 1, burst: 1 })
    await limiter.acquire(never)
    const stop = new AbortController()
    const aborted = limiter.acquire(stop.signal)
    stop.abort(new Error('no more'))
    await expect(aborted).rejects.toThrow('no more')
    let isServed = false
    void limiter.acquire(never).then(() => {
      isServed = true
    })
    await clock.advance(1_000)
    expect(isServed).toBe(true)
  })
})
