import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  cidrHas,
  cidrsOverlap,
  formatCIDR,
  formatIPv6,
  hostBits,
  overlapping,
  parseAddress,
  parseCIDR,
} from '../../../src/ipam/ip-range.ts'

const SEED = 20260917
const ipv6 = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n })

describe('parseAddress', () => {
  test.each([
    ['10.0.0.1', 'ipv4', '10.0.0.1'],
    ['::ffff:10.0.0.1', 'ipv4', '10.0.0.1'],
    ['CAFE:0:0::A', 'ipv6', 'cafe::a'],
    ['fd00:0:0:0:1::', 'ipv6', 'fd00::1:0:0:0'],
    ['::', 'ipv6', '::'],
  ])('brings %s to one text', (text, family, canonical) => {
    expect(parseAddress(text)).toMatchObject({ family, text: canonical })
  })

  test.each(['', '10.1', '010.0.0.1', 'fe80::1%eth0', 'pod', '10.0.0.0/8', '::1::', '1.2.3.4.', '.1.2.3.4', '1..2.3'])(
    'refuses %j',
    (text) => {
      expect(parseAddress(text)).toBeUndefined()
    },
  )

  test('reads back every IPv6 address that is written', () => {
    fc.assert(
      fc.property(ipv6, (value) => {
        const address = parseAddress(formatIPv6(value))!
        if (value >> 32n === 0xffffn) expect(address.value).toBe(Number(value & 0xffff_ffffn))
        else expect(address.value).toBe(value)
      }),
      { seed: SEED },
    )
  })
})

describe('CIDRs of both families', () => {
  test.each([
    ['10.0.0.7/24', '10.0.0.0/24'],
    ['fd00:0:0:0:1::/80', 'fd00::1:0:0:0/80'],
    ['fd00::1/64', 'fd00::/64'],
    ['::/0', '::/0'],
  ])('%s is printed as %s', (text, canonical) => {
    expect(formatCIDR(parseCIDR(text)!)).toBe(canonical)
  })

  test.each(['1.1.1.1/280', '10.0.0.0', '10.0.0.0/', 'fd00::/129', '10.0.0.0/-1', '10.0.0.0/08'])(
    'refuses %j',
    (text) => {
      expect(parseCIDR(text)).toBeUndefined()
    },
  )

  test.each([
    ['10.0.0.0/24', '10.0.0.255', true],
    ['10.0.0.0/24', '10.0.1.0', false],
    ['10.0.0.0/24', '::ffff:10.0.0.1', true],
    ['fd00::/64', 'fd00::ffff:ffff:ffff:ffff', true],
    ['fd00::/64', 'fd00:0:0:1::', false],
    ['fd00::/64', '10.0.0.1', false],
    ['0.0.0.0/0', 'fd00::1', false],
  ])('%s has %s: %s', (cidr, ip, has) => {
    expect(cidrHas(parseCIDR(cidr)!, parseAddress(ip)!)).toBe(has)
  })

  test.each([
    ['10.0.0.0/8', '10.1.0.0/16', true],
    ['10.0.0.0/16', '10.1.0.0/16', false],
    ['fd00::/100', 'fd00::1:0:0/96', false],
    ['fd00::/64', 'fd00::1:0:0/96', true],
    ['::/0', '0.0.0.0/0', false],
  ])('%s and %s overlap: %s', (left, right, overlap) => {
    expect(cidrsOverlap(parseCIDR(left)!, parseCIDR(right)!)).toBe(overlap)
    expect(cidrsOverlap(parseCIDR(right)!, parseCIDR(left)!)).toBe(overlap)
  })

  test.each([
    { cidrs: [], pair: undefined },
    { cidrs: ['10.0.0.0/16', '10.1.0.0/16', 'fd00::/64'], pair: undefined },
    { cidrs: ['10.0.0.0/16', 'fd00::/64', '10.1.0.0/16', '10.0.9.0/24'], pair: ['10.0.0.0/16', '10.0.9.0/24'] },
    { cidrs: ['10.0.9.0/24', '10.0.0.0/8', '10.0.9.0/24'], pair: ['10.0.9.0/24', '10.0.0.0/8'] },
  ])('of $cidrs the first that overlap are $pair', ({ cidrs, pair }) => {
    expect(overlapping(cidrs.map((one) => parseCIDR(one)!))?.map(formatCIDR)).toEqual(pair)
  })

  test('host bits are what the prefix leaves', () => {
    expect([hostBits(parseCIDR('10.0.0.0/24')!), hostBits(parseCIDR('fd00::/80')!)]).toEqual([8, 48])
  })
})
