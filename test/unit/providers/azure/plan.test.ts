import { describe, expect, test } from 'vitest'
import {
  interfaceRoom,
  interfacesAndIPs,
  maximumAllocatableIPv4,
  MINIMUM_ALLOCATABLE_IPV4,
  nodeCapacity,
  prepareIPAllocation,
  type NodeFacts,
} from '../../../../providers/azure/plan.ts'
import { keyOf } from '../../../../providers/azure/resource-id.ts'
import type { NIC } from '../../../../providers/azure/types.ts'
import { address, addresses, block, nicOf, OTHER_SUBNET, SCALE_SET_NIC, SUBNET } from './builders.ts'

test.each([
  { usePrimaryAddress: true, nicsWithPrimary: 2, profile: 'latest', capacity: 256 },
  { usePrimaryAddress: false, nicsWithPrimary: 0, profile: 'latest', capacity: 256 },
  { usePrimaryAddress: false, nicsWithPrimary: 2, profile: 'latest', capacity: 254 },
  { usePrimaryAddress: false, nicsWithPrimary: 300, profile: 'latest', capacity: 0 },
  { usePrimaryAddress: true, nicsWithPrimary: 1, profile: '1.19', capacity: 255 },
] as const)('$nicsWithPrimary NICs, primary usable $usePrimaryAddress, profile $profile: $capacity', (row) => {
  expect(nodeCapacity(row)).toBe(row.capacity)
})

test('ceiling and floor are constants of the cloud', () => {
  expect([maximumAllocatableIPv4(), MINIMUM_ALLOCATABLE_IPV4]).toEqual([256, 8])
  expect(maximumAllocatableIPv4(true)).toBe(4096)
})

const PLAIN: NodeFacts = {
  spec: { interfaceName: '' },
  usePrimaryAddress: false,
  prefixes: false,
  profile: 'latest',
  interfaces: [],
}
const facts = (interfaces: readonly NIC[], more: Partial<NodeFacts> = {}): NodeFacts => ({
  ...PLAIN,
  interfaces,
  ...more,
})
const subnets = (free: Readonly<Record<string, number>>) =>
  new Map(Object.entries(free).map(([id, availableAddresses]) => [keyOf(id), { id, availableAddresses }]))

describe('the room of an interface', () => {
  test.each<{ name: string; nic: Partial<NIC>; more?: Partial<NodeFacts>; room: number }>([
    { name: 'is 256 less the hidden primary address', nic: {}, room: 255 },
    {
      name: 'is 256 where the primary address is open but listed',
      nic: {},
      more: { usePrimaryAddress: true },
      room: 255,
    },
    { name: 'ignored the hidden one up to 1.19', nic: {}, more: { profile: '1.19' }, room: 256 },
    { name: 'is 256 for one without primary address', nic: { ip: '' }, room: 256 },
    { name: 'has no slot for what waits for its address', nic: { pendingCount: 3 }, room: 252 },
    { name: 'ends at none', nic: { configurations: addresses(255) }, room: 0 },
    { name: 'is never negative', nic: { configurations: addresses(300) }, room: 0 },
    {
      name: 'counts sixteen a slot for blocks',
      nic: { configurations: addresses(253) },
      more: { prefixes: true },
      room: 32,
    },
    { name: 'counts a block as one slot', nic: { configurations: [block('10.0.0.16/28')] }, room: 254 },
  ])('$name', ({ nic, more, room }) => {
    expect(interfaceRoom(nicOf(nic), { ...PLAIN, ...more })).toBe(room)
  })
})

describe('an allocation', () => {
  test('goes to the first interface by ID whose subnet has room', () => {
    const first = nicOf({ id: `${SCALE_SET_NIC}-a`, configurations: addresses(255) })
    const second = nicOf({ id: `${SCALE_SET_NIC}-b`, subnet: { id: OTHER_SUBNET, cidr: '' } })
    const third = nicOf({ id: `${SCALE_SET_NIC}-c` })
    const action = prepareIPAllocation(facts([first, second, third]), subnets({ [SUBNET]: 9, [OTHER_SUBNET]: 0 }))
    expect(action).toMatchObject({
      interfaceID: third.id,
      poolID: SUBNET,
      ipv4: { availableForAllocation: 9, interfaceCandidates: 2 },
      emptyInterfaceSlots: 0,
    })
  })

  test('never leaves the subnet of an interface, full or not known (45715)', () => {
    for (const free of [{ [SUBNET]: 0, [OTHER_SUBNET]: 50 }, { [OTHER_SUBNET]: 50 }])
      expect(prepareIPAllocation(facts([nicOf()]), subnets(free))).toMatchObject({
        interfaceID: '',
        poolID: '',
        ipv4: { availableForAllocation: 0, interfaceCandidates: 1 },
      })
  })

  test('of an interface without any subnet takes the first one with room, by ID', () => {
    const nic = nicOf({ subnet: { id: '', cidr: '' } })
    const action = prepareIPAllocation(facts([nic]), subnets({ [SUBNET]: 0, [OTHER_SUBNET]: 50 }))
    expect(action).toMatchObject({ interfaceID: nic.id, poolID: OTHER_SUBNET, ipv4: { availableForAllocation: 50 } })
  })

  test('finds a subnet that is spelt otherwise, and keeps the spelling of the interface', () => {
    const nic = nicOf({ subnet: { id: SUBNET.toUpperCase(), cidr: '' } })
    expect(prepareIPAllocation(facts([nic]), subnets({ [SUBNET]: 9 })).poolID).toBe(SUBNET.toUpperCase())
  })

  test('keeps to the interface that the node names', () => {
    const [first, second] = [nicOf({ id: 'a', name: 'eth0' }), nicOf({ id: 'b', name: 'eth1' })]
    const plan = (interfaceName: string) =>
      prepareIPAllocation(facts([first, second], { spec: { interfaceName } }), subnets({ [SUBNET]: 9 }))
    expect(plan('eth1')).toMatchObject({ interfaceID: 'b', ipv4: { interfaceCandidates: 1 } })
    expect(plan('eth9')).toMatchObject({ interfaceID: '', ipv4: { interfaceCandidates: 0 } })
  })
})

describe('what a node has', () => {
  test('is every provisioned address, on every interface', () => {
    const nics = [
      nicOf({
        id: 'a',
        name: 'eth0',
        configurations: [address('10.0.0.5'), address('10.0.0.6', { state: 'updating' })],
      }),
      nicOf({ id: 'b', name: 'eth1', ip: '10.0.0.9', configurations: [address('10.0.0.7', { state: '' })] }),
    ]
    const { available, stats } = interfacesAndIPs(facts(nics, { spec: { interfaceName: 'eth1' } }))
    expect([...available]).toEqual([['10.0.0.5', { resource: 'a' }]])
    expect(stats).toMatchObject({ nodeCapacity: 254, remainingAvailableInterfaceCount: 1, interfaceCandidates: 1 })
  })

  test('includes primary addresses where pods may use them', () => {
    const { available } = interfacesAndIPs(facts([nicOf()], { usePrimaryAddress: true }))
    expect([...available.keys()]).toEqual(['10.0.0.4'])
  })

  test('of a block are all its addresses, and blocks left from before raise the capacity', () => {
    const nics = [nicOf({ configurations: [block('10.0.0.16/28')] })]
    expect(interfacesAndIPs(facts(nics)).available.size).toBe(16)
    expect(interfacesAndIPs(facts(nics)).stats.nodeCapacity).toBe(255 + 15)
    expect(interfacesAndIPs(facts(nics, { prefixes: true })).stats.nodeCapacity).toBe(255 * 16)
  })
})
