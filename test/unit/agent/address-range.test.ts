import { describe, expect, test } from 'vitest'
import type { AddressRangeOptions } from '../../../src/agent/address-range.ts'
import { AddressRange } from '../../../src/agent/address-range.ts'
import type { ExcludedAddresses } from '../../../src/agent/allocator.ts'
import { ExclusionList } from '../../../src/agent/exclusion-list.ts'
import { HostScopeAllocator } from '../../../src/agent/host-scope.ts'
import { addressByIndex, rangeBounds, rangeSize } from '../../../src/agent/range-bounds.ts'
import { parseCIDR } from '../../../src/ipam/ip-range.ts'
import { codeOf, failureOf, testWorld } from './builders.ts'

function range(cidr: string, options: Partial<AddressRangeOptions> = {}) {
  const world = testWorld()
  return {
    ...world,
    range: new AddressRange(parseCIDR(cidr)!, { ...world, smallCIDR: 'usable', cooldownMs: 0, ...options }),
  }
}

describe('usable addresses', () => {
  test.each([
    ['10.0.0.0/30', 'unusable', { firstOffset: 1, count: 2 }],
    ['10.0.0.0/31', 'unusable', { firstOffset: 1, count: 0 }],
    ['10.0.0.0/31', 'usable', { firstOffset: 0, count: 2 }],
    ['10.0.0.0/32', 'usable', { firstOffset: 0, count: 1 }],
    ['fd00::/127', 'usable', { firstOffset: 0, count: 2 }],
    ['fd00::/64', 'usable', { firstOffset: 1, count: 65_534 }],
    ['0.0.0.0/1', 'usable', { firstOffset: 0, count: 0 }],
  ] as const)('of %s with small CIDRs %s', (cidr, smallCIDR, bounds) => {
    expect(rangeBounds(parseCIDR(cidr)!, { smallCIDR })).toEqual(bounds)
  })

  test('first and last count when allowed, but not in a network of two', () => {
    const options = { smallCIDR: 'usable', allowFirstIP: true, allowLastIP: true } as const
    expect(rangeBounds(parseCIDR('10.0.0.0/28')!, options)).toEqual({ firstOffset: 0, count: 16 })
    expect(rangeBounds(parseCIDR('10.0.0.0/31')!, options)).toEqual({ firstOffset: 0, count: 2 })
  })

  test.each([
    ['0.0.0.0/0', 0],
    ['::/1', 0],
    ['::/2', 65_536],
    ['10.0.0.0/8', 2 ** 24],
    ['fd00::/112', 65_536],
    ['fd00::/113', 32_768],
  ])('raw size of %s is %i', (cidr, size) => {
    expect(rangeSize(parseCIDR(cidr)!)).toBe(size)
  })

  test.each([
    ['10.0.0.0/24', -1, '10.0.0.255'],
    ['10.0.0.0/24', 256, undefined],
    ['10.0.0.0/24', -257, undefined],
    ['fd00::/64', -1, 'fd00::ffff:ffff:ffff:ffff'],
  ])('place in %s of %i is %s', (cidr, index, ip) => {
    expect(addressByIndex(parseCIDR(cidr)!, index)).toBe(ip)
  })
})

describe('AddressRange', () => {
  test('hands out every usable address once, whatever chance says', () => {
    const { range: subject } = range('10.0.0.0/24')
    const given = new Set<string>()
    for (let ip = subject.claimNext(); ip !== undefined; ip = subject.claimNext()) given.add(ip)
    expect(given.size).toBe(254)
    expect([subject.used, subject.free]).toEqual([254, 0])
  })

  test('tells addresses 2^64 apart from each other', () => {
    const { range: subject } = range('fd00::/48')
    expect(subject.claim('fd00::5')).toBe('claimed')
    expect(subject.claim('fd00:0:0:1::5')).toBe('outside')
    expect(subject.contains('fd00:0:0:1::5')).toBe(true)
  })

  test('lists addresses canonically, also where leading bytes are zero', () => {
    const { range: subject } = range('::/96', { strategy: 'contiguous' })
    subject.claimNext()
    const { range: tiny } = range('10.0.0.4/31', { strategy: 'contiguous' })
    tiny.claimNext()
    expect([[...subject.addresses()], [...tiny.addresses()]]).toEqual([['::1'], ['10.0.0.4']])
  })

  test('restores what it was, and only into the same network', () => {
    const { range: before } = range('10.0.0.0/28')
    for (const ip of ['10.0.0.3', '10.0.0.9']) before.claim(ip)
    const { range: after } = range('10.0.0.0/28')
    after.claim('10.0.0.5')
    after.restore(before.snapshot())
    expect([[...after.addresses()], after.used]).toEqual([['10.0.0.3', '10.0.0.9'], 2])
    expect(codeOf(() => range('10.0.1.0/28').range.restore(before.snapshot()))).toBe('MISMATCHED_NETWORK')
    const broken = { cidr: '10.0.0.0/28', addresses: ['10.0.0.3', '10.0.0.15'] }
    expect(codeOf(() => after.restore(broken))).toBe('NOT_IN_RANGE')
    expect(after.used).toBe(2)
  })
})

describe('cooldown', () => {
  const cooled = () => range('10.0.0.0/30', { cooldownMs: 30_000 })

  test('holds a released address back until its time is up', async () => {
    const { range: subject, clock } = cooled()
    subject.claim('10.0.0.1')
    subject.claim('10.0.0.2')
    subject.release('10.0.0.1')
    expect([subject.claimNext(), subject.claim('10.0.0.1'), subject.cooling, subject.free]).toEqual([
      undefined,
      'cooling',
      1,
      1,
    ])
    await clock.advance(29_999)
    expect(subject.hasAvailable).toBe(false)
    await clock.advance(1)
    expect([subject.hasAvailable, subject.claimNext()]).toEqual([true, '10.0.0.1'])
  })

  test('does not bind whoever is registered again', () => {
    const { range: subject } = cooled()
    subject.claim('10.0.0.1')
    subject.release('10.0.0.1')
    expect(subject.claim('10.0.0.1', true)).toBe('claimed')
    expect(subject.cooling).toBe(0)
  })

  test('starts anew with every release', async () => {
    const { range: subject, clock } = cooled()
    subject.claim('10.0.0.1')
    subject.release('10.0.0.1')
    await clock.advance(20_000)
    subject.claim('10.0.0.1', true)
    subject.release('10.0.0.1')
    await clock.advance(20_000)
    expect(subject.claim('10.0.0.1')).toBe('cooling')
  })

  test('an address that is excluded meanwhile is not handed out after it', async () => {
    const { range: subject, clock } = cooled()
    const excluded = new ExclusionList()
    subject.claim('10.0.0.1')
    subject.release('10.0.0.1')
    excluded.exclude('10.0.0.1', 'late')
    await clock.advance(30_000)
    expect([subject.claimNext(excluded), subject.claimNext(excluded)]).toEqual(['10.0.0.2', undefined])
  })
})

describe('exclusions', () => {
  test('cost one question each, however often they are in the way', () => {
    let questions = 0
    const excluded: ExcludedAddresses = {
      size: 1,
      ownerOf: (ip) => {
        questions += 1
        return ip === '10.0.0.130' ? undefined : 'route'
      },
    }
    const { range: subject } = range('10.0.0.0/24')
    for (let round = 0; round < 50; round++) {
      expect(subject.claimNext(excluded)).toBe('10.0.0.130')
      subject.release('10.0.0.130')
    }
    expect(questions).toBeLessThan(254 + 51)
    expect([subject.used, subject.free]).toEqual([0, 254])
  })

  test('keep the bitmaps of a full /16 within 16 KiB as long as there is none', () => {
    const { range: subject } = range('10.0.0.0/16')
    expect(subject.sizeBytes).toBeLessThanOrEqual(16_384)
  })
})

describe('HostScopeAllocator', () => {
  const allocator = (cidrs: readonly string[], family: 'ipv4' | 'ipv6' = 'ipv4') =>
    new HostScopeAllocator(family, cidrs, { ...testWorld(), smallCIDR: 'usable', cooldownMs: 0 })

  test('serves several CIDRs in their order, and names them all when they are full', () => {
    const subject = allocator(['10.0.1.0/30', '10.0.0.0/31'])
    const given = [1, 2, 3, 4].map(() => subject.allocateNext('a', 'default').ip)
    expect(given.slice(0, 2).sort()).toEqual(['10.0.1.1', '10.0.1.2'])
    expect(given.slice(2).sort()).toEqual(['10.0.0.0', '10.0.0.1'])
    expect(failureOf(() => subject.allocateNext('b', 'default')).message).toContain('10.0.1.0/30, 10.0.0.0/31')
    subject.release('10.0.0.1', 'default')
    expect(subject.allocateNext('b', 'default').ip).toBe('10.0.0.1')
    expect(subject.capacity()).toBe(4n)
  })

  test.each([
    [['10.0.0.0/33'], 'CIDR_PARSE'],
    [['fd00::/64'], 'CIDR_FAMILY'],
    [['10.0.0.0/24', '10.1.0.0/24', '10.0.0.128/25'], 'CIDR_COLLISION'],
  ] as const)('refuses %j', (cidrs, code) => {
    expect(codeOf(() => allocator(cidrs))).toBe(code)
  })

  test('takes the release of an unknown address without complaint', () => {
    const subject = allocator(['10.0.0.0/24'])
    for (const ip of ['10.0.0.1', '10.9.9.9', 'fd00::1']) expect(() => subject.release(ip, 'default')).not.toThrow()
  })

  test('without a CIDR is full and has nothing', () => {
    const subject = allocator([])
    expect(codeOf(() => subject.allocateNext('a', 'default'))).toBe('RANGE_FULL')
    expect(codeOf(() => subject.allocate('10.0.0.1', 'a', 'default'))).toBe('NOT_IN_RANGE')
  })
})
