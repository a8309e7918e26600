import { describe, expect, test } from 'vitest'
import type { Cloud } from '../../../../simulators/azure/cloud.ts'
import type { IPConfiguration, NIC as Interface, ScaleSetVM } from '../../../../simulators/azure/cloud/types.ts'
import { checkWorld } from '../../../../simulators/azure/invariants.ts'
import { createAzureSimulator } from '../../../../simulators/azure/index.ts'
import {
  NETWORK,
  NIC,
  P,
  PREFIX,
  SUBNET,
  TINY,
  VM,
  WORLD,
  configuration,
  startSimulator,
  withConfigurations,
} from './support.ts'

async function busyWorld() {
  const started = startSimulator()
  const { clock, get, put, simulator } = started
  simulator.makeInstances({ kind: 'standalone', count: 2, secondaryAddresses: 3 })
  simulator.makeInstances({ kind: 'flexible', scaleSet: 'flex', count: 2 })
  simulator.makeInstances({ count: 3, secondaryAddresses: 2 })
  const nic = withConfigurations((await get(NIC)).body, configuration('block', { privateIPAddressPrefixLength: 28 }))
  const publicIPAddress = { name: 'managed', properties: { publicIPPrefix: { id: PREFIX } } }
  nic.properties.ipConfigurations[0].properties.publicIPAddress = publicIPAddress
  await put(NIC, nic)
  await put(VM, withConfigurations((await get(VM)).body, configuration('a')))
  await clock.advance(10_000)
  return started
}

test('a snapshot loads into the same world', async () => {
  const { control, simulator } = await busyWorld()
  const { body: first } = await control('GET', '/_berth/state')
  expect(first.networkInterfaces).toHaveLength(7)
  expect((await control('PUT', '/_berth/state', first)).body).toEqual({ ok: true })
  expect((await control('GET', '/_berth/state')).body).toEqual(first)
  expect(simulator.check()).toEqual([])
  expect((await control('POST', '/_berth/reset')).status).toBe(200)
  expect((await control('GET', '/_berth/state')).body.networkInterfaces).toEqual([])
})

test('a snapshot in the midst of a write holds the model in force, and loads', async () => {
  const { get, put, control, simulator } = startSimulator()
  simulator.makeInstances({ count: 1 })
  await put(VM, withConfigurations((await get(VM)).body, configuration('a')))
  const { body } = await control('GET', '/_berth/state')
  expect(JSON.stringify(body.scaleSetVirtualMachines)).not.toContain('"name":"a"')
  expect((await control('PUT', '/_berth/state', body)).status).toBe(200)
})

test.each<{ name: string; world: unknown; fault: string }>([
  { name: 'a key that is not known', world: { subnets: [] }, fault: 'subnets is not known' },
  {
    name: 'an ID of another kind',
    world: { virtualNetworks: [{ id: PREFIX }] },
    fault: 'must be the ID of virtualnetworks',
  },
  {
    name: 'an ID of another subscription',
    world: { virtualNetworks: [{ id: NETWORK.replace('aa/', 'ff/') }] },
    fault: 'in subscription',
  },
  {
    name: 'a subnet outside its network',
    world: network({ addressPrefix: '10.9.0.0/24' }),
    fault: '10.9.0.0/24 of subnet x is not within 10.0.0.0/16',
  },
  {
    name: 'a subnet that is too small',
    world: network({ addressPrefix: '10.0.0.0/30' }),
    fault: 'must be a block of /8 to /29',
  },
  {
    name: 'two IPv4 prefixes',
    world: network({ addressPrefixes: ['10.0.0.0/24', '10.0.1.0/24'] }),
    fault: 'exactly one IPv4 prefix',
  },
  {
    name: 'an address twice',
    world: { ...WORLD, networkInterfaces: ['a', 'b'].map((name) => loose(name, { privateIPAddress: '10.0.0.9' })) },
    fault: 'networkInterfaces[1] IP configuration',
  },
  {
    name: 'an interface of a machine that is not there',
    world: { ...WORLD, networkInterfaces: [{ ...loose('a'), id: `${VM}/networkInterfaces/a` }] },
    fault: 'machine',
  },
])('refuses a world with $name', ({ world, fault }) => {
  expect(() => createAzureSimulator({ world })).toThrow(fault)
})

function network(properties: unknown) {
  const addressSpace = { addressPrefixes: ['10.0.0.0/16'] }
  return { virtualNetworks: [{ id: NETWORK, properties: { addressSpace, subnets: [{ name: 'x', properties }] } }] }
}

function loose(name: string, more: Record<string, unknown> = {}) {
  return {
    id: `${P}/Microsoft.Network/networkInterfaces/${name}`,
    properties: { ipConfigurations: [configuration('x', more)] },
  }
}

test('a subnet can be filled and fragmented, and the doors say what is wrong', async () => {
  const { control, simulator } = startSimulator()
  const filled = await control('POST', '/_berth/state/occupy', { subnetId: SUBNET, leaveFree: 2 })
  expect(filled.body).toMatchObject({ freeAddresses: 2, freePrefixes: 0 })
  expect((await control('POST', '/_berth/state/occupy', { subnetId: SUBNET, leaveFree: 2 })).status).toBe(400)
  expect((await control('POST', '/_berth/state/occupy', { subnetId: SUBNET })).status).toBe(400)
  const tooMany = await control('POST', '/_berth/state/instances', { count: 12, subnetId: TINY })
  expect(tooMany.body.error).toContain('SubnetIsFull')
  expect(simulator.cloud.scaleSetVMs.size).toBe(0)
  expect((await control('POST', '/_berth/state/instances', { cuont: 1 })).body.error).toContain('cuont is not known')
  expect((await control('POST', '/_berth/state/delete-instances', { ids: ['x'] })).body.error).toContain(
    'does not exist',
  )
  expect((await control('GET', '/_berth/check')).body).toEqual({ violations: [] })
  expect((await control('GET', '/_berth/health')).body).toMatchObject({ simulator: 'azure', resources: { subnets: 3 } })
})

describe('the check of the world fires', () => {
  const nicOf = (cloud: Cloud): Interface => cloud.nics.get(NIC.toLowerCase())!
  const vmOf = (cloud: Cloud): ScaleSetVM => cloud.scaleSetVMs.get(VM.toLowerCase())!
  const edit = (one: IPConfiguration, change: Partial<IPConfiguration>): void => void Object.assign(one, change)
  const at = (cloud: Cloud, index: number): IPConfiguration => nicOf(cloud).configurations[index]!

  test.each<[rule: string, harm: (cloud: Cloud) => void]>([
    ['address-shared', (cloud) => edit(at(cloud, 1), { address: at(cloud, 0).address })],
    ['address-not-taken', (cloud) => at(cloud, 1).subnet.space.release(at(cloud, 1).address)],
    ['address-reserved', (cloud) => edit(at(cloud, 1), { address: at(cloud, 1).subnet.space.block.base })],
    ['address-outside-subnet', (cloud) => edit(at(cloud, 1), { address: 1 })],
    ['free-count', (cloud) => at(cloud, 1).subnet.space.take(at(cloud, 1).subnet.space.block.base + 200)],
    ['configuration-holder', (cloud) => (nicOf(cloud).configurations = nicOf(cloud).configurations.slice(0, 2))],
    ['configuration-count', (cloud) => cloud.networks.items[0]!.configurationCount++],
    ['primary', (cloud) => (at(cloud, 1).primary = true)],
    ['one-subnet', (cloud) => edit(at(cloud, 1), { subnet: cloud.subnets.get(TINY.toLowerCase())! })],
    ['configuration-limit', (cloud) => (nicOf(cloud).configurations = Array.from({ length: 257 }, () => at(cloud, 1)))],
    ['machine-limit', (cloud) => (nicOf(cloud).configurations = Array.from({ length: 257 }, () => at(cloud, 1)))],
    ['interface-owner', (cloud) => void nicOf(cloud).owner!.nics.pop()],
    ['model', (cloud) => (vmOf(cloud).document = {})],
    ['public-address', (cloud) => (at(cloud, 0).publicIP!.holder = undefined)],
  ])('%s', async (rule, harm) => {
    const { simulator } = await busyWorld()
    expect(checkWorld(simulator.cloud)).toEqual([])
    harm(simulator.cloud)
    expect(checkWorld(simulator.cloud).map((one) => one.rule)).toContain(rule)
  })
})
