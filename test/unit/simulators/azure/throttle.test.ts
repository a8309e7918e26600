import { expect, test } from 'vitest'
import { chargesFor, createAzureSimulator } from '../../../../simulators/azure/index.ts'
import { NIC, P, VM, startSimulator } from './support.ts'

const NICS = `${P}/Microsoft.Network/networkInterfaces`

test('every answer tells what is left of reads and writes', async () => {
  const { get, put, simulator } = startSimulator({ throttle: 'documented' })
  simulator.makeInstances({ kind: 'standalone', count: 1 })
  const read = await get(NIC)
  expect(read.headers).toMatchObject({
    'x-ms-ratelimit-remaining-subscription-reads': '249',
    'x-ms-ratelimit-remaining-subscription-global-reads': '3749',
  })
  expect(read.headers['x-ms-ratelimit-remaining-resource']).toBeUndefined()
  const written = await put(NIC, read.body)
  expect(written.headers['x-ms-ratelimit-remaining-subscription-writes']).toBe('199')
})

test('reads of one client are refused after 250, told when to come back, and another client is not', async () => {
  const { clock, get, simulator } = startSimulator({ throttle: 'documented' })
  for (let call = 0; call < 250; call++) expect((await get(NICS)).status).toBe(200)
  const refused = await get(NICS)
  expect([refused.status, refused.code, refused.headers['retry-after']]).toEqual([
    429,
    'SubscriptionRequestsThrottled',
    '1',
  ])
  expect(refused.body.error.message).toMatch(/^Number of 'read' requests for subscription '.*' actor 'tester' exceeded/)
  expect((await get(NICS, { headers: { authorization: 'Bearer other' } })).status).toBe(200)
  expect(simulator.calls.counts('Interfaces.List')).toEqual({ attempts: 252, ok: 251, refused: 1, failed: 0 })
  await clock.advance(1000)
  expect((await get(NICS)).headers['x-ms-ratelimit-remaining-subscription-reads']).toBe('24')
})

test('a scale-set VM takes 12 writes at once and 4 a minute; Compute refuses without an outer error object', async () => {
  const { clock, get, put, simulator } = startSimulator({
    throttle: 'documented',
    settings: { computeOperationMs: { min: 0, max: 0 } },
  })
  simulator.makeInstances({ count: 2 })
  const vm = (await get(VM)).body
  for (let call = 0; call < 12; call++) expect((await put(VM, vm)).status).toBe(200)
  const refused = await put(VM, vm)
  expect(refused.status).toBe(429)
  expect(refused.body).toMatchObject({
    code: 'OperationNotAllowed',
    details: [{ code: 'TooManyRequests', target: 'UpdateVMScaleSetVM' }],
  })
  expect(refused.headers['retry-after']).toBe('15')
  expect((await put(VM.replace(/0$/, '1'), vm)).headers['x-ms-ratelimit-remaining-resource']).toBe(
    'Microsoft.Compute/UpdateVMScaleSetVMSubscriptionMaximum;1487,Microsoft.Compute/UpdateVMScaleSetVMResourceMaximum;11',
  )
  await clock.advance(14_999)
  expect((await put(VM, vm)).status).toBe(429)
  await clock.advance(1)
  expect((await put(VM, vm)).status).toBe(200)
})

test('polls draw on the bucket of what is written', async () => {
  const { get, put, simulator } = startSimulator({ throttle: 'documented' })
  simulator.makeInstances({ count: 1 })
  const url = (await put(VM, (await get(VM)).body)).headers['azure-asyncoperation']!
  for (let call = 0; call < 45; call++) expect((await get(url)).status).toBe(200)
  expect((await get(url)).headers['retry-after']).toBe('4')
})

test('other limits come from a table, and a neighbour takes its share', async () => {
  const { clock, get, control } = startSimulator()
  const table = {
    refill: 'continuous',
    rules: [{ bucket: 'subscription-reads/*', size: 1, refillPerSecond: 1 }],
    neighbours: [{ bucket: '*', share: 0.5 }],
  }
  expect((await control('PUT', '/_berth/throttle', table)).status).toBe(200)
  expect((await get(NICS)).status).toBe(200)
  expect((await get(NICS)).headers['retry-after']).toBe('2')
  await clock.advance(2000)
  expect((await get(NICS)).status).toBe(200)
  expect((await control('GET', '/_berth/throttle')).body.levels).toEqual({
    'subscription-reads/tester': { tokens: 0, size: 1 },
  })
})

test('a list of Compute has no bucket of a resource', () => {
  const shape = {
    kind: 'reads',
    provider: 'Microsoft.Compute',
    policy: 'HighCostGetVMScaleSet',
    principal: 'me',
  } as const
  expect(chargesFor({ ...shape, resourceKey: undefined }).map(({ bucket }) => bucket)).toEqual([
    'subscription-reads/me',
    'subscription-global-reads',
    'Microsoft.Compute/HighCostGetVMScaleSet/subscription',
  ])
})

test('the same seed gives the same answers', async () => {
  const run = async () => {
    const { clock, get, put, simulator } = startSimulator({ seed: 7, settings: { addressChoice: 'random' } })
    simulator.makeInstances({ kind: 'standalone', count: 3 })
    const answer = await put(NIC, (await get(NIC)).body)
    await clock.advance(5000)
    return JSON.stringify([answer, await get(NICS)])
  }
  expect(await run()).toBe(await run())
  expect(createAzureSimulator({ world: 'empty' }).check()).toEqual([])
})
