import { describe, expect, test } from 'vitest'
import { InstanceNotFoundError } from '../../../../src/ipam/errors.ts'
import type { JSONObject } from '../../../../src/ipam/types.ts'
import { azureResourceOf, providerOn } from '../../../conformance/adapters/azure-provider.ts'
import { ScriptedARM } from '../../../conformance/adapters/azure-scripted-arm.ts'
import { makeAzureWorld } from '../../../contract/azure-world.ts'
import { CONTEXT, drive, expectOrder, join, knownAddresses, wanting } from '../../../contract/provider.contract.ts'
import { MACHINE, SCALE_SET_NIC, SUBNET } from './builders.ts'

const silent = (): ScriptedARM => new ScriptedARM(() => undefined)
const entry = (addresses: readonly string[]): JSONObject => ({
  id: SCALE_SET_NIC,
  name: 'np1',
  ip: '10.0.0.4',
  subnet: { id: SUBNET, cidr: '10.0.0.0/24' },
  addresses: addresses.map((ip) => ({ ip, state: 'succeeded' })),
})

describe('a node', () => {
  test('without a machine has nothing and is nothing’s fault', async () => {
    const { provider } = providerOn(silent())
    const node = provider.createNode(azureResourceOf({ instanceID: '' }))
    expect(node.resyncInterfacesAndIPs()).toMatchObject({ available: new Map(), stats: { nodeCapacity: 0 } })
    expect(node.populateStatusFields()).toBeUndefined()
    expect(() => node.prepareIPAllocation()).toThrow(InstanceNotFoundError)
    await expect(node.staticIP!.allocateStaticIP({ pool: 'x' }, CONTEXT)).rejects.toThrow(InstanceNotFoundError)
  })

  test('whose machine the inventory does not have says so', () => {
    const { provider } = providerOn(silent())
    const node = provider.createNode(azureResourceOf({ instanceID: MACHINE.toLowerCase() }))
    expect(() => node.resyncInterfacesAndIPs()).toThrow(InstanceNotFoundError)
    expect(provider.hasInstance(MACHINE)).toBe(false)
  })

  test('is known by its machine, however that is spelt, and by the provider ID', () => {
    const { provider } = providerOn(silent())
    provider.createNode(azureResourceOf({ instanceID: `azure://${MACHINE}`, interfaces: [entry(['10.0.0.9'])] }))
    expect(provider.hasInstance(MACHINE.toUpperCase())).toBe(true)
    provider.deleteInstance(MACHINE)
    expect(provider.hasInstance(MACHINE)).toBe(false)
  })

  test('that gets another machine forgets the old one', () => {
    const { provider } = providerOn(silent())
    const resource = azureResourceOf({ instanceID: MACHINE.toLowerCase(), interfaces: [entry(['10.0.0.9'])] })
    const node = provider.createNode(resource)
    node.updatedNode(azureResourceOf({ instanceID: `${MACHINE}1`.toLowerCase() }))
    expect(provider.hasInstance(MACHINE)).toBe(false)
    expect(() => node.resyncInterfacesAndIPs()).toThrow(InstanceNotFoundError)
  })

  test('that names another interface is looked at anew', () => {
    const { provider } = providerOn(silent())
    const of = (interfaceName: string) =>
      azureResourceOf({ instanceID: MACHINE.toLowerCase(), interfaces: [entry(['10.0.0.9'])], interfaceName })
    const node = provider.createNode(of(''))
    const candidates = (): number => node.resyncInterfacesAndIPs().stats.interfaceCandidates
    expect(candidates()).toBe(1)
    expect(node.resyncInterfacesAndIPs()).toBe(node.resyncInterfacesAndIPs())
    node.updatedNode(of('eth9'))
    expect(candidates()).toBe(0)
  })

  test('of an agent that states its demand by pools has no old fields in its status', () => {
    const { provider } = providerOn(silent())
    const resource = azureResourceOf({ instanceID: MACHINE.toLowerCase(), interfaces: [entry(['10.0.0.9'])] })
    const node = provider.createNode(resource)
    const status = (): string => JSON.stringify(node.populateStatusFields())
    expect(status()).toContain('GatewayIP')
    const requested = [{ pool: 'default', ipv4Addrs: 9, ipv6Addrs: 0 }]
    node.updatedNode({ ...resource, spec: { ...resource.spec, ipam: { ...resource.spec.ipam, requested } } })
    expect(status()).not.toContain('GatewayIP')
  })

  test('wants nothing, nothing is called', async () => {
    const arm = silent()
    const { provider } = providerOn(arm)
    const node = provider.createNode(
      azureResourceOf({ instanceID: MACHINE.toLowerCase(), interfaces: [entry(['10.0.0.9'])] }),
    )
    const action = wanting(node, 0)
    expect(await node.allocateIPs(action, CONTEXT)).toEqual({ kind: 'allocated', addressCount: 0 })
    await node.releaseIPs(node.prepareIPRelease(0), CONTEXT)
    await provider.settle(CONTEXT.signal)
    expect([arm.requests.length, provider.pendingWorkCount, provider.missingInstanceCount]).toEqual([0, 0, 0])
  })
})

describe('addresses that are assigned', () => {
  test('and take a while to be usable are waited for', async () => {
    const world = await makeAzureWorld({ settings: { configurationSettlesMs: 3000 } })
    const joined = await join(world)
    expect(await drive(world, joined.node.allocateIPs(wanting(joined.node, 4), CONTEXT))).toMatchObject({
      addressCount: 4,
    })
    await expectOrder(world, joined)
  })

  test('and do not become usable are no success, so that the machine is read before anything else is tried', async () => {
    const world = await makeAzureWorld({ settings: { configurationSettlesMs: 600_000 } })
    const joined = await join(world)
    expect(await drive(world, joined.node.allocateIPs(wanting(joined.node, 4), CONTEXT))).toMatchObject({
      kind: 'failed',
      error: { kind: 'stale', code: 'NotShown' },
    })
    expect(knownAddresses(joined.node)).toEqual([])
    await world.clock.advance(600_000)
    await drive(world, world.provider.instanceSync(joined.instanceID, CONTEXT))
    expect(knownAddresses(joined.node)).toHaveLength(4)
  })

  test('and cannot be read back are not known, whatever kept us from it', async () => {
    const world = await makeAzureWorld()
    const joined = await join(world)
    const denied = { kind: 'error', code: 'AuthorizationFailed', status: 403, message: 'no' } as const
    world.setFaults([
      {
        action: 'Interfaces.List*',
        where: 'before-effect',
        effect: denied,
        probability: 1,
        count: 1,
        fromCall: 1,
        untilCall: 1000,
      },
    ])
    expect(await drive(world, joined.node.allocateIPs(wanting(joined.node, 4), CONTEXT))).toMatchObject({
      kind: 'failed',
      error: { kind: 'unavailable', code: 'AuthorizationFailed' },
    })
    await expectOrder(world, joined)
    expect(knownAddresses(joined.node)).toHaveLength(4)
  })
})

test('used addresses count with their whole block where older profiles ask for it', async () => {
  const world = await makeAzureWorld({ config: { prefixes: true } })
  const joined = await join(world)
  await drive(world, joined.node.allocateIPs(wanting(joined.node, 32), CONTEXT))
  const [used = ''] = knownAddresses(joined.node)
  const resource = world.interfaces().find(({ instanceID }) => instanceID === joined.instanceID)?.id ?? ''
  expect(joined.node.prefixes!.getUsedIPWithPrefixes(new Map([[used, { resource }]]))).toBe(16)
  expect(joined.node.isPrefixDelegated()).toBe(true)
})
