import { describe, expect, test } from 'vitest'
import { addressesOfPrefix } from '../../src/ipam/ip-range.ts'
import { makeAWSWorld, SUBNET_ID, type AWSWorld } from './aws-world.ts'
import {
  CONTEXT,
  describeProviderContract,
  drive,
  expectOrder,
  join,
  knownAddresses,
  loose,
  wanting,
  type Joined,
} from './provider.contract.ts'

describeProviderContract('AWS', () => makeAWSWorld())

const OTHER_SUBNET_ID = 'subnet-0000000000000002b'
const WITH_PREFIXES = { config: { prefixDelegation: true } }

function prefixesOf(world: AWSWorld, { instanceID }: Joined): readonly string[] {
  return world.interfaces().flatMap((iface) => (iface.instanceID === instanceID ? iface.prefixes : []))
}

/** Puts one address of somebody else into every /28 of the nodes' subnet, so that no block is free. */
function fragment(world: AWSWorld): void {
  const { space } = world.simulator.cloud.subnet(SUBNET_ID)
  for (let base = space.block.base; base < space.block.base + 1024; base += 16) {
    let address = base
    while (address < base + 16 && !space.take(address)) address += 1
  }
  expect(space.takeAnyBlock()).toBeUndefined()
}

describe('AWS prefix delegation', () => {
  test('addresses come as whole prefixes, known at once', async () => {
    const world = await makeAWSWorld(WITH_PREFIXES)
    const joined = await join(world)
    expect(await drive(world, joined.node.allocateIPs(wanting(joined.node, 20), CONTEXT))).toEqual({
      kind: 'allocated',
      addressCount: 32,
    })
    expect(prefixesOf(world, joined)).toHaveLength(2)
    expect(knownAddresses(joined.node)).toHaveLength(32)
    await expectOrder(world, joined)
  })

  test('a new interface is created with prefixes', async () => {
    const world = await makeAWSWorld(WITH_PREFIXES)
    const joined = await join(world)
    expect(await drive(world, joined.node.createInterface!(wanting(joined.node, 40), CONTEXT))).toMatchObject({
      kind: 'created',
      addressCount: 48,
    })
    expect(prefixesOf(world, joined)).toHaveLength(3)
    await expectOrder(world, joined)
  })

  test('a fragmented subnet still serves the node with single addresses, on an interface and on a new one', async () => {
    const world = await makeAWSWorld(WITH_PREFIXES)
    const joined = await join(world)
    const other = await join(world)
    fragment(world)
    expect(await drive(world, joined.node.allocateIPs(wanting(joined.node, 4), CONTEXT))).toEqual({
      kind: 'allocated',
      addressCount: 4,
    })
    expect(joined.node.isPrefixDelegated()).toBe(false)
    expect(await drive(world, other.node.createInterface!(wanting(other.node, 4), CONTEXT))).toMatchObject({
      kind: 'created',
      addressCount: 4,
    })
    expect(prefixesOf(world, joined)).toEqual([])
    for (const each of [joined, other]) expect(knownAddresses(each.node)).toHaveLength(4)
  })

  test('prefixes return once the plain interface is drained', async () => {
    const world = await makeAWSWorld(WITH_PREFIXES)
    const joined = await join(world)
    fragment(world)
    await drive(world, joined.node.allocateIPs(wanting(joined.node, 4), CONTEXT))
    expect(joined.node.isPrefixDelegated()).toBe(false)
    await drive(world, joined.node.releaseIPs(joined.node.prepareIPRelease(4), CONTEXT))
    expect(joined.node.isPrefixDelegated()).toBe(true)
  })

  test('an interface that is full of prefixes fails an allocation rather than asking for nothing', async () => {
    const world = await makeAWSWorld(WITH_PREFIXES)
    const joined = await join(world)
    const action = wanting(joined.node, 9 * 16)
    await drive(world, joined.node.allocateIPs(action, CONTEXT))
    fragment(world)
    const calls = world.simulator.calls.counts('AssignPrivateIpAddresses').attempts
    const outcome = await drive(
      world,
      joined.node.allocateIPs({ ...action, ipv4: { ...action.ipv4, availableForAllocation: 5 } }, CONTEXT),
    )
    expect(outcome.kind).toBe('failed')
    expect(world.simulator.calls.counts('AssignPrivateIpAddresses').attempts).toBe(calls + 1)
  })

  test('whole unused prefixes are released, the one in use stays', async () => {
    const world = await makeAWSWorld(WITH_PREFIXES)
    const joined = await join(world)
    await drive(world, joined.node.allocateIPs(wanting(joined.node, 48), CONTEXT))
    const [, usedPrefix = ''] = prefixesOf(world, joined)
    const [used = ''] = addressesOfPrefix(usedPrefix).slice(5)
    joined.node.updatedNode({ ...joined.resource, status: { ...joined.resource.status, used: new Map([[used, {}]]) } })
    const action = joined.node.prepareIPRelease(40)
    expect(action.ipPrefixesToRelease).toHaveLength(2)
    await drive(world, joined.node.prefixes!.releaseIPPrefixes(action, CONTEXT))
    await drive(world, joined.node.releaseIPs(action, CONTEXT))
    expect(prefixesOf(world, joined)).toEqual([usedPrefix])
    expect(knownAddresses(joined.node)).toEqual(addressesOfPrefix(usedPrefix).toSorted())
    await expectOrder(world, joined)
  })
})

describe('AWS interfaces', () => {
  test('a created interface goes with its instance, once the work in the background is done', async () => {
    const world = await makeAWSWorld()
    const joined = await join(world)
    await drive(world, joined.node.createInterface!(wanting(joined.node, 4), CONTEXT))
    await drive(world, world.provider.settle(CONTEXT.signal))
    expect(world.account().networkInterfaces.map(({ attachment }) => attachment?.deleteOnTermination)).toEqual([
      true,
      true,
    ])
    world.removeInstance(joined.instanceID)
    await world.clock.advance(60_000)
    expect(loose(world)).toEqual([])
  })

  test('that it cannot be marked so is no reason to give an interface up', async () => {
    const world = await makeAWSWorld()
    const joined = await join(world)
    world.simulator.faults.set([
      {
        action: 'ModifyNetworkInterfaceAttribute',
        where: 'before-effect',
        effect: { kind: 'error', code: 'InternalError', status: 500, message: 'An internal error has occurred' },
        probability: 1,
        count: 3,
        fromCall: 1,
        untilCall: 1000,
      },
    ])
    const outcome = await drive(world, joined.node.createInterface!(wanting(joined.node, 4), CONTEXT))
    expect(outcome).toMatchObject({ kind: 'created', addressCount: 4 })
    await expectOrder(world, joined)
    expect(world.account().networkInterfaces.every(({ attachment }) => attachment?.deleteOnTermination)).toBe(true)
  })

  test('an interface of somebody else on the next index is gone round', async () => {
    const world = await makeAWSWorld()
    const joined = await join(world)
    const plain = wanting(joined.node, 2)
    await drive(world, joined.node.createInterface!(plain, CONTEXT))
    const restarted = await drive(world, world.restart())
    const first = world.account().networkInterfaces.find(({ attachment }) => attachment?.deviceIndex === 0)!
    const node = restarted.createNode({
      ...joined.resource,
      status: {
        ...joined.resource.status,
        eni: {
          enis: {
            [first.networkInterfaceId]: {
              id: first.networkInterfaceId,
              ip: first.privateIpAddresses[0] ?? '',
              subnet: { id: SUBNET_ID },
              'security-groups': first.groupIds,
            },
          },
        },
      },
    })
    expect(await drive(world, node.createInterface!(plain, CONTEXT))).toMatchObject({
      kind: 'created',
      addressCount: 2,
    })
    expect(
      world
        .account()
        .networkInterfaces.map(({ attachment }) => attachment?.deviceIndex)
        .toSorted((a, b) => Number(a) - Number(b)),
    ).toEqual([0, 1, 2])
  })

  test('a new interface that EC2 does not show yet is waited for', async () => {
    const world = await makeAWSWorld({
      settings: { consistency: { createdInterfaceMs: 800, notFoundProbability: 1 } },
    })
    const joined = await join(world)
    expect(await drive(world, joined.node.createInterface!(wanting(joined.node, 4), CONTEXT))).toMatchObject({
      kind: 'created',
      addressCount: 4,
    })
    await drive(world, world.provider.settle(CONTEXT.signal))
    expect(loose(world)).toEqual([])
  })
})

describe('AWS inventory', () => {
  test('listings that lag behind do not take back what we did', async () => {
    const world = await makeAWSWorld({ settings: { consistency: { addressesMs: 5000, createdInterfaceMs: 3000 } } })
    const joined = await join(world)
    await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))
    await drive(world, joined.node.createInterface!(wanting(joined.node, 3), CONTEXT))
    await drive(world, world.provider.instanceSync(joined.instanceID, CONTEXT))
    expect(knownAddresses(joined.node)).toHaveLength(8)
    await drive(world, world.provider.resync(CONTEXT))
    expect(knownAddresses(joined.node)).toHaveLength(8)
    await world.clock.advance(30_000)
    await drive(world, world.provider.resync(CONTEXT))
    expect(knownAddresses(joined.node)).toHaveLength(8)
  })

  test('a subnet filter does not hide the interfaces of a live node, nor the node itself', async () => {
    const world = await makeAWSWorld({
      config: { subnetIDsFilter: [OTHER_SUBNET_ID] },
      otherSubnets: [{ subnetId: OTHER_SUBNET_ID, cidrBlock: '10.0.64.0/24' }],
      eni: { 'first-interface-index': 1 },
    })
    const fresh = await join(world)
    const served = await join(world)
    await drive(world, served.node.createInterface!(wanting(served.node, 4), CONTEXT))
    await world.clock.advance(60_000)
    const startedAtMs = world.clock.now()
    await drive(world, world.provider.resync(CONTEXT))
    for (const { instanceID } of [fresh, served]) {
      expect(world.provider.hasInstance(instanceID)).toBe(true)
      expect(world.provider.syncedAtMs(instanceID)).toBeGreaterThanOrEqual(startedAtMs)
    }
    expect(world.account().networkInterfaces).toHaveLength(3)
    expect(Object.keys(served.node.populateStatusFields()?.value['enis'] ?? {})).toHaveLength(2)
    await expectOrder(world, served)
  })

  test('several hundred interfaces come in several pages, the first ones of the first listing small', async () => {
    const world = await makeAWSWorld()
    for (let index = 0; index < 320; index++) world.addInstance()
    const pagesOf = async (sync: Promise<unknown>): Promise<number> => {
      const reads = world.interfaceReads()
      await drive(world, sync)
      return world.interfaceReads() - reads
    }
    expect(await pagesOf(world.provider.resync(CONTEXT)), '40 + 110 + 150 + 20').toBe(4)
    expect(await pagesOf(world.provider.resync(CONTEXT)), '150 + 150 + 20').toBe(3)
  })

  test('the first full sync does not read again what was read to prepare; the second one does', async () => {
    const world = await makeAWSWorld()
    world.addInstance()
    await drive(world, world.provider.prepare(CONTEXT))
    const readsOf = async (): Promise<number> => {
      const before = world.callsOf('DescribeSubnets')
      await drive(world, world.provider.resync(CONTEXT))
      return world.callsOf('DescribeSubnets') - before
    }
    expect([await readsOf(), await readsOf()]).toEqual([0, 1])
  })

  test('an unpaged listing that EC2 refuses is repeated in pages', async () => {
    const world = await makeAWSWorld({ config: { maxResultsPerCall: 0 }, settings: { unpagedInterfaceLimit: 3 } })
    for (let index = 0; index < 10; index++) world.addInstance()
    expect((await drive(world, world.provider.resync(CONTEXT))).changedInstanceIDs).toHaveLength(10)
  })
})
