import { describe, expect, test } from 'vitest'
import type { WriteTarget } from '../../../../providers/azure/api.ts'
import type { ARMResponse } from '../../../../providers/azure/client.ts'
import { refusalError } from '../../../../providers/azure/errors.ts'
import { OPERATION_TIMED_OUT, OperationFollower } from '../../../../providers/azure/operation-follower.ts'
import { readPoll, startOf } from '../../../../providers/azure/operation-state.ts'
import { CloudAPIError } from '../../../../src/ipam/errors.ts'
import type { JSONObject } from '../../../../src/ipam/types.ts'
import type { CallContext } from '../../../../src/runtime/call-priority.ts'
import { ManualClock } from '../../../support/manual-clock.ts'
import { nicDocument } from './builders.ts'

const TARGET: WriteTarget = { kind: 'interface', path: '/nics/a', key: '/nics/a' }
const CONTEXT: CallContext = { priority: 'pod-waiting', reason: 'test', signal: new AbortController().signal }
const STATUS = { 'azure-asyncoperation': 'https://management.azure.com/op' }

function answer(status: number, body: object | string, headers: Record<string, string> = {}): ARMResponse {
  return {
    status,
    header: (name) => headers[name.toLowerCase()],
    body: typeof body === 'string' ? body : JSON.stringify(body),
  }
}

const provisioning = (provisioningState: string): object => ({ properties: { provisioningState } })

describe('a write is followed', () => {
  test.each([
    { by: 'status', headers: { ...STATUS, location: 'x' }, body: {} },
    { by: 'status', headers: { 'operation-location': 'x' }, body: provisioning('Succeeded') },
    { by: 'result', headers: { location: 'x' }, body: {} },
    { by: 'resource', headers: {}, body: provisioning('Updating') },
  ])('by its $by', ({ by, headers, body }) => {
    expect(startOf(answer(200, body, headers), '/self')).toMatchObject({ kind: 'running', followedBy: by })
  })

  test.each(['Succeeded', ''])('not at all when the first answer is at its end: %s', (state) => {
    expect(startOf(answer(200, provisioning(state)), '/self')).toEqual({
      kind: 'ended',
      reading: { kind: 'succeeded' },
    })
  })
})

describe('a look', () => {
  test.each([
    { status: 'Succeeded', kind: 'succeeded' },
    { status: 'PartiallySucceeded', kind: 'succeeded' },
    { status: 'Failed', kind: 'failed' },
    { status: 'Cancelled', kind: 'failed' },
    { status: 'InProgress', kind: 'running' },
    { status: 'Accepted', kind: 'running' },
    { status: '', kind: 'running' },
  ])('at status "$status": $kind', ({ status, kind }) => {
    expect(readPoll('status', answer(200, { status })).kind).toBe(kind)
  })

  test('that was cut says nothing', () => {
    expect(readPoll('status', answer(200, '{"status": "Succ')).kind).toBe('running')
  })

  test('at a failed machine finds the code in its instance view', () => {
    const statuses = [
      { code: 'PowerState/running' },
      { code: 'ProvisioningState/failed/SubnetIsFull', message: 'full' },
    ]
    const body = { properties: { provisioningState: 'Failed', instanceView: { statuses } } }
    expect(readPoll('resource', answer(200, body))).toMatchObject({
      kind: 'failed',
      error: { code: 'SubnetIsFull', message: 'full' },
    })
  })
})

interface Looks {
  readonly polls?: readonly (ARMResponse | CloudAPIError)[]
  readonly documents?: readonly JSONObject[]
}

/** Follows one write. `looks`: when each look was made (s), and with which priority. */
async function follow(accepted: ARMResponse, { polls = [], documents = [] }: Looks) {
  const clock = new ManualClock()
  const looks: string[] = []
  const next = <T>(list: readonly T[], priority: string): T => {
    looks.push(`${clock.now() / 1000} ${priority}`)
    const found = list[Math.min(looks.length, list.length) - 1]
    if (found === undefined) throw new Error('nothing to answer')
    return found
  }
  const follower = new OperationFollower({
    api: {
      pollOperation: async (_target, _url, { priority }) => {
        const found = next(polls, priority)
        if (found instanceof CloudAPIError) throw found
        return found
      },
      readTarget: async (_target, { priority }) => next(documents, priority),
    },
    clock,
    pollIntervalMs: 10_000,
    operationTimeoutMs: 60_000,
  })
  const work = follower.follow(TARGET, accepted, CONTEXT)
  const state: { outcome?: unknown } = {}
  const ended = work.then(
    () => (state.outcome = 'done'),
    (error: unknown) => (state.outcome = error),
  )
  for (let waited = 0; waited < 400 && state.outcome === undefined; waited++) await clock.advance(1000)
  await ended
  return { outcome: state.outcome, looks }
}

const running = answer(200, { status: 'InProgress' })
const succeeded = answer(200, { status: 'Succeeded' })
const unavailable = new CloudAPIError('no answer', { kind: 'unavailable', code: '', action: 'x' })

describe('the follower', () => {
  test('looks no sooner than Azure asks, the first time too, and as urgently as it writes', async () => {
    const accepted = answer(200, {}, { ...STATUS, 'retry-after': '20' })
    const polls = [answer(200, { status: 'InProgress' }, { 'retry-after': '3' }), running, succeeded]
    expect(await follow(accepted, { polls })).toEqual({
      outcome: 'done',
      looks: ['20 pod-waiting', '23 pod-waiting', '33 pod-waiting'],
    })
  })

  test('does not look once a second and more often, nor once an hour', async () => {
    const { looks } = await follow(answer(200, {}, { ...STATUS, 'retry-after': '0' }), {
      polls: [answer(200, { status: 'InProgress' }, { 'retry-after': '0' }), succeeded],
    })
    expect(looks).toEqual(['1 pod-waiting', '2 pod-waiting'])
    const patient = await follow(answer(200, {}, { ...STATUS, 'retry-after': '3600' }), { polls: [succeeded] })
    expect(patient.looks).toEqual(['300 pod-waiting'])
  })

  test('knows the code of a failure', async () => {
    const polls = [answer(200, { status: 'Failed', error: { code: 'SubnetIsFull', message: 'full' } })]
    const { outcome } = await follow(answer(200, {}, STATUS), { polls })
    expect(outcome).toMatchObject({ kind: 'exhausted', code: 'SubnetIsFull' })
  })

  test('takes an operation that ends with trouble of the service for ended', async () => {
    const polls = [answer(200, { status: 'Failed', error: { code: 'InternalServerError', message: '' } })]
    const { outcome, looks } = await follow(answer(200, {}, STATUS), { polls })
    expect(outcome).toMatchObject({ kind: 'unavailable', code: 'InternalServerError' })
    expect(looks).toHaveLength(1)
  })

  test('goes on after a look without an answer', async () => {
    const throttled = new CloudAPIError('busy', { kind: 'throttled', code: 'TooManyRequests', action: 'x' })
    const { outcome, looks } = await follow(answer(200, {}, STATUS), { polls: [unavailable, throttled, succeeded] })
    expect([outcome, looks.length]).toEqual(['done', 3])
  })

  test('gives up on an operation that does not end', async () => {
    const { outcome, looks } = await follow(answer(200, {}, STATUS), { polls: [running] })
    expect(outcome).toMatchObject({ kind: 'unavailable', code: OPERATION_TIMED_OUT })
    expect(looks).toHaveLength(6)
  })

  test.each([404, 403])(
    'whose record cannot be had (%i) waits for the document to rest, and says that it must be read',
    async (status) => {
      const gone = refusalError('x', { code: 'NotFound', message: '', outerCode: '', target: '' }, { status })
      const { outcome, looks } = await follow(answer(200, {}, STATUS), {
        polls: [gone],
        documents: [
          nicDocument({ provisioningState: 'Updating' }),
          nicDocument({ provisioningState: 'Updating' }),
          nicDocument(),
        ],
      })
      expect(outcome).toMatchObject({ kind: 'stale' })
      expect(looks).toHaveLength(3)
    },
  )

  test('looks at the resource itself where Azure names nothing else', async () => {
    const { outcome, looks } = await follow(answer(200, provisioning('Updating')), {
      documents: [nicDocument({ provisioningState: 'Updating' }), nicDocument()],
    })
    expect([outcome, looks]).toEqual(['done', ['10 pod-waiting', '20 pod-waiting']])
  })
})
