import { describe, expect, test } from 'vitest'
import type { StatisticsInput } from '../../../src/ipam/statistics.ts'
import {
  calculateStatistics,
  countsTouchedPrefixes,
  EMPTY_STATISTICS,
  staticIPNeedsResolution,
  statisticsAfterFailedRefresh,
} from '../../../src/ipam/statistics.ts'
import type { AllocationMap, InterfaceStats } from '../../../src/ipam/types.ts'
import { ciliumNode } from './cilium-node-builder.ts'

const INTERFACES: InterfaceStats = {
  nodeCapacity: 27,
  remainingAvailableInterfaceCount: 3,
  interfaceCandidates: 1,
  emptyInterfaceSlots: 2,
  nodeIPv6Prefixes: 0,
  assignedStaticIP: '',
}

function addresses(count: number): AllocationMap {
  return new Map(Array.from({ length: count }, (_, index) => [`10.0.0.${index + 1}`, { resource: 'eni-1' }]))
}

function input(parts: Partial<StatisticsInput> = {}): StatisticsInput {
  return {
    resource: ciliumNode(),
    available: addresses(0),
    interfaceStats: INTERFACES,
    instanceMax: 27,
    rememberedStaticIP: '',
    profile: 'latest',
    ...parts,
  }
}

describe('calculateStatistics', () => {
  test('takes the numbers of the node from its addresses and its resource', () => {
    const resource = ciliumNode({
      ipam: { preAllocate: 4, minAllocate: 10, maxAllocate: 20, maxAboveWatermark: 2 },
      status: { used: addresses(9) },
    })
    expect(calculateStatistics(input({ resource, available: addresses(11) })).ipv4).toEqual({
      usedIPs: 9,
      availableIPs: 11,
      neededIPs: 2,
      excessIPs: 0,
      capacity: 27,
      remainingInterfaces: 3,
      interfaceCandidates: 1,
    })
  })

  test('an absent pre-allocate means 8, and the ceiling is the instance where the resource names none', () => {
    expect(calculateStatistics(input()).ipv4.neededIPs).toBe(8)
    expect(calculateStatistics(input({ instanceMax: 5 })).ipv4.neededIPs).toBe(5)
  })

  test('a multi-pool node is served by what it requests', () => {
    const requested = [{ pool: 'default', ipv4Addrs: 24, ipv6Addrs: 8 }]
    const statistics = calculateStatistics(input({ resource: ciliumNode({ ipam: { requested } }) }))
    expect(statistics.ipv4).toMatchObject({ usedIPs: 16, neededIPs: 24 })
    expect(statistics.ipv6).toEqual({ availablePrefixes: 0, neededPrefixes: 1 })
  })

  test('empty slots and candidates come from the refresh, so that their gauges are not blind', () => {
    const statistics = calculateStatistics(input())
    expect([statistics.emptyInterfaceSlots, statistics.ipv4.interfaceCandidates]).toEqual([2, 1])
  })

  test.each([
    { profile: 'latest', excessIPs: 22 },
    { profile: '1.19', excessIPs: 22 },
    { profile: '1.18', excessIPs: 8 },
    { profile: '1.14', excessIPs: 8 },
  ] as const)('with prefixes, profile $profile finds an excess of $excessIPs', ({ profile, excessIPs }) => {
    const resource = ciliumNode({ status: { used: addresses(2) } })
    const withPrefixes = input({ resource, available: addresses(32), usedIPsWithPrefixes: 16, profile })
    const statistics = calculateStatistics(withPrefixes)
    expect(statistics.ipv4.excessIPs).toBe(excessIPs)
    expect(statistics.ipv4.usedIPs).toBe(2)
    expect(countsTouchedPrefixes(profile)).toBe(excessIPs === 8)
  })

  test('without prefixes an old profile counts single addresses', () => {
    const resource = ciliumNode({ status: { used: addresses(2) } })
    const statistics = calculateStatistics(input({ resource, available: addresses(32), profile: '1.18' }))
    expect(statistics.ipv4.excessIPs).toBe(22)
  })

  test.each([
    {
      name: "the cloud's word first",
      cloud: '1.1.1.1',
      remembered: '2.2.2.2',
      resource: '3.3.3.3',
      profile: 'latest',
      is: '1.1.1.1',
    },
    { name: 'then memory', cloud: '', remembered: '2.2.2.2', resource: '3.3.3.3', profile: 'latest', is: '2.2.2.2' },
    {
      name: 'after a restart the resource',
      cloud: '',
      remembered: '',
      resource: '3.3.3.3',
      profile: 'latest',
      is: '3.3.3.3',
    },
    {
      name: 'only the cloud up to 1.19',
      cloud: '',
      remembered: '2.2.2.2',
      resource: '3.3.3.3',
      profile: '1.19',
      is: '',
    },
    { name: 'the cloud in 1.18', cloud: '1.1.1.1', remembered: '', resource: '', profile: '1.18', is: '1.1.1.1' },
    { name: 'none in 1.14', cloud: '1.1.1.1', remembered: '2.2.2.2', resource: '3.3.3.3', profile: '1.14', is: '' },
  ] as const)('static IP: $name', ({ cloud, remembered, resource, profile, is }) => {
    const statistics = calculateStatistics(
      input({
        resource: ciliumNode({ status: { assignedStaticIP: resource } }),
        interfaceStats: { ...INTERFACES, assignedStaticIP: cloud },
        rememberedStaticIP: remembered,
        profile,
      }),
    )
    expect(statistics.assignedStaticIP).toBe(is)
  })
})

test('a profile that does not exist fails loudly', () => {
  expect(() => calculateStatistics(input({ profile: '1.13' as never }))).toThrow('Unexpected value: "1.13"')
})

test('a failed refresh stops need and excess, and keeps everything else', () => {
  const resource = ciliumNode({ ipam: { preAllocate: 8 }, status: { used: addresses(9) } })
  const last = calculateStatistics(input({ resource, available: addresses(10), rememberedStaticIP: '1.1.1.1' }))
  expect(last.ipv4.neededIPs).toBeGreaterThan(0)
  const after = statisticsAfterFailedRefresh(last)
  expect(after).toEqual({ ...last, ipv4: { ...last.ipv4, neededIPs: 0, excessIPs: 0 } })
  expect(statisticsAfterFailedRefresh(EMPTY_STATISTICS)).toEqual(EMPTY_STATISTICS)
})

test.each([
  { assigned: '', profile: 'latest', needed: true },
  { assigned: '52.1.2.3', profile: 'latest', needed: false },
  { assigned: '2001:db8::1', profile: 'latest', needed: false },
  { assigned: '/subscriptions/0000/publicIPAddresses/x', profile: 'latest', needed: true },
  { assigned: '/subscriptions/0000/publicIPAddresses/x', profile: '1.19', needed: false },
  { assigned: '', profile: '1.18', needed: true },
] as const)('static IP $assigned needs resolution in profile $profile: $needed', ({ assigned, profile, needed }) => {
  expect(staticIPNeedsResolution(assigned, profile)).toBe(needed)
})
