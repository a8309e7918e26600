import { describe, expect, test } from 'vitest'
import type { LinkDevice, LinkInterface } from '../../../src/agent/eni-devices.ts'
import { ENIDevices } from '../../../src/agent/eni-devices.ts'
import { IPAMError } from '../../../src/agent/errors.ts'
import { deriveFamily } from '../../../src/agent/family.ts'
import { isOlderVersion } from '../../../src/runtime/resource-version.ts'
import { eniInterfaces } from '../../../src/agent/node-interfaces.ts'
import { ChurnMap } from '../../../src/agent/churn-map.ts'
import { parsePreAllocation } from '../../../src/agent/pool-demand.ts'
import type { PodMetadata } from '../../../src/agent/pool-of-pod.ts'
import { poolForPod } from '../../../src/agent/pool-of-pod.ts'
import { poolOrDefault } from '../../../src/agent/pool.ts'
import { SyncLoop } from '../../../src/agent/sync-loop.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'
import { codeOf, failureOf, testWorld } from './builders.ts'

describe('names of families and pools', () => {
  test.each([
    ['10.0.0.1', 'ipv4'],
    ['::ffff:10.0.0.1', 'ipv4'],
    ['fd00::1', 'ipv6'],
  ])('%s is %s', (ip, family) => {
    expect(deriveFamily(ip)).toBe(family)
  })

  test('a text that is no address has no family', () => {
    expect(codeOf(() => deriveFamily('pod'))).toBe('INVALID_IP')
  })

  test('nothing named is the default pool', () => {
    expect([poolOrDefault(), poolOrDefault(''), poolOrDefault('blue')]).toEqual(['default', 'default', 'blue'])
  })

  test.each(['x', '-1', '1.5', ' 8', ''])('a pre-allocation of %j is refused with its pool', (text) => {
    const failure = failureOf(() => parsePreAllocation({ mars: text }))
    expect([failure.code, failure.details.pool]).toEqual(['PREALLOC_INVALID', 'mars'])
  })
})

describe('versions of a resource', () => {
  test.each([
    ['9', '10', true],
    ['10', '9', false],
    ['10', '10', false],
    ['', '10', false],
    ['abc', '10', false],
    ['99999999999999999998', '99999999999999999999', true],
  ])('%j is older than %j: %s', (version, seen, isOlder) => {
    expect(isOlderVersion(version, seen)).toBe(isOlder)
  })
})

describe('the pool of a pod', () => {
  const pods: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'ns/plain': {},
    'ns/empty': { 'ipam.cilium.io/ip-pool': '' },
    'gone/pod': {},
  }
  const world: PodMetadata = {
    podAnnotations: (namespace, name) => pods[`${namespace}/${name}`],
    namespaceAnnotations: (name) =>
      name === 'ns' ? { 'ipam.cilium.io/ipv6-pool': 'six', 'ipam.cilium.io/ip-pool': 'any' } : undefined,
  }

  test.each([
    ['ns/plain', 'ipv4', 'any'],
    ['ns/plain', 'ipv6', 'six'],
    ['ns/empty', 'ipv4', 'any'],
    ['router', 'ipv4', 'default'],
    ['Not/DNS', 'ipv4', 'default'],
    ['a/b/c', 'ipv4', 'default'],
    ['/pod', 'ipv4', 'default'],
  ])('of %s for %s is %s', (owner, family, pool) => {
    expect(poolForPod(world, owner, family)).toBe(pool)
  })

  test.each([
    ['ns/nobody', 'ipv4', 'RESOURCE_NOT_FOUND', 'Pod ns/nobody'],
    ['gone/pod', 'ipv4', 'RESOURCE_NOT_FOUND', 'Namespace gone'],
    ['ns/plain', 'ipx', 'FAMILY_UNKNOWN', 'ipx'],
  ])('of %s for %s fails with %s', (owner, family, code, part) => {
    const failure = failureOf(() => poolForPod(world, owner, family))
    expect([failure.code, failure.message]).toEqual([code, expect.stringContaining(part)])
  })
})

describe('ChurnMap', () => {
  test('forgets keys that never return', () => {
    const map = new ChurnMap<string>()
    map.set('stays', 'x')
    const taken = new Set<string | undefined>()
    for (let key = 0; key < 50_000; key++) {
      map.set(`k${key}`, 'y')
      taken.add(map.delete(`k${key}`))
    }
    expect(taken).toEqual(new Set(['y']))
    expect([map.size, [...map.entries()], map.delete('k1'), map.has('stays')]).toEqual([
      1,
      [['stays', 'x']],
      undefined,
      true,
    ])
  })

  test('counts a key once, whatever is done to it', () => {
    const map = new ChurnMap<string>()
    for (const value of ['a', 'b']) map.set('k', value)
    map.delete('k')
    map.set('k', '')
    expect([map.size, map.get('k'), map.has('k'), [...map.keys()]]).toEqual([1, '', true, ['k']])
  })
})

describe('SyncLoop', () => {
  test('folds requests, keeps its distance, repeats, and retries with growing pauses', async () => {
    const { clock, timers } = testWorld()
    const starts: number[] = []
    const failures: number[] = []
    let fails = 0
    const loop = new SyncLoop({
      run: async () => {
        starts.push(clock.now())
        await Promise.resolve()
        if (fails-- > 0) throw new Error('no')
      },
      minIntervalMs: 15_000,
      repeatMs: 60_000,
      retryBaseMs: 1_000,
      clock,
      timers,
      onError: (_, attempt) => failures.push(attempt),
    })
    await clock.advance(5_000)
    loop.request()
    for (const _ of [1, 2, 3]) loop.request()
    await clock.advance(20_000)
    expect(starts).toEqual([5_000, 20_000])
    await clock.advance(60_000)
    expect(starts).toEqual([5_000, 20_000, 80_000])
    fails = 2
    loop.request()
    await clock.advance(20_000)
    expect(starts.slice(3)).toEqual([95_000, 96_000, 98_000])
    expect(failures).toEqual([1, 2])
    loop.stop()
    loop.request()
    await clock.advance(600_000)
    expect(starts).toHaveLength(6)
  })

  test('survives a run that throws at once', async () => {
    const { clock, timers } = testWorld()
    let runs = 0
    const loop = new SyncLoop({
      run: () => {
        runs += 1
        throw new Error('at once')
      },
      minIntervalMs: 0,
      retryBaseMs: 1_000,
      clock,
      timers,
      onError: () => undefined,
    })
    loop.request()
    await clock.advance(3_000)
    expect(runs).toBe(3)
  })
})

describe('devices of new ENIs', () => {
  const enis = (...macs: string[]): JSONObject =>
    Object.fromEntries(
      macs.map((mac, index) => [
        `eni-${index}`,
        {
          id: `eni-${index}`,
          mac,
          number: index,
          ip: `10.1.1.${index + 10}`,
          subnet: { cidr: '10.1.1.0/24' },
          tags: { team: mac },
        },
      ]),
    )

  function host(devices: LinkDevice[]) {
    const world = testWorld()
    const calls: string[] = []
    const failing = new Set<string>()
    const call = (text: string): Promise<void> => {
      calls.push(text)
      return failing.has(text) ? Promise.reject(new IPAMError('NOT_SUPPORTED', 'netlink')) : Promise.resolve()
    }
    const links: LinkInterface = {
      list: () => Promise.resolve([...devices]),
      setUp: (device, mtu) => call(`up ${device} ${mtu}`),
      addAddress: (device, address) => call(`address ${device} ${address}`),
      deleteLinkRoute: (device, subnet, source) => call(`route ${device} ${subnet} ${source}`),
      disableReversePathFilter: (device) => call(`filter ${device}`),
    }
    const subject = new ENIDevices({
      ...world,
      links,
      mtu: { getDeviceMTU: () => 9001 },
      signal: new AbortController().signal,
    })
    return { ...world, subject, calls, failing, devices }
  }

  test('are set up once, their primary address only where pods do not use it', async () => {
    const { subject, calls } = host([{ name: 'eth0', mac: 'AA' }])
    subject.update(eniInterfaces(enis('aa')), {})
    await subject.settled()
    expect(calls).toEqual([
      'up eth0 9001',
      'address eth0 10.1.1.10/24',
      'route eth0 10.1.1.0/24 10.1.1.10',
      'filter eth0',
    ])
    subject.update(eniInterfaces(enis('aa')), {})
    await subject.settled()
    expect(calls).toHaveLength(4)
    const primary = host([{ name: 'eth0', mac: 'aa' }])
    primary.subject.update(eniInterfaces(enis('aa')), { 'use-primary-address': true })
    await primary.subject.settled()
    expect(primary.calls).toEqual(['up eth0 9001', 'filter eth0'])
  })

  test('are waited for, and what is there is set up when one does not come', async () => {
    const { subject, calls, clock, lines, devices } = host([{ name: 'eth0', mac: 'aa' }])
    subject.update(eniInterfaces(enis('aa', 'bb')), {})
    await clock.advance(10 * 60_000)
    await subject.settled()
    expect(calls.filter((text) => text.startsWith('up'))).toEqual(['up eth0 9001'])
    expect(lines.some(({ message }) => message.startsWith('Not every new ENI'))).toBe(true)
    // It comes after all: the next version of the resource sets it up.
    devices.push({ name: 'eth1', mac: 'bb' })
    subject.update(eniInterfaces(enis('aa', 'bb')), {})
    await subject.settled()
    expect(calls.filter((text) => text.startsWith('up'))).toEqual(['up eth0 9001', 'up eth1 9001'])
  })

  test('that failed are tried again with the next version', async () => {
    const { subject, calls, failing } = host([{ name: 'eth0', mac: 'aa' }])
    failing.add('up eth0 9001')
    subject.update(eniInterfaces(enis('aa')), {})
    await subject.settled()
    failing.clear()
    subject.update(eniInterfaces(enis('aa')), {})
    await subject.settled()
    expect(calls.filter((text) => text.startsWith('up'))).toHaveLength(2)
    expect(calls.at(-1)).toBe('filter eth0')
  })

  test.each<[string, JSONObject]>([
    ['below the first index', { 'first-interface-index': 2 }],
    ['with all excluded tags', { 'exclude-interface-tags': { team: 'aa' } }],
  ])('%s are left alone', async (_, spec) => {
    const { subject, calls } = host([{ name: 'eth0', mac: 'aa' }])
    subject.update(eniInterfaces(enis('aa')), spec)
    await subject.settled()
    expect(calls).toEqual([])
  })

  test('without a valid address or subnet are skipped and said', async () => {
    const { subject, calls, lines } = host([{ name: 'eth0', mac: 'aa' }])
    subject.update(eniInterfaces({ 'eni-0': { id: 'eni-0', mac: 'aa', ip: 'x', subnet: { cidr: '10.0.0.0/24' } } }), {})
    await subject.settled()
    expect(calls).toEqual([])
    expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1)
  })
})
