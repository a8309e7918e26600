import { describe, expect, test } from 'vitest'
import {
  compareInterfaces,
  fallbackCount,
  interfacesAndIPs,
  interfaceView,
  isExcluded,
  isPrefixDelegated,
  maximumAllocatableIPv4,
  minimumAllocatableIPv4,
  nextDeviceIndex,
  planInterface,
  prepareIPAllocation,
  type NodeFacts,
} from '../../../../providers/aws/plan.ts'
import type { ENI } from '../../../../providers/aws/types.ts'
import type { Limits } from '../../../../src/ipam/types.ts'
import { addresses, eni, M5_LARGE, spec } from './builders.ts'

function facts(parts: Partial<NodeFacts> = {}): NodeFacts & { limits: Limits } {
  return { spec: spec(), prefixDelegation: false, interfaces: [], ...parts, limits: parts.limits ?? M5_LARGE }
}

const PREFIX_ENI = eni({ id: 'eni-p', prefixes: ['10.0.0.16/28'] })

describe('isPrefixDelegated', () => {
  test.each<{ name: string; parts: Partial<NodeFacts>; expected: boolean }>([
    { name: 'Nitro, nothing assigned', parts: { prefixDelegation: true }, expected: true },
    { name: 'the operator does not want it', parts: {}, expected: false },
    {
      name: 'the node does not want it',
      parts: { prefixDelegation: true, spec: spec({ isPrefixDelegationDisabled: true }) },
      expected: false,
    },
    {
      name: 'Xen',
      parts: { prefixDelegation: true, limits: { ...M5_LARGE, hypervisorType: 'xen' } },
      expected: false,
    },
    {
      name: 'bare metal without hypervisor',
      parts: { prefixDelegation: true, limits: { ...M5_LARGE, hypervisorType: '', isBareMetal: true } },
      expected: true,
    },
    {
      name: 'one plain interface among prefix interfaces, last',
      parts: {
        prefixDelegation: true,
        interfaces: [PREFIX_ENI, eni({ id: 'eni-q', number: 1, addresses: addresses(1) })],
      },
      expected: false,
    },
    {
      name: 'one plain interface among prefix interfaces, first and excluded',
      parts: {
        prefixDelegation: true,
        spec: spec({ firstInterfaceIndex: 1 }),
        interfaces: [eni({ id: 'eni-a', addresses: addresses(1) }), { ...PREFIX_ENI, number: 1 }],
      },
      expected: false,
    },
    {
      name: 'only the primary address',
      parts: { prefixDelegation: true, interfaces: [eni({ id: 'eni-a', addresses: ['10.0.0.4'] })] },
      expected: true,
    },
  ])('$name: $expected', ({ parts, expected }) => {
    expect(isPrefixDelegated(facts(parts))).toBe(expected)
  })

  test('unknown limits: no', () => {
    expect(isPrefixDelegated({ ...facts({ prefixDelegation: true }), limits: undefined })).toBe(false)
  })
})

describe('capacity', () => {
  test('does not depend on the order in which interfaces are looked at, on a node that lost its prefixes', () => {
    const plain = eni({ id: 'eni-b', number: 1, ip: '10.0.1.4', addresses: addresses(3, '10.0.1.') })
    const node = facts({ prefixDelegation: true, interfaces: [PREFIX_ENI, plain] })
    const forwards = interfacesAndIPs(node).stats
    const backwards = interfacesAndIPs({ ...node, interfaces: [plain, PREFIX_ENI] }).stats
    // Plain mode: 3 × 9, and the prefix that is left carries 15 more than the slot it takes.
    expect(forwards.nodeCapacity).toBe(27 + 15)
    expect(backwards).toEqual(forwards)
  })

  test('the primary address adds a slot to each interface', () => {
    const node = facts({ spec: spec({ usesPrimaryAddress: true }), interfaces: [eni({ id: 'eni-a' })] })
    expect(interfacesAndIPs(node).stats.nodeCapacity).toBe(30)
  })

  test('an excluded interface takes its slot and its share of the capacity, and publishes nothing', () => {
    const excluded = eni({
      id: 'eni-a',
      addresses: addresses(2),
      tags: { skip: 'yes', more: 'x' },
      publicIP: '203.0.113.9',
    })
    const managed = eni({ id: 'eni-b', number: 1, addresses: addresses(9, '10.0.1.'), ipv6Prefixes: ['2001:db8::/80'] })
    const { available, stats } = interfacesAndIPs(
      facts({ spec: spec({ excludeInterfaceTags: { skip: 'yes' } }), interfaces: [excluded, managed] }),
    )
    expect([...available]).toEqual(addresses(9, '10.0.1.').map((address) => [address, { resource: 'eni-b' }]))
    expect(stats).toEqual({
      nodeCapacity: 18,
      remainingAvailableInterfaceCount: 1,
      interfaceCandidates: 0,
      emptyInterfaceSlots: 1,
      nodeIPv6Prefixes: 1,
      assignedStaticIP: '203.0.113.9',
    })
  })

  test('more interfaces than slots leave none', () => {
    const interfaces = [0, 1, 2, 3].map((number) => eni({ id: `eni-${number}`, number, addresses: addresses(9) }))
    const { stats } = interfacesAndIPs(facts({ interfaces }))
    expect(stats.emptyInterfaceSlots).toBe(0)
    expect(stats.remainingAvailableInterfaceCount).toBe(-1)
  })
})

describe('ceiling and floor', () => {
  test.each([
    { limits: M5_LARGE, firstInterfaceIndex: 0, prefixDelegated: false, maximum: 27, minimum: 8 },
    { limits: M5_LARGE, firstInterfaceIndex: 1, prefixDelegated: false, maximum: 18, minimum: 8 },
    { limits: M5_LARGE, firstInterfaceIndex: 0, prefixDelegated: true, maximum: 432, minimum: 8 },
    { limits: M5_LARGE, firstInterfaceIndex: 3, prefixDelegated: false, maximum: 0, minimum: 0 },
    { limits: M5_LARGE, firstInterfaceIndex: 4, prefixDelegated: false, maximum: 0, minimum: 0 },
    { limits: M5_LARGE, firstInterfaceIndex: undefined, prefixDelegated: false, maximum: 0, minimum: 8 },
    { limits: undefined, firstInterfaceIndex: 0, prefixDelegated: false, maximum: 0, minimum: 8 },
    { limits: { adapters: 2, ipv4: 0 }, firstInterfaceIndex: 0, prefixDelegated: false, maximum: 0, minimum: 0 },
    { limits: { adapters: 2, ipv4: 2 }, firstInterfaceIndex: 0, prefixDelegated: false, maximum: 2, minimum: 2 },
  ])('$limits from index $firstInterfaceIndex: $maximum and $minimum', ({ maximum, minimum, ...node }) => {
    expect(maximumAllocatableIPv4(node)).toBe(maximum)
    expect(minimumAllocatableIPv4(node)).toBe(minimum)
  })
})

describe('prepareIPAllocation', () => {
  const subnets = new Map([
    ['subnet-1', { availableAddresses: 100 }],
    ['subnet-full', { availableAddresses: 0 }],
  ])

  test('takes the first interface with room in a subnet with room; the others stay candidates', () => {
    const interfaces = [
      eni({ id: 'eni-a', addresses: addresses(9) }),
      eni({ id: 'eni-b', number: 1, subnet: { id: 'subnet-full', cidr: '' } }),
      eni({ id: 'eni-c', number: 2, addresses: addresses(4, '10.0.2.') }),
    ]
    expect(prepareIPAllocation(facts({ interfaces }), subnets)).toEqual({
      interfaceID: 'eni-c',
      poolID: 'subnet-1',
      ipv4: {
        availableForAllocation: 5,
        maxIPsToAllocate: 0,
        interfaceCandidates: 2,
        emptyPoolIDs: ['subnet-full'],
      },
      ipv6: { maxPrefixesToAllocate: 0 },
      emptyInterfaceSlots: 0,
    })
  })

  test('an interface in a subnet that is not cached cannot be selected', () => {
    const interfaces = [eni({ id: 'eni-a', subnet: { id: 'subnet-other', cidr: '' } })]
    const action = prepareIPAllocation(facts({ interfaces }), subnets)
    expect(action).toMatchObject({ interfaceID: '', ipv4: { availableForAllocation: 0, interfaceCandidates: 1 } })
    // Room in that subnet is nothing that the node waits for.
    expect(action.ipv4.emptyPoolIDs).toEqual([])
  })

  test('prefixes left over on a plain node leave the room of the other slots', () => {
    const plain = eni({ id: 'eni-z', number: 1, addresses: addresses(9, '10.0.1.') })
    const action = prepareIPAllocation(facts({ prefixDelegation: true, interfaces: [PREFIX_ENI, plain] }), subnets)
    expect(action).toMatchObject({ interfaceID: 'eni-p', ipv4: { availableForAllocation: 8 } })
  })
})

describe('counts', () => {
  test.each([
    {
      name: 'cut to the free slots',
      eniParts: { prefixes: ['10.0.0.16/28', '10.0.0.32/28'] },
      wanted: 30,
      expected: 7,
    },
    { name: 'as wanted where there is room', eniParts: { prefixes: ['10.0.0.16/28'] }, wanted: 3, expected: 3 },
    { name: 'never negative', eniParts: { addresses: addresses(12) }, wanted: 3, expected: 0 },
  ])('the fall-back is $name', ({ eniParts, wanted, expected }) => {
    expect(fallbackCount(eni({ id: 'eni-a', ...eniParts }), wanted, M5_LARGE, false)).toBe(expected)
  })

  test('the fall-back may use the primary slot where pods may', () => {
    const full = eni({ id: 'eni-a', addresses: addresses(9) })
    expect(fallbackCount(full, 5, M5_LARGE, true)).toBe(1)
  })

  test.each([
    { wanted: 4, prefixDelegated: false, plan: { addressCount: 4, prefixCount: 0 } },
    { wanted: 40, prefixDelegated: false, plan: { addressCount: 9, prefixCount: 0 } },
    { wanted: 40, prefixDelegated: true, plan: { addressCount: 40, prefixCount: 3 } },
    { wanted: 1000, prefixDelegated: true, plan: { addressCount: 144, prefixCount: 9 } },
    { wanted: 0, prefixDelegated: true, plan: { addressCount: 0, prefixCount: 0 } },
    { wanted: -3, prefixDelegated: false, plan: { addressCount: 0, prefixCount: 0 } },
  ])('a new interface for $wanted, prefixes $prefixDelegated: $plan', ({ wanted, prefixDelegated, plan }) => {
    expect(planInterface(wanted, M5_LARGE, prefixDelegated)).toEqual(plan)
  })
})

describe('interfaces of a node', () => {
  test('the primary address is left out of the view, and the record stays as it was', () => {
    const record = eni({ id: 'eni-a', addresses: ['10.0.0.4', '10.0.0.5'] })
    expect(interfaceView(record, false).addresses).toEqual(['10.0.0.5'])
    expect(interfaceView(record, true)).toBe(record)
    expect(record.addresses).toEqual(['10.0.0.4', '10.0.0.5'])
  })

  test('their order is fixed: card, index, ID', () => {
    const given: readonly ENI[] = [
      eni({ id: 'eni-d', number: 1, networkCardIndex: 1 }),
      eni({ id: 'eni-c', number: 1 }),
      eni({ id: 'eni-b', number: 1 }),
      eni({ id: 'eni-a', number: 2 }),
      eni({ id: 'eni-e', number: 0 }),
    ]
    expect(given.toSorted(compareInterfaces).map(({ id }) => id)).toEqual(['eni-e', 'eni-b', 'eni-c', 'eni-a', 'eni-d'])
  })

  test('exclusion needs all tags; no tags exclude nothing', () => {
    const tagged = eni({ id: 'eni-a', tags: { a: '1' } })
    expect(isExcluded(tagged, spec())).toBe(false)
    expect(isExcluded(tagged, spec({ excludeInterfaceTags: { a: '1' } }))).toBe(true)
    expect(isExcluded(tagged, spec({ excludeInterfaceTags: { a: '1', b: '2' } }))).toBe(false)
    expect(isExcluded(tagged, spec({ firstInterfaceIndex: undefined }))).toBe(false)
    const efa = eni({ id: 'eni-e', interfaceType: 'efa', number: 2 })
    expect(isExcluded(efa, spec())).toBe(false)
    expect(isExcluded(efa, spec({ excludedInterfaceTypes: ['efa-only', 'efa'] }))).toBe(true)
  })

  test('the next device index is the smallest free one of card 0', () => {
    const interfaces = [0, 1, 3].map((number) => eni({ id: `eni-${number}`, number }))
    expect(nextDeviceIndex(interfaces, 0)).toBe(2)
    expect(nextDeviceIndex(interfaces, 3)).toBe(4)
    expect(nextDeviceIndex([...interfaces, eni({ id: 'eni-x', number: 2, networkCardIndex: 1 })], 0)).toBe(2)
  })
})
