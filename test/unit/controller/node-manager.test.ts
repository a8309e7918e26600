import { describe, expect, test } from 'vitest'
import { settle } from '../../support/manual-clock.ts'
import { ciliumNode } from '../../support/builders.ts'
import { FakeFleet } from '../../support/fake-fleet.ts'

describe('start', () => {
  test('serves nodes before the first full sync has ended', async () => {
    const fleet = new FakeFleet()
    fleet.provider.hold('resync')
    await fleet.start()
    fleet.provider.launch('i-node-1')
    fleet.provider.learn('i-node-1')
    fleet.join()
    await fleet.advance(100)
    expect(fleet.node().stats().ipv4.availableIPs).toBe(8)
  })

  test('nodes without anything known wait for the first full sync, not for reads of their own', async () => {
    const fleet = new FakeFleet()
    const release = fleet.provider.hold('resync')
    await fleet.start()
    fleet.join({ name: 'node-1' })
    fleet.join({ name: 'node-2' })
    await fleet.advance(5_000)
    expect(fleet.provider.callCount('instanceSync')).toBe(0)
    expect(fleet.read('node-1').status.operatorError).toBe('')
    release()
    await fleet.advance(100)
    expect(fleet.node('node-1').stats().ipv4.availableIPs).toBe(8)
    expect(fleet.node('node-2').stats().ipv4.availableIPs).toBe(8)
    expect(fleet.provider.callCount('instanceSync')).toBe(0)
  })

  test('a first full sync that does not end holds joining nodes for half a minute at most', async () => {
    const fleet = new FakeFleet()
    fleet.provider.hold('resync')
    await fleet.start()
    fleet.join()
    await fleet.advance(31_000)
    expect(fleet.node().stats().ipv4.availableIPs).toBe(8)
  })

  test('keeps what arrives before the provider is prepared, and serves it then', async () => {
    const fleet = new FakeFleet()
    const release = fleet.provider.hold('prepare')
    const started = fleet.manager.start()
    fleet.join()
    await fleet.advance(5_000)
    expect(fleet.provider.calls.map(({ call }) => call)).toEqual(['prepare'])
    expect(fleet.apiServer.calls).toEqual([])
    release()
    await fleet.advance(1_000)
    await started
    expect(fleet.node().stats().ipv4.availableIPs).toBe(8)
  })

  test('tries a provider that does not answer again, then gives up and says why', async () => {
    const fleet = new FakeFleet()
    fleet.provider.fail('prepare', ...Array.from({ length: 20 }, () => 'unavailable' as const))
    const started = fleet.manager.start()
    const failure = expect(started).rejects.toThrow('prepare was refused: unavailable')
    await fleet.advance(300_000)
    await failure
    expect(fleet.provider.callCount('prepare')).toBe(8)
    expect(fleet.manager.readiness().ok).toBe(false)
  })

  test.each(['denied', 'invalid'] as const)('fails at once where trying again cannot help: %s', async (kind) => {
    const fleet = new FakeFleet()
    fleet.provider.fail('prepare', kind)
    await expect(fleet.manager.start()).rejects.toThrow(`prepare was refused: ${kind}`)
    expect(fleet.provider.callCount('prepare')).toBe(1)
  })

  test('says why the newest try failed while it is asked again, and no more once it answered', async () => {
    const fleet = new FakeFleet()
    fleet.provider.fail('prepare', 'unavailable', 'throttled')
    const release = fleet.provider.hold('prepare')
    const started = fleet.manager.start()
    const asked = 'the cloud has not answered the first reads yet'
    await fleet.advance(100)
    expect(fleet.manager.readiness().reasons).toContain(asked)
    release()
    await fleet.advance(100)
    expect(fleet.manager.readiness().reasons).toContain(
      `${asked}, and is asked again: prepare was refused: unavailable`,
    )
    await fleet.advance(2_000)
    expect(fleet.manager.readiness().reasons).toContain(`${asked}, and is asked again: prepare was refused: throttled`)
    await fleet.advance(5_000)
    await started
    fleet.manager.listed()
    expect(fleet.manager.readiness().reasons).toEqual([])
  })

  test('is ready once the provider is prepared and the initial list is complete', async () => {
    const fleet = new FakeFleet()
    const release = fleet.provider.hold('prepare')
    const started = fleet.manager.start()
    await settle()
    expect(fleet.manager.readiness().reasons).toHaveLength(2)
    release()
    await started
    expect(fleet.manager.readiness().reasons).toEqual(['the initial list of CiliumNodes is not complete'])
    fleet.manager.listed()
    expect(fleet.manager.readiness()).toEqual({ ok: true, reasons: [] })
  })

  test('publishes no totals before the initial list is complete', async () => {
    const fleet = new FakeFleet()
    const started = fleet.manager.start()
    await started
    fleet.join()
    await fleet.advance(5_000)
    const totals = (): unknown[] => fleet.metrics.recorded.filter(([name]) => name === 'setNodes')
    expect(totals()).toEqual([])
    fleet.manager.listed()
    expect(totals()).toContainEqual(['setNodes', 'total', 1])
  })
})

describe('the full sync', () => {
  test('runs once at the start, then a minute after the end of the one before', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    await fleet.advance(10_000)
    expect(fleet.provider.callCount('resync')).toBe(1)
    await fleet.advance(60_000)
    expect(fleet.provider.callCount('resync')).toBe(2)
  })

  test('that fails stops nobody, and is tried again soon', async () => {
    const fleet = new FakeFleet()
    fleet.provider.fail('resync', 'unavailable', 'throttled')
    await fleet.start()
    fleet.join()
    await fleet.advance(5_000)
    expect(fleet.node().stats().ipv4.availableIPs).toBe(8)
    expect(fleet.provider.callCount('resync')).toBe(3)
    expect(fleet.manager.instancesAPIIsReady()).toBe(true)
    expect(
      fleet.metrics.recorded.filter(([name]) => name === 'observeBackgroundSync').map(([, status]) => status),
    ).toEqual(['failed', 'failed', 'success'])
  })

  test('concerns the nodes whose instance changed, and no other', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    for (const name of ['node-1', 'node-2', 'node-3']) fleet.join({ name })
    await fleet.advance(5_000)
    const before = fleet.manager.getNames().map((name) => fleet.read(name).resourceVersion)
    fleet.provider.alter('i-node-2', ([first]) => [{ ...first!, addresses: first!.addresses.slice(1) }])
    await fleet.advance(70_000)
    const after = fleet.manager.getNames().map((name) => fleet.read(name).resourceVersion)
    expect(after[0]).toBe(before[0])
    expect(after[2]).toBe(before[2])
    expect(fleet.node('node-2').stats().ipv4.availableIPs).toBe(8)
    expect([...(fleet.read('node-2').spec.ipam.pool ?? [])].map(([address]) => address)).toEqual(
      fleet.provider.addressesInCloud('i-node-2'),
    )
  })

  test('removes the gauge of a subnet that is gone', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.getPoolQuota = () => new Map()
    await fleet.advance(70_000)
    expect(fleet.metrics.recorded).toContainEqual(['deleteSubnet', 'subnet-1'])
  })
})

describe('a CiliumNode', () => {
  test('without an instance ID is not managed, and says so; with one it is', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.launch('i-node-1')
    fleet.apiServer.put(ciliumNode({ instanceID: '' }))
    await fleet.advance(5_000)
    expect(fleet.provider.callCount('instanceSync')).toBe(0)
    expect(fleet.read().status.operatorError).toMatch(/^spec.instance-id is empty/)
    fleet.apiServer.change('node-1', (node) => ({ ...node, spec: { ...node.spec, instanceID: 'i-node-1' } }))
    await fleet.advance(5_000)
    expect(fleet.node().stats().ipv4.availableIPs).toBe(8)
    expect(fleet.read().status.operatorError).toBe('')
  })

  test.each(['true', 'True'])('annotated to be ignored (%s) is left alone', async (value) => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join({ annotations: { 'ipam.cilium.io/ignore': value } })
    await fleet.advance(5_000)
    expect(fleet.manager.getNames()).toEqual([])
    expect(fleet.apiServer.calls).toEqual([])
  })

  test('that becomes annotated later is let go', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join()
    await fleet.advance(5_000)
    fleet.apiServer.change('node-1', (node) => ({ ...node, annotations: { 'ipam.cilium.io/ignore': 'true' } }))
    fleet.use('node-1', 8)
    await fleet.advance(5_000)
    expect(fleet.provider.addressesInCloud('i-node-1')).toHaveLength(8)
  })

  test('with a deletion time stamp counts as deleted', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join()
    await fleet.advance(5_000)
    fleet.apiServer.change('node-1', (node) => ({ ...node, isBeingDeleted: true }))
    expect(fleet.manager.get('node-1')).toBeUndefined()
    expect(fleet.provider.hasInstance('i-node-1')).toBe(false)
  })

  test('that was deleted takes its gauges and its share of the totals along', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join()
    await fleet.advance(5_000)
    fleet.leave('node-1')
    await fleet.advance(5_000)
    expect(fleet.metrics.recorded).toContainEqual(['deleteNode', 'node-1'])
    expect(fleet.metrics.recorded.findLast(([name, category]) => name === 'setNodes' && category === 'total')).toEqual([
      'setNodes',
      'total',
      0,
    ])
  })

  test('that comes back with another instance begins anew', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join()
    await fleet.advance(5_000)
    fleet.provider.launch('i-other')
    fleet.join({ uid: 'uid-2', instanceID: 'i-other' })
    await fleet.advance(5_000)
    expect(fleet.node().instanceID()).toBe('i-other')
    expect(fleet.provider.addressesInCloud('i-other')).toHaveLength(8)
    expect(fleet.provider.hasInstance('i-node-1')).toBe(false)
  })

  test('that the provider cannot take does not keep others from being served', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    const createNode = fleet.provider.createNode.bind(fleet.provider)
    fleet.provider.createNode = (resource) => {
      if (resource.name === 'node-1') throw new Error('no such section')
      return createNode(resource)
    }
    fleet.join({ name: 'node-1' })
    fleet.join({ name: 'node-2' })
    await fleet.advance(5_000)
    expect(fleet.node('node-2').stats().ipv4.availableIPs).toBe(8)
    expect(fleet.log.count('Unable to handle a CiliumNode')).toBe(1)
  })

  test('that is malformed is left alone until a readable version arrives', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join({ name: 'node-1' })
    fleet.join({ name: 'node-2' })
    await fleet.advance(5_000)
    fleet.manager.malformed('node-1', ['spec.ipam.max-allocate: expected a count, found -5'])
    fleet.provider.alter('i-node-1', ([first]) => [{ ...first!, addresses: [] }])
    fleet.provider.alter('i-node-2', ([first]) => [{ ...first!, addresses: [] }])
    await fleet.advance(70_000)
    expect(fleet.provider.addressesInCloud('i-node-1')).toHaveLength(0)
    expect(fleet.provider.addressesInCloud('i-node-2')).toHaveLength(8)
    fleet.use('node-1', 1)
    await fleet.advance(5_000)
    expect(fleet.provider.addressesInCloud('i-node-1')).toHaveLength(9)
  })
})

describe('order and intervals', () => {
  test('getNodesByIPWatermark lists the most needy first', async () => {
    const fleet = new FakeFleet()
    fleet.join({ name: 'node-1', ipam: { minAllocate: 9 } })
    fleet.join({ name: 'node-2', ipam: { minAllocate: 17 } })
    fleet.join({ name: 'node-3', ipam: { minAllocate: 12 } })
    for (const name of ['node-1', 'node-2', 'node-3']) {
      fleet.provider.learn(`i-${name}`)
      fleet.node(name).wake('known now')
    }
    expect(fleet.manager.getNodesByIPWatermark().map(({ name }) => name)).toEqual(['node-2', 'node-3', 'node-1'])
  })

  test('clusterSizeDependantInterval grows with the logarithm of the fleet', async () => {
    const fleet = new FakeFleet()
    expect(fleet.manager.clusterSizeDependantInterval(60_000)).toBe(60_000)
    fleet.join({ name: 'node-1' })
    fleet.join({ name: 'node-2' })
    expect(fleet.manager.clusterSizeDependantInterval(60_000)).toBeCloseTo(65_916.7, 0)
  })
})

describe('stop', () => {
  test('lets the call under way end, and publishes what it did', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.launch('i-node-1')
    fleet.provider.learn('i-node-1')
    const release = fleet.provider.hold('allocateIPs')
    fleet.join()
    await fleet.advance(100)
    const stopped = fleet.manager.stop(new AbortController().signal)
    await fleet.settle()
    release()
    await fleet.settle()
    await stopped
    expect(fleet.read().spec.ipam.pool?.size).toBe(8)
  })

  test('abandons calls when the grace period is over', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.launch('i-node-1')
    fleet.provider.learn('i-node-1')
    fleet.provider.hold('allocateIPs')
    fleet.join()
    await fleet.advance(100)
    const grace = new AbortController()
    const stopped = fleet.manager.stop(grace.signal)
    await fleet.settle()
    grace.abort(new Error('grace period over'))
    await stopped
  })

  test('does not wait for the answer to a change beyond the grace period', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.launch('i-node-1')
    fleet.provider.learn('i-node-1')
    fleet.join()
    const operations = fleet.node().operations
    Object.assign(operations ?? {}, { allocateIPs: () => new Promise(() => undefined) })
    await fleet.advance(100)
    const grace = new AbortController()
    const stopped = fleet.manager.stop(grace.signal)
    await fleet.settle()
    grace.abort(new Error('grace period over'))
    await stopped
  })

  test('ends in time although work in the background does not', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    Object.assign(fleet.provider, {
      settle: (signal: AbortSignal) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
    })
    const grace = new AbortController()
    const stopped = fleet.manager.stop(grace.signal)
    await fleet.settle()
    grace.abort(new Error('grace period over'))
    await stopped
  })

  test('takes no more work', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    await fleet.manager.stop(new AbortController().signal)
    const calls = fleet.provider.calls.length
    fleet.join()
    await fleet.advance(600_000)
    expect(fleet.manager.getNames()).toEqual([])
    expect(fleet.provider.calls.length).toBe(calls)
    expect(fleet.clock.sleeping).toBe(0)
  })
})
