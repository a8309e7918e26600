import { describe, expect, test } from 'vitest'
import { JournalWriteError } from '../../../src/agent/journal-errors.ts'
import { DaemonCore } from '../../../src/agent/daemon-core.ts'
import { LeaseTable } from '../../../src/agent/daemon-leases.ts'
import { readLeases, volatileJournal } from '../../../src/agent/journal.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { TimerQueue } from '../../../src/runtime/timer.ts'
import { settle } from '../../support/manual-clock.ts'
import { openAgent, restarted, restoredAgent } from './builders.ts'
import { FakePoolAllocator } from './fake-pool-allocator.ts'
import type { MemoryStorage } from './memory-storage.ts'

const IPV4 = { ipv4: '10.0.0.0/29' } // six addresses
const DUAL = { ipv4: '10.0.0.0/29', ipv6: 'fd00::/125' }

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (error: unknown) => (error as { readonly code?: string }).code,
  )
const stored = async (storage: MemoryStorage): Promise<string[]> =>
  (await readLeases(storage, 'node-a')).leases.map(({ ip, owner }) => `${ip} ${owner}`)

describe('a request for an address', () => {
  test('is answered with what is on the disk', async () => {
    const { core, storage } = await openAgent(DUAL)
    const { ipv4, ipv6 } = await core.allocate({ owner: 'default/a' })
    expect(await stored(storage)).toEqual([`${ipv4!.ip} default/a`, `${ipv6!.ip} default/a`])
    expect([...core.dump().ipv4!]).toEqual([[ipv4!.ip, 'default/a']])
  })

  test.each([
    { family: 'ipv4', has: ['ipv4'] },
    { family: 'IPv6', has: ['ipv6'] },
    { family: '', has: ['ipv4', 'ipv6'] },
  ])('of family "$family" gets $has', async ({ family, has }) => {
    const { core } = await openAgent(DUAL)
    expect(Object.keys(await core.allocate({ owner: 'a', family })).sort()).toEqual(has)
  })

  test.each([
    { name: 'an unknown family', request: { family: 'ipx' }, code: 'FAMILY_UNKNOWN' },
    { name: 'a disabled family', request: { family: 'ipv6' }, code: 'ALLOCATOR_UNAVAILABLE' },
  ])('is refused for $name, with the owner in the message', async ({ request, code }) => {
    const { core } = await openAgent(IPV4)
    const failure = core.allocate({ owner: 'default/a', pool: 'red', ...request })
    await expect(failure).rejects.toMatchObject({ code, message: expect.stringMatching(/owner default\/a.*pool red/) })
  })

  test('of a full range is refused, and succeeds once an address is back', async () => {
    const { core } = await openAgent(IPV4)
    for (let pod = 0; pod < 6; pod++) await core.allocate({ owner: `default/${pod}` })
    expect(await codeOf(core.allocate({ owner: 'default/late' }))).toBe('RANGE_FULL')
    await core.release('default/3')
    expect(await codeOf(core.allocate({ owner: 'default/late' }))).toBe('no error')
  })

  test('that cannot be saved holds nothing', async () => {
    const { core, storage } = await openAgent(DUAL)
    storage.failures.push(new Error('ENOSPC'))
    await expect(core.allocate({ owner: 'default/a' })).rejects.toThrow(JournalWriteError)
    expect(core.leaseCount).toBe(0)
    expect(core.dump().ipv4!.size + core.dump().ipv6!.size).toBe(0)
    await core.allocate({ owner: 'default/b', family: 'ipv4' })
    expect(await stored(storage)).toHaveLength(1)
  })

  test('whose address is given back while it is saved is not answered with it', async () => {
    const { core, storage } = await openAgent(IPV4)
    const opened = Promise.withResolvers<void>()
    storage.gate = () => opened.promise
    const first = core.allocate({ owner: 'a', attachment: 'net/c1/eth0' })
    const end = core.releaseAttachment('net/c1/eth0')
    opened.resolve()
    await expect(first).rejects.toMatchObject({ code: 'LEASE_ENDED' })
    await end
    expect(core.leaseCount).toBe(0)
    expect(await stored(storage)).toEqual([])
  })
})

describe('a request for a certain address', () => {
  test.each([
    { name: 'no address', ip: '10.0.0', code: 'INVALID_IP' },
    { name: 'one outside of the range', ip: '10.9.9.9', code: 'NOT_IN_RANGE' },
    { name: 'one of a disabled family', ip: 'fd00::1', code: 'IPV6_DISABLED' },
    { name: 'one that is held', ip: '10.0.0.3', code: 'ALREADY_ALLOCATED' },
    { name: 'an excluded one', ip: '10.0.0.2', code: 'IP_EXCLUDED' },
  ])('is refused for $name, naming it', async ({ ip, code }) => {
    const { core } = await openAgent(IPV4)
    core.exclude('10.0.0.2', 'node-ip')
    await core.allocateIP('10.0.0.3', 'default/first')
    const failure = (await core.allocateIP(ip, 'default/a').catch((error: unknown) => error)) as Error
    expect(failure).toMatchObject({ code })
    expect(failure.message).toContain(ip)
    expect(core.leaseCount).toBe(1)
  })
})

describe('an attachment', () => {
  test('gets the same addresses when it asks again, also after a restart', async () => {
    const life = await openAgent(DUAL)
    const request = { owner: 'default/a', attachment: 'net/c1/eth0' }
    const first = await life.core.allocate(request)
    expect(await life.core.allocate(request)).toEqual(first)
    const next = await restarted(life, DUAL)
    expect(await next.core.allocate(request)).toEqual(first)
    expect(await next.core.attachment('net/c1/eth0')).toEqual(first)
    expect(next.core.leaseCount).toBe(2)
  })

  test('gets the same address when two requests for it cross', async () => {
    const { core } = await openAgent(IPV4)
    const request = { owner: 'default/a', attachment: 'net/c1/eth0' }
    const [one, other] = await Promise.all([core.allocate(request), core.allocate(request)])
    expect(one).toEqual(other)
    expect(core.leaseCount).toBe(1)
  })

  test('that has one family gets the other one added', async () => {
    const { core } = await openAgent(DUAL)
    const request = { owner: 'default/a', attachment: 'net/c1/eth0' }
    const { ipv4 } = await core.allocate({ ...request, family: 'ipv4' })
    const both = await core.allocate(request)
    expect(both.ipv4).toEqual(ipv4)
    expect(both.ipv6).toBeDefined()
  })

  test('of another container or interface has addresses of its own', async () => {
    const { core } = await openAgent(IPV4)
    const ask = async (attachment: string) => (await core.allocate({ owner: 'default/a', attachment })).ipv4!.ip
    expect(new Set([await ask('net/c1/eth0'), await ask('net/c1/eth1'), await ask('net/c2/eth0')]).size).toBe(3)
  })

  test('ends as often as it is told to', async () => {
    const { core, storage } = await openAgent(IPV4)
    await core.allocate({ owner: 'default/a', attachment: 'net/c1/eth0' })
    await core.releaseAttachment('net/c1/eth0')
    await core.releaseAttachment('net/c1/eth0')
    expect(await stored(storage)).toEqual([])
    expect(await codeOf(core.attachment('net/c1/eth0'))).toBe('ATTACHMENT_UNKNOWN')
  })

  test('whose end cannot be saved is not answered, and its address goes to nobody until it is', async () => {
    const { core, storage } = await openAgent({ ipv4: '10.0.0.0/32' })
    await core.allocate({ owner: 'default/a', attachment: 'net/c1/eth0' })
    storage.failures.push(new Error('EIO'), new Error('EIO'))
    await expect(core.releaseAttachment('net/c1/eth0')).rejects.toThrow(JournalWriteError)
    await expect(core.allocate({ owner: 'default/b' })).rejects.toThrow(JournalWriteError)
    await core.releaseAttachment('net/c1/eth0')
    expect(await stored(storage)).toEqual([])
  })

  test('keeps its address from a release by address or owner', async () => {
    const { core } = await openAgent(IPV4)
    const { ipv4 } = await core.allocate({ owner: 'default/a', attachment: 'net/c1/eth0' })
    for (const arg of [ipv4!.ip, 'default/a']) {
      const failure = (await core.release(arg).catch((error: unknown) => error)) as Error
      expect(failure).toMatchObject({ code: 'ADDRESS_ATTACHED' })
      expect(failure.message).toContain(
        `${ipv4!.ip} is in use by attachment net/c1/eth0 (owner default/a, pool default)`,
      )
    }
    expect(core.leaseCount).toBe(1)
  })

  test('that the runtime does not know any more is ended by its list, of that network only', async () => {
    const { core } = await openAgent(IPV4)
    for (const attachment of ['net/c1/eth0', 'net/c2/eth0', 'net2/c3/eth0', 'other/c4/eth0'])
      await core.allocate({ owner: attachment, attachment })
    await core.allocate({ owner: 'default/no-attachment' })
    expect(await core.releaseOthers('net', new Set(['net/c2/eth0']))).toBe(1)
    expect([...core.dump().ipv4!.values()].sort()).toEqual([
      'default/no-attachment',
      'net/c2/eth0',
      'net2/c3/eth0',
      'other/c4/eth0',
    ])
  })
})

describe('a release', () => {
  test('by owner frees both families, and only of that pool', async () => {
    const ipv4Allocator = new FakePoolAllocator({ default: ['10.0.0.1'], red: ['10.1.0.1'] })
    const { core } = await openAgent({ ipv4Allocator, ipv6: 'fd00::/125' })
    await core.allocate({ owner: 'default/a' })
    await core.allocate({ owner: 'default/a', pool: 'red', family: 'ipv4' })
    await core.release('default/a')
    expect([...core.dump().ipv4!.keys()]).toEqual(['red/10.1.0.1'])
    expect(core.dump().ipv6!.size).toBe(0)
  })

  test('of something that is neither an address nor an owner is refused', async () => {
    const { core } = await openAgent(IPV4)
    await expect(core.release('default/nobody', 'red')).rejects.toMatchObject({
      code: 'INVALID_IP_OR_OWNER',
      message: expect.stringMatching(/"default\/nobody".*pool red/),
    })
  })

  test('leaves the lease alone when the allocator refuses it', async () => {
    const ipv4Allocator = new FakePoolAllocator({ default: ['10.0.0.1'] })
    const { core, storage } = await openAgent({ ipv4Allocator })
    await core.allocate({ owner: 'default/a' })
    ipv4Allocator.held.get('default')!.clear()
    expect(await codeOf(core.release('10.0.0.1'))).toBe('IP_NOT_ALLOCATED')
    expect(await stored(storage)).toEqual(['10.0.0.1 default/a'])
  })

  test('finds an address in any spelling, and under any pool where there are none', async () => {
    const { core, storage } = await openAgent({ ipv6: 'fd00::/125' })
    await core.allocateIP('FD00:0:0::2', 'default/a', 'red')
    await core.release('fd00::0002', 'blue')
    expect(core.dump().ipv6!.size).toBe(0)
    expect(await stored(storage)).toEqual([])
  })
})

describe('a lease that expires', () => {
  const expiring = { owner: 'default/a', expirationMs: 600_000 }

  test('ends when nobody keeps it', async () => {
    const { core, clock, storage } = await openAgent(IPV4)
    await core.allocate(expiring)
    await clock.advance(599_999)
    expect(core.leaseCount).toBe(1)
    await clock.advance(1)
    expect(core.leaseCount).toBe(0)
    expect(core.dump().ipv4!.size).toBe(0)
    expect(await stored(storage)).toEqual([])
  })

  test('lasts when its token is shown', async () => {
    const life = await openAgent(IPV4)
    const { ipv4 } = await life.core.allocate(expiring)
    await life.core.keep(ipv4!.ip, ipv4!.expirationUUID!)
    await life.clock.advance(1_200_000)
    expect(life.core.leaseCount).toBe(1)
    const next = await restarted(life, IPV4)
    await next.clock.advance(1_200_000)
    expect(next.core.leaseCount).toBe(1)
  })

  test('does not take another token, nor one where it has none', async () => {
    const { core, clock } = await openAgent(IPV4)
    const { ipv4 } = await core.allocate(expiring)
    await expect(core.keep(ipv4!.ip, 'wrong')).rejects.toMatchObject({
      code: 'TIMER_UUID_MISMATCH',
      message: expect.stringMatching(`address ${ipv4!.ip}, owner default/a, pool default`),
    })
    await core.allocateIP('10.0.0.6', 'default/b').catch(() => undefined)
    const { ipv4: other } = await core.allocate({ owner: 'default/c' })
    expect(await codeOf(core.keep(other!.ip, 'wrong'))).toBe('TIMER_NOT_FOUND')
    await clock.advance(600_000)
    expect(core.dump().ipv4!.has(ipv4!.ip)).toBe(false)
  })

  test('has the same token and the same end after a restart', async () => {
    const life = await openAgent(IPV4)
    const { ipv4 } = await life.core.allocate(expiring)
    await life.clock.advance(500_000)
    const next = await restarted(life, IPV4)
    expect(await codeOf(next.core.keep(ipv4!.ip, 'wrong'))).toBe('TIMER_UUID_MISMATCH')
    await next.clock.advance(99_999)
    expect(next.core.leaseCount).toBe(1)
    await next.clock.advance(1)
    expect(next.core.leaseCount).toBe(0)
  })

  test('whose end came while no agent ran is free at the start', async () => {
    const life = await openAgent(IPV4)
    await life.core.allocate(expiring)
    await life.core.allocate({ owner: 'default/b' })
    life.core.stop()
    await life.clock.advance(700_000)
    const next = await restarted(life, IPV4)
    expect([...next.core.dump().ipv4!.values()]).toEqual(['default/b'])
    expect(await stored(next.storage)).toHaveLength(1)
  })

  test('goes on expiring when keeping it cannot be saved', async () => {
    const { core, clock, storage } = await openAgent(IPV4)
    const { ipv4 } = await core.allocate(expiring)
    storage.failures.push(new Error('EIO'))
    await expect(core.keep(ipv4!.ip, ipv4!.expirationUUID!)).rejects.toThrow(JournalWriteError)
    await clock.advance(600_000)
    expect(core.leaseCount).toBe(0)
  })
})

describe('a restart', () => {
  test('serves nothing before everything of before it is registered', async () => {
    const { core, ipam } = await restoredAgent({ ipv4Allocator: new FakePoolAllocator({ default: ['10.0.0.1'] }) })
    for (const work of [
      core.allocate({ owner: 'a' }),
      core.allocateIP('10.0.0.1', 'a'),
      core.release('10.0.0.1'),
      core.keep('10.0.0.1', 'u'),
      core.releaseAttachment('net/c/eth0'),
      core.releaseOthers('net', new Set()),
      core.attachment('net/c/eth0'),
    ])
      expect(await codeOf(work)).toBe('NOT_READY')
    expect((ipam.ipv4Allocator as FakePoolAllocator).isRestored).toBe(false)
    await core.open()
    expect((ipam.ipv4Allocator as FakePoolAllocator).isRestored).toBe(true)
  })

  test('keeps the agent its own addresses, which nobody can release', async () => {
    const life = await restoredAgent(DUAL)
    const router = life.core.reserve('router')
    await life.core.open()
    await life.core.allocate({ owner: 'default/a' })
    const next = await restoredAgent({ ...DUAL, storage: life.storage, seed: 9 })
    expect(next.core.reserve('router')).toEqual(router)
    await next.core.open()
    expect(await codeOf(next.core.release(router.ipv4!.ip))).toBe('ADDRESS_RESERVED')
    expect(await codeOf(next.core.release('router'))).toBe('ADDRESS_RESERVED')
  })

  test('gives the agent another address of its own where the old one is not to be had', async () => {
    const life = await restoredAgent(IPV4)
    life.core.reserve('router')
    await life.core.open()
    const next = await restoredAgent({ ipv4: '10.7.0.0/29', storage: life.storage })
    expect(next.core.reserve('router').ipv4!.ip).toMatch(/^10\.7\.0\./)
    await next.core.open()
    expect(next.core.leaseCount).toBe(1)
  })

  test('reserves nothing of a name whose second family fails', async () => {
    const ipv4Allocator = new FakePoolAllocator({ default: [] })
    const { core } = await restoredAgent({ ipv4Allocator, ipv6: 'fd00::/125' })
    expect(() => core.reserve('health')).toThrow(/no more IPs/)
    expect(core.leaseCount).toBe(0)
    ipv4Allocator.pools.get('default')!.add('10.0.0.1')
    expect(Object.keys(core.reserve('health')).sort()).toEqual(['ipv4', 'ipv6'])
  })
})

describe('an address that is not in the pool after a restart', () => {
  const start = async () => {
    const before = await openAgent({ ipv4Allocator: new FakePoolAllocator({ default: ['10.0.0.1'] }) })
    await before.core.allocate({ owner: 'default/a', attachment: 'net/c1/eth0' })
    const ipv4Allocator = new FakePoolAllocator({ default: ['10.0.0.2'] })
    const life = await openAgent({ ipv4Allocator, storage: before.storage, clock: before.clock })
    return { ...life, ipv4Allocator }
  }

  test('stays with its holder: nobody else gets it, not even when it comes back unnoticed', async () => {
    const { core, ipv4Allocator } = await start()
    expect(core.unbackedCount).toBe(1)
    expect(core.dump().unbacked).toMatchObject([{ ip: '10.0.0.1', owner: 'default/a' }])
    expect(await codeOf(core.allocateIP('10.0.0.1', 'default/b'))).toBe('IP_IN_USE')
    ipv4Allocator.pools.set('default', new Set(['10.0.0.1', '10.0.0.2']))
    expect((await core.allocate({ owner: 'default/b' })).ipv4!.ip).toBe('10.0.0.2')
    expect(core.unbackedCount).toBe(0)
    expect((await core.attachment('net/c1/eth0')).ipv4!.ip).toBe('10.0.0.1')
  })

  test('is registered as soon as the pool has it again', async () => {
    const { core, ipv4Allocator } = await start()
    ipv4Allocator.pools.get('default')!.add('10.0.0.1')
    core.addressesChanged()
    expect(core.unbackedCount).toBe(0)
    expect(core.dump().ipv4!.get('10.0.0.1')).toBe('default/a')
  })

  test('is not promised to a container that asks again, and ends with it', async () => {
    const { core, storage } = await start()
    expect(await codeOf(core.allocate({ owner: 'default/a', attachment: 'net/c1/eth0' }))).toBe('LEASE_UNBACKED')
    await core.releaseAttachment('net/c1/eth0')
    expect(core.leaseCount).toBe(0)
    expect(await stored(storage)).toEqual([])
  })
})

describe('a request that waits for an address', () => {
  const start = async () => {
    const ipv4Allocator = new FakePoolAllocator({ default: [] })
    return { ...(await openAgent({ ipv4Allocator })), pool: ipv4Allocator.pools.get('default')! }
  }

  test('gets the first that comes, in the order of asking', async () => {
    const { core, pool } = await start()
    const first = core.allocate({ owner: 'default/a', waitMs: 10_000 })
    const second = core.allocate({ owner: 'default/b', waitMs: 10_000 })
    await settle()
    expect(core.waitingCount).toBe(2)
    pool.add('10.0.0.1')
    core.addressesChanged()
    expect((await first).ipv4!.ip).toBe('10.0.0.1')
    expect(core.waitingCount).toBe(1)
    await core.release('10.0.0.1')
    expect((await second).ipv4!.ip).toBe('10.0.0.1')
  })

  test('fails as it would have at once when its time is up', async () => {
    const { core, clock } = await start()
    const waiting = codeOf(core.allocate({ owner: 'default/a', waitMs: 10_000 }))
    await clock.advance(9_999)
    expect(core.waitingCount).toBe(1)
    await clock.advance(1)
    expect(await waiting).toBe('NO_MORE_IPS')
  })

  test('takes nothing when its client has gone', async () => {
    const { core, pool } = await start()
    const gone = new AbortController()
    const waiting = core.allocate({ owner: 'default/a', waitMs: 10_000, signal: gone.signal })
    await settle()
    gone.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    pool.add('10.0.0.1')
    core.addressesChanged()
    await settle()
    expect(core.leaseCount).toBe(0)
  })

  test('is let go when the agent stops', async () => {
    const { core } = await start()
    const waiting = codeOf(core.allocate({ owner: 'default/a', waitMs: 10_000 }))
    await settle()
    core.stop()
    expect(await waiting).toBe('STOPPING')
  })

  test('does not wait for what no new address cures', async () => {
    const { core } = await start()
    expect(await codeOf(core.allocate({ owner: 'default/a', family: 'ipv6', waitMs: 10_000 }))).toBe(
      'ALLOCATOR_UNAVAILABLE',
    )
  })
})

test('without a journal it serves in process, for agents that live with their process', async () => {
  const { ipam, clock } = await restoredAgent(IPV4)
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
  const timers = new TimerQueue(clock, () => undefined)
  const random = seededRandom(4)
  const core = new DaemonCore({ ipam, table: new LeaseTable(), journal: volatileJournal, clock, timers, random, log })
  await core.open()
  const { ipv4 } = await core.allocate({ owner: 'default/a', attachment: 'net/c1/eth0' })
  expect(await core.attachment('net/c1/eth0')).toEqual({ ipv4 })
  await core.releaseAttachment('net/c1/eth0')
  expect(core.leaseCount).toBe(0)
})

test('an allocator that gives a held address a second time is found out, and nobody gets it', async () => {
  const ipv4Allocator = new FakePoolAllocator({ default: ['10.0.0.1'] })
  const { core } = await openAgent({ ipv4Allocator })
  await core.allocate({ owner: 'default/a' })
  ipv4Allocator.held.get('default')!.clear()
  await expect(core.allocate({ owner: 'default/b' })).rejects.toThrow(/10\.0\.0\.1 .* default\/a holds it/)
  expect(core.leaseCount).toBe(1)
})
