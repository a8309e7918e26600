import { describe, expect, test } from 'vitest'
import { ARMCaller, isOwnURL } from '../../../../providers/azure/arm-caller.ts'
import type { ARMClient } from '../../../../providers/azure/client.ts'
import type { CallContext } from '../../../../src/runtime/call-priority.ts'
import type { BudgetRequest } from '../../../../src/budget/contracts.ts'
import { seededRandom } from '../../../../src/runtime/random.ts'
import { SILENT } from '../../../conformance/adapters/aws-node.ts'
import { ok, page, refusal, ScriptedARM, type ARMResponder } from '../../../conformance/adapters/azure-scripted-arm.ts'
import { ManualClock } from '../../../support/manual-clock.ts'

const CONTEXT: CallContext = { priority: 'watermark', reason: 'test', signal: new AbortController().signal }
const LIST = { operation: 'Interfaces.List', url: '/nics?api-version=1' } as const
const GET = { operation: 'Interfaces.Get', url: '/nics/a?api-version=1' } as const
const PUT = { operation: 'Interfaces.CreateOrUpdate', url: '/nics/a?api-version=1', document: {} } as const

function makeCaller(respond: ARMResponder, client?: ARMClient) {
  const clock = new ManualClock()
  const arm = new ScriptedARM(respond)
  const requests: BudgetRequest[] = []
  const observed: string[] = []
  const measured: string[] = []
  const caller = new ARMCaller({
    client: client ?? arm.client,
    budget: {
      run: (request, call) => {
        requests.push(request)
        return call()
      },
      observeRemaining: (bucket, tokens) => observed.push(`${bucket} ${tokens}`),
    },
    clock,
    random: seededRandom(1),
    log: SILENT,
    metrics: {
      observeAPICall: (operation, code, seconds) => measured.push(`${operation} ${code} ${seconds > 0}`),
      observeRateLimit() {},
    },
  })
  const driven = async <T>(work: Promise<T>): Promise<T> => {
    work.catch(() => undefined)
    for (let waited = 0; waited < 600; waited++) await clock.advance(250)
    return work
  }
  return { caller, arm, clock, requests, observed, measured, driven }
}

describe('a list', () => {
  const pages: ARMResponder = ({ query }) =>
    query.get('page') === '2'
      ? page([{ id: 'c' }])
      : query.get('page') === '1'
        ? ok({ value: [], nextLink: 'https://management.azure.com/nics?page=2' })
        : ok({ value: [{ id: 'a' }], nextLink: 'https://management.azure.com/nics?page=1' })

  test('follows its links as they are, each page through the budget, and is measured once', async () => {
    const { caller, requests, measured } = makeCaller(pages)
    expect(await caller.list(LIST, CONTEXT)).toEqual([{ id: 'a' }, { id: 'c' }])
    expect(requests.map(({ action, priority, reason }) => [action, priority, reason])).toEqual(
      Array.from({ length: 3 }, () => ['Interfaces.List', 'watermark', 'test']),
    )
    expect(requests[0]?.buckets).toEqual([
      { bucket: 'subscription-reads', cost: 1 },
      { bucket: 'Microsoft.Network/reads', cost: 1 },
    ])
    expect(measured).toEqual(['Interfaces.List OK false'])
  })

  test('follows links to the cloud itself where the endpoint is another way to it', async () => {
    const arm = new ScriptedARM(pages)
    const { caller, arm: direct } = makeCaller(pages, {
      ...arm.client,
      endpoint: 'https://proxy',
      audience: arm.client.endpoint,
    })
    expect(await caller.list(LIST, CONTEXT)).toHaveLength(2)
    expect([arm.requests.length, direct.requests.length]).toEqual([3, 0])
  })

  test('takes our token to no other host', async () => {
    const { caller, arm, driven } = makeCaller(() => ok({ value: [], nextLink: 'https://management.example.com/nics' }))
    await expect(driven(caller.list(LIST, CONTEXT))).rejects.toMatchObject({ kind: 'unavailable' })
    expect(arm.requests.every(({ path }) => path === '/nics')).toBe(true)
  })

  test('that is no list is no answer', async () => {
    const { caller, driven } = makeCaller(() => ok({ error: 'proxy' }))
    await expect(driven(caller.list(LIST, CONTEXT))).rejects.toMatchObject({ kind: 'unavailable' })
  })

  test.each([
    { url: 'https://westeurope.management.azure.com/x', isOwn: true },
    { url: 'http://management.azure.com/x', isOwn: false },
    { url: 'https://management.azure.com.example.com/x', isOwn: false },
    { url: 'https://evil-management.azure.com/x', isOwn: false },
    { url: 'x', isOwn: false },
  ])('$url is ours: $isOwn', ({ url, isOwn }) => {
    expect(isOwnURL(url, 'https://management.azure.com')).toBe(isOwn)
  })
})

describe('a read', () => {
  test('that is not answered is repeated twice', async () => {
    let calls = 0
    const { caller, driven, measured } = makeCaller(() =>
      (calls += 1) < 3 ? refusal(503, 'ServiceUnavailable') : ok({}),
    )
    expect((await driven(caller.get(GET, CONTEXT))).document).toEqual({})
    expect(measured).toEqual(['Interfaces.Get OK true'])
  })

  test('that is never answered fails as such', async () => {
    const { caller, arm, driven, measured } = makeCaller(() => {
      throw new Error('socket hang up')
    })
    await expect(driven(caller.get(GET, CONTEXT))).rejects.toMatchObject({ kind: 'unavailable', code: '' })
    expect(arm.requests).toHaveLength(3)
    expect(measured).toEqual(['Interfaces.Get Failed true'])
  })

  test.each(['ResourceNotFound', 'AuthorizationFailed'])('that is refused is not: %s', async (code) => {
    const { caller, arm } = makeCaller(() => refusal(code === 'ResourceNotFound' ? 404 : 403, code))
    await expect(caller.get(GET, CONTEXT)).rejects.toMatchObject({ code })
    expect(arm.requests).toHaveLength(1)
  })

  test('ends with its signal', async () => {
    const gone = new AbortController()
    const { caller, clock } = makeCaller(() => refusal(500, 'InternalServerError'))
    const read = caller.get(GET, { ...CONTEXT, signal: gone.signal })
    read.catch(() => undefined)
    await clock.advance(0)
    gone.abort(new Error('node deleted'))
    await expect(read).rejects.toThrow('node deleted')
  })
})

describe('a write', () => {
  test('is sent once, whatever becomes of it', async () => {
    const { caller, arm, driven } = makeCaller(() => refusal(500, 'InternalServerError'))
    await expect(driven(caller.put(PUT, CONTEXT))).rejects.toMatchObject({ kind: 'unavailable' })
    expect(arm.requests).toHaveLength(1)
  })

  test('that is not admitted is not sent', async () => {
    const { caller, arm } = makeCaller(() => ok({}))
    const admit = (): never => {
      throw new Error('paused')
    }
    await expect(caller.put({ ...PUT, admit }, CONTEXT)).rejects.toThrow('paused')
    expect(arm.requests).toEqual([])
  })
})

describe('the rate', () => {
  test('that the headers tell reaches the budget', async () => {
    const { caller, observed } = makeCaller(() => ({
      status: 200,
      headers: {
        'x-ms-ratelimit-remaining-subscription-reads': '7',
        'x-ms-ratelimit-remaining-subscription-resource-requests': '5',
      },
      body: {},
    }))
    await caller.get(GET, CONTEXT)
    expect(observed).toEqual(['subscription-reads 7', 'Microsoft.Network/reads 5'])
  })

  test.each([
    { code: 'SubscriptionRequestsThrottled', bucket: 'subscription-reads' },
    { code: 'TooManyRequests', bucket: 'Microsoft.Network/reads' },
  ])('a refusal for it names its bucket: $code', async ({ code, bucket }) => {
    const { caller } = makeCaller(() => ({ ...refusal(429, code), headers: { 'Retry-After': '6' } }))
    await expect(caller.get(GET, CONTEXT)).rejects.toMatchObject({
      kind: 'throttled',
      cause: { retryAfterMs: 6000, scope: { kind: 'shared', bucket } },
    })
  })

  test('of one machine is waited for here, and the call made again', async () => {
    let refusals = 0
    const { caller, requests, driven, clock } = makeCaller(() =>
      (refusals += 1) <= 2
        ? { ...refusal(429, 'OperationNotAllowed'), headers: { 'Retry-After': '20' } }
        : ok({ answeredAtMs: clock.now() }),
    )
    const call = { operation: 'VirtualMachineScaleSetVMs.Get', url: '/vm', resource: 'vm-0' } as const
    const { document } = await driven(caller.get(call, CONTEXT))
    expect(document).toEqual({ answeredAtMs: 40_000 })
    expect(requests).toHaveLength(3)
  })

  test('of one machine that never recovers is an error in the end', async () => {
    const { caller, driven } = makeCaller(() => ({
      ...refusal(429, 'OperationNotAllowed'),
      headers: { 'Retry-After': '1' },
    }))
    const call = { operation: 'VirtualMachineScaleSetVMs.Get', url: '/vm', resource: 'vm-0' } as const
    await expect(driven(caller.get(call, CONTEXT))).rejects.toMatchObject({ kind: 'throttled' })
  })
})
