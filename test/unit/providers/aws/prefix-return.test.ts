import { describe, expect, test } from 'vitest'
import { PrefixSupply, REFUSED_FOR_MS } from '../../../../providers/aws/prefix-supply.ts'
import { siblingSubnets } from '../../../../providers/aws/plan-placement.ts'
import { deleteInterface } from '../../../../simulators/aws/cloud/interfaces.ts'
import { occupyAddresses } from '../../../../simulators/aws/occupy.ts'
import { makeAWSWorld, SUBNET_ID, type AWSWorld } from '../../../contract/aws-world.ts'
import { CONTEXT, drive, expectOrder, join, wanting, type Joined } from '../../../contract/provider.contract.ts'
import { ManualClock } from '../../../support/manual-clock.ts'
import { spec, subnet } from './builders.ts'

const WITH_PREFIXES = { config: { prefixDelegation: true } }
const OTHER = { subnetId: 'subnet-0000000000000002b', cidrBlock: '10.0.8.0/24' }

/** Takes one address of every free /28. @returns how to give them back */
function fragment(world: AWSWorld, subnetId = SUBNET_ID): () => void {
  const { networkInterfaceId } = occupyAddresses(world.simulator.cloud, { subnetId, fragment: true })
  const occupant = world.simulator.cloud.interface(networkInterfaceId)
  return () => deleteInterface(world.simulator.cloud, occupant)
}

function prefixCount(world: AWSWorld, { instanceID }: Joined): number {
  return world
    .interfaces()
    .filter((iface) => iface.instanceID === instanceID)
    .reduce((sum, { prefixes }) => sum + prefixes.length, 0)
}

const prefixTries = (world: AWSWorld): number =>
  world.simulator.calls.report().actions['AssignPrivateIpAddresses']?.attempts ?? 0

describe('a node that fell back to single addresses', () => {
  test('returns to prefixes once its subnet has blocks again, with the next need', async () => {
    const world = await makeAWSWorld(WITH_PREFIXES)
    const joined = await join(world)
    const mend = fragment(world)
    await drive(world, joined.node.allocateIPs(wanting(joined.node, 4), CONTEXT))
    expect(joined.node.isPrefixDelegated()).toBe(false)
    mend()
    await world.clock.advance(REFUSED_FOR_MS)
    await drive(world, joined.node.allocateIPs(wanting(joined.node, 4), CONTEXT))
    expect(prefixCount(world, joined)).toBe(1)
    expect(joined.node.isPrefixDelegated()).toBe(true)
    await expectOrder(world, joined)
  })

  test('tries again in a new interface too', async () => {
    const world = await makeAWSWorld(WITH_PREFIXES)
    const joined = await join(world)
    const mend = fragment(world)
    await drive(world, joined.node.createInterface!(wanting(joined.node, 4), CONTEXT))
    mend()
    await world.clock.advance(REFUSED_FOR_MS)
    await drive(world, joined.node.createInterface!(wanting(joined.node, 4), CONTEXT))
    expect(prefixCount(world, joined)).toBe(1)
  })

  test('asks at most once in ten minutes, together with all nodes of its subnet', async () => {
    const world = await makeAWSWorld(WITH_PREFIXES)
    const nodes = [await join(world), await join(world)]
    fragment(world)
    for (const { node } of nodes) await drive(world, node.allocateIPs(wanting(node, 2), CONTEXT))
    await world.clock.advance(REFUSED_FOR_MS)
    const before = prefixTries(world)
    for (const { node } of nodes) await drive(world, node.allocateIPs(wanting(node, 2), CONTEXT))
    expect(prefixTries(world) - before, 'one refused try, two assignments').toBe(3)
    expect(world.violations()).toEqual([])
  })

  test('does not try where it is told not to use prefixes, nor on an interface without a slot', async () => {
    const optedOut = await makeAWSWorld({ ...WITH_PREFIXES, eni: { 'disable-prefix-delegation': true } })
    const plain = await join(optedOut)
    await optedOut.clock.advance(REFUSED_FOR_MS)
    await drive(optedOut, plain.node.allocateIPs(wanting(plain.node, 4), CONTEXT))
    expect(prefixCount(optedOut, plain)).toBe(0)

    const full = await makeAWSWorld(WITH_PREFIXES)
    const joined = await join(full)
    const mend = fragment(full)
    await drive(full, joined.node.allocateIPs(wanting(joined.node, 9), CONTEXT))
    mend()
    await full.clock.advance(REFUSED_FOR_MS)
    await drive(full, joined.node.createInterface!(wanting(joined.node, 1), CONTEXT))
    await expectOrder(full, joined)
    expect(prefixCount(full, joined)).toBe(1)
  })
})

describe('what is known of free blocks', () => {
  test('a refusal counts for ten minutes, and so does the start of the process', async () => {
    const clock = new ManualClock()
    const supply = new PrefixSupply(clock)
    expect(supply.mayTry('a')).toBe(false)
    await clock.advance(REFUSED_FOR_MS - 1)
    expect(supply.mayTry('a')).toBe(false)
    await clock.advance(1)
    expect(supply.mayTry('a')).toBe(true)
    supply.refused('a')
    expect([supply.mayTry('a'), supply.mayTry('b')]).toEqual([false, true])
  })
})

describe('sibling subnets', () => {
  test.each([
    { triesSiblingSubnets: true, prefixes: 1, subnetID: OTHER.subnetId },
    { triesSiblingSubnets: false, prefixes: 0, subnetID: SUBNET_ID },
  ])(
    'are asked for a block when that is wanted: $triesSiblingSubnets',
    async ({ triesSiblingSubnets, ...expected }) => {
      const world = await makeAWSWorld({
        config: { prefixDelegation: true, triesSiblingSubnets },
        otherSubnets: [OTHER],
      })
      const joined = await join(world)
      fragment(world)
      const outcome = await drive(world, joined.node.createInterface!(wanting(joined.node, 8), CONTEXT))
      expect(outcome).toMatchObject({ kind: 'created', poolID: expected.subnetID })
      expect(prefixCount(world, joined)).toBe(expected.prefixes)
      expect(world.violations()).toEqual([])
    },
  )

  test('when none has a block, single addresses come from the subnet that was chosen first', async () => {
    const world = await makeAWSWorld({
      config: { prefixDelegation: true, triesSiblingSubnets: true },
      otherSubnets: [OTHER],
    })
    const joined = await join(world)
    fragment(world)
    fragment(world, OTHER.subnetId)
    const outcome = await drive(world, joined.node.createInterface!(wanting(joined.node, 8), CONTEXT))
    expect(outcome).toMatchObject({ kind: 'created', poolID: SUBNET_ID, addressCount: 8 })
  })

  const [a, b, c, full, far] = [
    subnet({ id: 'a', availableAddresses: 50, tags: { use: 'pods' } }),
    subnet({ id: 'b', availableAddresses: 60, tags: { use: 'pods' } }),
    subnet({ id: 'c', availableAddresses: 90 }),
    subnet({ id: 'full', availableAddresses: 16, tags: { use: 'pods' } }),
    subnet({ id: 'far', availabilityZone: 'b', tags: { use: 'pods' } }),
  ]
  const routeTables = [{ id: 'rt', virtualNetworkID: 'vpc-1', subnetIDs: new Set(['a', 'b']) }]
  const subnets = new Map([a, b, c, full, far].map((one) => [one.id, one]))
  test.each([
    { name: 'the listed ones', parts: { subnetIDs: ['a', 'c', 'full'] }, tables: [], siblings: ['c'] },
    { name: 'the tagged ones', parts: { subnetTags: { use: 'pods' } }, tables: [], siblings: ['b'] },
    {
      name: 'those on the route table of the node',
      parts: { nodeSubnetID: 'a' },
      tables: routeTables,
      siblings: ['b'],
    },
    { name: 'all of the zone, the largest first', parts: {}, tables: [], siblings: ['c', 'b'] },
  ])('are $name', ({ parts, tables, siblings }) => {
    expect(siblingSubnets({ subnets, routeTables: tables }, spec(parts), 'a').map(({ id }) => id)).toEqual(siblings)
  })
})
