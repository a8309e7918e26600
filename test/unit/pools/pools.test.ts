import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatCIDR, parseCIDR } from '../../../src/ipam/ip-range.ts'
import { CIDRSet, newCIDRSets } from '../../../src/pools/cidr-set.ts'
import { AggregatePoolError, PoolError } from '../../../src/pools/errors.ts'
import { MultiPoolAllocator } from '../../../src/pools/multi-pool-allocator.ts'
import { NodesPodCIDRManager } from '../../../src/pools/pod-cidr-manager.ts'
import type { PodCIDRNode } from '../../../src/pools/pod-cidr-manager.ts'
import { parsePoolSpec } from '../../../src/pools/pool-spec.ts'
import type { CallResult, PendingWrite, PodCIDRNodeAPI } from '../../../src/pools/write-queue.ts'
import { syncNode } from '../../../src/pools/write-queue.ts'

const SEED = 20260918

function codesOf(run: () => unknown): readonly string[] {
  try {
    run()
  } catch (error) {
    if (error instanceof PoolError) return [error.code]
    if (error instanceof AggregatePoolError) return error.errors.map(({ code }) => code)
    throw error
  }
  return []
}

describe('CIDRSet', () => {
  const set = (cidr: string, maskSize: number): CIDRSet => new CIDRSet(parseCIDR(cidr)!, maskSize)

  test.each([
    ['10.0.0.0/16', 33, 'SUBNET_MASK_INVALID'],
    ['10.0.0.0/16', 15, 'SUBNET_MASK_INVALID'],
    ['10.0.0.0/16', 24.5, 'SUBNET_MASK_INVALID'],
    ['fd00::/64', 81, 'CIDR_SET_SUBNET_TOO_BIG'],
    ['fd00::/120', 129, 'SUBNET_MASK_INVALID'],
  ])('%s cut to /%d is refused', (cidr, maskSize, code) => {
    expect(codesOf(() => set(cidr, maskSize))).toEqual([code])
  })

  test('a CIDR of another place or family is out of range', () => {
    const subject = set('10.0.0.0/16', 24)
    for (const cidr of ['10.1.0.0/24', 'fd00::/64'])
      for (const call of ['occupy', 'release', 'isAllocated', 'isTouched'] as const)
        expect(codesOf(() => subject[call](parseCIDR(cidr)!))).toEqual(['CIDR_OUT_OF_RANGE'])
    for (const index of [-1, 256, 0.5]) expect(codesOf(() => subject.blockAt(index))).toEqual(['CIDR_OUT_OF_RANGE'])
    for (const ip of ['fd00::1', 'pod', '11.0.0.0'])
      expect(codesOf(() => subject.indexOf(ip))).toEqual(['CIDR_OUT_OF_RANGE'])
  })

  test('a CIDR smaller than a block touches that block, repeated use is harmless', () => {
    const subject = set('10.0.0.0/16', 24)
    for (const _ of [1, 2]) subject.occupy(parseCIDR('10.0.3.128/25')!)
    expect([
      subject.usedCount,
      subject.isAllocated(parseCIDR('10.0.3.0/24')!),
      subject.isAllocated(parseCIDR('10.0.2.0/23')!),
    ]).toEqual([1, true, false])
    expect(subject.isTouched(parseCIDR('10.0.2.0/23')!)).toBe(true)
    for (const _ of [1, 2]) subject.release(parseCIDR('10.0.3.0/24')!)
    expect(subject.usedCount).toBe(0)
  })

  test('never gives a block twice, and counts exactly', () => {
    const step = fc.record({
      kind: fc.constantFrom('next', 'occupy', 'release'),
      block: fc.nat(63),
      length: fc.integer({ min: 18, max: 28 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const subject = set('10.0.0.0/18', 24)
        const model = new Set<number>()
        for (const { kind, block, length } of steps) {
          const cidr = parseCIDR(`10.0.${block}.0/${length}`)!
          const first = cidr.family === 'ipv4' ? (cidr.network >>> 8) & 63 : 0
          const blocks = Array.from({ length: length >= 24 ? 1 : 2 ** (24 - length) }, (_, index) => first + index)
          if (kind === 'occupy') {
            subject.occupy(cidr)
            for (const index of blocks) model.add(index)
          } else if (kind === 'release') {
            subject.release(cidr)
            for (const index of blocks) model.delete(index)
          } else if (model.size < 64) {
            const index = subject.indexOf(formatCIDR(subject.allocateNext()).split('/')[0]!)
            expect(model.has(index)).toBe(false)
            model.add(index)
          } else expect(codesOf(() => subject.allocateNext())).toEqual(['CIDR_SET_EXHAUSTED'])
        }
        expect([...subject.usedIndices()]).toEqual([...model].sort((left, right) => left - right))
        expect(subject.isFull).toBe(model.size === 64)
      }),
      { seed: SEED, numRuns: 60 },
    )
  })

  test.each([
    ['ipv4', ['10.0.0.0/33'], 'CIDR_PARSE'],
    ['ipv4', ['fd00::/64'], 'CIDR_FAMILY'],
    ['ipv4', ['10.0.0.0/8', '10.1.0.0/16'], 'CIDR_COLLISION'],
  ] as const)('%s sets of %j are refused', (family, cidrs, code) => {
    expect(codesOf(() => newCIDRSets(family, cidrs, 24))).toEqual([code])
  })
})

describe('a pool specification', () => {
  test('ignores blanks, empty parts and unknown keys; an IPv6 CIDR has colons of its own', () => {
    expect(
      parsePoolSpec(' ipv6-cidrs: fd00::/64 , fd01::/64 ;; ipv6-mask-size : 80 ; color:red ;ipv4-mask-size:24'),
    ).toEqual({
      ipv6: { cidrs: ['fd00::/64', 'fd01::/64'], maskSize: 80 },
    })
  })

  test.each([
    'ipv4-cidrs',
    'ipv4-cidrs:fd00::/64;ipv4-mask-size:24',
    'ipv4-cidrs:10.0.0.0/8',
    'ipv4-cidrs:10.0.0.0/8;ipv4-mask-size:33',
    'ipv4-mask-size:x',
  ])('refuses %j, naming the key', (text) => {
    expect(() => parsePoolSpec(text)).toThrow(/ipv4-/)
    expect(codesOf(() => parsePoolSpec(text))).toEqual(['POOL_SPEC_INVALID'])
  })
})

describe('NodesPodCIDRManager', () => {
  const node = (name: string, podCIDRs: readonly string[] = [], more: Partial<PodCIDRNode> = {}): PodCIDRNode => ({
    name,
    podCIDRs,
    resourceVersion: '1',
    error: '',
    ...more,
  })
  const manager = (ipv4: readonly string[], ipv6: readonly string[] = []) =>
    new NodesPodCIDRManager({ ipv4: newCIDRSets('ipv4', ipv4, 24), ipv6: newCIDRSets('ipv6', ipv6, 96) })

  test('gives nothing new away before every node was seen', () => {
    const subject = manager(['10.0.0.0/22'], ['fd00::/94'])
    subject.upsert(node('new'))
    // Lists one family: the other must not be guessed while an unseen node may have it.
    subject.upsert(node('half', ['10.0.0.0/24']))
    subject.upsert(node('late', ['10.0.1.0/24', 'fd00::/96']))
    expect([subject.waiting(), Object.fromEntries(subject.nodes())]).toEqual([
      ['half', 'new'],
      { half: ['10.0.0.0/24'], late: ['10.0.1.0/24', 'fd00::/96'] },
    ])
    subject.resync()
    expect(Object.fromEntries(subject.nodes())).toEqual({
      half: ['10.0.0.0/24', 'fd00::1:0:0/96'],
      late: ['10.0.1.0/24', 'fd00::/96'],
      new: ['10.0.2.0/24', 'fd00::2:0:0/96'],
    })
    subject.resync()
    expect(subject.waiting()).toEqual([])
  })

  test.each([
    ['10.9.0.0/24', 'none of the configured'],
    ['10.0.0.0/24', 'already allocated'],
    ['fd00::/96', 'no IPv6 allocator'],
    ['x', 'invalid CIDR'],
  ])('a node that lists %s is told', (cidr, text) => {
    const subject = manager(['10.0.0.0/22'])
    subject.resync()
    subject.upsert(node('first', ['10.0.0.0/24']))
    subject.upsert(node('second', [cidr]))
    expect(subject.queue.get('second')).toMatchObject({
      op: 'updateStatus',
      error: expect.stringContaining(text) as string,
    })
    expect([...subject.nodes().keys()]).toEqual(['first'])
  })

  test('takes all of a node’s CIDRs or none', () => {
    const subject = manager(['10.0.0.0/22'])
    subject.resync()
    subject.upsert(node('first', ['10.0.1.0/24']))
    subject.upsert(node('second', ['10.0.0.0/24', '10.0.1.0/24']))
    subject.upsert(node('third', ['10.0.0.0/24']))
    expect(Object.fromEntries(subject.nodes())).toEqual({ first: ['10.0.1.0/24'], third: ['10.0.0.0/24'] })
  })

  test('an object that is not there yet is created; a deleted node gives its CIDRs back', () => {
    const subject = manager(['10.0.0.0/24'])
    subject.resync()
    subject.upsert(node('n', [], { resourceVersion: '' }))
    expect(subject.queue.get('n')).toEqual({ op: 'create', podCIDRs: ['10.0.0.0/24'], error: '' })
    subject.upsert(node('full', [], { resourceVersion: '' }))
    expect(subject.queue.get('full')!.op).toBe('create')
    subject.delete('n')
    expect(subject.queue.get('n')!.op).toBe('delete')
    subject.upsert(node('full'))
    expect(subject.nodes().get('full')).toEqual(['10.0.0.0/24'])
  })

  test('a node that lost its CIDRs gets the same ones again; without sets it is told', () => {
    const subject = manager(['10.0.0.0/22'])
    subject.resync()
    subject.upsert(node('n'))
    subject.queue.clear()
    subject.upsert(node('n'))
    expect(subject.queue.get('n')).toMatchObject({ op: 'update', podCIDRs: ['10.0.0.0/24'] })
    const empty = manager([])
    empty.resync()
    empty.upsert(node('n'))
    expect(empty.queue.get('n')!.error).toContain('n')
  })
})

describe('the write queue', () => {
  const write: PendingWrite = { op: 'update', podCIDRs: ['10.0.0.0/24'], error: '' }

  async function run(op: PendingWrite['op'], script: readonly CallResult[], meanwhile?: () => void) {
    const queue = new Map([['n', { ...write, op }]])
    const calls: string[] = []
    const answer = (verb: string) => (): Promise<CallResult> => {
      calls.push(verb)
      meanwhile?.()
      return Promise.resolve(script[calls.length - 1] ?? 'failed')
    }
    const api: PodCIDRNodeAPI = {
      create: answer('create'),
      update: answer('update'),
      updateStatus: answer('updateStatus'),
      get: answer('get'),
    }
    const failed = await syncNode(queue, 'n', api)
    return { failed, calls, left: queue.get('n')?.op }
  }

  test.each<[PendingWrite['op'], CallResult[], string[], string | undefined]>([
    ['create', ['AlreadyExists', 'failed'], ['create', 'get'], 'create'],
    ['create', ['failed'], ['create'], 'create'],
    ['update', ['ok', 'ok'], ['update', 'updateStatus'], undefined],
    ['update', ['ok', 'NotFound'], ['update', 'updateStatus'], undefined],
    ['update', ['NotFound'], ['update'], undefined],
    ['update', ['Conflict', 'ok'], ['update', 'get'], 'update'],
    ['update', ['ok', 'Conflict', 'ok'], ['update', 'updateStatus', 'get'], 'update'],
    ['updateStatus', ['Conflict', 'ok'], ['updateStatus', 'get'], 'updateStatus'],
    ['updateStatus', ['NotFound'], ['updateStatus'], undefined],
    ['delete', ['ok'], ['get'], undefined],
    ['delete', ['failed'], ['get'], 'delete'],
  ])('%s answered %j makes the calls %j and leaves %s', async (op, script, calls, left) => {
    expect(await run(op, script)).toEqual({ failed: left !== undefined, calls, left })
  })

  test('keeps what was queued while a call was under way', async () => {
    const queue = new Map([['n', write]])
    const api: PodCIDRNodeAPI = {
      create: () => Promise.resolve('ok'),
      update: () => {
        queue.set('n', { ...write, podCIDRs: ['10.0.9.0/24'] })
        return Promise.resolve('ok')
      },
      updateStatus: () => Promise.resolve('ok'),
      get: () => Promise.resolve('ok'),
    }
    await syncNode(queue, 'n', api)
    expect(queue.get('n')!.podCIDRs).toEqual(['10.0.9.0/24'])
  })
})

describe('MultiPoolAllocator', () => {
  const spec = (...cidrs: string[]) => ({ ipv4: { cidrs, maskSize: 28 } })
  const request = (pool: string, ipv4Addrs: number) => [{ pool, ipv4Addrs, ipv6Addrs: 0 }]

  function ready(): MultiPoolAllocator {
    const subject = new MultiPoolAllocator(['ipv4', 'ipv6'])
    subject.restoreFinished()
    return subject
  }

  test('a shrunk pool never gives the CIDRs of its nodes to others', () => {
    const subject = ready()
    subject.upsertPool('p', spec('10.0.0.0/27', '10.1.0.0/27'))
    subject.allocateToNode('a', request('p', 14), [])
    subject.upsertPool('p', spec('10.1.0.0/27'))
    expect(subject.allocatedPools('a')).toEqual([{ pool: 'p', cidrs: ['10.0.0.0/28'] }])
    // Another pool over the same addresses: the orphan is passed over.
    subject.upsertPool('q', spec('10.0.0.0/27'))
    subject.allocateToNode('b', request('q', 14), [])
    expect(subject.allocatedPools('b')).toEqual([{ pool: 'q', cidrs: ['10.0.0.16/28'] }])
    expect(codesOf(() => subject.allocateToNode('b', request('q', 28), subject.allocatedPools('b')))).toEqual([
      'POOL_EMPTY',
    ])
    // Its node lets go: it is free.
    subject.allocateToNode('a', [], [])
    subject.allocateToNode('b', request('q', 28), subject.allocatedPools('b'))
    expect(subject.allocatedPools('b')).toEqual([{ pool: 'q', cidrs: ['10.0.0.0/28', '10.0.0.16/28'] }])
  })

  test('after a restart a listed CIDR of a pool that is gone stays its node’s', () => {
    const subject = ready()
    const listed = [{ pool: 'gone', cidrs: ['10.0.0.0/28'] }]
    expect(codesOf(() => subject.allocateToNode('a', [], listed))).toEqual(['POOL_NONEXISTENT'])
    expect(subject.allocatedPools('a')).toEqual(listed)
    expect(codesOf(() => subject.allocateToNode('b', [], listed))).toEqual(['CIDR_ALREADY_ALLOCATED'])
    subject.upsertPool('gone', spec('10.0.0.0/27'))
    expect(codesOf(() => subject.allocateToNode('a', [], listed))).toEqual([])
    subject.releaseNode('a')
    subject.allocateToNode('b', request('gone', 28), [])
    expect(subject.allocatedPools('b')).toEqual([{ pool: 'gone', cidrs: ['10.0.0.0/28', '10.0.0.16/28'] }])
  })

  test('says everything that is wrong, and serves the rest', () => {
    const subject = ready()
    subject.upsertPool('p', spec('10.0.0.0/28'))
    const listed = [
      { pool: 'p', cidrs: ['10.9.0.0/28', 'x'] },
      { pool: 'q', cidrs: ['10.8.0.0/28'] },
    ]
    expect(codesOf(() => subject.allocateToNode('a', [...request('p', 15), ...request('none', 1)], listed))).toEqual([
      'CIDR_NOT_IN_POOL',
      'CIDR_PARSE',
      'POOL_NONEXISTENT',
      'POOL_NONEXISTENT',
    ])
    // What no pool covers stays the node's until it lists it no more.
    expect(subject.allocatedPools('a')).toEqual([{ pool: 'p', cidrs: ['10.0.0.0/28', '10.9.0.0/28'] }, listed[1]])
    expect(codesOf(() => subject.releaseNode('a'))).toEqual(['POOL_NONEXISTENT'])
    expect(subject.allocatedPools('a')).toEqual([])
  })

  test('a full pool refuses what is listed beyond it; a changed mask changes nothing', () => {
    const subject = ready()
    subject.upsertPool('p', spec('10.0.0.0/28'))
    subject.allocateToNode('a', request('p', 1), [])
    expect(codesOf(() => subject.allocateToNode('b', [], [{ pool: 'p', cidrs: ['10.0.0.0/28'] }]))).toEqual([
      'POOL_EMPTY',
    ])
    expect(codesOf(() => subject.upsertPool('p', { ipv4: { cidrs: ['10.0.0.0/27'], maskSize: 29 } }))).toEqual([
      'POOL_MASK_IMMUTABLE',
    ])
    expect(codesOf(() => subject.upsertPool('p', spec('x')))).toEqual(['CIDR_PARSE'])
    expect(codesOf(() => subject.deletePool('q'))).toEqual(['POOL_NONEXISTENT'])
    expect(subject.allocatedPools('a')).toEqual([{ pool: 'p', cidrs: ['10.0.0.0/28'] }])
  })

  test('without orphans a CIDR of a pool that went away is given twice, as the reference up to 1.18 does', () => {
    const subject = new MultiPoolAllocator(['ipv4'], { keepsOrphans: false })
    subject.restoreFinished()
    subject.upsertPool('p', spec('10.0.0.0/28'))
    for (const node of ['a', 'b']) {
      subject.allocateToNode(node, request('p', 1), [])
      subject.deletePool('p')
      subject.upsertPool('p', spec('10.0.0.0/28'))
    }
    expect(subject.allocatedPools('b')).toEqual(subject.allocatedPools('a'))
    expect(codesOf(() => subject.allocateToNode('c', [], [{ pool: 'gone', cidrs: ['10.5.0.0/28'] }]))).toEqual([
      'POOL_NONEXISTENT',
    ])
    expect(subject.allocatedPools('c')).toEqual([])
  })

  test('no CIDR is ever held by two nodes, over random requests, restarts, shrinking and deletion of pools', () => {
    const nodes = ['a', 'b', 'c']
    const pools = ['p', 'q']
    const step = fc.record({
      kind: fc.constantFrom('request', 'request', 'drop', 'shrink', 'grow', 'delete', 'leave', 'restart'),
      node: fc.constantFrom(...nodes),
      pool: fc.constantFrom(...pools),
      count: fc.nat(60),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const full: Readonly<Record<string, readonly string[]>> = {
          p: ['10.0.0.0/27', '10.0.1.0/27'],
          q: ['10.1.0.0/26'],
        }
        const specs = new Map(pools.map((pool) => [pool, spec(...full[pool]!)]))
        /** What each node's object lists: outlives the operator. */
        const listed = new Map(nodes.map((name) => [name, [] as ReturnType<MultiPoolAllocator['allocatedPools']>]))
        let subject = ready()
        const apply = (pool: string): void => subject.upsertPool(pool, specs.get(pool)!)
        for (const pool of pools) apply(pool)
        const serve = (name: string, requests: ReturnType<typeof request>): void => {
          codesOf(() => subject.allocateToNode(name, requests, listed.get(name)!))
          listed.set(name, subject.allocatedPools(name))
        }
        for (const { kind, node, pool, count } of steps) {
          if (kind === 'request') serve(node, request(pool, count))
          else if (kind === 'drop') {
            listed.set(
              node,
              listed.get(node)!.map((entry) => ({ ...entry, cidrs: entry.cidrs.slice(1) })),
            )
            serve(node, [])
          } else if (kind === 'shrink' || kind === 'grow') {
            specs.set(pool, spec(...full[pool]!.slice(kind === 'shrink' ? 1 : 0)))
            if (specs.get(pool)!.ipv4.cidrs.length > 0) apply(pool)
            else specs.delete(pool)
          } else if (kind === 'delete') {
            specs.delete(pool)
            codesOf(() => subject.deletePool(pool))
          } else if (kind === 'leave') {
            codesOf(() => subject.releaseNode(node))
            listed.set(node, [])
          } else {
            subject = new MultiPoolAllocator(['ipv4'])
            for (const known of specs.keys()) apply(known)
            for (const name of nodes) serve(name, [])
            subject.restoreFinished()
          }
          const held = nodes.flatMap((name) => listed.get(name)!.flatMap(({ cidrs }) => cidrs))
          expect(new Set(held).size).toBe(held.length)
        }
      }),
      { seed: SEED, numRuns: 150 },
    )
  })
})
