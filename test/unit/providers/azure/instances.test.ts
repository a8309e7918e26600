import { describe, expect, test } from 'vitest'
import { AzureAPI } from '../../../../providers/azure/api.ts'
import { ARMCaller } from '../../../../providers/azure/arm-caller.ts'
import { InstancesManager } from '../../../../providers/azure/instances.ts'
import { SubnetCache } from '../../../../providers/azure/subnet-cache.ts'
import type { NIC } from '../../../../providers/azure/types.ts'
import type { JSONObject } from '../../../../src/ipam/types.ts'
import type { CallContext } from '../../../../src/runtime/call-priority.ts'
import { seededRandom } from '../../../../src/runtime/random.ts'
import { SILENT, UNLIMITED, UNMEASURED } from '../../../conformance/adapters/aws-node.ts'
import {
  isPath,
  ok,
  page,
  refusal,
  ScriptedARM,
  type ScriptedAnswer,
} from '../../../conformance/adapters/azure-scripted-arm.ts'
import { ManualClock } from '../../../support/manual-clock.ts'
import { configuration, GROUP, nicOf, OTHER_SUBNET, SUBNET } from './builders.ts'

const CONTEXT: CallContext = { priority: 'watermark', reason: 'test', signal: new AbortController().signal }
const SETS = `${GROUP}/Microsoft.Compute/virtualMachineScaleSets`
const machine = (number: number, set = 'np1'): string => `${SETS}/${set}/virtualMachines/${number}`
const id = (number: number, set?: string): string => machine(number, set).toLowerCase()
const VM = `${GROUP}/Microsoft.Compute/virtualMachines/vm-0`
const VM_NIC = `${GROUP}/Microsoft.Network/networkInterfaces/vm-0-nic`

/** An interface of a machine with some addresses, the first one primary. */
function nic(vm: string, addresses: readonly string[], subnet = SUBNET): JSONObject {
  return {
    id: vm === VM ? VM_NIC : `${vm}/networkInterfaces/np1`,
    name: 'np1',
    properties: {
      virtualMachine: { id: vm },
      ipConfigurations: addresses.map((privateIPAddress, at) =>
        configuration(`c${at}`, { primary: at === 0, privateIPAddress, subnet: { id: subnet } }),
      ),
    },
  }
}

/** A subscription by its answers: lists of interfaces by path, in lower case. */
function makeWorld(scaleSets: readonly JSONObject[] = [{ name: 'np1' }]) {
  const clock = new ManualClock()
  const lists = new Map<string, readonly JSONObject[] | ScriptedAnswer>()
  const documents = new Map<string, JSONObject | ScriptedAnswer>()
  const held = new Map<string, Promise<void>>()
  const answered = (found: unknown): ScriptedAnswer | undefined =>
    found === undefined
      ? undefined
      : typeof found === 'object' && found !== null && 'status' in found
        ? (found as ScriptedAnswer)
        : ok(found)
  const arm = new ScriptedARM(({ path }) => {
    if (isPath(path, SETS)) return page(scaleSets)
    const list = lists.get(path.toLowerCase())
    if (list !== undefined) return 'status' in list ? list : page(list)
    return answered(documents.get(path.toLowerCase()))
  })
  const client = {
    ...arm.client,
    send: async (request: Parameters<typeof arm.client.send>[0]) => {
      const answer = await arm.client.send(request)
      await held.get(new URL(request.url).pathname.toLowerCase())
      return answer
    },
  }
  const caller = new ARMCaller({
    client,
    budget: { ...UNLIMITED, observeRemaining() {} },
    clock,
    random: seededRandom(1),
    log: SILENT,
    metrics: UNMEASURED,
  })
  const api = new AzureAPI(caller, { subscriptionID: '00000000-0000-0000-0000-0000000000aa', resourceGroup: 'nodes' })
  const { signal } = new AbortController()
  const subnets = new SubnetCache({ api, profile: 'latest', subnetIDsFilter: [], clock, log: SILENT, signal })
  const seen: string[] = []
  const unfinished = { seen: (shown: NIC) => void seen.push(shown.id) }
  const instances = new InstancesManager({ api, subnets, unfinished, clock, log: SILENT, signal })
  const setList = (path: string, list: readonly JSONObject[] | ScriptedAnswer): void =>
    void lists.set(path.toLowerCase(), list)
  const setDocument = (path: string, document: JSONObject | ScriptedAnswer): void =>
    void documents.set(path.toLowerCase(), document)
  for (const subnet of [SUBNET, OTHER_SUBNET])
    setDocument(subnet, { id: subnet, properties: { addressPrefix: '10.0.0.0/16', ipConfigurations: [] } })
  setList(`${SETS}/np1/networkInterfaces`, [])
  setList(`${GROUP}/Microsoft.Network/networkInterfaces`, [])
  const driven = async <T>(work: Promise<T>): Promise<T> => {
    work.catch(() => undefined)
    for (let waited = 0; waited < 60; waited++) await clock.advance(250)
    return work
  }
  return {
    clock,
    arm,
    instances,
    subnets,
    setDocument,
    setMachine: (vm: string, list: readonly JSONObject[] | ScriptedAnswer) => setList(`${vm}/networkInterfaces`, list),
    setScaleSet: (name: string, list: readonly JSONObject[] | ScriptedAnswer) =>
      setList(`${SETS}/${name}/networkInterfaces`, list),
    setStandalone: (list: readonly JSONObject[]) => setList(`${GROUP}/Microsoft.Network/networkInterfaces`, list),
    /** The answer for a path is kept back until the returned function is called. */
    hold(path: string): () => void {
      const { promise, resolve } = Promise.withResolvers<void>()
      held.set(path.toLowerCase(), promise)
      return resolve
    },
    driven,
    /** Interfaces that were told of as usable or not, since the last call. */
    told: () => seen.splice(0),
    /** Names of what was asked for since the last call. */
    asked: () => arm.requests.splice(0).map(({ path }) => path.slice(GROUP.length + 1)),
    addresses: (instanceID: string) =>
      [...(instances.interfacesOf(instanceID)?.values() ?? [])].flatMap((one) => [
        one.ip,
        ...one.configurations.map(({ ip }) => ip),
      ]),
  }
}

describe('a full sync', () => {
  test('asks an empty scale set for nothing, and one that answers 404 does not fail it (24185)', async () => {
    const world = makeWorld([
      { name: 'np1', sku: { capacity: 3 } },
      { name: 'gone' },
      { name: 'zero', sku: { capacity: 0 } },
    ])
    world.setScaleSet('np1', [nic(machine(0), ['10.0.0.4'])])
    world.setScaleSet('gone', refusal(404, 'ResourceNotFound'))
    expect((await world.driven(world.instances.resync(CONTEXT))).changedInstanceIDs).toEqual([id(0)])
    expect(world.asked().filter((path) => path.includes('virtualMachineScaleSets/'))).toEqual([
      'Microsoft.Compute/virtualMachineScaleSets/np1/networkInterfaces',
      'Microsoft.Compute/virtualMachineScaleSets/gone/networkInterfaces',
    ])
  })

  test('reads the subnets in use and no virtual network (41555)', async () => {
    const world = makeWorld()
    world.setScaleSet('np1', [nic(machine(0), ['10.0.0.4']), nic(machine(1), ['10.0.0.5'])])
    world.setStandalone([nic(VM, ['10.0.0.6'], OTHER_SUBNET), { id: 'loose', properties: {} }])
    await world.driven(world.instances.resync(CONTEXT))
    expect(world.asked().filter((path) => path.includes('virtualNetworks'))).toEqual([
      'Microsoft.Network/virtualNetworks/vnet/subnets/a',
      'Microsoft.Network/virtualNetworks/vnet/subnets/b',
    ])
    expect(world.instances.interfacesOf(VM.toLowerCase())?.get(VM_NIC)?.subnet).toEqual({
      id: OTHER_SUBNET,
      cidr: '10.0.0.0/16',
    })
  })

  test('that fails changes nothing', async () => {
    const world = makeWorld([{ name: 'np1' }, { name: 'np2' }])
    world.setScaleSet('np1', [nic(machine(0), ['10.0.0.4'])])
    world.setScaleSet('np2', refusal(403, 'AuthorizationFailed'))
    await expect(world.driven(world.instances.resync(CONTEXT))).rejects.toMatchObject({ kind: 'denied' })
    expect(world.instances.hasInstance(id(0))).toBe(false)
  })

  test('forgets a machine that is gone, and asks for one of a live node first', async () => {
    const world = makeWorld()
    world.setScaleSet(
      'np1',
      [0, 1, 2].map((number) => nic(machine(number), [`10.0.0.${number + 4}`])),
    )
    await world.driven(world.instances.resync(CONTEXT))
    world.instances.track(id(1))
    world.instances.track(id(2))
    world.setScaleSet('np1', [])
    world.setMachine(machine(1), [nic(machine(1), ['10.0.0.5', '10.0.0.9'])])
    world.setMachine(machine(2), refusal(404, 'ResourceNotFound'))
    const { changedInstanceIDs } = await world.driven(world.instances.resync(CONTEXT))
    expect(changedInstanceIDs).toEqual([id(0), id(1), id(2)])
    expect([0, 1, 2].map((number) => world.instances.hasInstance(id(number)))).toEqual([false, true, false])
    expect(world.addresses(id(1))).toEqual(['10.0.0.5', '10.0.0.9'])
    expect(world.instances.missingInstanceCount).toBe(2)
  })

  test('keeps a live node’s machine that it cannot ask for', async () => {
    const world = makeWorld()
    world.setScaleSet('np1', [nic(machine(1), ['10.0.0.5'])])
    await world.driven(world.instances.resync(CONTEXT))
    world.instances.track(id(1))
    world.setScaleSet('np1', [])
    world.setMachine(machine(1), refusal(403, 'AuthorizationFailed'))
    expect((await world.driven(world.instances.resync(CONTEXT))).changedInstanceIDs).toEqual([])
    expect(world.addresses(id(1))).toEqual(['10.0.0.5'])
  })
})

describe('a read of one machine', () => {
  test('is one call for one of a scale set, and its subnet once a minute', async () => {
    const world = makeWorld()
    world.setMachine(machine(0), [nic(machine(0), ['10.0.0.4'])])
    await world.driven(world.instances.instanceSync(id(0), CONTEXT))
    expect(world.asked()).toHaveLength(2)
    await world.driven(world.instances.instanceSync(id(0), CONTEXT))
    expect(world.asked()).toEqual(
      [`${machine(0).slice(GROUP.length + 1)}/networkInterfaces`.toLowerCase()].map((path) =>
        expect.stringMatching(new RegExp(`^${path}$`, 'i')),
      ),
    )
    await world.clock.advance(60_000)
    await world.driven(world.instances.instanceSync(id(0), CONTEXT))
    expect(world.asked()).toHaveLength(2)
  })

  test('leaves the subnets of others where they are (45715)', async () => {
    const world = makeWorld()
    world.setMachine(machine(0), [nic(machine(0), ['10.0.0.4'])])
    world.setMachine(machine(1), [nic(machine(1), ['10.0.0.5'], OTHER_SUBNET)])
    await world.driven(world.instances.instanceSync(id(0), CONTEXT))
    await world.driven(world.instances.instanceSync(id(1), CONTEXT))
    expect([...world.subnets.open.keys()]).toEqual([SUBNET.toLowerCase(), OTHER_SUBNET.toLowerCase()])
  })

  test('that stands alone asks it for its interfaces', async () => {
    const world = makeWorld()
    world.setDocument(VM, {
      id: VM,
      properties: { networkProfile: { networkInterfaces: [{ id: VM_NIC }, { id: 'gone' }] } },
    })
    world.setDocument(VM_NIC, nic(VM, ['10.0.0.6', '10.0.0.7']))
    // A machine of another group is in no list of ours.
    const elsewhere = VM.replace('resourceGroups/nodes', 'resourceGroups/other')
    world.setDocument(elsewhere, {
      id: elsewhere,
      properties: { networkProfile: { networkInterfaces: [{ id: VM_NIC }] } },
    })
    await world.driven(world.instances.instanceSync(elsewhere.toLowerCase(), CONTEXT))
    expect(world.addresses(elsewhere.toLowerCase())).toEqual(['10.0.0.6', '10.0.0.7'])
  })

  test.each([
    { name: 'of a scale set', instanceID: id(7) },
    { name: 'that stands alone', instanceID: VM.toLowerCase() },
    { name: 'with an ID that is none', instanceID: 'i-0123' },
  ])('$name that Azure does not know forgets it', async ({ instanceID }) => {
    const world = makeWorld()
    world.instances.restore(instanceID, new Map([['a', nicOf({ id: 'a' })]]))
    const { changedInstanceIDs } = await world.driven(world.instances.instanceSync(instanceID, CONTEXT))
    expect(changedInstanceIDs).toEqual([instanceID])
    expect(world.instances.hasInstance(instanceID)).toBe(false)
  })

  test('with many others is one list, and what the list does not show is asked for by itself', async () => {
    const world = makeWorld()
    const numbers = Array.from({ length: 20 }, (_, number) => number)
    world.setScaleSet(
      'np1',
      numbers.slice(1).map((number) => nic(machine(number), [`10.0.1.${number}`])),
    )
    world.setMachine(machine(0), [nic(machine(0), ['10.0.1.0'])])
    for (const number of numbers) world.instances.track(id(number))
    await world.driven(Promise.all(numbers.map((number) => world.instances.instanceSync(id(number), CONTEXT))))
    expect(world.asked().filter((path) => path.endsWith('networkInterfaces'))).toHaveLength(2)
    expect(numbers.map((number) => world.addresses(id(number)))).toEqual(numbers.map((number) => [`10.0.1.${number}`]))
  })

  test('that fails fails alone', async () => {
    const world = makeWorld()
    for (const number of [0, 1]) world.instances.track(id(number))
    world.instances.track(id(200))
    for (let number = 2; number < 190; number++) world.instances.track(id(number))
    world.setMachine(machine(0), refusal(403, 'AuthorizationFailed'))
    world.setMachine(machine(1), [nic(machine(1), ['10.0.0.5'])])
    const results = await world.driven(
      Promise.allSettled([0, 1].map((number) => world.instances.instanceSync(id(number), CONTEXT))),
    )
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
  })
})

describe('what was read before a write of ours ended', () => {
  const before = nic(machine(0), ['10.0.0.4', '10.0.0.5', '10.0.0.6'])
  const released = new Set(['10.0.0.6'])

  test('by a full sync does not bring back what we gave back; the next one is believed again', async () => {
    const world = makeWorld()
    world.setScaleSet('np1', [before])
    await world.driven(world.instances.resync(CONTEXT))
    const goOn = world.hold(`${GROUP}/Microsoft.Network/networkInterfaces`)
    const sync = world.instances.resync(CONTEXT)
    await world.clock.advance(1000)
    world.instances.recordReleased(id(0), `${machine(0)}/networkInterfaces/np1`, released)
    expect(world.instances.hasUnlistedWrite(id(0))).toBe(true)
    goOn()
    expect((await world.driven(sync)).changedInstanceIDs).toEqual([])
    expect(world.addresses(id(0))).toEqual(['10.0.0.4', '10.0.0.5'])
    await world.driven(world.instances.resync(CONTEXT))
    expect(world.addresses(id(0))).toEqual(['10.0.0.4', '10.0.0.5', '10.0.0.6'])
    expect(world.instances.hasUnlistedWrite(id(0))).toBe(false)
  })

  test('by a read of the machine is dropped too, whatever was applied since', async () => {
    const world = makeWorld()
    world.setMachine(machine(0), [before])
    await world.driven(world.instances.instanceSync(id(0), CONTEXT))
    const goOn = world.hold(`${machine(0)}/networkInterfaces`)
    const stale = world.instances.instanceSync(id(0), CONTEXT)
    await world.clock.advance(1000)
    world.instances.recordReleased(id(0), `${machine(0)}/networkInterfaces/np1`, released)
    goOn()
    await world.driven(stale)
    expect(world.addresses(id(0))).toEqual(['10.0.0.4', '10.0.0.5'])
  })

  test('and a read that is older than what was applied changes nothing (31580)', async () => {
    const world = makeWorld()
    world.setScaleSet('np1', [before])
    const goOn = world.hold(`${GROUP}/Microsoft.Network/networkInterfaces`)
    const slow = world.instances.resync(CONTEXT)
    await world.clock.advance(1000)
    world.setMachine(machine(0), [nic(machine(0), ['10.0.0.4', '10.0.0.9'])])
    await world.driven(world.instances.instanceSync(id(0), CONTEXT))
    goOn()
    await world.driven(slow)
    expect(world.addresses(id(0))).toEqual(['10.0.0.4', '10.0.0.9'])
    expect(world.instances.syncedAtMs(id(0))).toBe(1000)
  })
})

test('every interface that is taken over is told of, whatever read showed it', async () => {
  const world = makeWorld()
  world.setScaleSet('np1', [nic(machine(0), ['10.0.0.4'])])
  world.setStandalone([nic(VM, ['10.0.0.6'])])
  await world.driven(world.instances.resync(CONTEXT))
  expect(world.told().toSorted()).toEqual([`${machine(0)}/networkInterfaces/np1`, VM_NIC])
  world.setMachine(machine(0), [nic(machine(0), ['10.0.0.4'])])
  await world.driven(world.instances.instanceSync(id(0), CONTEXT))
  expect(world.told()).toEqual([`${machine(0)}/networkInterfaces/np1`])
  world.setDocument(VM_NIC, nic(VM, ['10.0.0.6', '10.0.0.7']))
  await world.driven(world.instances.readInterface(VM.toLowerCase(), VM_NIC, CONTEXT))
  expect(world.told()).toEqual([VM_NIC])
})

describe('what a node’s own status tells', () => {
  test('is served until something better is known, and counts as no read', async () => {
    const world = makeWorld()
    world.instances.restore(id(0), new Map([['a', nicOf({ id: 'a', subnet: { id: SUBNET, cidr: '10.0.0.0/24' } })]]))
    expect(world.instances.syncedAtMs(id(0))).toBeUndefined()
    expect(world.subnets.get(SUBNET)?.availableAddresses).toBe(251)
    world.setMachine(machine(0), [nic(machine(0), ['10.0.0.4'])])
    await world.driven(world.instances.instanceSync(id(0), CONTEXT))
    expect(world.subnets.get(SUBNET)?.availableAddresses).toBe(65_531)
    world.instances.restore(id(0), new Map([['b', nicOf({ id: 'b' })]]))
    expect(world.instances.interfacesOf(id(0))?.has('b')).toBe(false)
  })
})
