import { expect, test } from 'vitest'
import { CallLedger } from '../../../../simulators/kit/calls.ts'
import type { Clock } from '../../../../simulators/kit/clock.ts'
import { systemClock } from '../../../../simulators/kit/clock.ts'
import { withControl } from '../../../../simulators/kit/control.ts'
import { FaultScript } from '../../../../simulators/kit/faults.ts'
import { InputError } from '../../../../simulators/kit/input.ts'
import { ManualClock } from '../../../../simulators/kit/manual-clock.ts'
import { seededRandom } from '../../../../simulators/kit/random.ts'

function setUp(clock: Clock = new ManualClock()) {
  let world: unknown = { things: 1 }
  let throttle: unknown = 'documented'
  const faults = new FaultScript(seededRandom(1))
  const calls = new CallLedger(2)
  const router = withControl(async () => ({ status: 200, headers: {}, body: 'the API' }), {
    name: 'test',
    clock,
    calls,
    faults,
    throttle: { get: () => throttle, set: (table) => (throttle = table) },
    reset: () => (world = { things: 0 }),
    snapshot: () => world,
    load(state) {
      if (typeof state !== 'object') throw new InputError('state', ['is not an object'])
      world = state
    },
    doors: { 'POST /_berth/state/things': (body) => ({ made: body }) },
  })
  const send = async (method: string, path: string, body = '') => {
    const request = { method, path, query: new URLSearchParams(), headers: {}, body }
    const response = await router(request, new AbortController().signal)
    if (typeof response.body !== 'string') throw new Error('not a text')
    return { status: response.status, body: response.body.startsWith('{') ? JSON.parse(response.body) : response.body }
  }
  return { send, calls, faults }
}

test('what is not a control path goes to the API', async () => {
  expect(await setUp().send('GET', '/other')).toEqual({ status: 200, body: 'the API' })
})

test('a state that is read can be loaded again after a reset', async () => {
  const { send } = setUp()
  const { body } = await send('GET', '/_berth/state')
  await send('POST', '/_berth/reset')
  expect((await send('GET', '/_berth/state')).body).toEqual({ things: 0 })
  expect((await send('PUT', '/_berth/state', JSON.stringify(body))).status).toBe(200)
  expect((await send('GET', '/_berth/state')).body).toEqual({ things: 1 })
})

test('faults can be set, read back, put again and removed', async () => {
  const { send, faults } = setUp()
  const rules = { rules: [{ action: 'A', kind: 'drop' }] }
  expect((await send('PUT', '/_berth/faults', JSON.stringify(rules))).status).toBe(200)
  const { body } = await send('GET', '/_berth/faults')
  expect(body).toMatchObject({
    rules: [{ action: 'A', kind: 'drop', where: 'before-effect' }],
    counters: [{ strikes: 0 }],
  })
  expect((await send('PUT', '/_berth/faults', JSON.stringify(body))).status).toBe(200)
  await send('DELETE', '/_berth/faults')
  expect(faults.status()).toEqual([])
})

test('a manual clock can be advanced, the real one cannot', async () => {
  expect((await setUp().send('POST', '/_berth/clock', '{"advanceMs": 250}')).body).toMatchObject({
    nowMs: 250,
    manual: true,
  })
  const refused = await setUp(systemClock).send('POST', '/_berth/clock', '{"advanceMs": 250}')
  expect(refused).toMatchObject({ status: 400, body: { error: expect.stringContaining('only a manual one') } })
})

test('calls report counts by action and the latest calls, oldest first', async () => {
  const { send, calls } = setUp()
  calls.record({ atMs: 1, action: 'B', outcome: 'ok', caller: 'me' })
  calls.record({ atMs: 2, action: 'A', outcome: 'refused', code: 'Slow' })
  calls.record({ atMs: 3, action: 'B', outcome: 'failed' })
  const { body } = await send('GET', '/_berth/calls')
  expect(body).toMatchObject({
    attempts: 3,
    refused: 1,
    failed: 1,
    actions: { A: { attempts: 1, refused: 1 }, B: { attempts: 2, ok: 1, failed: 1 } },
    callers: { me: 1 },
    last: [{ atMs: 2 }, { atMs: 3 }],
  })
  await send('DELETE', '/_berth/calls')
  expect((await send('GET', '/_berth/calls')).body).toMatchObject({ attempts: 0, last: [] })
})

test('the throttle takes its names or a table', async () => {
  const { send } = setUp()
  expect((await send('PUT', '/_berth/throttle', '"none"')).status).toBe(200)
  expect((await send('PUT', '/_berth/throttle', '"some"')).status).toBe(400)
  expect((await send('PUT', '/_berth/throttle', '{"rules":[]}')).status).toBe(200)
})

test.each([
  ['not JSON', 'PUT', '/_berth/state', '{', 400, /state: is not JSON/],
  ['a state of another kind', 'PUT', '/_berth/state', '7', 400, /is not an object/],
  ['an unknown path', 'GET', '/_berth/sate', '', 404, /not a control path/],
  ['a known path with another method', 'PATCH', '/_berth/state', '', 405, /not a control path/],
])('%s is refused with the reason', async (_, method, path, body, status, error) => {
  const answer = await setUp().send(method, path, body)
  expect(answer.status).toBe(status)
  expect(answer.body.error).toMatch(error)
})

test('an unknown path is told which paths there are', async () => {
  const { body } = await setUp().send('GET', '/_berth/nothing')
  expect(body.paths).toContain('POST /_berth/state/things')
  expect(body.paths).toContain('GET /_berth/health')
})
