import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  addressesOfPrefix,
  cidrContains,
  cidrSize,
  formatIPv4,
  formatIPv4CIDR,
  isIPAddress,
  parseIPv4,
  parseIPv4CIDR,
  parseIPv6CIDR,
  prefixCeil,
} from '../../../src/ipam/ip-range.ts'

const SEED = 20260802
const ipv4 = fc.integer({ min: 0, max: 2 ** 32 - 1 })

describe('parseIPv4', () => {
  test.each([
    ['0.0.0.0', 0],
    ['10.0.0.1', 167_772_161],
    ['255.255.255.255', 4_294_967_295],
  ])('reads %s', (text, address) => {
    expect(parseIPv4(text)).toBe(address)
  })

  test.each(['', '10.1', '010.0.0.1', '1.2.3.04', '256.0.0.1', '1.2.3.4 ', '1.2.3', '::1', '0x0a.0.0.1', 'eni-1'])(
    'refuses %j',
    (text) => {
      expect(parseIPv4(text)).toBeUndefined()
    },
  )

  test('reads back what formatIPv4 writes', () => {
    fc.assert(
      fc.property(ipv4, (address) => {
        expect(parseIPv4(formatIPv4(address))).toBe(address)
      }),
      { seed: SEED },
    )
  })
})

describe('parseIPv4CIDR', () => {
  test.each([
    ['10.0.0.16/28', '10.0.0.16/28', 16],
    ['10.0.0.21/28', '10.0.0.16/28', 16],
    ['10.0.0.5/32', '10.0.0.5/32', 1],
    ['255.255.255.255/0', '0.0.0.0/0', 2 ** 32],
    ['200.1.2.3/1', '128.0.0.0/1', 2 ** 31],
  ])('reads %s as %s', (text, canonical, size) => {
    const cidr = parseIPv4CIDR(text)!
    expect(formatIPv4CIDR(cidr)).toBe(canonical)
    expect(cidrSize(cidr)).toBe(size)
  })

  test.each([
    '',
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/028',
    '10.0.0.0/-1',
    '10.0.0/8',
    '2001:db8::/80',
    '/8',
  ])('refuses %j', (text) => {
    expect(parseIPv4CIDR(text)).toBeUndefined()
  })

  test('a network contains exactly the addresses with its leading bits', () => {
    fc.assert(
      fc.property(ipv4, ipv4, fc.integer({ min: 0, max: 32 }), (address, other, prefixLength) => {
        const cidr = parseIPv4CIDR(`${formatIPv4(address)}/${prefixLength}`)!
        const bits = (value: number): string => value.toString(2).padStart(32, '0').slice(0, prefixLength)
        expect(cidrContains(cidr, address)).toBe(true)
        expect(cidrContains(cidr, other)).toBe(bits(other) === bits(address))
      }),
      { seed: SEED },
    )
  })
})

describe('parseIPv6CIDR', () => {
  test.each([
    ['2001:db8::/80', 0x2001_0db8_0000_0000_0000_0000_0000_0000n, 80],
    ['2001:db8::ffff/112', 0x2001_0db8_0000_0000_0000_0000_0000_0000n, 112],
    ['::1/128', 1n, 128],
    ['ffff::/0', 0n, 0],
  ])('reads %s', (text, network, prefixLength) => {
    expect(parseIPv6CIDR(text)).toEqual({ network, prefixLength })
  })

  test.each(['10.0.0.0/8', '2001:db8::', '2001:db8::/129', 'fe80::1%eth0/64', 'g::/8'])('refuses %j', (text) => {
    expect(parseIPv6CIDR(text)).toBeUndefined()
  })
})

test.each([
  ['10.0.0.1', true],
  ['2001:db8::1', true],
  ['fe80::1%eth0', true],
  ['', false],
  ['not-an-ip', false],
  ['10.0.0.1/32', false],
  ['/subscriptions/0000/publicIPAddresses/x', false],
])('isIPAddress(%j) is %s', (text, expected) => {
  expect(isIPAddress(text)).toBe(expected)
})

describe('addressesOfPrefix', () => {
  test('lists all 16 addresses of a /28, the first and the last included', () => {
    const addresses = addressesOfPrefix('10.0.0.240/28')
    expect(addresses).toHaveLength(16)
    expect([addresses[0], addresses.at(-1)]).toEqual(['10.0.0.240', '10.0.0.255'])
    expect(new Set(addresses).size).toBe(16)
  })

  test('cuts host bits off, and takes a single address', () => {
    expect(addressesOfPrefix('10.0.0.7/30')).toEqual(['10.0.0.4', '10.0.0.5', '10.0.0.6', '10.0.0.7'])
    expect(addressesOfPrefix('10.0.0.5/32')).toEqual(['10.0.0.5'])
  })

  test.each(['2001:db8::/80', 'nonsense', '10.0.0.0/8'])('lists nothing for %s', (cidr) => {
    expect(addressesOfPrefix(cidr)).toEqual([])
  })
})

test.each([
  [0, 16, 0],
  [1, 16, 1],
  [16, 16, 1],
  [17, 16, 2],
  [48, 16, 3],
  [-3, 16, 0],
  [5, 1, 5],
])('prefixCeil(%i, %i) is %i', (count, blockSize, blocks) => {
  expect(prefixCeil(count, blockSize)).toBe(blocks)
})

test('prefixCeil counts delegated prefixes unless told otherwise', () => {
  expect(prefixCeil(17)).toBe(2)
})
