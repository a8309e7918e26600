import { describe, expect, test } from 'vitest'
import type { Allocator, AllocatorDump } from '../../../src/agent/allocator.ts'
import { DelegatedAllocator } from '../../../src/agent/delegated.ts'
import { AggregateIPAMError, IPAMError } from '../../../src/agent/errors.ts'
import { IPAM } from '../../../src/agent/ipam.ts'
import { codeOf, failureOf, hostScopeIPAM, ipOf, testWorld } from './builders.ts'

const dual = () => hostScopeIPAM({ ipv4: ['10.0.0.0/29'], ipv6: ['fd00::/125'] })

describe('a specific address', () => {
  test('is one address in every spelling', () => {
    const { ipam } = dual()
    expect(ipam.allocateIP('FD00:0:0::3', 'a').ip).toBe('fd00::3')
    expect(codeOf(() => ipam.allocateIPString('fd00::3', 'b'))).toBe('ALREADY_ALLOCATED')
    expect(ipam.allocateIP('::ffff:10.0.0.2', 'c').ip).toBe('10.0.0.2')
    ipam.releaseIP('fd00:0:0:0:0:0:0:3')
    expect(Object.fromEntries(ipam.dump().ipv6!)).toEqual({})
  })

  test.each(['', 'pod', '10.0.0', '010.0.0.1', '10.0.0.1/24', 'fe80::1%eth0'])('refuses the text %j', (text) => {
    const { ipam } = dual()
    const failure = failureOf(() => ipam.allocateIPString(text, 'a'))
    expect(failure.code).toBe('INVALID_IP')
    expect(failure.message).toContain(text)
  })

  test('outside of the range names address, owner, pool and range', () => {
    const { ipam } = dual()
    const failure = failureOf(() => ipam.allocateIP('10.0.0.7', 'default/web'))
    expect(failure.code).toBe('NOT_IN_RANGE')
    for (const part of ['10.0.0.7', 'default/web', 'pool default', '10.0.0.0/29'])
      expect(failure.message).toContain(part)
    expect(failure.details).toMatchObject({ ip: '10.0.0.7', owner: 'default/web', pool: 'default' })
  })

  test('of a disabled family is refused, also for release', () => {
    const { ipam } = hostScopeIPAM({ ipv6: ['fd00::/120'] })
    expect(codeOf(() => ipam.allocateIP('10.0.0.1', 'a'))).toBe('IPV4_DISABLED')
    expect(codeOf(() => ipam.releaseIP('10.0.0.1'))).toBe('IPV4_DISABLED')
  })

  test('without upstream sync returns a result of either family', () => {
    const { ipam } = dual()
    expect(ipOf(ipam.allocateIPWithoutSyncUpstream('fd00::2', 'a'))).toBe('fd00::2')
    expect(ipOf(ipam.allocateIPWithoutSyncUpstream('10.0.0.2', 'a'))).toBe('10.0.0.2')
  })
})

describe('dual stack', () => {
  test('gives both families or, where IPv4 is full, nothing', () => {
    const { ipam, counts } = hostScopeIPAM({ ipv4: ['10.0.0.0/30'], ipv6: ['fd00::/120'] })
    for (const owner of ['a', 'b']) expect(Object.keys(ipam.allocateNext({ owner })).sort()).toEqual(['ipv4', 'ipv6'])
    const before = ipam.dump()
    expect(codeOf(() => ipam.allocateNext({ owner: 'c' }))).toBe('RANGE_FULL')
    expect(ipam.dump()).toEqual(before)
    expect(counts).toEqual({ allocate: { ipv4: 2, ipv6: 3 }, release: { ipv4: 0, ipv6: 1 } })
  })

  test('where IPv6 is full takes no IPv4 address', () => {
    const { ipam, counts } = hostScopeIPAM({ ipv4: ['10.0.0.0/24'], ipv6: ['fd00::/127'] })
    ipam.allocateNext({ family: 'ipv6', owner: 'a' })
    ipam.allocateNext({ family: 'ipv6', owner: 'b' })
    expect(codeOf(() => ipam.allocateNext({ owner: 'c' }))).toBe('RANGE_FULL')
    expect(counts.allocate.ipv4).toBe(0)
  })

  test('tells both families of demand when one is short', () => {
    const demands: string[] = []
    const recording = (family: string, fails: boolean): Allocator => ({
      isPooled: true,
      allocate: () => ({ ip: '' }),
      allocateWithoutSyncUpstream: () => ({ ip: '' }),
      allocateNext: (_owner, pool) => {
        if (fails) throw new IPAMError('POD_CIDRS_EXHAUSTED', 'full')
        return { ip: 'fd00::1', ipPoolName: pool }
      },
      allocateNextWithoutSyncUpstream: () => ({ ip: '' }),
      release: () => undefined,
      dump: (): AllocatorDump => ({ allocated: new Map(), status: '' }),
      capacity: () => 0n,
      usage: () => [],
      restoreFinished: () => undefined,
      expectDemand: (owner, pool) => void demands.push(`${family} ${owner} ${pool}`),
    })
    const ipam = new IPAM({
      ...testWorld(),
      ipv4Allocator: recording('ipv4', true),
      ipv6Allocator: recording('ipv6', false),
    })
    expect(codeOf(() => ipam.allocateNext({ owner: 'ns/pod', pool: 'blue' }))).toBe('POD_CIDRS_EXHAUSTED')
    expect(demands).toEqual(['ipv4 ns/pod blue', 'ipv6 ns/pod blue'])
  })

  test('asks for what is enabled: another family, or a text that is none, gives nothing', () => {
    const { ipam } = hostScopeIPAM({ ipv4: ['10.0.0.0/24'] })
    expect(ipam.allocateNext({ family: 'ipv6', owner: 'a' })).toEqual({})
    expect(ipam.allocateNext({ family: 'ipx', owner: 'a' })).toEqual({})
    expect(codeOf(() => ipam.allocateNextFamily({ family: 'ipv6', owner: 'a' }))).toBe('ALLOCATOR_UNAVAILABLE')
    expect(codeOf(() => ipam.allocateNextFamily({ family: 'ipx', owner: 'a' }))).toBe('FAMILY_UNKNOWN')
    expect(ipam.allocateNextFamilyWithoutSyncUpstream({ family: 'ipv4', owner: 'a' }).ip).toMatch(/^10\.0\.0\./)
  })
})

describe('exclusion', () => {
  test('names who excluded the address, not who asks', () => {
    const { ipam } = dual()
    ipam.excludeIP('10.0.0.1', 'node-ip')
    const failure = failureOf(() => ipam.allocateIP('10.0.0.1', 'default/web'))
    expect(failure.code).toBe('IP_EXCLUDED')
    expect(failure.message).toContain('owned by node-ip')
  })

  test('leaves a holder alone, and holds once it lets go', () => {
    const { ipam } = dual()
    ipam.allocateIP('10.0.0.1', 'a')
    ipam.excludeIP('10.0.0.1', 'late')
    expect(ipam.dump().ipv4!.get('10.0.0.1')).toBe('a')
    ipam.releaseIP('10.0.0.1')
    expect(codeOf(() => ipam.allocateIP('10.0.0.1', 'a'))).toBe('IP_EXCLUDED')
  })

  test('consumes nothing: an excluded address is never held, and the error says what is in the way', () => {
    const { ipam, counts } = hostScopeIPAM({ ipv4: ['10.0.0.0/29'] })
    ipam.blacklistIPNet('10.0.0.0/30', 'local route: 10.0.0.0/30')
    for (const owner of ['a', 'b', 'c']) ipam.allocateNext({ owner })
    const failure = failureOf(() => ipam.allocateNextFamily({ family: 'ipv4', owner: 'd' }))
    expect(failure.message).toContain('3 of 6 are excluded')
    expect([...ipam.dump().ipv4!.keys()]).toEqual(['10.0.0.4', '10.0.0.5', '10.0.0.6'])
    expect(counts.allocate.ipv4).toBe(3)
  })

  test('a release of what is excluded and free is no failure', () => {
    const { ipam } = dual()
    ipam.blacklistIP('10.0.0.1', 'test')
    expect(() => ipam.releaseIP('10.0.0.1')).not.toThrow()
    expect(codeOf(() => ipam.blacklistIPNet('10.0.0.0/99', 'test'))).toBe('CIDR_PARSE')
    expect(codeOf(() => ipam.excludeIP('x', 'test'))).toBe('INVALID_IP')
  })

  test('reserves the routes of the host but its own, the default and black holes', () => {
    const routes = {
      hasDevice: () => true,
      listIPv4Routes: () => [
        { dst: '10.0.0.0/30', gw: '192.168.0.1', dev: 'eth0' },
        { dst: '10.0.0.4/32', src: '10.0.0.9', dev: 'cilium_host' },
        { gw: '192.168.0.1', dev: 'eth0' },
        { dst: '10.0.0.4/31', dev: 'eth0' },
      ],
    }
    const { ipam } = hostScopeIPAM({ ipv4: ['10.0.0.0/29'], deps: { routes } })
    ipam.reserveLocalRoutes()
    expect(failureOf(() => ipam.allocateIP('10.0.0.2', 'a')).message).toContain('local route: 10.0.0.0/30')
    for (const ip of ['10.0.0.4', '10.0.0.5']) expect(ipam.allocateIP(ip, 'a').ip).toBe(ip)
  })

  test.each([
    [
      'without the device',
      { hasDevice: () => false, listIPv4Routes: () => [{ dst: '10.0.0.0/29', gw: '1.1.1.1', dev: 'e' }] },
    ],
    [
      'when the routes cannot be read',
      {
        hasDevice: () => true,
        listIPv4Routes: () => {
          throw new Error('netlink')
        },
      },
    ],
  ])('reserves nothing %s, and says so', (_, routes) => {
    const { ipam, lines } = hostScopeIPAM({ ipv4: ['10.0.0.0/29'], deps: { routes } })
    ipam.reserveLocalRoutes()
    expect(ipam.allocateIP('10.0.0.1', 'a').ip).toBe('10.0.0.1')
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
  })
})

describe('release by owner', () => {
  test('frees every address of both families, others stay', () => {
    const { ipam } = dual()
    for (const ip of ['10.0.0.1', '10.0.0.2', 'fd00::1']) ipam.allocateIP(ip, 'default/web')
    ipam.allocateIP('10.0.0.3', 'default/db')
    ipam.releaseIPString('default/web')
    expect([...ipam.dump().ipv4!]).toEqual([['10.0.0.3', 'default/db']])
    expect(ipam.dump().ipv6!.size).toBe(0)
    expect(codeOf(() => ipam.releaseIPString('default/web'))).toBe('INVALID_IP_OR_OWNER')
  })

  test('tries all and reports every failure', () => {
    const { ipam, ...world } = hostScopeIPAM({ ipv4: ['10.0.0.0/29'] })
    ipam.allocateIP('10.0.0.1', 'a')
    ipam.allocateIP('10.0.0.2', 'a')
    const refusing = new IPAM({ ...world, ipv4Allocator: refusingRelease(ipam.ipv4Allocator!) })
    refusing.allocateIP('10.0.0.3', 'b')
    refusing.allocateIP('10.0.0.4', 'b')
    expect(() => refusing.releaseIPString('b')).toThrow(AggregateIPAMError)
    // An allocator that refuses leaves the owner in place.
    expect(refusing.dump().ipv4!.get('10.0.0.3')).toBe('b')
  })
})

describe('expiration', () => {
  test('gives the address back when nobody shows the token in time', async () => {
    const { ipam, clock, lines, counts } = dual()
    const pair = ipam.allocateNextWithExpiration({ owner: 'a', timeoutMs: 50 })
    expect(pair.ipv4!.expirationUUID).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
    ipam.stopExpirationTimer(pair.ipv4!.ip, 'default', pair.ipv4!.expirationUUID!)
    await clock.advance(49)
    expect(ipam.dump().ipv6!.size).toBe(1)
    await clock.advance(1)
    expect([ipam.dump().ipv4!.size, ipam.dump().ipv6!.size]).toEqual([1, 0])
    expect(counts.release).toEqual({ ipv4: 0, ipv6: 1 })
    expect(lines.some(({ level, fields }) => level === 'warn' && fields['address'] === pair.ipv6!.ip)).toBe(true)
  })

  test('never takes an address from its next holder', async () => {
    const { ipam, clock } = dual()
    ipam.allocateIP('10.0.0.1', 'first')
    ipam.startExpirationTimer('10.0.0.1', 'default', 50)
    ipam.releaseIP('10.0.0.1')
    ipam.allocateIP('10.0.0.1', 'second')
    await clock.advance(1000)
    expect(ipam.dump().ipv4!.get('10.0.0.1')).toBe('second')
  })

  test('keeps the address and the timer when the token is wrong', async () => {
    const { ipam, clock } = dual()
    ipam.allocateIP('10.0.0.1', 'a')
    const uuid = ipam.startExpirationTimer('10.0.0.1', 'default', 50)
    expect(codeOf(() => ipam.startExpirationTimer('10.0.0.1', 'default', 50))).toBe('TIMER_EXISTS')
    expect(codeOf(() => ipam.stopExpirationTimer('10.0.0.1', 'default', 'x'))).toBe('TIMER_UUID_MISMATCH')
    await clock.advance(50)
    expect(ipam.dump().ipv4!.size).toBe(0)
    expect(codeOf(() => ipam.stopExpirationTimer('10.0.0.1', 'default', uuid))).toBe('TIMER_NOT_FOUND')
  })

  test('frees the timer also when the release fails, and says so', async () => {
    const { ipam, clock, lines } = dual()
    ipam.startExpirationTimer('10.0.0.1', 'default', 50)
    const delegated = new IPAM({ ...testWorld(), ipv4Allocator: new DelegatedAllocator('ipv4') })
    expect(codeOf(() => delegated.releaseIP('10.0.0.1'))).toBe('NOT_SUPPORTED')
    await clock.advance(50)
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
    expect(() => ipam.startExpirationTimer('10.0.0.1', 'default', 50)).not.toThrow()
  })

  test('gives both addresses back when a token cannot be made', () => {
    const { ipam, counts } = hostScopeIPAM({ ipv4: ['10.0.0.0/30'], ipv6: ['fd00::/126'] })
    for (const ip of ['10.0.0.1', '10.0.0.2']) ipam.startExpirationTimer(ip, 'default', 60_000)
    expect(codeOf(() => ipam.allocateNextWithExpiration({ owner: 'a', timeoutMs: 50 }))).toBe('TIMER_EXISTS')
    expect([ipam.dump().ipv4!.size, ipam.dump().ipv6!.size]).toEqual([0, 0])
    expect(counts.release).toEqual({ ipv4: 1, ipv6: 1 })
  })

  test('a time of 0 sets no timer', () => {
    const { ipam } = dual()
    expect(ipam.allocateNextWithExpiration({ owner: 'a', timeoutMs: 0 }).ipv4!.expirationUUID).toBeUndefined()
  })
})

describe('pools and profiles', () => {
  test('an empty pool is refused for a certain address, and the default one for any', () => {
    const { ipam } = dual()
    expect(codeOf(() => ipam.allocateIP('10.0.0.1', 'a', ''))).toBe('POOL_REQUIRED')
    expect(codeOf(() => ipam.releaseIP('10.0.0.1', ''))).toBe('POOL_REQUIRED')
    expect(ipam.allocateNext({ family: 'ipv4', owner: 'a', pool: '' }).ipv4!.ipPoolName).toBe('default')
  })

  test('the owner is kept under the pool that the address came from', () => {
    const { ipam } = dual()
    const { ip } = ipam.allocateNextFamily({ family: 'ipv4', owner: 'a', pool: 'asked-for' })
    expect([...ipam.dump().ipv4!]).toEqual([[ip, 'a']])
    ipam.releaseIPString('a', 'asked-for')
    expect(ipam.dump().ipv4!.size).toBe(0)
  })

  test('before 1.14.0 results carry no pool, and 1.6 knows none', () => {
    for (const profile of ['v1.6', 'v1.14'] as const) {
      const { ipam } = hostScopeIPAM({ ipv4: ['10.0.0.0/24'], deps: { profile } })
      expect(ipam.allocateIP('10.0.0.1', 'a', '')).toEqual({ ip: '10.0.0.1' })
      ipam.releaseIP('10.0.0.1', '')
    }
  })
})

describe('what people read', () => {
  test('dump joins the families that exist', () => {
    expect(dual().ipam.dump().status).toBe('IPv4: 0/6 allocated from 10.0.0.0/29, IPv6: 0/6 allocated from fd00::/125')
    expect(hostScopeIPAM({ ipv4: ['10.0.0.0/29'] }).ipam.dump().status).toBe('IPv4: 0/6 allocated from 10.0.0.0/29')
    expect(hostScopeIPAM({}).ipam.dump()).toEqual({ status: 'Not running' })
  })

  test('debug status lists owners, expirations and exclusions', async () => {
    const { ipam, clock } = dual()
    ipam.allocateIP('10.0.0.1', 'default/web')
    const uuid = ipam.startExpirationTimer('10.0.0.1', 'default', 5_000)
    ipam.excludeIP('10.0.0.2', 'node-ip')
    await clock.advance(1_000)
    const text = ipam.debugStatus()
    for (const part of ['default/10.0.0.1: default/web', `${uuid}, 4 s left`, 'default/10.0.0.2: node-ip'])
      expect(text).toContain(part)
  })

  test('VPC CIDRs are unknown outside of the cloud modes', () => {
    expect(dual().ipam.getVPCCIDRs()).toBeNull()
  })

  test('usage tells the numbers of every pool', () => {
    const { ipam } = dual()
    ipam.allocateIP('10.0.0.1', 'a')
    expect(ipam.usage()).toEqual([
      { family: 'ipv4', pool: 'default', capacity: 6n, allocated: 1, cooling: 0, pending: 0 },
      { family: 'ipv6', pool: 'default', capacity: 6n, allocated: 0, cooling: 0, pending: 0 },
    ])
  })
})

function refusingRelease(allocator: Allocator): Allocator {
  return {
    isPooled: false,
    allocate: (ip, owner, pool) => allocator.allocate(ip, owner, pool),
    allocateWithoutSyncUpstream: (ip, owner, pool) => allocator.allocate(ip, owner, pool),
    allocateNext: (owner, pool) => allocator.allocateNext(owner, pool),
    allocateNextWithoutSyncUpstream: (owner, pool) => allocator.allocateNext(owner, pool),
    release: (ip, pool) => {
      throw new IPAMError('IP_NOT_ALLOCATED', 'refused', { ip, pool })
    },
    dump: () => allocator.dump(),
    capacity: () => 0n,
    usage: () => [],
    restoreFinished: () => undefined,
  }
}
