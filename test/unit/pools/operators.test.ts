import { afterEach, describe, expect, test } from 'vitest'
import { parseFaults } from '../../../simulators/kit/faults.ts'
import type { JSONObject } from '../../../simulators/kubernetes/index.ts'
import type { PoolPlan } from '../../../src/cli/pool-plan.ts'
import { newCIDRSets } from '../../../src/pools/cidr-set.ts'
import { PoolsWorld } from './pools-world.ts'

const worlds: PoolsWorld[] = []

function world(...args: ConstructorParameters<typeof PoolsWorld>): PoolsWorld {
  const made = new PoolsWorld(...args)
  worlds.push(made)
  return made
}

afterEach(async () => {
  for (const one of worlds.splice(0)) await one.close()
})

const multiPool = (
  pools: Readonly<Record<string, readonly [cidrs: readonly string[], maskSize: number]>> = {},
): PoolPlan => ({
  mode: 'multi-pool',
  families: ['ipv4'],
  pools: new Map(Object.entries(pools).map(([name, [cidrs, maskSize]]) => [name, { ipv4: { cidrs, maskSize } }])),
})

const requests = (needs: Readonly<Record<string, number>>): JSONObject => ({
  pools: { requested: Object.entries(needs).map(([pool, count]) => ({ pool, needed: { 'ipv4-addrs': count } })) },
})

const listing = (pool: string, ...cidrs: string[]): JSONObject => ({ pools: { allocated: [{ pool, cidrs }] } })

const patches = (at: PoolsWorld): number =>
  Object.entries(at.kubernetes.calls.report().actions)
    .filter(([action]) => action.startsWith('patch ciliumnodes'))
    .reduce((sum, [, { attempts }]) => sum + attempts, 0)

const faults = (at: PoolsWorld, ...rules: readonly JSONObject[]): void =>
  at.kubernetes.faults.set(parseFaults({ rules }))

describe('multi-pool', () => {
  test('creates the pools of its options unless they exist, and gives nodes what they ask for', async () => {
    const at = world(multiPool({ default: [['10.0.0.0/24'], 28], red: [['10.1.0.0/24'], 26] }))
    await at.putPool('red', ['10.2.0.0/24'], 27)
    await at.addNode('a', requests({ default: 20, red: 1 }))
    at.start()
    await at.run()
    expect(await at.node('a')).toEqual({
      name: 'a',
      podCIDRs: [],
      allocated: [
        { pool: 'default', cidrs: ['10.0.0.0/28', '10.0.0.16/28'] },
        { pool: 'red', cidrs: ['10.2.0.0/27'] },
      ],
      error: '',
    })
    await at.ask('a', { default: 30 })
    await at.run()
    expect((await at.node('a'))!.allocated[0]!.cidrs).toHaveLength(3)
  })

  test('leaves what others write alone, and writes nothing when there is nothing to write', async () => {
    const at = world(multiPool({ default: [['10.0.0.0/24'], 28] }))
    await at.addNode('a', { ...requests({ default: 1 }), 'max-allocate': 7 })
    at.start()
    await at.run()
    const before = patches(at)
    expect(before).toBe(1)
    await at.kill()
    at.start()
    await at.run(120_000)
    const { spec } = await at.request('GET', '/apis/cilium.io/v2/ciliumnodes/a')
    expect(spec).toEqual({
      ipam: {
        'max-allocate': 7,
        pools: {
          ...(requests({ default: 1 })['pools'] as object),
          allocated: [{ pool: 'default', cidrs: ['10.0.0.0/28'] }],
        },
      },
    })
    expect(patches(at)).toBe(before)
  })

  test('after a restart gives nothing away before every node was seen', async () => {
    const at = world(multiPool())
    await at.putPool('default', ['10.0.0.0/22'], 28)
    // The list comes in pages of 100: what the last node holds is known last.
    for (let index = 0; index < 30; index++) await at.addNode(`a-${index}`, requests({ default: 1 }))
    for (let index = 0; index < 30; index++)
      await at.addNode(`z-${index}`, listing('default', `10.0.${index >> 4}.${(index & 15) << 4}/28`))
    at.start()
    await at.run()
    expect(await at.shared()).toBeUndefined()
    expect((await at.nodes()).every(({ allocated, error }) => allocated.length === 1 && error === '')).toBe(true)
  })

  test('says on the node which pool is exhausted, and serves it when CIDRs are added', async () => {
    const at = world(multiPool({ red: [['10.0.0.0/27'], 28] }))
    await at.addNode('a', requests({ red: 20 }))
    await at.addNode('b', requests({ red: 1 }))
    at.start()
    await at.run()
    expect((await at.node('b'))!.error).toBe('unable to allocate from pool red (ipv4) for node b: pool empty')
    expect(at.leader!.readiness()).toEqual({
      ok: true,
      reasons: ['nodes cannot have the CIDRs that they ask for: b'],
    })
    await at.patchPool('red', ['10.0.0.0/27', '10.0.1.0/27'])
    await at.run(1_000)
    expect(await at.node('b')).toMatchObject({ allocated: [{ pool: 'red', cidrs: ['10.0.1.0/28'] }], error: '' })
    expect(at.leader!.readiness()).toEqual({ ok: true, reasons: [] })
  })

  test.each<[what: string, free: (at: PoolsWorld) => Promise<unknown>]>([
    ['gives a CIDR back', (at) => at.patchNode('a', { pools: { requested: [], allocated: [] } })],
    ['is deleted', (at) => at.deleteNode('a')],
  ])('serves who waits for an exhausted pool when another node %s', async (_, free) => {
    const at = world(multiPool({ red: [['10.0.0.0/28'], 28] }))
    await at.addNode('a', requests({ red: 1 }))
    at.start()
    await at.run()
    await at.addNode('b', requests({ red: 1 }))
    await at.run()
    expect((await at.node('b'))!.error).toContain('pool empty')
    await free(at)
    await at.run(2_000)
    expect(await at.node('b')).toMatchObject({ allocated: [{ pool: 'red', cidrs: ['10.0.0.0/28'] }], error: '' })
    expect(await at.shared()).toBeUndefined()
  })

  test('leaves a pool alone that makes no sense, says so on its nodes, and serves the others', async () => {
    const at = world(multiPool({ default: [['10.0.0.0/24'], 28] }))
    await at.putPool('bad', ['10.9.0.0/24'], 16)
    await at.addNode('a', requests({ default: 1, bad: 1 }))
    at.start()
    await at.run()
    expect(await at.node('a')).toMatchObject({
      allocated: [{ pool: 'default' }],
      error:
        'unable to allocate from pool bad (ipv4) for node a: pool does not exist\n' +
        'pool bad cannot be used as it is: mask size 16 is not possible in 10.9.0.0/24',
    })
    expect(at.leader!.readiness().reasons[0]).toBe(
      'pool bad cannot be used as it is: mask size 16 is not possible in 10.9.0.0/24',
    )
    await at.deletePool('bad')
    await at.putPool('bad', ['10.9.0.0/24'], 28)
    await at.run()
    expect(await at.node('a')).toMatchObject({ allocated: [{ pool: 'bad' }, { pool: 'default' }], error: '' })
  })

  test('leaves a pool alone that shares addresses with another one, until that one is gone', async () => {
    const at = world(multiPool({ a: [['10.0.0.0/24'], 28] }))
    await at.putPool('b', ['10.0.0.0/25'], 28)
    await at.addNode('n', requests({ a: 1 }))
    await at.addNode('m', requests({ b: 1 }))
    at.start()
    await at.run()
    expect((await at.node('m'))!.error).toContain('CIDR 10.0.0.0/25 of pool b collides with 10.0.0.0/24 of pool a')
    await at.deletePool('a')
    await at.run()
    // What n holds of the pool that is gone stays its own.
    expect((await at.node('m'))!.allocated).toEqual([{ pool: 'b', cidrs: ['10.0.0.16/28'] }])
    expect((await at.node('n'))!.allocated).toEqual([{ pool: 'a', cidrs: ['10.0.0.0/28'] }])
    expect((await at.node('n'))!.error).toContain('pool a does not exist')
  })

  test('a pool whose CIDR is replaced by a larger one gives no CIDR twice', async () => {
    const at = world(multiPool({ red: [['10.0.0.0/27'], 28] }))
    await at.addNode('a', requests({ red: 1 }))
    at.start()
    await at.run()
    await at.patchPool('red', ['10.0.0.0/26'])
    await at.run()
    for (const name of ['b', 'c', 'd', 'e']) await at.addNode(name, requests({ red: 1 }))
    await at.run()
    expect(await at.shared()).toBeUndefined()
    const served = (await at.nodes()).map(({ allocated }) => allocated.flatMap(({ cidrs }) => cidrs).length)
    expect(served).toEqual([1, 1, 1, 1, 0])
  })

  test('a CIDR stays its node’s as long as a write of it may still arrive', async () => {
    const at = world(multiPool({ red: [['10.0.0.0/27'], 28] }))
    at.isHeldBack = (method, path) => method === 'PATCH' && path.endsWith('/a')
    await at.addNode('a', requests({ red: 1 }))
    at.start()
    await at.run(1_500)
    await at.addNode('b', requests({ red: 2 * 14 }))
    await at.run(100)
    expect((await at.node('b'))!.allocated).toEqual([{ pool: 'red', cidrs: ['10.0.0.16/28'] }])
    expect(at.leader!.readiness().reasons).toContain('nodes cannot be written: a')
    at.isHeldBack = () => false
    expect(await at.deliver()).toBeGreaterThan(1)
    expect((await at.node('a'))!.allocated).toEqual([{ pool: 'red', cidrs: ['10.0.0.0/28'] }])
    await at.run(10_000)
    expect((await at.node('a'))!.allocated).toEqual([{ pool: 'red', cidrs: ['10.0.0.0/28'] }])
    expect(await at.shared()).toBeUndefined()
  })

  test('a write that reaches the server although its answer was lost is not made twice', async () => {
    const at = world(multiPool({ red: [['10.0.0.0/24'], 28] }))
    faults(at, { action: 'patch ciliumnodes', kind: 'drop', where: 'after-effect', count: 1 })
    await at.addNode('a', requests({ red: 1 }))
    at.start()
    await at.run(5_000)
    expect((await at.node('a'))!.allocated).toEqual([{ pool: 'red', cidrs: ['10.0.0.0/28'] }])
    expect(at.leader!.readings().usage).toEqual([{ pool: 'red', family: 'ipv4', size: 16, used: 1 }])
  })

  test('an agent that writes at the same time is read and served anew', async () => {
    const at = world(multiPool({ red: [['10.0.0.0/24'], 28] }))
    await at.addNode('a', requests({ red: 1 }))
    faults(at, {
      action: 'patch ciliumnodes',
      match: { userAgent: 'berth-controller' },
      kind: 'latency',
      latencyMs: 50,
      count: 1,
    })
    at.start()
    await at.run(10)
    await at.ask('a', { red: 20 })
    await at.run(1_000)
    expect((await at.node('a'))!.allocated[0]!.cidrs).toHaveLength(2)
    expect(at.leader!.readings().writes).toMatchObject({ conflict: 1, failed: 0 })
    expect(at.leader!.readings().usage[0]!.used).toBe(2)
  })

  test('a faulty resource keeps what it holds, and says what is wrong', async () => {
    const at = world(multiPool({ red: [['10.0.0.0/28'], 28] }), { manifests: [] })
    at.kubernetes.load(definitionsWithoutSchema())
    at.start()
    await at.addNode('a', { pools: { requested: 7, allocated: [{ pool: 'red', cidrs: ['10.0.0.0/28'] }] } })
    await at.addNode('b', requests({ red: 1 }))
    await at.run(1_000)
    expect((await at.node('a'))!.error).toBe(
      'this resource cannot be managed: spec.ipam.pools.requested: expected a list, found 7',
    )
    expect((await at.node('b'))!.allocated).toEqual([])
    expect(await at.shared()).toBeUndefined()
  })

  test('the edges of a pool are told to the agents, and counted', async () => {
    const at = world(multiPool())
    await at.request('POST', '/apis/cilium.io/v2alpha1/ciliumpodippools', {
      apiVersion: 'cilium.io/v2alpha1',
      kind: 'CiliumPodIPPool',
      metadata: { name: 'red' },
      spec: { ipv4: { cidrs: ['10.0.0.0/24'], maskSize: 28 }, allowFirstIP: true, allowLastIP: true },
    })
    await at.addNode('a', requests({ red: 16 }))
    at.start()
    await at.run()
    expect((await at.node('a'))!.allocated).toEqual([
      { pool: 'red', cidrs: ['10.0.0.0/28'], allowFirstIP: true, allowLastIP: true },
    ])
  })
})

describe('cluster-pool', () => {
  const clusterPool = (ipv4: readonly string[], maskSize = 24, ipv6: readonly string[] = []): PoolPlan => ({
    mode: 'cluster-pool',
    sets: { ipv4: newCIDRSets('ipv4', ipv4, maskSize), ipv6: newCIDRSets('ipv6', ipv6, 112) },
  })

  test('gives every node one CIDR of each family, which a restart does not change', async () => {
    const plan = (): PoolPlan => clusterPool(['10.0.0.0/22'], 24, ['fd00::/104'])
    const at = world(plan())
    for (const name of ['a', 'b', 'c']) await at.addNode(name)
    at.start()
    await at.run()
    const before = await at.nodes()
    expect(before.map(({ podCIDRs }) => podCIDRs)).toEqual([
      ['10.0.0.0/24', 'fd00::/112'],
      ['10.0.1.0/24', 'fd00::1:0/112'],
      ['10.0.2.0/24', 'fd00::2:0/112'],
    ])
    const written = patches(at)
    await at.kill()
    at.start(plan())
    await at.run(60_000)
    expect(await at.nodes()).toEqual(before)
    expect(patches(at)).toBe(written)
  })

  test('says that the CIDRs are used up, and serves who waits longest when a node goes', async () => {
    const at = world(clusterPool(['10.0.0.0/24'], 25))
    for (const name of ['a', 'b', 'd', 'c']) {
      await at.addNode(name)
      await at.run(0)
      if (at.leader === undefined) at.start()
      await at.run(0)
    }
    expect((await at.node('d'))!.error).toBe('IPv4 allocator full: no free CIDR of size /25 in 10.0.0.0/24')
    await at.deleteNode('a')
    await at.run(1_000)
    expect(await at.node('d')).toMatchObject({ podCIDRs: ['10.0.0.0/25'], error: '' })
    expect((await at.node('c'))!.error).toContain('allocator full')
  })

  test('what a refused node lists is given to nobody else', async () => {
    const at = world(clusterPool(['10.0.0.0/23']))
    await at.addNode('odd', { podCIDRs: ['10.0.0.0/24', '192.168.0.0/24'] })
    await at.addNode('a')
    await at.addNode('b')
    at.start()
    await at.run()
    expect((await at.node('odd'))!.error).toContain('192.168.0.0/24')
    expect(await at.node('a')).toMatchObject({ podCIDRs: ['10.0.1.0/24'] })
    expect(await at.node('b')).toMatchObject({
      podCIDRs: [],
      error: expect.stringContaining('allocator full') as string,
    })
    expect(await at.shared()).toBeUndefined()
    await at.patchNode('odd', { podCIDRs: ['10.0.0.0/24'] })
    await at.run()
    expect(await at.node('odd')).toMatchObject({ podCIDRs: ['10.0.0.0/24'], error: '' })
  })

  test('CIDRs that somebody else has written to a node are not overwritten', async () => {
    const at = world(clusterPool(['10.0.0.0/22']))
    await at.addNode('a')
    at.start()
    await at.run()
    await at.patchNode('a', { podCIDRs: ['10.0.3.0/24'] })
    await at.run(1_000)
    expect(await at.node('a')).toMatchObject({
      podCIDRs: ['10.0.3.0/24'],
      error: 'CIDR 10.0.3.0/24 is in conflict with the 10.0.0.0/24 of node a',
    })
    await at.patchNode('a', { podCIDRs: null })
    await at.run(1_000)
    expect(await at.node('a')).toMatchObject({ podCIDRs: ['10.0.0.0/24'], error: '' })
  })

  test.each(['before-effect', 'after-effect'])(
    'a write that is cut off %s is repeated, and changes nothing',
    async (where) => {
      const at = world(clusterPool(['10.0.0.0/22']))
      faults(at, { action: 'patch ciliumnodes', kind: 'drop', where, count: 2 })
      for (const name of ['a', 'b']) await at.addNode(name)
      at.start()
      await at.run(10_000)
      expect((await at.nodes()).map(({ podCIDRs }) => podCIDRs)).toEqual([['10.0.0.0/24'], ['10.0.1.0/24']])
      expect(at.leader!.readings()).toMatchObject({ usage: [{ used: 2, size: 4 }], waiting: [] })
    },
  )
})

describe('kubernetes', () => {
  test('reads, and writes nothing', async () => {
    const at = world({ mode: 'kubernetes' })
    await at.addNode('a', { podCIDRs: ['10.0.0.0/24'] })
    at.start()
    await at.run(60_000)
    expect(
      Object.keys(at.kubernetes.calls.report().actions)
        .filter((action) => !action.startsWith('create'))
        .sort(),
    ).toEqual(['list ciliumnodes', 'watch ciliumnodes'])
    expect(at.leader!.readiness()).toEqual({ ok: true, reasons: [] })
  })
})

/** The two definitions as an API server without a schema has them. */
function definitionsWithoutSchema(): readonly JSONObject[] {
  const definition = (plural: string, kind: string, version: string): JSONObject => ({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.cilium.io` },
    spec: {
      group: 'cilium.io',
      scope: 'Cluster',
      names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: plural === 'ciliumnodes' ? { status: {} } : {},
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  })
  return [definition('ciliumnodes', 'CiliumNode', 'v2'), definition('ciliumpodippools', 'CiliumPodIPPool', 'v2alpha1')]
}
