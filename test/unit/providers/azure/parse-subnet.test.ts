import { describe, expect, test } from 'vitest'
import { freeByUsage, isUsageUnknown, parseSubnet, unreadSubnet } from '../../../../providers/azure/parse-subnet.ts'
import type { IPAMProfile, JSONObject } from '../../../../src/ipam/types.ts'
import { SUBNET } from './builders.ts'

const listed = (count: number): JSONObject => ({ ipConfigurations: Array.from({ length: count }, () => ({ id: 'x' })) })
const subnet = (properties: JSONObject): JSONObject => ({ id: SUBNET, name: 'a', properties })

describe('the document of a subnet', () => {
  test.each<{ name: string; properties: JSONObject; profile?: IPAMProfile; free: number | undefined; cidr?: string }>([
    { name: 'five are reserved', properties: { addressPrefix: '10.0.0.0/24', ...listed(7) }, free: 244 },
    {
      name: 'up to 1.19 none is',
      properties: { addressPrefix: '10.0.0.0/24', ...listed(7) },
      profile: '1.19',
      free: 249,
    },
    { name: 'never below none', properties: { addressPrefix: '10.0.0.0/29', ...listed(9) }, free: 0 },
    { name: 'a single address has no room', properties: { addressPrefix: '10.0.0.7/32' }, free: 0 },
    { name: 'no list counts as all free', properties: { addressPrefix: '10.0.0.0/24' }, free: 251 },
    {
      name: 'no list counts as none free in 1.14',
      properties: { addressPrefix: '10.0.0.0/24' },
      profile: '1.14',
      free: 0,
    },
    {
      name: 'the first of several prefixes',
      properties: { addressPrefixes: ['10.1.0.0/24', '10.2.0.0/24'] },
      free: 251,
      cidr: '10.1.0.0/24',
    },
    {
      name: 'the first IPv4 prefix',
      properties: { addressPrefixes: ['fd00::/64', '10.2.0.0/24'] },
      free: 251,
      cidr: '10.2.0.0/24',
    },
    { name: 'no prefix', properties: listed(1), free: undefined },
    { name: 'no IPv4 prefix', properties: { addressPrefixes: ['fd00::/64'] }, free: undefined },
    { name: 'a prefix that is none', properties: { addressPrefix: 'not-a-cidr' }, free: undefined },
  ])('$name', ({ properties, profile = 'latest', free, cidr }) => {
    const parsed = parseSubnet(subnet(properties), profile)
    expect(parsed?.availableAddresses).toBe(free)
    if (cidr !== undefined) expect(parsed?.cidr).toBe(cidr)
  })

  test('tells its virtual network', () => {
    expect(parseSubnet(subnet({ addressPrefix: '10.0.0.0/24' }), 'latest')?.virtualNetworkID).toBe(
      SUBNET.slice(0, SUBNET.indexOf('/subnets')),
    )
  })

  test('without a list does not say how much is used', () => {
    expect(isUsageUnknown(subnet({ addressPrefix: '10.0.0.0/24' }))).toBe(true)
    expect(isUsageUnknown(subnet({ addressPrefix: '10.0.0.0/24', ipConfigurations: [] }))).toBe(false)
  })
})

test('the usage of a network tells what is free', () => {
  expect(freeByUsage({ limit: 251, currentValue: 250 })).toBe(1)
  expect(freeByUsage({ limit: 251, currentValue: 300 })).toBe(0)
  expect(freeByUsage({ limit: 251 })).toBeUndefined()
})

test('a subnet known by its CIDR alone counts as free, and without one is not known', () => {
  expect(unreadSubnet(SUBNET, '10.0.0.0/24')).toMatchObject({ id: SUBNET, availableAddresses: 251 })
  expect(unreadSubnet(SUBNET, '')).toBeUndefined()
})
