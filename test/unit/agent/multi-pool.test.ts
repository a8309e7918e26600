import { describe, expect, test } from 'vitest'
import { ExclusionList } from '../../../src/agent/exclusion-list.ts'
import type { Family } from '../../../src/agent/family.ts'
import { IPAM } from '../../../src/agent/ipam.ts'
import { MultiPoolAllocator } from '../../../src/agent/multi-pool-allocator.ts'
import { MultiPoolManager } from '../../../src/agent/multi-pool.ts'
import { neededIPCeil } from '../../../src/agent/pool-demand.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'
import { codeOf, countingMetrics, failureOf, FakeNodeServer, testWorld } from './builders.ts'

interface Setup {
  readonly families?: readonly Family[]
  readonly preAllocation?: Readonly<Record<string, number>>
  readonly allocated?: readonly JSONObject[]
  readonly cooldownMs?: number
  readonly isSeen?: boolean
}

/** A facade on a node's pools; the operator is the test. */
function agent(setup: Setup = {}) {
  const { families = ['ipv4'], preAllocation = { default: 8 }, allocated = [], cooldownMs = 0, isSeen = true } = setup
  const world = testWorld()
  const server = new FakeNodeServer({
    metadata: { name: 'n1' },
    spec: { ipam: { pools: { allocated: [...allocated] }, podCIDRs: ['theirs'] } },
  })
  const manager = new MultiPoolManager({
    ...world,
    nodeName: 'n1',
    families,
    preAllocation: new Map(Object.entries(preAllocation)),
    writer: server,
    range: { ...world, smallCIDR: 'usable', cooldownMs, strategy: 'contiguous' },
    updateIntervalMs: 15_000,
    signal: new AbortController().signal,
  })
  const { counts, metrics } = countingMetrics()
  const ipam = new IPAM({
    ...world,
    metrics,
    ipv4Allocator: families.includes('ipv4') ? new MultiPoolAllocator('ipv4', manager) : undefined,
    ipv6Allocator: families.includes('ipv6') ? new MultiPoolAllocator('ipv6', manager) : undefined,
  })
  if (isSeen) manager.versions.onAdd(server.node)
  const pools = (): { requested: JSONObject[]; allocated: JSONObject[] } =>
    ((server.node['spec'] as JSONObject)['ipam'] as JSONObject)['pools'] as never
  /** The operator gives CIDRs; the watch delivers. */
  const give = (...entries: JSONObject[]): void =>
    manager.versions.onUpdate(undefined, server.change({ spec: { ipam: { pools: { allocated: entries } } } }))
  return { ...world, server, manager, ipam, counts, pools, give }
}

const next = (ipam: IPAM, owner: string, pool = 'default'): string =>
  ipam.allocateNextFamily({ family: 'ipv4', owner, pool }).ip

describe('demand', () => {
  test.each([
    [0, 16, 16],
    [1, 16, 32],
    [15, 16, 32],
    [16, 16, 32],
    [17, 16, 48],
    [30, 8, 40],
    [7, 0, 7],
  ])('of %i with a pre-allocation of %i is %i', (count, preAllocate, needed) => {
    expect(neededIPCeil(count, preAllocate)).toBe(needed)
  })

  test('is written at once, and an owner that asks again counts once', async () => {
    const { ipam, pools, clock } = agent({ preAllocation: {} })
    for (const owner of ['a', 'a', 'b']) expect(codeOf(() => next(ipam, owner, 'blue'))).toBe('POOL_NOT_READY')
    await clock.advance(15_000)
    expect(pools().requested).toEqual([{ pool: 'blue', needed: { 'ipv4-addrs': 2 } }])
  })

  test('fades when nobody asks any more, without any other event on the node', async () => {
    const { ipam, pools, clock } = agent({ preAllocation: {} })
    expect(codeOf(() => next(ipam, 'a', 'blue'))).toBe('POOL_NOT_READY')
    await clock.advance(15_000)
    expect(pools().requested).toHaveLength(1)
    await clock.advance(300_000)
    expect(pools().requested).toEqual([])
  })

  test('stands for both families when a dual-stack request finds one of them short', async () => {
    const { ipam, pools, clock } = agent({
      families: ['ipv4', 'ipv6'],
      preAllocation: {},
      allocated: [{ pool: 'blue', cidrs: ['10.0.0.0/32', 'fd00::/124'] }],
    })
    ipam.allocateNext({ owner: 'first', pool: 'blue' })
    expect(codeOf(() => ipam.allocateNext({ owner: 'second', pool: 'blue' }))).toBe('POD_CIDRS_EXHAUSTED')
    expect(ipam.dump().ipv6!.size).toBe(1)
    await clock.advance(15_000)
    expect(pools().requested).toEqual([{ pool: 'blue', needed: { 'ipv4-addrs': 2, 'ipv6-addrs': 2 } }])
  })

  test('is shown by pool', () => {
    const { ipam } = agent({ allocated: [{ pool: 'default', cidrs: ['10.0.0.0/28'] }] })
    next(ipam, 'a')
    expect(codeOf(() => next(ipam, 'b', 'blue'))).toBe('POOL_NOT_READY')
    expect(ipam.usage()).toEqual([
      { family: 'ipv4', pool: 'blue', capacity: 0n, allocated: 0, cooling: 0, pending: 1 },
      { family: 'ipv4', pool: 'default', capacity: 14n, allocated: 1, cooling: 0, pending: 0 },
    ])
  })
})

describe('addresses of pools', () => {
  test('go back to the pool they came from, under their owner', () => {
    const { ipam } = agent({
      allocated: [
        { pool: 'blue', cidrs: ['10.0.1.0/28'] },
        { pool: 'default', cidrs: ['10.0.0.0/28'] },
      ],
    })
    expect([next(ipam, 'a', 'blue'), next(ipam, 'a')]).toEqual(['10.0.1.1', '10.0.0.1'])
    expect([...ipam.dump().ipv4!]).toEqual([
      ['10.0.0.1', 'a'],
      ['blue/10.0.1.1', 'a'],
    ])
    ipam.releaseIPString('a', 'blue')
    expect([...ipam.dump().ipv4!.keys()]).toEqual(['10.0.0.1'])
    expect(codeOf(() => ipam.releaseIP('10.0.0.1', 'red'))).toBe('POOL_UNKNOWN')
  })

  test('expire in their own pool', async () => {
    const { ipam, clock } = agent({ allocated: [{ pool: 'blue', cidrs: ['10.0.1.0/28'] }] })
    ipam.allocateNextWithExpiration({ family: 'ipv4', owner: 'a', pool: 'blue', timeoutMs: 1_000 })
    await clock.advance(1_000)
    expect(ipam.dump().ipv4!.size).toBe(0)
  })

  test('are excluded by pool', () => {
    const { ipam } = agent({ allocated: [{ pool: 'blue', cidrs: ['10.0.1.0/28'] }] })
    ipam.excludeIP('10.0.1.1', 'node-ip', 'blue')
    ipam.excludeIP('10.0.1.2', 'elsewhere', 'red')
    expect(next(ipam, 'a', 'blue')).toBe('10.0.1.2')
  })

  test('that are unknown are refused with pool, family and address', () => {
    const { ipam } = agent()
    const failure = failureOf(() => ipam.allocateIP('10.0.9.9', 'default/web', 'jupiter'))
    expect(failure.code).toBe('POOL_NOT_READY')
    for (const part of ['10.0.9.9', 'default/web', 'jupiter', 'ipv4']) expect(failure.message).toContain(part)
  })

  test('first and last of a CIDR are used where the pool allows it, and the resource keeps saying so', async () => {
    const { ipam, pools, clock } = agent({
      preAllocation: {},
      allocated: [{ pool: 'blue', cidrs: ['10.0.1.0/30'], allowFirstIP: true, allowLastIP: true }],
    })
    expect([1, 2, 3, 4].map((owner) => next(ipam, `p${owner}`, 'blue'))).toEqual([
      '10.0.1.0',
      '10.0.1.1',
      '10.0.1.2',
      '10.0.1.3',
    ])
    await clock.advance(15_000)
    expect(pools().allocated).toEqual([{ pool: 'blue', cidrs: ['10.0.1.0/30'], allowFirstIP: true, allowLastIP: true }])
  })
})

describe('CIDRs', () => {
  const two = [{ pool: 'default', cidrs: ['10.0.0.0/28', '10.0.1.0/28'] }]

  test('are not given back before restoration has finished', async () => {
    const { ipam, pools, clock } = agent({ allocated: two })
    await clock.advance(60_000)
    expect(pools().allocated).toEqual(two)
    ipam.restoreFinished()
    await clock.advance(15_000)
    expect(pools().allocated).toEqual([{ pool: 'default', cidrs: ['10.0.0.0/28'] }])
  })

  test('that were given back are not used again while an old version still lists them', async () => {
    const { ipam, server, clock, manager } = agent({ allocated: two })
    const old = server.node
    ipam.restoreFinished()
    await clock.advance(15_000)
    manager.versions.onUpdate(undefined, old)
    for (let owner = 0; owner < 14; owner++) expect(next(ipam, `p${owner}`)).toMatch(/^10\.0\.0\./)
    expect(codeOf(() => next(ipam, 'p14'))).toBe('POD_CIDRS_EXHAUSTED')
    expect(codeOf(() => ipam.allocateIP('10.0.1.5', 'x'))).toBe('NOT_IN_ANY_POD_CIDR')
  })

  test('given up in a write whose answer was lost belong to others', async () => {
    const { ipam, server, clock } = agent({ allocated: two })
    ipam.restoreFinished()
    server.outcomes.push('lost')
    await clock.advance(15_000)
    for (let owner = 0; owner < 14; owner++) next(ipam, `p${owner}`)
    await clock.advance(60_000)
    expect(codeOf(() => next(ipam, 'p14'))).toBe('POD_CIDRS_EXHAUSTED')
  })

  test('that the operator gives again are used again', async () => {
    const { ipam, clock, give } = agent({ allocated: two })
    ipam.restoreFinished()
    await clock.advance(15_000)
    for (let owner = 0; owner < 14; owner++) next(ipam, `p${owner}`)
    give(...two)
    expect(next(ipam, 'p14')).toBe('10.0.1.1')
  })

  test('that were not given up on the wire yet are reclaimed when they are needed', () => {
    const { ipam, manager } = agent({ allocated: two })
    ipam.restoreFinished()
    expect(manager.poolsToWrite()!.allocated).toEqual([expect.objectContaining({ cidrs: ['10.0.0.0/28'] })])
    for (let owner = 0; owner < 14; owner++) next(ipam, `p${owner}`)
    expect(codeOf(() => next(ipam, 'p14'))).toBe('POD_CIDRS_EXHAUSTED')
    manager.poolsToWrite()
    expect(next(ipam, 'p14')).toBe('10.0.1.1')
  })

  test('taken away while in use serve their holders and nobody else, then go', async () => {
    const { ipam, give, clock, manager } = agent({ preAllocation: {}, allocated: two })
    for (let owner = 0; owner < 15; owner++) next(ipam, `p${owner}`)
    ipam.restoreFinished()
    give({ pool: 'default', cidrs: ['10.0.0.0/28'] })
    expect(codeOf(() => next(ipam, 'x'))).toBe('POD_CIDRS_EXHAUSTED')
    expect(manager.poolsToWrite()!.allocated).toEqual([
      expect.objectContaining({ cidrs: ['10.0.0.0/28', '10.0.1.0/28'] }),
    ])
    ipam.releaseIP('10.0.1.1', 'default')
    await clock.advance(15_000)
    expect(manager.poolsToWrite()!.allocated).toEqual([expect.objectContaining({ cidrs: ['10.0.0.0/28'] })])
  })

  test('a pool with nothing left is forgotten, and known again when it is given', async () => {
    const { ipam, give, clock, pools } = agent({
      preAllocation: {},
      allocated: [{ pool: 'blue', cidrs: ['10.0.1.0/28'] }],
    })
    ipam.restoreFinished()
    await clock.advance(15_000)
    expect(pools().allocated).toEqual([])
    expect(codeOf(() => next(ipam, 'a', 'blue'))).toBe('POOL_NOT_READY')
    give({ pool: 'blue', cidrs: ['10.0.2.0/28'] })
    expect(next(ipam, 'a', 'blue')).toBe('10.0.2.1')
  })

  test('with an address in cooldown stay until its time is up', async () => {
    const { ipam, clock, pools } = agent({
      preAllocation: {},
      cooldownMs: 40_000,
      allocated: [{ pool: 'blue', cidrs: ['10.0.1.0/28'] }],
    })
    ipam.restoreFinished()
    ipam.releaseIP(next(ipam, 'a', 'blue'), 'blue')
    await clock.advance(30_000)
    expect(pools().allocated).toHaveLength(1)
    await clock.advance(75_000)
    expect(pools().allocated).toEqual([])
  })

  test('that cannot be read are ignored, repeats too', () => {
    const { ipam, give, lines } = agent()
    give({ pool: 'default', cidrs: ['x', '10.0.0.0/30', '10.0.0.1/30', 'fd00::/64'] })
    expect([next(ipam, 'a'), next(ipam, 'b')]).toEqual(['10.0.0.1', '10.0.0.2'])
    expect(lines.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual([
      'Ignored an invalid pod CIDR',
      'Ignored a repeated pod CIDR',
    ])
  })
})

describe('CIDRs that overlap', () => {
  test('give no address twice: the later one is left alone, also beside one that was removed in use', () => {
    const { ipam, give, lines } = agent({ preAllocation: {} })
    give({ pool: 'default', cidrs: ['10.0.0.0/30'] })
    expect(next(ipam, 'a')).toBe('10.0.0.1')
    give({ pool: 'default', cidrs: ['10.0.0.0/29', '10.0.1.0/31', '10.0.1.0/30'] })
    expect([next(ipam, 'b'), next(ipam, 'c'), codeOf(() => next(ipam, 'd'))]).toEqual([
      '10.0.1.0',
      '10.0.1.1',
      'POD_CIDRS_EXHAUSTED',
    ])
    expect(lines.filter(({ message }) => message.startsWith('Ignored a pod CIDR that overlaps'))).toHaveLength(2)
    ipam.releaseIP('10.0.0.1')
    give({ pool: 'default', cidrs: ['10.0.0.0/29', '10.0.1.0/31'] })
    expect(next(ipam, 'd')).toBe('10.0.0.1')
  })
})

describe('writes', () => {
  test('nothing is written before the own node was seen, least of all an empty list', async () => {
    const { ipam, server, manager, clock } = agent({
      isSeen: false,
      allocated: [{ pool: 'default', cidrs: ['10.0.0.0/28'] }],
    })
    ipam.restoreFinished()
    expect(codeOf(() => next(ipam, 'a'))).toBe('POOL_NOT_READY')
    await clock.advance(60_000)
    expect(server.patches).toEqual([])
    expect(manager.poolsToWrite()).toBeUndefined()
  })

  test('fail, and are tried again after 1 s, 2 s, …', async () => {
    const { server, clock, lines } = agent()
    await clock.advance(0)
    server.patches.length = 0
    const failing = agent()
    failing.server.outcomes.push('refused', 'refused')
    await failing.clock.advance(0)
    await failing.clock.advance(999)
    expect(failing.server.outcomes).toHaveLength(1)
    await failing.clock.advance(1)
    expect(failing.server.outcomes).toHaveLength(0)
    await failing.clock.advance(1_999)
    expect(failing.server.patches).toEqual([])
    await failing.clock.advance(1)
    expect(failing.server.patches).toHaveLength(1)
    expect(lines.filter(({ level }) => level === 'warn')).toEqual([])
  })

  test('touch nothing but spec.ipam.pools, and happen only when it changes', async () => {
    const { server, clock, pools } = agent()
    await clock.advance(600_000)
    expect(server.patches).toHaveLength(1)
    expect(pools().requested).toEqual([{ pool: 'default', needed: { 'ipv4-addrs': 8 } }])
    expect(((server.node['spec'] as JSONObject)['ipam'] as JSONObject)['podCIDRs']).toEqual(['theirs'])
  })

  test('stop for good when told', async () => {
    const { ipam, manager, server, clock } = agent()
    await clock.advance(0)
    manager.stop()
    expect(codeOf(() => next(ipam, 'a', 'blue'))).toBe('POOL_NOT_READY')
    await clock.advance(600_000)
    expect(server.patches).toHaveLength(1)
  })
})

describe('the wait for pools', () => {
  test('ends when every pool with a pre-allocation has a free address in every family', async () => {
    const { manager, clock, give, lines } = agent({
      families: ['ipv4', 'ipv6'],
      preAllocation: { default: 8, blue: 0 },
    })
    let isReady = false
    const waiting = manager.waitUntilReady(new AbortController().signal).then(() => {
      isReady = true
    })
    give({ pool: 'default', cidrs: ['10.0.0.0/28'] })
    await clock.advance(10_000)
    expect(isReady).toBe(false)
    expect(lines.filter(({ level }) => level === 'info').at(-1)!.message).toContain('Waiting for pod CIDRs')
    give({ pool: 'default', cidrs: ['10.0.0.0/28', 'fd00::/124'] })
    await clock.advance(5_000)
    await waiting
  })

  test('goes on with the last version when the node is deleted', () => {
    const { manager, ipam, lines } = agent({ allocated: [{ pool: 'default', cidrs: ['10.0.0.0/28'] }] })
    manager.versions.onDelete({ metadata: { name: 'n2' } })
    manager.versions.onDelete({ metadata: { name: 'n1' } })
    expect(next(ipam, 'a')).toBe('10.0.0.1')
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
  })

  test('an excluded address that its pool grows over later is not handed out', () => {
    const { ipam, give } = agent()
    const excluded = new ExclusionList()
    excluded.exclude('10.0.0.1', 'x')
    ipam.excludeIP('10.0.0.1', 'node-ip')
    give({ pool: 'default', cidrs: ['10.0.0.0/30'] })
    expect(next(ipam, 'a')).toBe('10.0.0.2')
  })
})

describe('a write that is due during a dual-stack allocation', () => {
  test('sees both families: it does not give the CIDR of the second one back', async () => {
    const { ipam, clock, give } = agent({ families: ['ipv4', 'ipv6'], preAllocation: {} })
    ipam.restoreFinished()
    await clock.advance(20_000)
    give({ pool: 'blue', cidrs: ['10.0.1.0/28', 'fd00::/124'] })
    const pair = ipam.allocateNext({ owner: 'a', pool: 'blue' })
    expect([pair.ipv4?.ip, pair.ipv6?.ip]).toEqual(['10.0.1.1', 'fd00::1'])
  })
})
