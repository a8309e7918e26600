import { describe, expect, test } from 'vitest'
import { chooseDenseAddresses, DenseAddresses } from '../../../../providers/aws/dense-addresses.ts'
import { makeInterface } from '../../../../simulators/aws/cloud/interfaces.ts'
import { parseIPv4, parseIPv4CIDR } from '../../../../src/ipam/ip-range.ts'
import type { ENI } from '../../../../providers/aws/types.ts'
import { makeAWSWorld, SUBNET_ID } from '../../../contract/aws-world.ts'
import { CONTEXT, drive, expectOrder, join, wanting } from '../../../contract/provider.contract.ts'
import { addresses, eni, subnet } from './builders.ts'

/** Last parts of the addresses of 10.0.0.0/26 that are chosen; blocks are numbered 0 to 3 there. */
function choose(options: {
  readonly singles?: readonly number[]
  readonly delegated?: readonly number[]
  readonly unavailable?: readonly number[]
  readonly count: number
}): readonly number[] | undefined {
  const base = parseIPv4('10.0.0.0')!
  const singles = new Map<number, number>()
  for (const last of options.singles ?? []) {
    const block = base / 16 + Math.floor(last / 16)
    singles.set(block, (singles.get(block) ?? 0) | (1 << (last % 16)))
  }
  const delegated = new Set((options.delegated ?? []).map((block) => base / 16 + block))
  const isUnavailable = (address: number): boolean => (options.unavailable ?? []).includes(address - base)
  return chooseDenseAddresses(parseIPv4CIDR('10.0.0.0/26')!, { singles, delegated }, options.count, isUnavailable)?.map(
    (address) => address - base,
  )
}

describe('the densest choice of single addresses', () => {
  test.each([
    { name: 'begins in the block of the reserved addresses, after them', given: { count: 3 }, chosen: [4, 5, 6] },
    {
      name: 'fills the fullest broken block first',
      given: { singles: [16, 17, 18, 19, 20, 33], count: 2 },
      chosen: [21, 22],
    },
    {
      name: 'goes on in the next broken block, and never in a delegated one',
      given: { singles: [16], delegated: [2], unavailable: [4, 5, 6, 7, 8, 9, 10, 11, 12, 13], count: 3 },
      chosen: [14, 15, 17],
    },
    {
      name: 'opens a whole block, from the end of the subnet, only when every broken one is full',
      given: {
        unavailable: Array.from({ length: 64 }, (_, last) => last).filter((last) => last < 16 || last >= 48),
        count: 2,
      },
      chosen: [32, 33],
    },
    {
      name: 'never takes the last address of the subnet',
      given: { unavailable: Array.from({ length: 62 }, (_, last) => last), count: 1 },
      chosen: [62],
    },
    {
      name: 'is none when there is not enough room',
      given: { delegated: [1, 2], count: 12 + 15 + 1 },
      chosen: undefined,
    },
  ])('$name', ({ given, chosen }) => {
    expect(choose(given)).toEqual(chosen)
  })
})

describe('dense addresses', () => {
  const SUBNET = subnet({ id: 'subnet-1', cidr: '10.0.0.0/26' })
  const of = (...interfaces: readonly ENI[]): ReadonlyMap<string, ENI> =>
    new Map(interfaces.map((iface) => [iface.id, iface]))
  const known = (...interfaces: readonly ENI[]): DenseAddresses => {
    const dense = new DenseAddresses()
    dense.changed(new Map(), of(...interfaces))
    dense.listed([])
    return dense
  }

  test('are not chosen before all interfaces were listed once', () => {
    const dense = new DenseAddresses()
    expect(dense.reserve(SUBNET, 1)).toBeUndefined()
    dense.listed([])
    expect(dense.reserve(SUBNET, 1)?.addresses).toEqual(['10.0.0.4'])
  })

  test('are offered once until the call is over, and again when it came to nothing', () => {
    const dense = known()
    const first = dense.reserve(SUBNET, 2)
    expect(dense.reserve(SUBNET, 1)?.addresses).toEqual(['10.0.0.6'])
    first?.end()
    expect(dense.reserve(SUBNET, 1)?.addresses).toEqual(['10.0.0.4'])
  })

  test('that EC2 refused are left alone until the next full listing', () => {
    const dense = known()
    dense.reserve(SUBNET, 2)?.refused()
    expect(dense.reserve(SUBNET, 1)?.addresses).toEqual(['10.0.0.6'])
    dense.listed([])
    expect(dense.reserve(SUBNET, 1)?.addresses).toEqual(['10.0.0.4'])
  })

  test('follow the inventory: what an interface loses may be chosen, what it gains may not', () => {
    const before = eni({
      id: 'eni-1',
      ip: '10.0.0.20',
      addresses: ['10.0.0.20', '10.0.0.21'],
      prefixes: ['10.0.0.32/28'],
    })
    const after = { ...before, addresses: ['10.0.0.20', '10.0.0.22'], prefixes: [] }
    const dense = known(before)
    dense.changed(of(before), of(after))
    const mine = dense.reserve({ ...SUBNET, cidr: '10.0.0.16/28' }, 3)?.addresses
    expect(mine).toEqual(['10.0.0.21', '10.0.0.23', '10.0.0.24'])
    dense.changed(of(after), new Map())
    expect(dense.reserve({ ...SUBNET, cidr: '10.0.0.32/28' }, 1)?.addresses).toEqual(['10.0.0.36'])
  })

  test('keep off what hangs on no instance, as the last full listing showed it', () => {
    const dense = known()
    dense.listed([eni({ id: 'eni-lb', ip: '10.0.0.4', addresses: ['10.0.0.4'] })])
    expect(dense.reserve(SUBNET, 1)?.addresses).toEqual(['10.0.0.5'])
    dense.listed([])
    expect(dense.reserve({ ...SUBNET, id: 'subnet-1' }, 2)?.addresses).toEqual(['10.0.0.4', '10.0.0.6'])
  })

  test('of a subnet whose CIDR is not known are EC2’s choice', () => {
    expect(known().reserve({ id: 'subnet-1', cidr: '' }, 1)).toBeUndefined()
  })
})

describe('on EC2, with addresses scattered by others', () => {
  const DENSE = { config: { prefixDelegation: true, choosesAddresses: true } }

  test('twenty nodes with prefixes break no block but the one of the reserved addresses', async () => {
    const world = await makeAWSWorld(DENSE)
    const joined = []
    for (let node = 0; node < 20; node++) joined.push(await join(world))
    await drive(world, world.provider.resync(CONTEXT))
    const { space } = world.simulator.cloud.subnet(SUBNET_ID)
    const before = space.countFreeBlocks()
    for (const { node } of joined) await drive(world, node.createInterface!(wanting(node, 16), CONTEXT))
    const delegated = world.interfaces().reduce((sum, { prefixes }) => sum + prefixes.length, 0)
    expect(delegated).toBe(20)
    expect(before - space.countFreeBlocks()).toBe(delegated)
    for (const one of joined) await expectOrder(world, one)
  })

  test('nodes that work at the same time are never refused an address', async () => {
    const world = await makeAWSWorld({ ...DENSE, eni: { 'disable-prefix-delegation': true } })
    const joined = []
    for (let node = 0; node < 10; node++) joined.push(await join(world))
    await drive(world, world.provider.resync(CONTEXT))
    await Promise.all(joined.map(({ node }) => drive(world, node.allocateIPs(wanting(node, 5), CONTEXT))))
    expect(world.simulator.calls.report().actions['AssignPrivateIpAddresses']).toMatchObject({
      attempts: 10,
      failed: 0,
    })
    for (const one of joined) await expectOrder(world, one)
  })

  test('an address that somebody unseen has costs one refused call, and the node gets others', async () => {
    const world = await makeAWSWorld({ ...DENSE, eni: { 'disable-prefix-delegation': true } })
    const joined = await join(world)
    await drive(world, world.provider.resync(CONTEXT))
    const [primary, ...others] = addresses(8).map((address) => parseIPv4(address)!)
    makeInterface(world.simulator.cloud, {
      subnet: world.simulator.cloud.subnet(SUBNET_ID),
      interfaceType: 'interface',
      description: 'load balancer',
      groups: [],
      tags: new Map(),
      primary,
      ipv4: { addresses: others, addressCount: 0, prefixes: [], prefixCount: 0 },
      ipv6: { addressCount: 0, prefixCount: 0 },
    })
    const outcome = await drive(world, joined.node.allocateIPs(wanting(joined.node, 4), CONTEXT))
    expect(outcome).toEqual({ kind: 'allocated', addressCount: 4 })
    await drive(world, world.provider.resync(CONTEXT))
    expect(world.simulator.calls.report().actions['AssignPrivateIpAddresses']).toMatchObject({ attempts: 2, failed: 1 })
    const created = await drive(world, joined.node.createInterface!(wanting(joined.node, 4), CONTEXT))
    expect(created).toMatchObject({ kind: 'created', addressCount: 4 })
    expect(world.simulator.calls.report().actions['CreateNetworkInterface']).toMatchObject({ attempts: 1, failed: 0 })
    expect(world.violations()).toEqual([])
  })

  test.each(['assign', 'create'] as const)('a failed %s gives its addresses back to be chosen again', async (step) => {
    const world = await makeAWSWorld({ ...DENSE, eni: { 'disable-prefix-delegation': true } })
    const joined = await join(world)
    await drive(world, world.provider.resync(CONTEXT))
    const perform = () =>
      step === 'assign'
        ? drive<object>(world, joined.node.allocateIPs(wanting(joined.node, 3), CONTEXT))
        : drive<object>(world, joined.node.createInterface!(wanting(joined.node, 2), CONTEXT))
    world.fail(step, 'refused', 1)
    expect(await perform()).toMatchObject({ kind: 'failed' })
    await perform()
    const lowest = addresses(3, '10.0.0.', 4)
    expect(world.account().networkInterfaces.flatMap((iface) => iface.privateIpAddresses)).toEqual(
      expect.arrayContaining([...lowest]),
    )
  })
})
