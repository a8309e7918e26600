import { describe, expect, test } from 'vitest'
import {
  GROUP,
  P,
  PREFIX,
  SUBNET,
  TINY,
  VM,
  WORLD,
  addresses,
  configuration,
  names,
  startSimulator,
  withConfigurations,
} from './support.ts'
import type { Doc } from './support.ts'
import type { AzureSimulatorOptions } from '../../../../simulators/azure/index.ts'

const SET = `${P}/Microsoft.Compute/virtualMachineScaleSets`
const NICS = `${VM}/networkInterfaces`

async function withScaleSet(options: AzureSimulatorOptions = {}, subnetId = SUBNET) {
  const started = startSimulator(options)
  started.simulator.makeInstances({ count: 2, subnetId })
  const vm = (await started.get(VM)).body
  return { ...started, vm }
}

const added = (name: string, subnet = SUBNET) => configuration(name, { subnet: { id: subnet } })

test('a scale set lists its capacity; its machines show a model without addresses', async () => {
  const { get, vm } = await withScaleSet()
  const [set] = (await get(SET)).body.value
  expect(set).toMatchObject({ name: 'np1', sku: { capacity: 2 }, properties: { orchestrationMode: 'Uniform' } })
  expect(vm).toMatchObject({ instanceId: '0', name: 'np1_0', etag: '"1"' })
  expect(vm.properties.osProfile.computerName).toBe('np1000000')
  expect(JSON.stringify(vm.properties.networkProfileConfiguration)).not.toContain('10.0.0.')
  expect(vm.properties.instanceView).toBeUndefined()
  const withView = (await get(VM, { query: { $expand: 'instanceView' } })).body
  expect(withView.properties.instanceView.statuses[0].code).toBe('ProvisioningState/succeeded')
  expect(addresses((await get(`${NICS}/np1`)).body)).toEqual(['10.0.0.4'])
})

test('the interface follows a write to the model when its operation ends', async () => {
  const { clock, get, put, vm, simulator } = await withScaleSet()
  const answer = await put(VM, withConfigurations(vm, added('a'), added('b')), { 'if-match': '"1"' })
  expect(answer.status).toBe(200)
  expect(answer.body).toMatchObject({ etag: '"2"', properties: { provisioningState: 'Updating' } })
  expect(answer.headers).toMatchObject({ 'retry-after': '10' })
  const { 'azure-asyncoperation': url, location } = answer.headers
  expect(addresses((await get(`${NICS}/np1`)).body)).toHaveLength(1)
  expect((await get(location!)).status).toBe(202)
  await clock.advance(10_000)
  expect((await get(url!)).body.status).toBe('Succeeded')
  expect((await get(location!)).body.etag).toBe('"2"')
  expect(addresses((await get(`${NICS}/np1`)).body)).toEqual(['10.0.0.4', '10.0.0.6', '10.0.0.7'])
  expect((await get(`${NICS}/np1/ipConfigurations/a`)).body.properties.privateIPAddress).toBe('10.0.0.6')
  const after = (await get(VM)).body
  await put(VM, { ...after, ...withConfigurations(vm), etag: undefined })
  await clock.advance(10_000)
  expect(addresses((await get(`${NICS}/np1`)).body)).toEqual(['10.0.0.4'])
  expect(simulator.check()).toEqual([])
})

test('new configurations stay Updating for as long as they take to settle', async () => {
  const { clock, get, put, vm } = await withScaleSet({ settings: { configurationSettlesMs: 500 } })
  await put(VM, withConfigurations(vm, added('a')))
  const states = async () =>
    (await get(`${NICS}/np1`)).body.properties.ipConfigurations.map((one: Doc) => one.properties.provisioningState)
  await clock.advance(10_000)
  expect(await states()).toEqual(['Succeeded', 'Updating'])
  await clock.advance(500)
  expect(await states()).toEqual(['Succeeded', 'Succeeded'])
})

test('keeps unknown members of the model, and an image that is left out', async () => {
  const imageId = `${P}/Microsoft.Compute/images/own`
  const started = startSimulator()
  started.simulator.makeInstances({ count: 1, imageId })
  const vm = (await started.get(VM)).body
  expect(vm.properties.storageProfile.imageReference.id).toBe(imageId)
  vm.properties.new2027 = { a: 1 }
  delete vm.properties.storageProfile.imageReference
  await started.put(VM, withConfigurations(vm, configuration('a', { new2028: true })))
  const after = (await started.get(VM)).body.properties
  expect(after.new2027).toEqual({ a: 1 })
  expect(after.storageProfile.imageReference.id).toBe(imageId)
  const [nic] = after.networkProfileConfiguration.networkInterfaceConfigurations
  expect(nic.properties.ipConfigurations[1].properties.new2028).toBe(true)
})

test('an image of another subscription is refused with 403', async () => {
  const { put, vm } = await withScaleSet()
  vm.properties.storageProfile.imageReference = { id: '/subscriptions/109a5e88/resourceGroups/AKS/providers/x/y/z' }
  const answer = await put(VM, vm)
  expect([answer.status, answer.code]).toEqual([403, 'LinkedAuthorizationFailed'])
})

test('a stale entity tag is refused with the text the service has', async () => {
  const { put, vm } = await withScaleSet()
  const answer = await put(VM, vm, { 'if-match': '"9"' })
  expect([answer.status, answer.body.error.message]).toEqual([
    412,
    'Etag provided in if-match header "9" does not match etag "1" of resource.',
  ])
})

describe('overlapping writes', () => {
  const OTHER_VM = VM.replace(/0$/, '1')
  test.each([
    ['vm', VM, 409],
    ['vm', OTHER_VM, 200],
    ['scale-set', OTHER_VM, 409],
  ] as const)('with scope %s, to %s: %i', async (scaleSetWriteScope, path, status) => {
    const { clock, get, put, vm } = await withScaleSet({ settings: { scaleSetWriteScope } })
    await put(VM, vm)
    const second = (await get(path)).body
    const answer = await put(path, second)
    expect(answer.status).toBe(status)
    if (status === 409) expect(answer.code).toBe('Conflict')
    await clock.advance(10_000)
    expect((await put(path, second)).status).toBe(200)
  })
})

describe('a full subnet', () => {
  const many = names(12).map((name) => added(name, TINY))

  test('fails the operation; the model is what it was, and a smaller write works', async () => {
    const { clock, get, put, vm, simulator } = await withScaleSet({}, TINY)
    const answer = await put(VM, withConfigurations(vm, ...many))
    expect(answer.status).toBe(200)
    await clock.advance(10_000)
    const poll = await get(answer.headers['azure-asyncoperation']!)
    expect(poll.status).toBe(200)
    expect(poll.body).toMatchObject({ status: 'Failed', error: { code: 'SubnetIsFull' } })
    const failed = (await get(VM, { query: { $expand: 'instanceView' } })).body.properties
    expect(failed.provisioningState).toBe('Failed')
    expect(failed.instanceView.statuses[0].code).toBe('ProvisioningState/failed/SubnetIsFull')
    expect(failed.networkProfileConfiguration).toEqual(vm.properties.networkProfileConfiguration)
    await put(VM, withConfigurations(vm, ...many.slice(0, 9)))
    await clock.advance(10_000)
    expect(addresses((await get(`${NICS}/np1`)).body)).toHaveLength(10)
    expect(simulator.check()).toEqual([])
  })

  test('is told at once where the service is set to', async () => {
    const { put, vm } = await withScaleSet({ settings: { scaleSetSubnetFull: 'request' } }, TINY)
    const answer = await put(VM, withConfigurations(vm, ...many))
    expect([answer.status, answer.code]).toEqual([400, 'SubnetIsFull'])
  })
})

test('a public prefix that runs out leaves the model as asked and says so in the instance view', async () => {
  const { clock, get, put, simulator } = await withScaleSet()
  simulator.makeInstances({ count: 1 })
  for (const [instance, ending] of [
    ['0', 'Succeeded'],
    ['1', 'Succeeded'],
    ['2', 'Failed'],
  ] as const) {
    const path = VM.replace(/0$/, instance)
    const vm = (await get(path)).body
    const [nic] = vm.properties.networkProfileConfiguration.networkInterfaceConfigurations
    nic.properties.ipConfigurations[0].properties.publicIPAddressConfiguration = {
      name: 'cilium-managed-public-ip',
      properties: { publicIPPrefix: { id: PREFIX } },
    }
    const answer = await put(path, vm)
    await clock.advance(10_000)
    expect((await get(answer.headers['azure-asyncoperation']!)).body.status).toBe(ending)
  }
  const list = `${NICS}/np1/ipConfigurations/ipconfig1/publicIPAddresses`
  expect((await get(list)).body.value[0].properties.ipAddress).toBe('20.1.0.0')
  const failed = (await get(VM.replace(/0$/, '2'), { query: { $expand: 'instanceView' } })).body.properties
  expect(failed.instanceView.statuses[0].code).toBe(
    'ProvisioningState/failed/PublicIpPrefixOutOfIpAddressesForVMScaleSet',
  )
  expect(JSON.stringify(failed.networkProfileConfiguration)).toContain('cilium-managed-public-ip')
  expect(simulator.check()).toEqual([])
})

test.each<{ name: string; change: (vm: Doc) => Doc; code: string; status?: number }>([
  {
    name: 'two subnets',
    change: (vm) => withConfigurations(vm, added('a', TINY)),
    code: 'VMScaleSetIpConfigurationsOnSameNicCannotUseDifferentSubnets',
  },
  {
    name: 'two primaries',
    change: (vm) => withConfigurations(vm, configuration('a', { primary: true })),
    code: 'InvalidParameter',
  },
  {
    name: 'another interface',
    change: (vm) => {
      const changed = structuredClone(vm)
      changed.properties.networkProfileConfiguration.networkInterfaceConfigurations[0].name = 'eth9'
      return changed
    },
    code: 'OperationNotAllowed',
    status: 409,
  },
])('refuses a model with $name', async ({ change, code, status = 400 }) => {
  const { put, vm } = await withScaleSet()
  const answer = await put(VM, change(vm))
  expect([answer.status, answer.code]).toEqual([status, code])
})

test('a machine that is gone is 404 to read and named inactive to write; its addresses are free', async () => {
  const { get, put, vm, simulator, control } = await withScaleSet()
  await put(VM, withConfigurations(vm, added('a')))
  await control('POST', '/_berth/state/delete-instances', { ids: [vm.id] })
  expect((await get(VM)).status).toBe(404)
  expect((await get(NICS)).status).toBe(404)
  const written = await put(VM, vm)
  expect(written.status).toBe(400)
  expect(written.body.error.message).toContain('is not an active Virtual Machine Scale Set VM instanceId')
  expect((await get(`${SET}/np1/networkInterfaces`)).body.value).toHaveLength(1)
  expect(simulator.cloud.subnets.get(SUBNET.toLowerCase())?.space.free).toBe(250)
  expect(simulator.check()).toEqual([])
})

test('the interfaces of an empty scale set answer 404, those of a flexible one are in the group', async () => {
  const { get, put, simulator } = startSimulator({
    world: {
      ...WORLD,
      virtualMachineScaleSets: [{ id: `${SET}/empty`, sku: { name: 'Standard_D2s_v5' } }],
    },
  })
  expect((await get(`${SET}/empty/networkInterfaces`)).status).toBe(404)
  simulator.makeInstances({ kind: 'flexible', scaleSet: 'flex', count: 1 })
  expect((await get(`${SET}/flex/networkInterfaces`)).body).toEqual({ value: [] })
  const [nic] = (await get(`${P}/Microsoft.Network/networkInterfaces`)).body.value
  expect(nic.properties.virtualMachine.id).toBe(`${P}/Microsoft.Compute/virtualMachines/flex-0`)
  const machine = (await get(`${SET}/flex/virtualMachines/flex-0`)).body
  expect(machine.virtualMachineResourceId).toBe(nic.properties.virtualMachine.id)
  expect((await put(`${SET}/flex/virtualMachines/flex-0`, machine)).code).toBe('OperationNotAllowed')
})

test('paths match in any letter case, and what is not there says what is missing', async () => {
  const { get } = await withScaleSet()
  expect((await get(VM.replace('Microsoft.Compute', 'microsoft.compute').toUpperCase())).status).toBe(200)
  expect((await get(`${SET}/nope`)).code).toBe('ResourceNotFound')
  expect((await get(SET.replace(GROUP, 'nope'))).code).toBe('ResourceGroupNotFound')
  expect((await get(SET.replace('0000000000aa', '0000000000ff'))).code).toBe('SubscriptionNotFound')
  expect((await get(`${P}/Microsoft.Compute/disks`)).status).toBe(501)
})
