import { describe, expect, test } from 'vitest'
import { inProcessHTTPClient } from '../../../simulators/azure/index.ts'
import { AZURE_CLOUD } from '../../../src/fleet/azure-cloud.ts'
import { planAzureNetwork } from '../../../src/fleet/azure-network.ts'
import type { SimulatedCloud } from '../../../src/fleet/simulated-cloud.ts'
import type { WorldPlan } from '../../../src/fleet/world-plan.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const PLAN: WorldPlan = {
  cloud: 'azure',
  nodes: 3,
  instanceType: 'Standard_D4s_v5',
  prefixDelegation: false,
  podsPerNode: 1,
  podsPerSecond: 0,
  agentGeneration: 'pool',
  throttle: 'documented',
  seed: 1,
  agentUpdateIntervalMs: 1000,
}
const { signal } = new AbortController()

function create(parts: Partial<WorldPlan> = {}) {
  const clock = new ManualClock()
  return { clock, cloud: AZURE_CLOUD.create({ ...PLAN, ...parts }, clock, 'none') }
}

/** One call as the controller makes it. */
async function call(cloud: SimulatedCloud, method: string, path: string, body?: object) {
  const client = inProcessHTTPClient(cloud.router)
  const request = {
    url: `https://management.azure.com${path}?api-version=2026-04-01`,
    method,
    headers: [
      ['authorization', 'Bearer berth'],
      ['content-type', 'application/json'],
    ] as const,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  }
  const { status, bodyAsText } = await client.sendRequest(request)
  return { status, body: JSON.parse(bodyAsText) as Record<string, never> }
}

/** Takes one more address for a machine; the write runs for a while. */
async function write(cloud: SimulatedCloud, instanceID: string): Promise<void> {
  interface Model {
    readonly properties: {
      readonly storageProfile: object
      readonly networkProfileConfiguration: {
        readonly networkInterfaceConfigurations: {
          readonly properties: { readonly ipConfigurations: { name: string; properties: { subnet: object } }[] }
        }[]
      }
    }
  }
  const model = (await call(cloud, 'GET', instanceID)).body as unknown as Model
  const [nic] = model.properties.networkProfileConfiguration.networkInterfaceConfigurations
  const { ipConfigurations } = nic!.properties
  ipConfigurations.push({ name: 'one-more', properties: { subnet: ipConfigurations[0]!.properties.subnet } })
  expect((await call(cloud, 'PUT', instanceID, model)).status).toBeLessThan(300)
}

describe('a simulated subscription', () => {
  test('its machines are those of a scale set, each known by its ARM ID in lower case', () => {
    const { cloud } = create()
    const machines = cloud.account.launch(3)
    expect(new Set(machines.map(({ instanceID }) => instanceID)).size).toBe(3)
    for (const { instanceID, cloud: name, subnetID, internalIP } of machines) {
      expect(instanceID).toMatch(/^\/subscriptions\/[^A-Z]+\/virtualmachinescalesets\/np1\/virtualmachines\/\d$/)
      expect({ name, subnetID, internalIP }).toMatchObject({ name: 'azure' })
      const mine = cloud.account.interfaces().filter((iface) => iface.instanceID === instanceID)
      expect(mine).toEqual([{ id: expect.anything(), instanceID, addresses: [internalIP], prefixes: [] }])
    }
  })

  test('a machine is changing while a write to it runs, and shows the address at its end', async () => {
    const { clock, cloud } = create()
    const [machine, other] = cloud.account.launch(2)
    await write(cloud, machine!.instanceID)
    expect(cloud.account.isChanging(machine!.instanceID)).toBe(true)
    expect(cloud.account.isChanging(other!.instanceID)).toBe(false)
    await clock.advance(31_000)
    expect(cloud.account.isChanging(machine!.instanceID)).toBe(false)
    const [iface] = cloud.account.interfaces()
    expect(iface!.addresses).toHaveLength(2)
    expect(iface!.addresses[0]).toBe(machine!.internalIP)
  })

  test('the bucket of an action is the emptiest of those that it shares with other machines', async () => {
    const { cloud } = create()
    const machines = cloud.account.launch(3)
    for (const { instanceID } of machines) await write(cloud, instanceID)
    const calls = await cloud.account.calls(signal)
    expect(calls['VirtualMachineScaleSetVMs.Update']).toMatchObject({ attempts: 3, bucket: { tokens: 197, size: 200 } })
    expect(calls['VirtualMachineScaleSetVMs.Get']).toMatchObject({ attempts: 3, bucket: { tokens: 247, size: 250 } })
    expect(cloud.account.attempts()).toEqual({
      'VirtualMachineScaleSetVMs.Get': 3,
      'VirtualMachineScaleSetVMs.Update': 3,
    })
  })

  test('others fill every subnet but for so many addresses, and give them back; nobody is charged', async () => {
    const { cloud } = create({ nodes: 3 })
    cloud.account.launch(3)
    const before = cloud.account.interfaces().length
    const taken = await cloud.account.occupy(5, signal)
    const filled = cloud.account.interfaces().flatMap(({ addresses }) => addresses).length
    expect(filled).toBe(2 ** 13 - 5 - 5)
    await cloud.account.free(taken, signal)
    expect(cloud.account.interfaces()).toHaveLength(before)
    expect(cloud.account.attempts()).toEqual({})
  })

  test('a terminated machine is gone with its interface', async () => {
    const { cloud } = create()
    const [machine] = cloud.account.launch(2)
    await cloud.account.terminate(machine!.instanceID, signal)
    expect(cloud.account.interfaces().map(({ instanceID }) => instanceID)).not.toContain(machine!.instanceID)
  })

  test('a scale set has a thousand machines at most, and each size one of its own', () => {
    const { cloud } = create({ nodes: 1_002, instanceType: 'Standard_D2s_v5:1,Standard_D4s_v5:1' })
    const sets = cloud.account.launch(1_002).map(({ instanceID }) => instanceID.split('/').at(-3))
    expect(
      Object.entries(Object.groupBy(sets, (name) => name ?? '')).map(([name, all]) => [name, all?.length]),
    ).toEqual([
      ['np1-1', 500],
      ['np1-2', 500],
      ['np2-1', 1],
      ['np2-2', 1],
    ])
  })
})

test.each([
  { nodes: 50, each: 69 },
  { nodes: 1_000, each: 59 },
  { nodes: 30_000, each: 256 },
])('a network for $nodes nodes with $each addresses has room for them to spare', ({ nodes, each }) => {
  const { subnetIDs, capacity } = planAzureNetwork(nodes, each)
  expect(subnetIDs).toHaveLength(Math.ceil(nodes / 1_000))
  expect(capacity).toBeGreaterThan(nodes * each * 1.6)
})

test('more than the private range holds is refused', () => {
  expect(() => planAzureNetwork(200_000, 256)).toThrow(RangeError)
})
