import { describe, expect, test, vi } from 'vitest'
import { packResource } from '../../../src/ipam/seen-resource.ts'
import { usedMap } from '../../support/builders.ts'
import { InstanceNotFoundError } from '../../../src/ipam/errors.ts'
import { FakeFleet } from '../../support/fake-fleet.ts'

async function served(config: ConstructorParameters<typeof FakeFleet>[0] = {}): Promise<FakeFleet> {
  const fleet = new FakeFleet(config)
  await fleet.start()
  fleet.join()
  await fleet.advance(5_000)
  return fleet
}

describe('the accessors of a node', () => {
  test('say what is known of it', async () => {
    const fleet = await served({ config: { prefixDelegation: true } })
    const node = fleet.node()
    expect(node.instanceID()).toBe('i-node-1')
    expect(node.isPrefixDelegationEnabled()).toBe(true)
    expect([...node.pool().keys()]).toEqual(fleet.provider.addressesInCloud('i-node-1'))
    expect(node.resourceCopy()).toEqual(fleet.read())
    expect(node.ops()?.isPrefixDelegated()).toBe(false)
    expect(node.populateStaticIPStatus()).toBeUndefined()
  })

  test('resourceCopy is a copy', async () => {
    const fleet = await served()
    const copy = fleet.node().resourceCopy()
    ;(copy!.spec.ipam.pool as Map<string, object>).clear()
    expect(fleet.node().resourceCopy()?.spec.ipam.pool?.size).toBe(8)
  })

  test('pool is empty while the inventory does not know the node', async () => {
    const fleet = await served()
    fleet.provider.deleteInstance('i-node-1')
    expect(fleet.node().pool().size).toBe(0)
  })

  test('populateIPReleaseStatus has no map for a multi-pool node', async () => {
    const fleet = await served()
    expect(fleet.node().populateIPReleaseStatus(fleet.read())).toEqual(new Map())
    fleet.apiServer.change('node-1', (node) => ({
      ...node,
      spec: { ...node.spec, ipam: { ...node.spec.ipam, requested: [{ pool: 'default', ipv4Addrs: 8, ipv6Addrs: 0 }] } },
    }))
    await fleet.advance(100)
    expect(fleet.node().populateIPReleaseStatus(fleet.read())).toBeNull()
  })

  test('a look at it parses nothing, whichever generation its agent is of', async () => {
    const fleet = await served({ config: { releaseExcessIPs: true } })
    fleet.join({ name: 'node-2', ipam: { requested: [{ pool: 'default', ipv4Addrs: 8, ipv6Addrs: 0 }] } })
    await fleet.advance(5_000)
    const parse = vi.spyOn(JSON, 'parse')
    for (const name of ['node-1', 'node-2']) expect(fleet.node(name).evaluate('test')).toBe(false)
    expect(parse).not.toHaveBeenCalled()
    parse.mockRestore()
  })

  test('a version that our own write was answered with tells the provider nothing new', async () => {
    const fleet = await served()
    const told = vi.spyOn(fleet.node().ops()!, 'updatedNode')
    fleet.manager.upsert(fleet.read())
    expect(told).not.toHaveBeenCalled()
    fleet.use('node-1', 3)
    expect(told).toHaveBeenCalledTimes(1)
    expect(fleet.node().stats().ipv4.usedIPs).toBe(3)
  })

  test('what its agent changed in such a version is told', async () => {
    const fleet = await served()
    const told = vi.spyOn(fleet.node().ops()!, 'updatedNode')
    const seen = fleet.read()
    const version = { ...seen, resourceVersion: '1000', status: { ...seen.status, used: usedMap(2) } }
    fleet.node().apply({ kind: 'published', resource: packResource(version, fleet.node().state.resource), nowMs: 0 })
    for (const _ of [1, 2]) fleet.manager.upsert(version)
    expect(told).toHaveBeenCalledTimes(1)
  })

  test('setRunning stops and resumes it', async () => {
    const fleet = await served()
    fleet.node().setRunning(false)
    expect(fleet.node().isRunning()).toBe(false)
    fleet.node().setRunning(true)
    expect(fleet.node().isRunning()).toBe(true)
  })

  test('setPoolMaintainer takes the triggers of a pass', async () => {
    const fleet = await served()
    const reasons: (string | undefined)[] = []
    fleet.node().setPoolMaintainer({ trigger: (reason) => void reasons.push(reason), shutdown: () => undefined })
    fleet.use('node-1', 4)
    await fleet.advance(1_000)
    expect(reasons.length).toBeGreaterThan(0)
    expect(fleet.node().getNeededAddresses()).toBe(4)
    await fleet.node().maintainIPPool()
    expect(fleet.node().getNeededAddresses()).toBe(0)
  })

  test('setOpts replaces the provider half', async () => {
    const fleet = await served()
    fleet.join({ name: 'node-2' })
    await fleet.advance(1_000)
    fleet.node().setOpts(fleet.node('node-2').ops()!)
    expect([...fleet.node().pool().keys()]).toEqual(fleet.provider.addressesInCloud('i-node-2'))
  })

  test('maintainIPPool joins a pass that is under way', async () => {
    const fleet = await served()
    const calls = fleet.provider.callCount('allocateIPs')
    const release = fleet.provider.hold('allocateIPs')
    fleet.use('node-1', 1)
    await fleet.advance(50)
    const joined = fleet.node().maintainIPPool()
    release()
    await joined
    expect(fleet.provider.callCount('allocateIPs')).toBe(calls + 1)
  })
})

describe('a defect in the pass of one node', () => {
  test('is reported loudly, and the node is tried again while the others go on', async () => {
    const fleet = await served()
    fleet.join({ name: 'node-2' })
    await fleet.advance(1_000)
    const operations = fleet.node().ops()!
    const prepare = operations.prepareIPAllocation.bind(operations)
    let defects = 0
    operations.prepareIPAllocation = () => {
      if (defects++ === 0) throw new TypeError('not a function')
      return prepare()
    }
    fleet.use('node-1', 4)
    fleet.use('node-2', 4)
    await fleet.advance(1_000)
    expect(fleet.log.count('A maintenance pass failed by a defect')).toBe(1)
    expect(fleet.node('node-2').stats().ipv4.neededIPs).toBe(0)
    expect(fleet.node('node-1').stats().ipv4.neededIPs).toBe(4)
    await fleet.advance(61_000)
    expect(fleet.node('node-1').stats().ipv4.neededIPs).toBe(0)
  })
})

test('an instance that left the inventory between two looks is no defect', async () => {
  const fleet = await served()
  const operations = fleet.node().ops()!
  const prepare = operations.prepareIPAllocation.bind(operations)
  let looks = 0
  operations.prepareIPAllocation = () => {
    if (looks++ === 0) throw new InstanceNotFoundError('i-node-1')
    return prepare()
  }
  fleet.use('node-1', 4)
  await fleet.advance(1_000)
  expect(looks).toBeGreaterThan(0)
  expect(fleet.log.count('A maintenance pass failed by a defect')).toBe(0)
  await fleet.advance(61_000)
  expect(fleet.node('node-1').stats().ipv4.neededIPs).toBe(0)
})

describe('max-allocate above the ceiling of the instance', () => {
  test('is warned about once, not at every evaluation', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.launch('i-node-1')
    fleet.provider.learn('i-node-1')
    fleet.join({ ipam: { maxAllocate: 500 } })
    for (let used = 1; used < 5; used++) {
      fleet.use('node-1', used)
      await fleet.advance(1_000)
    }
    expect(fleet.log.count('max-allocate of a node is above the ceiling of its instance')).toBe(1)
  })
})
