import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PoolRequest } from '../../../src/ipam/cilium-node.ts'
import { poolRequested, usageOf, usedIPsWithPrefixes } from '../../../src/ipam/usage.ts'
import { ciliumNode } from './cilium-node-builder.ts'

function request(ipv4Addrs: number, ipv6Addrs = 0, pool = 'default'): PoolRequest {
  return { pool, ipv4Addrs, ipv6Addrs }
}

function used(...addresses: string[]): Map<string, object> {
  return new Map(addresses.map((address) => [address, {}]))
}

test.each([
  { name: 'the first entry named default', requested: [request(5), request(9)], demand: { ipv4: 5, ipv6: 0 } },
  {
    name: 'not the entry of another pool',
    requested: [request(3, 0, 'mars'), request(0, 48)],
    demand: { ipv4: 0, ipv6: 48 },
  },
  { name: 'a request of nothing', requested: [request(0)], demand: { ipv4: 0, ipv6: 0 } },
  { name: 'nothing without such an entry', requested: [request(3, 0, 'mars')], demand: undefined },
  { name: 'nothing without entries', requested: [], demand: undefined },
])('poolRequested finds $name', ({ requested, demand }) => {
  expect(poolRequested(requested)).toEqual(demand)
})

describe('usageOf', () => {
  const options = { preAllocate: 8, availableIPv6Prefixes: 0, profile: 'latest' } as const

  test.each([
    {
      name: 'a request and an empty used map',
      requested: [request(24)],
      addresses: [],
      generation: 'multi-pool',
      usedIPs: 16,
    },
    {
      name: 'a request below pre-allocate',
      requested: [request(4)],
      addresses: [],
      generation: 'multi-pool',
      usedIPs: 0,
    },
    {
      name: 'used addresses, whatever is requested',
      requested: [request(24)],
      addresses: ['10.0.0.1', '10.0.0.2'],
      generation: 'crd-pool',
      usedIPs: 2,
    },
    { name: 'used addresses alone', requested: [], addresses: ['10.0.0.1'], generation: 'crd-pool', usedIPs: 1 },
    { name: 'neither', requested: [], addresses: [], generation: 'undecided', usedIPs: 0 },
    {
      name: 'a request of another pool',
      requested: [request(24, 0, 'mars')],
      addresses: [],
      generation: 'undecided',
      usedIPs: 0,
    },
  ])('$name: $generation, $usedIPs used', ({ requested, addresses, generation, usedIPs }) => {
    const resource = ciliumNode({ ipam: { requested }, status: { used: used(...addresses) } })
    expect(usageOf(resource, options)).toEqual({ generation, usedIPs, neededIPv6Prefixes: 0 })
  })

  test.each(['1.19', '1.18', '1.14'] as const)('profile %s knows only the used map', (profile) => {
    const resource = ciliumNode({ ipam: { requested: [request(24, 8)] } })
    const expected = { generation: 'crd-pool', usedIPs: 0, neededIPv6Prefixes: 0 }
    expect(usageOf(resource, { ...options, profile })).toEqual(expected)
  })

  test.each([
    { ipv6: 8, present: 0, needed: 1 },
    { ipv6: 8, present: 1, needed: 0 },
    { ipv6: 0, present: 0, needed: 0 },
  ])('$ipv6 IPv6 addresses asked with $present prefixes present: $needed more', ({ ipv6, present, needed }) => {
    const resource = ciliumNode({ ipam: { requested: [request(20, ipv6)] } })
    expect(usageOf(resource, { ...options, availableIPv6Prefixes: present }).neededIPv6Prefixes).toBe(needed)
  })

  test('an agent of the first generation gets no IPv6 prefix', () => {
    const resource = ciliumNode({ ipam: { requested: [request(20, 8)] }, status: { used: used('10.0.0.1') } })
    expect(usageOf(resource, options).neededIPv6Prefixes).toBe(0)
  })
})

describe('usedIPsWithPrefixes', () => {
  const prefixes = new Map([
    ['eni-1', ['10.0.0.16/28', '10.0.0.32/28']],
    ['eni-2', []],
  ])
  const on = (resource: string | undefined, ...addresses: string[]): [string, { resource?: string }][] =>
    addresses.map((address) => [address, resource === undefined ? {} : { resource }])

  test.each([
    { name: 'nothing used', entries: [], count: 0 },
    { name: 'two addresses of one prefix count it once', entries: on('eni-1', '10.0.0.17', '10.0.0.18'), count: 16 },
    { name: 'one address of each prefix', entries: on('eni-1', '10.0.0.16', '10.0.0.47'), count: 32 },
    { name: 'an address outside of the prefixes', entries: on('eni-1', '10.0.1.1'), count: 1 },
    { name: "an address inside another interface's prefix", entries: on('eni-2', '10.0.0.17'), count: 1 },
    { name: 'an interface that is not listed', entries: on('eni-3', '10.0.0.17', '10.0.0.18'), count: 0 },
    { name: 'an address without interface', entries: on(undefined, '10.0.0.17'), count: 0 },
    { name: 'a text that is no address', entries: on('eni-1', 'not-an-ip'), count: 1 },
  ])('$name: $count', ({ entries, count }) => {
    expect(usedIPsWithPrefixes(prefixes, new Map(entries))).toBe(count)
  })

  test('a prefix that cannot be read holds nothing', () => {
    expect(usedIPsWithPrefixes(new Map([['eni-1', ['nonsense']]]), new Map(on('eni-1', '10.0.0.1')))).toBe(1)
  })

  test('never counts less than the used addresses of listed interfaces', () => {
    const address = fc.integer({ min: 0, max: 255 }).map((last) => `10.0.0.${last}`)
    fc.assert(
      fc.property(fc.uniqueArray(address, { maxLength: 40 }), (addresses) => {
        const entries = new Map(on('eni-1', ...addresses))
        const count = usedIPsWithPrefixes(prefixes, entries)
        expect(count).toBeGreaterThanOrEqual(entries.size)
        expect(count).toBeLessThanOrEqual(entries.size * 16)
      }),
      { seed: 20260804 },
    )
  })
})
