import { describe, expect, test } from 'vitest'
import {
  NIC,
  OTHER,
  P,
  PREFIX,
  SUBNET,
  TINY,
  addresses,
  configuration,
  names,
  startSimulator,
  withConfigurations,
} from './support.ts'
import type { Doc } from './support.ts'
import type { AzureSimulatorOptions } from '../../../../simulators/azure/index.ts'

async function withStandaloneVM(options: AzureSimulatorOptions = {}, subnetId = SUBNET) {
  const started = startSimulator(options)
  started.simulator.makeInstances({ kind: 'standalone', count: 1, subnetId })
  const nic = (await started.get(NIC)).body
  return { ...started, nic }
}

test('a write allocates the lowest free addresses at once and settles when its operation ends', async () => {
  const { clock, get, put, nic, simulator } = await withStandaloneVM()
  const answer = await put(NIC, withConfigurations(nic, configuration('a'), configuration('b')))
  expect(answer.status).toBe(200)
  expect(addresses(answer.body)).toEqual(['10.0.0.4', '10.0.0.5', '10.0.0.6'])
  expect(answer.body.properties.provisioningState).toBe('Updating')
  expect(answer.body.properties.ipConfigurations.map((one: Doc) => one.properties.provisioningState)).toEqual([
    'Succeeded',
    'Updating',
    'Updating',
  ])
  expect(answer.body.etag).not.toBe(nic.etag)
  const url = answer.headers['azure-asyncoperation']!
  expect((await get(url)).body).toMatchObject({ status: 'InProgress' })
  await clock.advance(1000)
  expect((await get(url)).body).toMatchObject({ status: 'Succeeded', percentComplete: 100 })
  const after = (await get(NIC)).body
  expect(after.properties.provisioningState).toBe('Succeeded')
  expect(after.properties.ipConfigurations.map((one: Doc) => one.properties.primary)).toEqual([true, false, false])
  expect(simulator.check()).toEqual([])
})

test('keeps members it does not know, and drops what a write leaves out', async () => {
  const { get, put, nic } = await withStandaloneVM()
  const changed = withConfigurations(nic, configuration('a', { fromTheFuture: { deep: [1] } }))
  changed.properties.alsoNew = 'x'
  await put(NIC, { ...changed, tags: { team: 'net' } })
  const written = (await get(NIC)).body
  expect(written.tags).toEqual({ team: 'net' })
  expect(written.properties.alsoNew).toBe('x')
  expect(written.properties.ipConfigurations[1].properties.fromTheFuture).toEqual({ deep: [1] })
  await put(NIC, { ...written, tags: undefined })
  expect((await get(NIC)).body.tags).toBeUndefined()
})

test('a removed address is free only when the operation has ended', async () => {
  const { clock, get, put, nic, simulator } = await withStandaloneVM()
  await put(NIC, withConfigurations(nic, configuration('a')))
  await clock.advance(1000)
  await put(NIC, nic)
  const [created] = (await put(`${P}/Microsoft.Network/networkInterfaces/loose`, loose('x'))).body.properties
    .ipConfigurations
  expect(created.properties.privateIPAddress).toBe('10.0.0.6')
  expect(simulator.check()).toEqual([])
  await clock.advance(1000)
  expect(addresses((await get(NIC)).body)).toEqual(['10.0.0.4'])
  const next = await put(`${P}/Microsoft.Network/networkInterfaces/loose2`, loose('x'))
  expect(next.status).toBe(201)
  expect(addresses(next.body)).toEqual(['10.0.0.5'])
  expect(simulator.check()).toEqual([])
})

const loose = (name: string, more: Record<string, unknown> = {}) => ({
  location: 'westeurope',
  properties: { ipConfigurations: [configuration(name, more)] },
})

test('a stale entity tag is refused with 412 and changes nothing, unless told to pass over it', async () => {
  const { get, put, nic } = await withStandaloneVM()
  const first = await put(NIC, withConfigurations(nic, configuration('a')), { 'if-match': nic.etag })
  expect(first.status).toBe(200)
  const second = await put(NIC, withConfigurations(nic, configuration('b')), { 'if-match': nic.etag })
  expect([second.status, second.code]).toEqual([412, 'PreconditionFailed'])
  expect(addresses((await get(NIC)).body)).toHaveLength(2)
  const lenient = await withStandaloneVM({ settings: { enforceInterfaceETag: false } })
  expect((await lenient.put(NIC, lenient.nic, { 'if-match': 'W/"other"' })).status).toBe(200)
})

describe('a write while another one runs', () => {
  test('supersedes it: the older operation ends canceled, the newer one holds', async () => {
    const { clock, get, put, nic, simulator } = await withStandaloneVM()
    const older = await put(NIC, withConfigurations(nic, configuration('a')))
    const newer = await put(NIC, withConfigurations(nic, configuration('b')))
    await clock.advance(1000)
    const ended = (await get(older.headers['azure-asyncoperation']!)).body
    expect(ended.status).toBe('Canceled')
    expect(ended.error.details[0].code).toBe('CanceledAndSupersededDueToAnotherOperation')
    expect((await get(newer.headers['azure-asyncoperation']!)).body.status).toBe('Succeeded')
    expect((await get(NIC)).body.properties.ipConfigurations.map((one: Doc) => one.name)).toEqual(['ipconfig1', 'b'])
    expect(simulator.check()).toEqual([])
  })

  test.each([
    ['conflict', 409, 'AnotherOperationInProgress'],
    ['retryable', 429, 'RetryableError'],
  ] as const)('is refused when overlaps are %s', async (overlappingInterfaceWrites, status, code) => {
    const { put, nic } = await withStandaloneVM({ settings: { overlappingInterfaceWrites } })
    await put(NIC, nic)
    const second = await put(NIC, withConfigurations(nic, configuration('b')))
    expect([second.status, second.code]).toEqual([status, code])
    if (status === 429) {
      expect(second.body.error.details[0].code).toBe('ReferencedResourceNotProvisioned')
      expect(second.headers['retry-after']).toBe('10')
    }
  })
})

test('a subnet without room refuses the whole write; eleven addresses of a /28 can be had', async () => {
  const { get, put, nic, simulator } = await withStandaloneVM({}, TINY)
  const more = (count: number) => names(count).map((name) => configuration(name, { subnet: { id: TINY } }))
  const refused = await put(NIC, withConfigurations(nic, ...more(11)))
  expect([refused.status, refused.code]).toEqual([400, 'SubnetIsFull'])
  expect(refused.body.error.message).toBe(
    'Subnet tiny with address prefix 10.0.1.0/28 does not have enough capacity for 11 IP addresses.',
  )
  expect(addresses((await get(NIC)).body)).toEqual(['10.0.1.4'])
  const accepted = await put(NIC, withConfigurations(nic, ...more(10)))
  expect(addresses(accepted.body).at(-1)).toBe('10.0.1.14')
  expect(simulator.check()).toEqual([])
})

test.each<{ name: string; change: (nic: Doc) => Doc; code: string; status?: number }>([
  {
    name: 'no primary',
    change: (nic) => withPrimary(withConfigurations(nic, configuration('a')), false),
    code: 'InvalidParameter',
  },
  {
    name: 'two primaries',
    change: (nic) => withConfigurations(nic, configuration('a', { primary: true })),
    code: 'InvalidParameter',
  },
  {
    name: 'a name twice',
    change: (nic) => withConfigurations(nic, configuration('IPCONFIG1')),
    code: 'InvalidParameter',
  },
  {
    name: 'two subnets',
    change: (nic) => withConfigurations(nic, configuration('a', { subnet: { id: OTHER } })),
    code: 'IpConfigurationsOnSameNicCannotUseDifferentSubnets',
  },
  {
    name: 'a subnet that is not there',
    change: (nic) => withConfigurations(nic, configuration('a', { subnet: { id: `${SUBNET}x` } })),
    code: 'InvalidResourceReference',
  },
  {
    name: 'other application security groups',
    change: (nic) => withConfigurations(nic, configuration('a', { applicationSecurityGroups: [{ id: '/asg' }] })),
    code: 'InvalidParameter',
  },
  {
    name: '257 configurations',
    change: (nic) => withConfigurations(nic, ...names(256).map((one) => configuration(one))),
    code: 'QuotaExceeded',
  },
  {
    name: 'a static address outside the subnet',
    change: (nic) => withConfigurations(nic, fixed('10.0.9.9')),
    code: 'PrivateIPAddressNotInSubnet',
  },
  {
    name: 'a reserved static address',
    change: (nic) => withConfigurations(nic, fixed('10.0.0.3')),
    code: 'PrivateIPAddressInReservedRange',
  },
  {
    name: 'a static address in use',
    change: (nic) => withConfigurations(nic, fixed('10.0.0.4')),
    code: 'PrivateIPAddressInUse',
  },
  {
    name: 'IPv6',
    change: (nic) => withConfigurations(nic, configuration('a', { privateIPAddressVersion: 'IPv6' })),
    code: 'NotImplemented',
    status: 501,
  },
  { name: 'no location', change: (nic) => ({ ...nic, location: undefined }), code: 'LocationRequired' },
  {
    name: 'another location',
    change: (nic) => ({ ...nic, location: 'eastus' }),
    code: 'InvalidResourceLocation',
    status: 409,
  },
  { name: 'no object', change: () => '[1]', code: 'InvalidRequestContent' },
  { name: 'no JSON', change: () => '{', code: 'InvalidRequestContent' },
])('refuses a write with $name', async ({ change, code, status = 400 }) => {
  const { get, put, nic, simulator } = await withStandaloneVM()
  const answer = await put(NIC, change(nic))
  expect([answer.status, answer.code]).toEqual([status, code])
  expect((await get(NIC)).body).toEqual(nic)
  expect(simulator.check()).toEqual([])
})

const fixed = (privateIPAddress: string) =>
  configuration('a', { privateIPAllocationMethod: 'Static', privateIPAddress })

function withPrimary(nic: Doc, primary: boolean): Doc {
  nic.properties.ipConfigurations[0].properties.primary = primary
  return nic
}

test('a /28 on a configuration takes a whole block, counts once, and 16 in the usages', async () => {
  const { get, put, nic, simulator, control } = await withStandaloneVM()
  const block = configuration('block', { privateIPAddressPrefixLength: 28 })
  const answer = await put(NIC, withConfigurations(nic, block))
  const [, written] = answer.body.properties.ipConfigurations
  expect(written.properties).toMatchObject({ privateIPAddress: '10.0.0.16/28', privateIPAddressPrefixLength: 28 })
  const usage = (await get(`${P}/Microsoft.Network/virtualNetworks/vnet/usages`)).body.value[0]
  expect(usage).toMatchObject({ currentValue: 17, limit: 251, id: SUBNET })
  expect((await get(SUBNET)).body.properties.ipConfigurations).toHaveLength(2)
  await control('POST', '/_berth/state/occupy', { subnetId: SUBNET, fragment: true })
  const second = await put(NIC, withConfigurations(answer.body, { ...block, name: 'second' }))
  expect(second.code).toBe('SubnetIsFull')
  expect(simulator.check()).toEqual([])
})

test('a static address or block is given as named', async () => {
  const { put, nic, simulator } = await withStandaloneVM()
  const block = configuration('b', {
    privateIPAllocationMethod: 'Static',
    privateIPAddress: '10.0.0.32/28',
    privateIPAddressPrefixLength: 28,
  })
  const answer = await put(NIC, withConfigurations(nic, fixed('10.0.0.77'), block))
  expect(addresses(answer.body)).toEqual(['10.0.0.4', '10.0.0.77', '10.0.0.32/28'])
  expect(simulator.check()).toEqual([])
})

test('a public address described in place is made from its prefix, until the prefix has none left', async () => {
  const { get, put, nic, simulator } = await withStandaloneVM()
  const publicIPAddress = {
    name: 'managed',
    properties: { publicIPAllocationMethod: 'Static', publicIPPrefix: { id: PREFIX } },
  }
  const asked = withConfigurations(nic)
  asked.properties.ipConfigurations[0].properties.publicIPAddress = publicIPAddress
  const answer = await put(NIC, asked)
  const id = answer.body.properties.ipConfigurations[0].properties.publicIPAddress.id
  expect((await get(id)).body.properties).toMatchObject({ ipAddress: '20.1.0.0', publicIPPrefix: { id: PREFIX } })
  const more = { ...answer.body }
  more.properties.ipConfigurations.push(
    configuration('a', { publicIPAddress }),
    configuration('b', { publicIPAddress }),
  )
  expect((await put(NIC, more)).code).toBe('PublicIpPrefixOutOfIpAddresses')
  expect((await get(PREFIX)).body.properties.publicIPAddresses).toEqual([{ id }])
  expect(simulator.check()).toEqual([])
})

test('a subnet leaves its list of configurations out when there are none or too many', async () => {
  const { get, put, nic } = await withStandaloneVM({ settings: { listedConfigurations: 2 } })
  expect((await get(OTHER)).body.properties.ipConfigurations).toBeUndefined()
  expect((await get(SUBNET)).body.properties.ipConfigurations).toEqual([{ id: `${NIC}/ipConfigurations/ipconfig1` }])
  await put(NIC, withConfigurations(nic, configuration('a'), configuration('b')))
  expect((await get(SUBNET)).body.properties.ipConfigurations).toBeUndefined()
})

test('an interface of a machine cannot be deleted, a loose one can', async () => {
  const { send, get, put, simulator } = await withStandaloneVM()
  expect((await send('DELETE', NIC)).code).toBe('NicInUse')
  const path = `${P}/Microsoft.Network/networkInterfaces/loose`
  await put(path, loose('x'))
  expect((await send('DELETE', path)).status).toBe(202)
  expect((await get(path)).code).toBe('ResourceNotFound')
  expect(simulator.check()).toEqual([])
})
