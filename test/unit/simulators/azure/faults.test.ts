import { expect, test } from 'vitest'
import { ConnectionCut } from '../../../../simulators/kit/http.ts'
import { NIC, VM, addresses, configuration, startSimulator, withConfigurations } from './support.ts'

async function withFaults(...rules: readonly unknown[]) {
  const started = startSimulator({ faults: { rules } })
  started.simulator.makeInstances({ kind: 'standalone', count: 1 })
  started.simulator.makeInstances({ kind: 'uniform', count: 2 })
  const nic = (await started.get(NIC)).body
  return { ...started, nic }
}

test('an error before the effect changes nothing; a 429 tells when to come back', async () => {
  const { get, put, nic } = await withFaults({
    action: 'Interfaces.CreateOrUpdate',
    kind: 'error',
    code: 'TooManyRequests',
    status: 429,
  })
  const answer = await put(NIC, withConfigurations(nic, configuration('a')))
  expect([answer.status, answer.code, answer.headers['retry-after']]).toEqual([429, 'TooManyRequests', '1'])
  expect(addresses((await get(NIC)).body)).toHaveLength(1)
})

test('a lost response: the write is done, its answer never comes', async () => {
  const { get, put, nic, simulator } = await withFaults({
    action: '*CreateOrUpdate',
    kind: 'drop',
    where: 'after-effect',
  })
  await expect(put(NIC, withConfigurations(nic, configuration('a')))).rejects.toThrow(ConnectionCut)
  expect(addresses((await get(NIC)).body)).toHaveLength(2)
  expect(simulator.calls.counts('Interfaces.CreateOrUpdate').failed).toBe(1)
})

test('an answer cut in half does not parse', async () => {
  const { put, nic } = await withFaults({ action: 'Interfaces.CreateOrUpdate', kind: 'truncate' })
  await expect(put(NIC, nic)).rejects.toThrow(SyntaxError)
})

test.each([
  ['error', { code: 'InternalServerError', status: 500 }, 'Failed', 'Failed'],
  ['error', { code: 'Canceled', status: 409 }, 'Canceled', 'Canceled'],
  ['drop', {}, 'InProgress', 'Updating'],
] as const)('a rule for the completion ends a write: %s %j', async (kind, more, status, state) => {
  const { clock, get, put, nic, simulator } = await withFaults({
    action: 'complete Interfaces.CreateOrUpdate',
    kind,
    ...more,
  })
  const answer = await put(NIC, withConfigurations(nic, configuration('a')))
  expect(answer.status).toBe(200)
  await clock.advance(100_000)
  expect((await get(answer.headers['azure-asyncoperation']!)).body.status).toBe(status)
  const after = (await get(NIC)).body.properties
  expect([after.provisioningState, after.ipConfigurations[1].properties.provisioningState]).toEqual([state, state])
  expect(simulator.check()).toEqual([])
})

test('a rule can choose one machine by its name in the path, and make its write last longer', async () => {
  const match = { name0: 'np1', name1: '1' }
  const { clock, get, put } = await withFaults({
    action: 'complete *VMs.Update',
    kind: 'latency',
    latencyMs: 5000,
    match,
  })
  const urls: string[] = []
  for (const path of [VM, VM.replace(/0$/, '1')]) {
    urls.push((await put(path, (await get(path)).body)).headers['azure-asyncoperation']!)
  }
  const states = async () => Promise.all(urls.map(async (url) => (await get(url)).body.status))
  await clock.advance(10_000)
  expect(await states()).toEqual(['Succeeded', 'InProgress'])
  await clock.advance(5000)
  expect(await states()).toEqual(['Succeeded', 'Succeeded'])
})

test('a poll can fail although the operation goes on', async () => {
  const { clock, get, put, nic } = await withFaults({
    action: 'Operations.GetNetwork',
    kind: 'error',
    code: 'GatewayTimeout',
    status: 504,
    count: 1,
  })
  const url = (await put(NIC, nic)).headers['azure-asyncoperation']!
  await clock.advance(1000)
  expect((await get(url)).status).toBe(504)
  expect((await get(url)).body.status).toBe('Succeeded')
})
