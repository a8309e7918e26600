import { describe, expect, test } from 'vitest'
import { FakeFleet } from '../../support/fake-fleet.ts'

describe('a node in need', () => {
  test('gets its addresses in one pass and publishes status and pool', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join()
    await fleet.advance(2_000)
    const { status, spec } = fleet.read()
    expect(fleet.node().stats().ipv4).toMatchObject({ availableIPs: 8, neededIPs: 0 })
    expect([...(spec.ipam.pool ?? new Map<string, unknown>()).keys()].sort()).toEqual(
      [...fleet.provider.addressesInCloud('i-node-1')].sort(),
    )
    expect(status.eni).toMatchObject({ enis: { 'eni-1': { addresses: { length: 8 } } } })
    expect(spec.ipam.preAllocate).toBe(8)
    expect(status.operatorError).toBe('')
  })

  test('writes the status before the spec, and nothing more once both are there', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join()
    await fleet.advance(2_000)
    const writes = fleet.apiServer.calls.map(({ call }) => call)
    expect(writes.indexOf('updateStatus')).toBeLessThan(writes.indexOf('update'))
    const { resourceVersion } = fleet.read()
    await fleet.advance(600_000)
    expect(fleet.read().resourceVersion).toBe(resourceVersion)
  })

  test('fills one interface, then creates the next, in the same pass', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join({ ipam: { minAllocate: 20 } })
    await fleet.advance(2_000)
    expect(fleet.node().stats().ipv4.availableIPs).toBe(20)
    expect(fleet.provider.callCount('allocateIPs')).toBe(1)
    expect(fleet.provider.callCount('createInterface')).toBe(2)
  })

  test('needs no read of its instance after a pass that went well', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.launch('i-node-1')
    fleet.provider.learn('i-node-1')
    fleet.join()
    await fleet.advance(5_000)
    fleet.use('node-1', 4)
    await fleet.advance(5_000)
    expect(fleet.node().stats().ipv4.availableIPs).toBe(12)
    expect(fleet.provider.callCount('instanceSync')).toBe(0)
  })

  test('is served again at once after a pass that changed nothing', async () => {
    const fleet = new FakeFleet({ config: { releaseExcessIPs: true } })
    await fleet.start()
    fleet.join()
    await fleet.advance(5_000)
    fleet.node().wake('a pass without anything to do')
    await fleet.advance(10)
    fleet.use('node-1', 5)
    await fleet.advance(100)
    expect(fleet.node().getNeededAddresses()).toBe(0)
    expect(fleet.node().stats().ipv4.availableIPs).toBe(13)
  })

  test('asks for what pending pods need beyond its buffer, below its ceiling', async () => {
    const fleet = new FakeFleet({
      pendingPods: () => 20,
      provider: { limits: { adapters: 3, ipv4: 30, firstInterfaceIndex: 0 } },
    })
    await fleet.start()
    fleet.join({ ipam: { maxAllocate: 12, maxAboveWatermark: 10 } })
    await fleet.advance(2_000)
    expect(fleet.provider.addressesInCloud('i-node-1')).toHaveLength(12)
  })

  test.each([
    {
      name: 'pod-waiting while a pod is pending and no address is free',
      pendingPods: 1,
      minAllocate: 0,
      priority: 'pod-waiting',
    },
    { name: 'below-minimum without any address', pendingPods: 0, minAllocate: 0, priority: 'below-minimum' },
  ])('calls with priority $name', async ({ pendingPods, minAllocate, priority }) => {
    const fleet = new FakeFleet({ pendingPods: () => pendingPods })
    await fleet.start()
    fleet.join({ ipam: { minAllocate } })
    await fleet.advance(2_000)
    expect(fleet.provider.calls.find(({ call }) => call === 'allocateIPs')?.priority).toBe(priority)
  })

  test('fills its buffer with priority watermark', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join()
    await fleet.advance(2_000)
    fleet.use('node-1', 1)
    await fleet.advance(2_000)
    expect(fleet.provider.calls.findLast(({ call }) => call === 'allocateIPs')?.priority).toBe('watermark')
  })

  test('binds a public address once and publishes it', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join({ ipam: { staticIPTags: { app: 'db' } } })
    await fleet.advance(120_000)
    expect(fleet.read().status.assignedStaticIP).toBe('203.0.113.7')
    expect(fleet.provider.callCount('allocateStaticIP')).toBe(1)
  })

  test('gets its addresses although no public address can be bound', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.fail('allocateStaticIP', 'denied', 'denied', 'denied', 'denied', 'denied', 'denied')
    fleet.join({ ipam: { staticIPTags: { app: 'db' } } })
    await fleet.advance(100)
    fleet.use('node-1', 4)
    await fleet.advance(100)
    expect(fleet.node().stats().ipv4.availableIPs).toBe(12)
    await fleet.advance(600_000)
    expect(fleet.read().status.assignedStaticIP).toBe('203.0.113.7')
  })
})

describe('a failed allocation', () => {
  async function failing(...faults: Parameters<FakeFleet['provider']['fail']>[1][]): Promise<FakeFleet> {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.launch('i-node-1')
    fleet.provider.learn('i-node-1')
    fleet.provider.fail('allocateIPs', ...faults)
    fleet.join()
    await fleet.advance(100)
    return fleet
  }

  test.each(['exhausted', 'unknown', 'invalid', 'taken'] as const)(
    '%s leads to a new interface in the same pass',
    async (kind) => {
      const fleet = await failing(kind)
      expect(fleet.provider.callCount('createInterface')).toBe(1)
      expect(fleet.node().stats().ipv4.neededIPs).toBe(0)
      expect(fleet.log.count('A maintenance pass failed')).toBe(0)
    },
  )

  test.each(['throttled', 'denied'] as const)('%s never leads to a new interface, and is tried again', async (kind) => {
    const fleet = await failing(kind)
    expect(fleet.provider.callCount('createInterface')).toBe(0)
    await fleet.advance(5_000)
    expect(fleet.node().stats().ipv4.neededIPs).toBe(0)
    expect(fleet.provider.callCount('createInterface')).toBe(0)
  })

  test.each(['limit', 'stale', 'unavailable', 'conflict', 'notFound'] as const)(
    '%s is followed by a read, and then by the same call again, not by an interface',
    async (kind) => {
      const fleet = await failing(kind)
      const order = fleet.provider.calls
        .map(({ call }) => call)
        .filter((call) => call !== 'prepare' && call !== 'resync')
      expect(order).toEqual(['allocateIPs', 'instanceSync', 'allocateIPs'])
      expect(fleet.node().stats().ipv4.neededIPs).toBe(0)
    },
  )

  test('whose answer was lost does not allocate twice', async () => {
    const fleet = await failing('lost')
    expect(fleet.provider.addressesInCloud('i-node-1')).toHaveLength(8)
    expect(fleet.provider.callCount('allocateIPs')).toBe(1)
  })

  test('limit: a second one on a fresh view gives the interface up for a new one', async () => {
    const fleet = await failing('limit', 'limit')
    expect(fleet.provider.callCount('createInterface')).toBe(1)
    expect(fleet.node().stats().ipv4.neededIPs).toBe(0)
  })

  test('limit at the instance: the cache was wrong, and the interface that really is full is not filled again', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.launch('i-node-1')
    fleet.provider.learn('i-node-1')
    const addresses = Array.from({ length: 9 }, (_, index) => `172.16.0.${index}`)
    fleet.provider.alter('i-node-1', ([first]) => [{ ...first!, addresses }])
    fleet.provider.fail('allocateIPs', 'limit')
    fleet.join()
    await fleet.advance(100)
    expect(fleet.provider.callCount('createInterface')).toBe(0)
    expect(fleet.node().stats().ipv4).toMatchObject({ availableIPs: 9, neededIPs: 0 })
  })

  test('waits longer and longer, and the count starts anew after a success', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.fail('allocateIPs', 'throttled', 'throttled', 'throttled', 'throttled')
    fleet.join()
    await fleet.advance(1_000)
    expect(fleet.node().state.failure?.count).toBe(1)
    await fleet.advance(120_000)
    expect(fleet.provider.callCount('allocateIPs')).toBe(5)
    expect(fleet.node().state.failure).toBeUndefined()
    fleet.provider.fail('allocateIPs', 'throttled')
    fleet.use('node-1', 4)
    await fleet.advance(100)
    expect(fleet.node().state.failure?.count).toBe(1)
  })

  test('calls nothing during its wait, whatever events come', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join()
    await fleet.advance(1_000)
    fleet.provider.fail('allocateIPs', 'throttled', 'throttled')
    fleet.use('node-1', 4)
    await fleet.advance(10)
    const before = fleet.provider.callCount('allocateIPs')
    for (let used = 5; used < 8; used++) {
      fleet.use('node-1', used)
      await fleet.advance(20)
    }
    expect(fleet.provider.callCount('allocateIPs')).toBe(before)
  })

  test('says subnet and next try in the resource, once, and takes it back after a success', async () => {
    const fleet = new FakeFleet({ provider: { subnetAvailable: 0 } })
    await fleet.start()
    fleet.join()
    await fleet.advance(100)
    const said = fleet.read().status.operatorError
    expect(said).toMatch(
      /^subnet subnet-1 has no free address; next try at 20\d\d-\d\d-\d\dT.*Z, then at growing intervals$/,
    )
    const writes = fleet.apiServer.callCount('updateStatus')
    await fleet.advance(600_000)
    expect(fleet.read().status.operatorError).toBe(said)
    expect(fleet.apiServer.callCount('updateStatus')).toBe(writes)
    fleet.provider.subnetAvailable = 100
    await fleet.advance(120_000)
    expect(fleet.read().status.operatorError).toBe('')
    expect(fleet.node().stats().ipv4.neededIPs).toBe(0)
  })

  test('room that appears in the subnet ends the wait with the next full sync', async () => {
    const fleet = new FakeFleet({ provider: { subnetAvailable: 0 } })
    await fleet.start()
    fleet.provider.fail('createInterface', 'exhausted', 'exhausted', 'exhausted', 'exhausted', 'exhausted', 'exhausted')
    fleet.provider.fail('allocateIPs', 'exhausted', 'exhausted', 'exhausted')
    fleet.join()
    await fleet.advance(200_000)
    expect(fleet.node().stats().ipv4.availableIPs).toBe(0)
    fleet.provider.subnetAvailable = 100
    await fleet.advance(70_000)
    expect(fleet.node().stats().ipv4.availableIPs).toBe(8)
  })
})

describe('a node at capacity', () => {
  async function full(): Promise<FakeFleet> {
    const fleet = new FakeFleet({ provider: { limits: { adapters: 1, ipv4: 5, firstInterfaceIndex: 0 } } })
    await fleet.start()
    fleet.join({ ipam: { maxAllocate: 20 } })
    await fleet.advance(1_000)
    return fleet
  }

  test('makes no call, and says so in its resource', async () => {
    const fleet = await full()
    expect(fleet.node().stats().ipv4).toMatchObject({ availableIPs: 4, neededIPs: 4 })
    const calls = fleet.provider.callCount('allocateIPs')
    await fleet.advance(600_000)
    expect(fleet.provider.callCount('allocateIPs')).toBe(calls)
    expect(fleet.provider.callCount('createInterface')).toBe(0)
    expect(fleet.read().status.operatorError).toMatch(/^at capacity/)
  })

  test('is warned about once an hour', async () => {
    const fleet = await full()
    for (let used = 1; used < 5; used++) {
      fleet.use('node-1', used)
      await fleet.advance(60_000)
    }
    expect(fleet.log.count('A node is out of interfaces')).toBe(1)
    await fleet.advance(3_600_000)
    fleet.use('node-1', 1)
    await fleet.advance(1_000)
    expect(fleet.log.count('A node is out of interfaces')).toBe(2)
  })

  test('is looked at again when its resource changes', async () => {
    const fleet = await full()
    fleet.apiServer.change('node-1', (node) => ({
      ...node,
      spec: { ...node.spec, ipam: { ...node.spec.ipam, preAllocate: 2, maxAllocate: 4 } },
    }))
    await fleet.advance(1_000)
    expect(fleet.read().status.operatorError).toBe('')
  })
})

describe('one node among others', () => {
  test('whose call never ends does not delay another', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    const release = fleet.provider.hold('allocateIPs')
    fleet.join({ name: 'node-1' })
    await fleet.advance(1_000)
    release()
    fleet.provider.hold('instanceSync')
    fleet.join({ name: 'node-2', instanceID: 'i-node-2' })
    fleet.provider.launch('i-node-3')
    fleet.provider.learn('i-node-3')
    fleet.join({ name: 'node-3' })
    await fleet.advance(10)
    expect(fleet.node('node-3').stats().ipv4.neededIPs).toBe(0)
    expect(fleet.node('node-2').stats().ipv4.availableIPs).toBe(0)
  })

  test('that fails does not make another wait', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.fail('allocateIPs', 'throttled')
    fleet.join({ name: 'node-1' })
    await fleet.advance(50)
    fleet.join({ name: 'node-2' })
    await fleet.advance(50)
    expect(fleet.node('node-1').stats().ipv4.availableIPs).toBe(0)
    expect(fleet.node('node-2').stats().ipv4.availableIPs).toBe(8)
  })

  test('costs no work of the others when its resource changes', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    for (let index = 1; index <= 20; index++) fleet.join({ name: `node-${index}` })
    await fleet.advance(5_000)
    const views = new Map<string, number>()
    for (const name of fleet.manager.getNames()) {
      const operations = fleet.node(name).ops()!
      const look = operations.resyncInterfacesAndIPs.bind(operations)
      operations.resyncInterfacesAndIPs = () => {
        views.set(name, (views.get(name) ?? 0) + 1)
        return look()
      }
    }
    fleet.use('node-7', 3)
    await fleet.advance(5_000)
    expect([...views.keys()]).toEqual(['node-7'])
  })

  test('that is deleted in its wait is gone at once', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.fail('allocateIPs', 'denied')
    fleet.join()
    await fleet.advance(100)
    const calls = fleet.provider.calls.length
    fleet.leave('node-1')
    await fleet.advance(30_000)
    expect(fleet.manager.get('node-1')).toBeUndefined()
    expect(fleet.provider.calls.length).toBe(calls)
  })

  test('that is deleted in a call is not written any more', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.launch('i-node-1')
    fleet.provider.learn('i-node-1')
    const release = fleet.provider.hold('allocateIPs')
    fleet.join()
    await fleet.advance(100)
    fleet.apiServer.calls.length = 0
    fleet.leave('node-1')
    release()
    await fleet.advance(5_000)
    expect(fleet.apiServer.calls).toEqual([])
  })
})

describe('a call that is not answered', () => {
  test('is said in the resource after half a minute, and taken back when it ends', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.launch('i-node-1')
    fleet.provider.learn('i-node-1')
    const release = fleet.provider.hold('allocateIPs')
    fleet.join()
    await fleet.advance(29_000)
    expect(fleet.read().status.operatorError).toBe('')
    await fleet.advance(2_000)
    expect(fleet.read().status.operatorError).toMatch(
      /^waiting for the cloud's API \(resolve-deficit, subnet subnet-1\)/,
    )
    release()
    await fleet.advance(1_000)
    expect(fleet.read().status.operatorError).toBe('')
  })
})
