import { describe, expect, test } from 'vitest'
import { FakeFleet } from '../../support/fake-fleet.ts'

describe('a node whose instance the cloud does not show', () => {
  async function withoutInstance(): Promise<FakeFleet> {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join()
    fleet.provider.terminate('i-node-1')
    await fleet.advance(10)
    return fleet
  }

  test('is served as soon as the cloud shows it, without any event', async () => {
    const fleet = await withoutInstance()
    await fleet.advance(20_000)
    fleet.provider.launch('i-node-1')
    await fleet.advance(61_000)
    expect(fleet.node().stats().ipv4).toMatchObject({ availableIPs: 8, neededIPs: 0 })
  })

  test('is read by itself, less and less often, and never given up', async () => {
    const fleet = await withoutInstance()
    fleet.provider.fail('resync', ...Array.from({ length: 10_000 }, () => 'unavailable' as const))
    await fleet.advance(3_600_000)
    const times = fleet.provider.calls.filter(({ call }) => call === 'instanceSync').map(({ atMs }) => atMs)
    const gaps = times.slice(1).map((atMs, index) => atMs - times[index]!)
    expect(gaps[0]).toBeLessThan(2_000)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(75_000)
    expect(times.length).toBeGreaterThan(45)
    expect(times.length).toBeLessThan(100)
  })

  test('counts as missing, and as an unserved need', async () => {
    const fleet = await withoutInstance()
    await fleet.advance(30_000)
    const last = (name: string): unknown => fleet.metrics.recorded.findLast(([recorded]) => recorded === name)?.[1]
    expect(last('setMissingInstances')).toBe(1)
    expect(last('setOldestUnservedNeed')).toBeGreaterThan(25)
    fleet.provider.launch('i-node-1')
    await fleet.advance(70_000)
    expect(last('setMissingInstances')).toBe(0)
    expect(last('setOldestUnservedNeed')).toBe(0)
  })

  test('says what it waits for', async () => {
    const fleet = await withoutInstance()
    await fleet.advance(10_000)
    expect(fleet.read().status.operatorError).toMatch(
      /^waiting for instance i-node-1 to appear in the cloud; next try at /,
    )
  })

  test('keeps its addresses in the resource: a failed refresh is never published', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join()
    await fleet.advance(5_000)
    const { status, spec } = fleet.read()
    fleet.provider.terminate('i-node-1')
    await fleet.advance(70_000)
    expect(fleet.node().state.view.kind).toBe('missing')
    expect(fleet.read().status.operatorError).not.toBe('')
    expect(fleet.read().status.eni).toEqual(status.eni)
    expect(fleet.read().spec.ipam.pool).toEqual(spec.ipam.pool)
  })

  test('keeps its last numbers, but needs nothing and has no excess', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join()
    await fleet.advance(5_000)
    fleet.provider.terminate('i-node-1')
    await fleet.advance(70_000)
    expect(fleet.node().stats().ipv4).toMatchObject({ availableIPs: 8, neededIPs: 0, excessIPs: 0 })
  })

  test('goes on when reads of it fail', async () => {
    const fleet = await withoutInstance()
    fleet.provider.fail('instanceSync', 'throttled', 'unavailable', 'throttled')
    fleet.provider.launch('i-node-1')
    await fleet.advance(120_000)
    expect(fleet.node().stats().ipv4.availableIPs).toBe(8)
  })
})

describe('a stale view', () => {
  test('of one node does not hold another, and falls to a read of that node only', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join({ name: 'node-1' })
    fleet.join({ name: 'node-2' })
    await fleet.advance(5_000)
    fleet.provider.fail('allocateIPs', 'stale')
    fleet.provider.hold('instanceSync')
    fleet.use('node-1', 4)
    await fleet.advance(50)
    expect(fleet.node('node-1').state.staleSinceMs).toBeDefined()
    fleet.use('node-2', 4)
    await fleet.advance(50)
    expect(fleet.node('node-2').stats().ipv4.availableIPs).toBe(12)
    expect(fleet.node('node-1').state.staleSinceMs).toBeDefined()
  })

  test('is not trusted after a read that failed', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join()
    await fleet.advance(5_000)
    const allocations = fleet.provider.callCount('allocateIPs')
    fleet.provider.fail('allocateIPs', 'lost')
    fleet.provider.fail('instanceSync', 'unavailable')
    fleet.use('node-1', 1)
    await fleet.advance(100)
    expect(fleet.node().state.staleSinceMs).toBeDefined()
    expect(fleet.provider.callCount('allocateIPs')).toBe(allocations + 1)
    await fleet.advance(5_000)
    expect(fleet.provider.callCount('allocateIPs')).toBe(allocations + 1)
    expect(fleet.provider.addressesInCloud('i-node-1')).toHaveLength(9)
    expect(fleet.node().stats().ipv4.availableIPs).toBe(9)
  })

  test('a lost answer of a new interface leads to no second one', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.fail('createInterface', 'lost')
    fleet.join({ ipam: { minAllocate: 15 } })
    await fleet.advance(10_000)
    expect(fleet.provider.cloud.get('i-node-1')?.interfaces).toHaveLength(2)
    expect(fleet.node().stats().ipv4.availableIPs).toBe(15)
  })
})

describe('an instance that does not run', () => {
  async function started(): Promise<FakeFleet> {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join()
    await fleet.advance(5_000)
    fleet.provider.calls.length = 0
    return fleet
  }
  const callsOf = (fleet: FakeFleet): string[] =>
    fleet.provider.calls.map(({ call }) => call).filter((call) => call !== 'resync')

  test('is not believed at the first word: a read and one more call decide', async () => {
    const fleet = await started()
    fleet.provider.fail('allocateIPs', 'notRunning')
    fleet.use('node-1', 1)
    await fleet.advance(100)
    expect(callsOf(fleet)).toEqual(['allocateIPs', 'instanceSync', 'allocateIPs'])
    expect(fleet.node().isRunning()).toBe(true)
    expect(fleet.node().stats().ipv4.neededIPs).toBe(0)
  })

  test('is left alone for a minute, and then served by itself', async () => {
    const fleet = await started()
    fleet.provider.fail('allocateIPs', 'notRunning', 'notRunning')
    fleet.use('node-1', 4)
    await fleet.advance(100)
    expect(fleet.node().isRunning()).toBe(false)
    const calls = callsOf(fleet).length
    await fleet.advance(59_000)
    expect(callsOf(fleet).length).toBe(calls)
    expect(fleet.read().status.operatorError).toMatch(/^instance i-node-1 is not running/)
    await fleet.advance(2_000)
    expect(fleet.node().stats().ipv4.neededIPs).toBe(0)
    expect(fleet.read().status.operatorError).toBe('')
  })

  test('is never parked: minute after minute it is tried again', async () => {
    const fleet = await started()
    fleet.provider.fail('allocateIPs', ...Array.from({ length: 12 }, () => 'notRunning' as const))
    fleet.use('node-1', 4)
    await fleet.advance(900_000)
    expect(fleet.node().stats().ipv4.neededIPs).toBe(0)
  })

  test('runs again once its agent speaks, but not because of our own write', async () => {
    const fleet = await started()
    fleet.provider.fail('allocateIPs', 'notRunning', 'notRunning')
    fleet.use('node-1', 4)
    await fleet.advance(5_000)
    expect(fleet.read().status.operatorError).not.toBe('')
    expect(fleet.node().isRunning()).toBe(false)
    fleet.use('node-1', 5)
    await fleet.advance(100)
    expect(fleet.node().isRunning()).toBe(true)
    expect(fleet.node().stats().ipv4.neededIPs).toBe(0)
  })
})

describe('limits of an instance type that are not known', () => {
  test('are said, and the node is served once they are known', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.provider.limitsAreKnown = false
    fleet.join()
    await fleet.advance(10_000)
    expect(fleet.read().status.operatorError).toMatch(/^the network limits of instance type 'm5.large' are not known/)
    fleet.provider.limitsAreKnown = true
    await fleet.advance(61_000)
    expect(fleet.node().stats().ipv4.neededIPs).toBe(0)
    expect(fleet.read().status.operatorError).toBe('')
  })
})
