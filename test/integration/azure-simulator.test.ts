import { spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { NetworkManagementClient } from '@azure/arm-network'
import type { NetworkInterface, NetworkManagementClientOptionalParams } from '@azure/arm-network'
import { afterEach, describe, expect, test } from 'vitest'
import { createAzureSimulator, inProcessHTTPClient } from '../../simulators/azure/index.ts'
import type { AzureSimulator, AzureSimulatorOptions } from '../../simulators/azure/index.ts'

const closers: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const credential = { getToken: () => Promise.resolve({ token: 'tester', expiresOnTimestamp: Number.MAX_SAFE_INTEGER }) }
/** Writes that last long enough to be polled, short enough for a test. */
const settings = { networkOperationMs: { min: 60, max: 60 }, networkRetryAfterSeconds: undefined, pageSize: 2 }
const retryOptions = { maxRetries: 0 }

interface Started {
  readonly simulator: AzureSimulator
  readonly client: NetworkManagementClient
  readonly group: string
}

/** The wires: the unmodified SDK over HTTP on loopback, with its bearer policy replaced (it insists on TLS); and in process. */
const WIRES: Record<string, (options?: AzureSimulatorOptions) => Promise<Started>> = {
  async 'over HTTP'(options) {
    const simulator = createAzureSimulator({ settings, ...options })
    const server = await simulator.listen({ host: '127.0.0.1', port: 0 })
    closers.push(() => server.close())
    const client = clientOf(simulator, { endpoint: server.url, allowInsecureConnection: true })
    client.pipeline.removePolicy({ name: 'bearerTokenAuthenticationPolicy' })
    client.pipeline.addPolicy({
      name: 'bearer',
      sendRequest(request, next) {
        request.headers.set('Authorization', 'Bearer tester')
        request.allowInsecureConnection = true
        return next(request)
      },
    })
    return { simulator, client, group: simulator.settings.resourceGroup }
  },
  'in process'(options) {
    const simulator = createAzureSimulator({ settings, ...options })
    const client = clientOf(simulator, { httpClient: inProcessHTTPClient(simulator.router) })
    return Promise.resolve({ simulator, client, group: simulator.settings.resourceGroup })
  },
}

function clientOf(simulator: AzureSimulator, options: NetworkManagementClientOptionalParams): NetworkManagementClient {
  return new NetworkManagementClient(credential, simulator.settings.subscriptionID, { retryOptions, ...options })
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

function withConfigurations(nic: NetworkInterface, ...names: readonly string[]): NetworkInterface {
  const [first] = nic.ipConfigurations ?? []
  const added = names.map((name) => ({ name, ...(first?.subnet === undefined ? {} : { subnet: first.subnet }) }))
  return { ...nic, ipConfigurations: [...(nic.ipConfigurations ?? []), ...added] }
}

const addressesOf = (nic: NetworkInterface) => nic.ipConfigurations?.map(({ privateIPAddress }) => privateIPAddress)

describe.each(Object.entries(WIRES))('the unmodified SDK %s', (_, start) => {
  test('lists page by page, reads, and writes through a poll', async () => {
    const { simulator, client, group } = await start()
    simulator.makeInstances({ kind: 'standalone', count: 5 })
    simulator.makeInstances({ kind: 'uniform', count: 3 })
    const nics = await all(client.networkInterfaces.list(group))
    expect(nics.map(({ name }) => name)).toEqual([0, 1, 2, 3, 4].map((at) => `vm-${at}-nic`))
    expect(simulator.calls.counts('Interfaces.List').attempts).toBe(3)
    const ofSet = await all(client.networkInterfaces.listVirtualMachineScaleSetNetworkInterfaces(group, 'np1'))
    expect(ofSet.map(({ virtualMachine }) => virtualMachine?.id?.split('/').at(-1))).toEqual(['0', '1', '2'])
    const nic = await client.networkInterfaces.get(group, 'vm-0-nic')
    const updateIntervalInMs = 20
    const written = await client.networkInterfaces.createOrUpdate(
      group,
      'vm-0-nic',
      withConfigurations(nic, 'a', 'b'),
      {
        updateIntervalInMs,
      },
    )
    expect(written.provisioningState).toBe('Succeeded')
    expect(addressesOf(written)).toEqual(['10.224.0.4', '10.224.0.12', '10.224.0.13'])
    expect(simulator.calls.counts('Operations.GetNetwork').attempts).toBeGreaterThan(1)
    const [network] = await all(client.virtualNetworks.listAll())
    expect(network?.addressSpace?.addressPrefixes).toEqual(['10.224.0.0/12'])
    const subnet = await client.subnets.get(group, 'aks-vnet', 'aks-subnet')
    expect([subnet.addressPrefix, subnet.ipConfigurations?.length]).toEqual(['10.224.0.0/16', 10])
    const [usage] = await all(client.virtualNetworks.listUsage(group, 'aks-vnet'))
    expect(usage).toMatchObject({ currentValue: 10, limit: 65_531 })
    const [prefix] = await all(client.publicIPPrefixes.list(group))
    expect(prefix).toMatchObject({ ipPrefix: '20.40.0.0/28', tags: { pool: 'nodes' } })
    expect(simulator.check()).toEqual([])
  })

  test('meets a stale entity tag, a throttle and a failed operation as the service shows them', async () => {
    const { simulator, client, group } = await start()
    simulator.makeInstances({ kind: 'standalone', count: 1 })
    const nic = await client.networkInterfaces.get(group, 'vm-0-nic')
    const write = (headers: Record<string, string> = {}) =>
      client.networkInterfaces.createOrUpdate(group, 'vm-0-nic', withConfigurations(nic, 'a'), {
        requestOptions: { headers },
        updateIntervalInMs: 20,
      })
    await expect(write({ 'If-Match': 'W/"0"' })).rejects.toMatchObject({ statusCode: 412 })
    const code = 'SubnetIsFull'
    const rule = {
      action: 'complete Interfaces.CreateOrUpdate',
      kind: 'error',
      code,
      status: 400,
      message: 'no room',
    } as const
    const body = JSON.stringify({ rules: [rule] })
    const request = { method: 'PUT', path: '/_berth/faults', query: new URLSearchParams(), headers: {}, body }
    await simulator.router(request, new AbortController().signal)
    await expect(write({ 'If-Match': nic.etag ?? '' })).rejects.toThrow('SubnetIsFull. no room')
    const read = { bucket: 'subscription-reads/*', size: 1, refillPerSecond: 0.1 }
    simulator.setThrottle({ refill: 'continuous', neighbours: [], rules: [read] })
    await client.networkInterfaces.get(group, 'vm-0-nic')
    const refused = client.networkInterfaces.get(group, 'vm-0-nic')
    await expect(refused).rejects.toMatchObject({ statusCode: 429, code: 'SubscriptionRequestsThrottled' })
    expect(simulator.calls.counts('Interfaces.Get').refused).toBe(1)
  })
})

test('an aborted call in process rejects as the SDK expects', async () => {
  const { simulator, client, group } = await WIRES['in process']!({
    latency: { reading: { min: 60_000, max: 60_000 }, changing: { min: 0, max: 0 } },
  })
  const abort = new AbortController()
  const pending = client.networkInterfaces.get(group, 'x', { abortSignal: abort.signal })
  setImmediate(() => abort.abort())
  await expect(pending).rejects.toMatchObject({ name: 'AbortError' })
  expect(simulator.calls.counts('Interfaces.Get').failed).toBe(1)
})

test('the process starts on a free port, says how to reach it, and ends on SIGTERM', async () => {
  const child = spawn(process.execPath, ['simulators/azure/main.ts', '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  closers.push(() => void child.kill('SIGKILL'))
  let output = ''
  child.stdout.setEncoding('utf8')
  for await (const piece of child.stdout) {
    output += String(piece)
    if (output.includes('AZURE_SUBSCRIPTION_ID')) break
  }
  const url = /AZURE_RESOURCE_MANAGER_ENDPOINT=(\S+)/.exec(output)?.[1] ?? ''
  const metadata = `${url}/metadata/instance/compute/azEnvironment?api-version=2019-06-01&format=text`
  const answer = await fetch(metadata, { headers: { Metadata: 'true' } })
  expect(await answer.text()).toBe('AzurePublicCloud')
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})

test('a wrong option ends the process with status 2 and one line', async () => {
  const child = spawn(process.execPath, ['simulators/azure/main.ts', '--throttle', '/nowhere'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const closed = once(child, 'exit')
  let error = ''
  for await (const piece of child.stderr) error += String(piece)
  expect(error).toMatch(/^azure-simulator: --throttle: cannot read \/nowhere/)
  expect(await closed).toEqual([2, null])
})
