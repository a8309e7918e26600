import { describe, expect, test } from 'vitest'
import { DestructiveLimiter } from '../../../src/controller/destructive-limiter.ts'
import { NodeGC, nodeGCAction } from '../../../src/controller/node-gc.ts'
import type { NodeContribution } from '../../../src/controller/totals.ts'
import { TotalsKeeper } from '../../../src/controller/totals.ts'
import { EMPTY_STATISTICS } from '../../../src/ipam/statistics.ts'
import { ciliumNode } from '../../support/builders.ts'
import { FakeAPIServer } from '../../support/fake-api-server.ts'
import { RecordingLog } from '../../support/fake-fleet.ts'
import { ManualClock } from '../../support/manual-clock.ts'

describe('DestructiveLimiter', () => {
  test('allows so many calls in any minute, and says when the next may be', () => {
    const limiter = new DestructiveLimiter(3)
    expect([0, 10, 20].map((nowMs) => limiter.take(nowMs))).toEqual([true, true, true])
    expect(limiter.take(30)).toBe(false)
    expect(limiter.allowedAtMs(30)).toBe(60_000)
    expect(limiter.take(59_999)).toBe(false)
    expect(limiter.take(60_000)).toBe(true)
    expect(limiter.allowedAtMs(60_001)).toBe(60_010)
  })

  test('allows none at 0, for ever', () => {
    const limiter = new DestructiveLimiter(0)
    expect(limiter.take(1_000_000)).toBe(false)
    expect(limiter.allowedAtMs(1_000_000)).toBeUndefined()
  })

  test('allows none once it is stopped', () => {
    const limiter = new DestructiveLimiter(10)
    limiter.stop()
    expect([limiter.take(0), limiter.allowedAtMs(60_000)]).toEqual([false, undefined])
  })

  test('an action of several calls takes as many', () => {
    const limiter = new DestructiveLimiter(3)
    expect(limiter.take(0, 2)).toBe(true)
    expect(limiter.allowedAtMs(5, 2)).toBe(60_000)
    expect(limiter.take(5, 1)).toBe(true)
  })

  test('an action of more calls than the limit waits for an empty window', () => {
    const limiter = new DestructiveLimiter(1)
    expect(limiter.take(0, 2)).toBe(true)
    expect(limiter.take(59_999, 2)).toBe(false)
    expect(limiter.take(60_000, 2)).toBe(true)
  })
})

describe('TotalsKeeper', () => {
  const contribution = (
    availableIPs: number,
    usedIPs: number,
    options: Partial<NodeContribution> = {},
  ): NodeContribution => ({
    statistics: {
      ...EMPTY_STATISTICS,
      ipv4: { ...EMPTY_STATISTICS.ipv4, availableIPs, usedIPs, interfaceCandidates: 1 },
      emptyInterfaceSlots: 2,
    },
    isInDeficit: false,
    isInstanceMissing: false,
    needSinceMs: undefined,
    ...options,
  })

  test('sums are those of the last contributions, whatever came before', () => {
    const keeper = new TotalsKeeper()
    keeper.set('a', contribution(10, 4))
    keeper.set('b', contribution(8, 8, { isInDeficit: true, isInstanceMissing: true }))
    keeper.set('a', contribution(20, 5))
    expect(keeper.totals).toMatchObject({ nodes: 2, inDeficit: 1, usedIPs: 13, unusedIPs: 15, missingInstances: 1 })
    expect(keeper.totals).toMatchObject({ interfaceCandidates: 2, emptyInterfaceSlots: 4, atCapacity: 1 })
    keeper.delete('b')
    keeper.delete('b')
    expect(keeper.totals).toMatchObject({ nodes: 1, inDeficit: 0, usedIPs: 5, unusedIPs: 15, missingInstances: 0 })
  })

  test('the oldest need is that which began first', () => {
    const keeper = new TotalsKeeper()
    expect(keeper.oldestNeedMs(50)).toBe(0)
    keeper.set('a', contribution(0, 0, { needSinceMs: 100 }))
    keeper.set('b', contribution(0, 0, { needSinceMs: 200 }))
    keeper.set('a', contribution(1, 0, { needSinceMs: 100 }))
    expect(keeper.oldestNeedMs(1_000)).toBe(900)
    keeper.set('a', contribution(8, 0))
    expect(keeper.oldestNeedMs(1_000)).toBe(800)
    keeper.delete('b')
    expect(keeper.oldestNeedMs(1_000)).toBe(0)
  })
})

describe('garbage collection of CiliumNodes', () => {
  const base = { ownerReferenceCount: 0, annotations: {} }
  test.each([
    { name: 'it has a Kubernetes node', node: base, exists: true, markedAtMs: 0, action: 'none' },
    {
      name: 'somebody owns it',
      node: { ...base, ownerReferenceCount: 1 },
      exists: false,
      markedAtMs: 0,
      action: 'none',
    },
    {
      name: 'it is protected',
      node: { ...base, annotations: { 'cilium.io/do-not-gc': 'TRUE' } },
      exists: false,
      markedAtMs: 0,
      action: 'none',
    },
    {
      name: 'the protection says no',
      node: { ...base, annotations: { 'cilium.io/do-not-gc': 'false' } },
      exists: false,
      markedAtMs: 0,
      action: 'delete',
    },
    { name: 'the first time', node: base, exists: false, markedAtMs: undefined, action: 'mark' },
    { name: 'after exactly one interval', node: base, exists: false, markedAtMs: 700_000, action: 'none' },
    { name: 'after more than one interval', node: base, exists: false, markedAtMs: 699_999, action: 'delete' },
  ] as const)('$name: $action', ({ node, exists, markedAtMs, action }) => {
    const input = { node, kubernetesNodeExists: exists, markedAtMs, nowMs: 1_000_000, intervalMs: 300_000 }
    expect(nodeGCAction(input)).toBe(action)
  })

  function collector(exists: (name: string) => boolean | undefined, callsPerMinute = 60, intervalMs = 300_000) {
    const clock = new ManualClock()
    const apiServer = new FakeAPIServer()
    const abort = new AbortController()
    const gc = new NodeGC({
      names: () => ['node-1', 'node-2'],
      find: (name) => {
        try {
          return apiServer.read(name)
        } catch {
          return undefined
        }
      },
      kubernetesNodeExists: exists,
      apiServer,
      limiter: new DestructiveLimiter(callsPerMinute),
      clock,
      log: new RecordingLog(),
      intervalMs,
    })
    apiServer.put(ciliumNode({ name: 'node-1' }))
    apiServer.put(ciliumNode({ name: 'node-2' }))
    return { clock, apiServer, abort, gc }
  }

  test('deletes the abandoned one after two intervals, and only that', async () => {
    const { clock, apiServer, abort, gc } = collector((name) => name === 'node-2')
    const running = gc.run(abort.signal)
    await clock.advance(300_000)
    expect(apiServer.callCount('delete')).toBe(0)
    await clock.advance(300_000)
    expect(apiServer.calls).toEqual([{ call: 'delete', name: 'node-1' }])
    abort.abort()
    await running
    expect(() => apiServer.read('node-2')).not.toThrow()
  })

  test('a node that comes back in between starts anew', async () => {
    let isBack = false
    const { clock, apiServer, abort, gc } = collector((name) => name === 'node-2' || isBack)
    void gc.run(abort.signal)
    await clock.advance(300_000)
    isBack = true
    await clock.advance(300_000)
    isBack = false
    await clock.advance(400_000)
    expect(apiServer.callCount('delete')).toBe(0)
    abort.abort()
  })

  test('deletes nothing while the Kubernetes nodes are not known', async () => {
    const { clock, apiServer, abort, gc } = collector(() => undefined)
    void gc.run(abort.signal)
    await clock.advance(3_000_000)
    expect(apiServer.callCount('delete')).toBe(0)
    abort.abort()
  })

  test('keeps to the limit of destructive calls', async () => {
    const { clock, apiServer, abort, gc } = collector(() => false, 1)
    void gc.run(abort.signal)
    await clock.advance(600_000)
    expect(apiServer.callCount('delete')).toBe(1)
    await clock.advance(300_000)
    expect(apiServer.callCount('delete')).toBe(2)
    abort.abort()
  })

  test('is off at interval 0', async () => {
    const { apiServer, abort, gc } = collector(() => false, 60, 0)
    await gc.run(abort.signal)
    expect(apiServer.calls).toEqual([])
  })
})
