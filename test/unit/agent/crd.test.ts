import { describe, expect, test } from 'vitest'
import type { AgentProfile } from '../../../src/agent/configuration.ts'
import { CRDAllocator } from '../../../src/agent/crd.ts'
import type { IPNotAvailableInPoolError } from '../../../src/agent/errors.ts'
import { isIPNotAvailableInPool } from '../../../src/agent/errors.ts'
import { ExclusionList } from '../../../src/agent/exclusion-list.ts'
import type { Family } from '../../../src/agent/family.ts'
import { NodeStore } from '../../../src/agent/node-store.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'
import { settle } from '../../support/manual-clock.ts'
import { codeOf, configuration, failureOf, FakeNodeServer, testWorld } from './builders.ts'

const POOL = 'default'

interface Setup {
  readonly mode?: string
  readonly families?: readonly Family[]
  readonly node?: JSONObject
  readonly profile?: AgentProfile
  readonly cooldownMs?: number
  readonly nativeRoutingCIDR?: string
}

function node(
  pool: JSONObject | undefined,
  more: { readonly status?: JSONObject; readonly ipam?: JSONObject } = {},
): JSONObject {
  return { metadata: { name: 'n1' }, spec: { ipam: { pool, ...more.ipam } }, status: more.status ?? {} }
}

function poolOf(...ips: string[]): JSONObject {
  return Object.fromEntries(ips.map((ip) => [ip, { resource: 'eni-1' }]))
}

function agent(setup: Setup = {}) {
  const world = testWorld()
  const { mode = 'crd', families = ['ipv4'], profile = 'v1.14', cooldownMs = 0 } = setup
  const server = new FakeNodeServer(setup.node ?? node(poolOf('10.0.0.1', '10.0.0.2', '10.0.0.3')))
  const events: string[] = []
  const deletedRoutes: string[] = []
  const store = new NodeStore({
    ...world,
    nodeName: 'n1',
    configuration: configuration(mode, families, setup),
    events: {
      k8sEventReceived: (resource, scope, action, valid, equal) =>
        void events.push(`received ${resource} ${scope} ${action} ${valid} ${equal}`),
      k8sEventProcessed: (scope, action, ok) => void events.push(`processed ${scope} ${action} ${ok}`),
    },
    writer: server,
    profile,
    updateIntervalMs: 15_000,
    unreachableRoutes: {
      deleteUnreachable: (cidr) => {
        deletedRoutes.push(cidr)
        return cidr.startsWith('10.9.') ? Promise.reject(new Error('netlink')) : Promise.resolve()
      },
    },
    signal: new AbortController().signal,
  })
  const allocator = (family: Family): CRDAllocator => new CRDAllocator(family, store, { ...world, cooldownMs })
  const [ipv4, ipv6] = (['ipv4', 'ipv6'] as const).map((family) =>
    families.includes(family) ? allocator(family) : undefined,
  )
  store.onAdd(server.node)
  /** The watch delivers what the server holds. */
  const watch = (): void => store.onUpdate(undefined, server.node)
  const used = (): JSONObject => ((server.node['status'] as JSONObject)['ipam'] as JSONObject)?.['used'] as JSONObject
  return { ...world, server, store, ipv4: ipv4!, ipv6: ipv6!, events, deletedRoutes, watch, used }
}

describe('allocation from the own CiliumNode', () => {
  test('takes never used addresses first, then the one released longest ago', () => {
    const { ipv4 } = agent()
    const [first, second] = [ipv4.allocateNext('a', POOL).ip, ipv4.allocateNext('b', POOL).ip]
    ipv4.release(second, POOL)
    ipv4.release(first, POOL)
    const third = ipv4.allocateNext('c', POOL).ip
    expect([third, ipv4.allocateNext('d', POOL).ip, ipv4.allocateNext('e', POOL).ip]).toEqual([
      '10.0.0.3',
      second,
      first,
    ])
  })

  test('says in which order it refuses', () => {
    const { ipv4, store } = agent()
    ipv4.allocate('10.0.0.1', 'a', POOL)
    expect(codeOf(() => ipv4.allocate('10.0.0.1', 'b', POOL))).toBe('IP_IN_USE')
    const missing = failureOf(() => ipv4.allocate('10.0.0.9', 'default/web', POOL))
    expect(isIPNotAvailableInPool(missing, '10.0.0.9')).toBe(true)
    expect(isIPNotAvailableInPool(missing, '10.0.0.8')).toBe(false)
    expect((missing as IPNotAvailableInPoolError).matches(new Error(missing.message))).toBe(false)
    expect(missing.message).toContain('default/web')
    store.onUpdate(undefined, { metadata: { name: 'n1', resourceVersion: '9' }, spec: {} })
    expect(codeOf(() => ipv4.allocate('10.0.0.2', 'b', POOL))).toBe('NO_IPS')
    expect(codeOf(() => ipv4.allocateNext('b', POOL))).toBe('NO_MORE_IPS')
    store.onDelete({ metadata: { name: 'n1' } })
    expect(codeOf(() => ipv4.allocate('10.0.0.2', 'b', POOL))).toBe('NODE_UNAVAILABLE')
    expect(ipv4.dump().allocated!.get(POOL)).toEqual(new Set(['10.0.0.1']))
  })

  test('skips excluded addresses without consuming them, and says why none is left', () => {
    const { ipv4 } = agent()
    const excluded = new ExclusionList()
    excluded.exclude('10.0.0.1', 'node-ip')
    expect([ipv4.allocateNext('a', POOL, excluded).ip, ipv4.allocateNext('b', POOL, excluded).ip].sort()).toEqual([
      '10.0.0.2',
      '10.0.0.3',
    ])
    const failure = failureOf(() => ipv4.allocateNext('c', POOL, excluded))
    expect([failure.code, failure.message]).toEqual(['NO_MORE_IPS', expect.stringContaining('1 are excluded')])
    expect(ipv4.dump().status).toBe('2/3 allocated')
  })

  test('holds a released address back for the cooldown', async () => {
    const { ipv4, clock } = agent({ node: node(poolOf('10.0.0.1')), cooldownMs: 30_000 })
    ipv4.allocate('10.0.0.1', 'a', POOL)
    ipv4.release('10.0.0.1', POOL)
    expect(codeOf(() => ipv4.allocateNext('b', POOL))).toBe('NO_MORE_IPS')
    expect(codeOf(() => ipv4.allocate('10.0.0.1', 'b', POOL))).toBe('IP_IN_COOLDOWN')
    await clock.advance(30_000)
    expect(ipv4.allocateNext('b', POOL).ip).toBe('10.0.0.1')
  })

  test('an address that left the pool while held stays held and reported until it is released', () => {
    const { ipv4, store, server, watch } = agent()
    ipv4.allocate('10.0.0.1', 'a', POOL)
    server.change({ spec: { ipam: { pool: { '10.0.0.1': null } } } })
    watch()
    expect([...store.statusToWrite()!.used.keys()]).toEqual(['10.0.0.1'])
    ipv4.release('10.0.0.1', POOL)
    expect(codeOf(() => ipv4.allocate('10.0.0.1', 'a', POOL))).toBe('IP_NOT_AVAILABLE_IN_POOL')
  })

  test('keys of another spelling are the same address, junk is nobody’s', () => {
    const { ipv6, ipv4 } = agent({
      families: ['ipv4', 'ipv6'],
      node: node({ 'FD00:0::1': {}, pod: {}, '10.0.0.1': {} }),
    })
    expect([ipv6.allocateNext('a', POOL).ip, ipv4.allocateNext('a', POOL).ip]).toEqual(['fd00::1', '10.0.0.1'])
    expect(codeOf(() => ipv4.allocateNext('b', POOL))).toBe('NO_MORE_IPS')
  })
})

describe('addresses reserved for an owner', () => {
  const reserved = node({ '10.0.0.1': { owner: 'default/db-0' }, '10.0.0.2': {}, bad: { owner: 'default/odd' } })

  test('go to nobody else, and to their owner once', () => {
    const { ipv4 } = agent({ node: reserved })
    expect(ipv4.allocateNext('default/web', POOL).ip).toBe('10.0.0.2')
    expect(codeOf(() => ipv4.allocateNext('default/web2', POOL))).toBe('NO_MORE_IPS')
    expect(ipv4.allocateNext('default/db-0', POOL).ip).toBe('10.0.0.1')
    expect(codeOf(() => ipv4.allocateNext('default/db-0', POOL))).toBe('NO_MORE_IPS')
    ipv4.release('10.0.0.1', POOL)
    expect(codeOf(() => ipv4.allocateNext('default/web2', POOL))).toBe('NO_MORE_IPS')
    expect(ipv4.allocateNext('default/db-0', POOL).ip).toBe('10.0.0.1')
  })

  test('with a key that is no address say so to their owner', () => {
    const { ipv4 } = agent({ node: reserved })
    const failure = failureOf(() => ipv4.allocateNext('default/odd', POOL))
    expect(failure.code).toBe('INVALID_CUSTOM_IP')
    for (const part of ['bad', 'default/odd']) expect(failure.message).toContain(part)
  })
})

describe('the status of the own CiliumNode', () => {
  test('is not written before restoration has finished, then at once, then every 15 s at most', async () => {
    const { ipv4, store, server, clock, used } = agent()
    ipv4.allocateWithoutSyncUpstream('10.0.0.1', 'ns/old', POOL)
    ipv4.allocate('10.0.0.2', 'ns/new', POOL)
    await clock.advance(60_000)
    expect(server.patches).toEqual([])
    store.restoreFinished()
    await settle()
    expect(used()).toEqual({
      '10.0.0.1': { owner: 'ns/old', resource: 'eni-1' },
      '10.0.0.2': { owner: 'ns/new', resource: 'eni-1' },
    })
    ipv4.release('10.0.0.2', POOL)
    await clock.advance(14_999)
    expect(server.patches).toHaveLength(1)
    await clock.advance(1)
    expect(Object.keys(used())).toEqual(['10.0.0.1'])
  })

  test('is not written when nothing changed', async () => {
    const { ipv4, store, server, clock } = agent()
    store.restoreFinished()
    await clock.advance(0)
    ipv4.release(ipv4.allocateNext('a', POOL).ip, POOL)
    await clock.advance(60_000)
    expect(server.patches).toEqual([])
  })

  test('is written again after a conflict, on the version that the watch has brought', async () => {
    const { ipv4, store, server, clock, used, watch } = agent()
    store.restoreFinished()
    ipv4.allocate('10.0.0.1', 'a', POOL)
    // Somebody changes a label: nothing but the metadata.
    server.change({ metadata: { labels: { zone: 'a' } } })
    await clock.advance(1)
    expect(server.patches).toEqual([])
    watch()
    await clock.advance(15_000)
    expect(Object.keys(used())).toEqual(['10.0.0.1'])
  })

  test('survives a lost answer and an unavailable API server', async () => {
    const { ipv4, store, server, clock, used, watch } = agent()
    store.restoreFinished()
    ipv4.allocate('10.0.0.1', 'a', POOL)
    server.outcomes.push('refused', 'lost')
    await clock.advance(30_000)
    expect(Object.keys(used())).toEqual(['10.0.0.1'])
    watch()
    ipv4.allocate('10.0.0.2', 'b', POOL)
    await clock.advance(30_000)
    expect(Object.keys(used()).sort()).toEqual(['10.0.0.1', '10.0.0.2'])
  })

  test('a late event does not bring an older version back', async () => {
    const { ipv4, store, server, clock, used } = agent()
    store.restoreFinished()
    const late = server.node
    server.change({ spec: { ipam: { pool: { '10.0.0.4': { resource: 'eni-1' } } } } })
    store.onUpdate(undefined, server.node)
    store.onUpdate(undefined, late)
    ipv4.allocate('10.0.0.4', 'a', POOL)
    await clock.advance(15_000)
    expect(Object.keys(used())).toEqual(['10.0.0.4'])
  })

  test('leaves what others wrote alone', async () => {
    const { ipv4, store, server, clock, watch } = agent({
      node: node(poolOf('10.0.0.1', '10.0.0.2'), {
        status: { ipam: { 'release-ips': { '10.0.0.2': 'marked-for-release' } } },
      }),
    })
    store.restoreFinished()
    ipv4.allocate('10.0.0.1', 'a', POOL)
    await clock.advance(15_000)
    const [patch] = server.patches
    expect(patch).toMatchObject({ status: { ipam: { 'release-ips': { '10.0.0.2': 'ready-for-release' } } } })
    expect(Object.keys(patch!).sort()).toEqual(['metadata', 'status'])
    watch()
    expect((server.node['spec'] as JSONObject)['ipam']).toBeDefined()
  })
})

describe('the release handshake', () => {
  const states = (releaseIPs: JSONObject, pool = poolOf('10.0.0.1', '10.0.0.2'), more: JSONObject = {}): JSONObject =>
    node(pool, { status: { ipam: { 'release-ips': releaseIPs }, ...more } })

  test('an address is not given up when a pod of before the restart turns out to hold it', () => {
    const { ipv4, store } = agent({ node: states({ '10.0.0.1': 'marked-for-release' }) })
    expect(codeOf(() => ipv4.allocate('10.0.0.1', 'new', POOL))).toBe('IP_IN_RELEASE_HANDSHAKE')
    ipv4.allocateWithoutSyncUpstream('10.0.0.1', 'ns/pod [restored]', POOL)
    expect(store.statusToWrite()!.releaseIPs.get('10.0.0.1')).toBe('do-not-release')
  })

  test('an address that we said is ready stays withheld, also from restored pods, until the operator withdraws', () => {
    const { ipv4, server, watch } = agent({ node: states({ '10.0.0.1': 'ready-for-release' }) })
    expect(codeOf(() => ipv4.allocateWithoutSyncUpstream('10.0.0.1', 'old', POOL))).toBe('IP_IN_RELEASE_HANDSHAKE')
    server.change({ status: { ipam: { 'release-ips': { '10.0.0.1': null } } } })
    watch()
    expect(ipv4.allocate('10.0.0.1', 'a', POOL).ip).toBe('10.0.0.1')
  })

  test('is answered in the next write, with the reason in the log', async () => {
    const { server, store, clock, watch, ipv4, lines } = agent()
    store.restoreFinished()
    ipv4.allocate('10.0.0.2', 'a', POOL)
    await clock.advance(15_000)
    server.change({
      status: { ipam: { 'release-ips': { '10.0.0.1': 'marked-for-release', '10.0.0.2': 'marked-for-release' } } },
    })
    watch()
    await clock.advance(15_000)
    expect(server.patches.at(-1)).toMatchObject({
      status: { ipam: { 'release-ips': { '10.0.0.1': 'ready-for-release', '10.0.0.2': 'do-not-release' } } },
    })
    expect(lines.some(({ fields }) => JSON.stringify(fields).includes('excess IP release'))).toBe(true)
  })

  test('ends when the address has left the pool; its unreachable route goes too', async () => {
    const { store, deletedRoutes, lines } = agent({
      node: states({ '10.0.0.7': 'released', '10.9.0.1': 'released' }),
    })
    await settle()
    expect(store.statusToWrite()!.releaseIPs.size).toBe(0)
    expect(deletedRoutes).toEqual(['10.0.0.7/32', '10.9.0.1/32'])
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
  })

  test('an address that is attached again is not withheld for ever', () => {
    const eni = { enis: { 'eni-1': { id: 'eni-1', addresses: ['10.0.0.1'] } } }
    const healed = agent({
      mode: 'eni',
      node: states({ '10.0.0.1': 'released', '10.0.0.2': 'released' }, undefined, { eni }),
    })
    expect([...healed.store.statusToWrite()!.releaseIPs]).toEqual([['10.0.0.2', 'released']])
    expect(codeOf(() => healed.ipv4.allocate('10.0.0.2', 'a', POOL))).toBe('IP_IN_RELEASE_HANDSHAKE')
  })

  test('nothing is answered while the pool is absent, for junk, or for a family that nobody serves', () => {
    const { store } = agent({
      node: { ...states({ 'fd00::1': 'marked-for-release', pod: 'marked-for-release' }, { 'fd00::1': {}, pod: {} }) },
    })
    expect(new Set(store.statusToWrite()!.releaseIPs.values())).toEqual(new Set(['marked-for-release']))
    const poolless = agent({
      node: {
        metadata: { name: 'n1' },
        spec: {},
        status: { ipam: { 'release-ips': { '10.0.0.1': 'marked-for-release' } } },
      },
    })
    expect([...poolless.store.statusToWrite()!.releaseIPs]).toEqual([['10.0.0.1', 'marked-for-release']])
  })
})

describe('events of the own node', () => {
  test('are counted as the reference does; other nodes are not looked at', () => {
    const { store, server, events } = agent()
    store.onUpdate(undefined, server.change({ metadata: { labels: { a: 'b' } } }))
    store.onUpdate(undefined, server.change({ spec: { ipam: { 'min-allocate': 3 } } }))
    store.onAdd({ metadata: { name: 'n2' }, spec: {} })
    store.onDelete({ metadata: { name: 'n2' } })
    store.onDelete({ metadata: { name: 'n1' } })
    const received = (action: string, equal: boolean): string =>
      `received cilium/v2::CiliumNode CiliumNode ${action} true ${equal}`
    expect(events).toEqual([
      'processed CiliumNode create true',
      received('create', false),
      received('update', true),
      'processed CiliumNode update true',
      received('update', false),
      'processed CiliumNode delete true',
      received('delete', false),
    ])
  })
})

describe('clouds', () => {
  const eniStatus = (more: JSONObject = {}): JSONObject => ({
    eni: {
      enis: {
        'eni-1': {
          id: 'eni-1',
          mac: '0e:01',
          number: 2,
          ip: '10.1.1.10',
          subnet: { cidr: '10.1.1.0/24' },
          vpc: { 'primary-cidr': '10.1.0.0/16', cidrs: ['10.2.0.0/16'] },
          addresses: ['10.1.1.20'],
          ...more,
        },
      },
    },
  })

  test('an inconsistent ENI update is left alone as a whole', () => {
    const { store, server, ipv4, lines } = agent({
      mode: 'eni',
      profile: 'later',
      node: node(poolOf('10.1.1.20'), { status: eniStatus() }),
    })
    store.onUpdate(undefined, server.change({ spec: { ipam: { pool: { '10.1.1.21': { resource: 'eni-1' } } } } }))
    expect(codeOf(() => ipv4.allocate('10.1.1.21', 'a', POOL))).toBe('IP_NOT_AVAILABLE_IN_POOL')
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
    store.onUpdate(undefined, server.change({ status: eniStatus({ addresses: ['10.1.1.20', '10.1.1.21'] }) }))
    expect(ipv4.allocate('10.1.1.21', 'a', POOL)).toMatchObject({ interfaceNumber: '2', gatewayIP: '10.1.1.1' })
  })

  test('an address whose interface is not described is passed over, never booked', () => {
    const { ipv4 } = agent({
      mode: 'eni',
      node: node({ '10.1.1.20': { resource: 'eni-9' }, '10.1.1.21': { resource: 'eni-1' } }, { status: eniStatus() }),
    })
    expect(ipv4.allocateNext('a', POOL).ip).toBe('10.1.1.21')
    const failure = failureOf(() => ipv4.allocateNext('default/web', POOL))
    expect([failure.code, failure.details.owner]).toEqual(['ENI_NOT_FOUND', 'default/web'])
    expect(ipv4.dump().status).toBe('1/2 allocated')
  })

  test('Alibaba Cloud: gateway is the third last address, the number comes from a tag', () => {
    const enis = {
      'eni-a': {
        'network-interface-id': 'eni-a',
        'mac-address': '00:16',
        vswitch: { cidr: '192.168.0.0/24' },
        tags: { 'cilium-eni-index': '3' },
        'private-ipsets': [{ 'private-ip-address': '192.168.0.9' }],
      },
      'eni-b': { 'network-interface-id': 'eni-b', vswitch: { cidr: '' }, tags: { 'cilium-eni-index': 'x' } },
    }
    const subject = agent({
      mode: 'alibabacloud',
      node: {
        metadata: { name: 'n1' },
        spec: {
          'alibaba-cloud': { 'cidr-block': '192.168.0.0/16' },
          ipam: { pool: { '192.168.0.9': { resource: 'eni-a' }, '192.168.0.10': { resource: 'eni-b' } } },
        },
        status: { 'alibaba-cloud': { enis } },
      },
    })
    expect(subject.ipv4.allocate('192.168.0.9', 'a', POOL)).toEqual({
      ip: '192.168.0.9',
      ipPoolName: 'default',
      primaryMAC: '00:16',
      cidrs: ['192.168.0.0/24'],
      gatewayIP: '192.168.0.253',
      interfaceNumber: '3',
    })
    expect(subject.ipv4.allocate('192.168.0.10', 'a', POOL)).toMatchObject({ interfaceNumber: '0', cidrs: [] })
    expect(subject.store.vpcCIDRs()).toEqual(['192.168.0.0/16'])
  })

  test('waits for the minimum and the VPC, then takes its primary CIDR for native routing', async () => {
    const { store, server, ipv4, clock, lines } = agent({ mode: 'eni', node: node({}, { status: {} }) })
    let isReady = false
    const waiting = store.waitForMinimum(new AbortController().signal).then(() => {
      isReady = true
    })
    await clock.advance(5_000)
    server.change({ spec: { ipam: { pool: poolOf('10.1.1.20') } } })
    store.onUpdate(undefined, server.node)
    await clock.advance(5_000)
    expect(isReady).toBe(false)
    store.onUpdate(undefined, server.change({ status: eniStatus() }))
    await clock.advance(5_000)
    await waiting
    expect(lines.filter(({ message }) => message.startsWith('Waiting for addresses')).at(-1)!.fields).toEqual({
      wanted: 1,
      availableIPs: 1,
    })
    expect(store.vpcCIDRs()).toEqual(['10.2.0.0/16', '10.1.0.0/16'])
    // It repeats the primary CIDR, which is listed already.
    expect(ipv4.allocate('10.1.1.20', 'a', POOL).cidrs).toEqual(['10.1.0.0/16', '10.2.0.0/16'])
  })

  test.each([
    ['10.2.128.0/17', 'settled'],
    ['10.0.0.0/8', 'settled'],
    ['10.3.0.0/16', 'NATIVE_ROUTING_CIDR_MISMATCH'],
  ])('a configured native routing CIDR %s is %s', async (nativeRoutingCIDR, outcome) => {
    const { store, ipv4 } = agent({
      mode: 'eni',
      nativeRoutingCIDR,
      node: node(poolOf('10.1.1.20'), { status: eniStatus() }),
    })
    const waited = store.waitForMinimum(new AbortController().signal)
    if (outcome !== 'settled') await expect(waited).rejects.toMatchObject({ code: outcome })
    else {
      await waited
      expect(ipv4.allocate('10.1.1.20', 'a', POOL).cidrs).toEqual(['10.1.0.0/16', '10.2.0.0/16', nativeRoutingCIDR])
    }
  })

  test('the wait for addresses can be given up', async () => {
    const { store } = agent({ node: node(undefined) })
    const controller = new AbortController()
    const waiting = store.waitForMinimum(controller.signal)
    controller.abort(new Error('stopped'))
    await expect(waiting).rejects.toThrow('stopped')
  })
})
