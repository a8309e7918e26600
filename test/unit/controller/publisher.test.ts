import { describe, expect, test } from 'vitest'
import { FakeFleet } from '../../support/fake-fleet.ts'

async function withNode(): Promise<FakeFleet> {
  const fleet = new FakeFleet()
  await fleet.start()
  fleet.join()
  await fleet.advance(5_000)
  fleet.apiServer.calls.length = 0
  return fleet
}

describe('publishing a node', () => {
  test('recomputes after a conflict on what it read, and keeps what the agent wrote meanwhile', async () => {
    const fleet = await withNode()
    fleet.apiServer.onChange = () => undefined // the watch is behind
    fleet.apiServer.change('node-1', (node) => ({ ...node, annotations: { 'cilium.io/mine': 'kept' } }))
    fleet.provider.alter('i-node-1', ([first]) => [{ ...first!, addresses: first!.addresses.slice(0, 6) }])
    await fleet.advance(70_000)
    expect(fleet.apiServer.callCount('get')).toBe(1)
    const { annotations, spec } = fleet.read()
    expect(annotations).toEqual({ 'cilium.io/mine': 'kept' })
    expect([...(spec.ipam.pool ?? [])].map(([address]) => address)).toEqual(fleet.provider.addressesInCloud('i-node-1'))
  })

  test('makes at most two attempts for each phase, and comes back later', async () => {
    const fleet = await withNode()
    fleet.apiServer.fail('updateStatus', 'error', 'error')
    fleet.use('node-1', 4)
    await fleet.advance(500)
    expect(fleet.apiServer.callCount('updateStatus')).toBe(2)
    expect(fleet.apiServer.callCount('update')).toBe(0)
    await fleet.advance(5_000)
    expect(fleet.read().spec.ipam.pool?.size).toBe(12)
    expect(fleet.log.count('Unable to write a CiliumNode')).toBe(1)
  })

  test('writes first what opens addresses: words about a wait do not hold up those who have been served', async () => {
    const fleet = new FakeFleet()
    const { apiServer } = fleet
    const write = apiServer.updateStatus.bind(apiServer)
    const opened = Promise.withResolvers<void>()
    const started: string[] = []
    apiServer.updateStatus = async (seen, wanted) => {
      started.push(seen.name)
      await opened.promise
      return write(seen, wanted)
    }
    // Every write has words to say; the calls of the last nodes succeed.
    fleet.provider.fail('allocateIPs', ...Array.from({ length: 80 }, () => 'throttled' as const))
    await fleet.start()
    const names = Array.from({ length: 100 }, (_, index) => `node-${index}`)
    for (const name of names) fleet.join({ name })
    await fleet.advance(500)
    const atOnce = started.length
    expect(atOnce).toBeLessThan(names.length)
    const served = names.filter((name) => fleet.node(name).stats().ipv4.availableIPs > 0)
    const waiting = served.filter((name) => !started.includes(name))
    expect(waiting.length).toBeGreaterThan(5)
    opened.resolve()
    await fleet.advance(500)
    expect(new Set(started.slice(atOnce, atOnce + waiting.length))).toEqual(new Set(waiting))
  })

  test('of a resource that is gone ends quietly', async () => {
    const fleet = await withNode()
    fleet.apiServer.remove('node-1')
    fleet.provider.alter('i-node-1', ([first]) => [{ ...first!, addresses: first!.addresses.slice(0, 6) }])
    await fleet.advance(100_000)
    expect(fleet.log.lines.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([])
  })

  test('tries less and less often while the API server is away, and no node waits for another', async () => {
    const fleet = await withNode()
    fleet.join({ name: 'node-2' })
    await fleet.advance(1_000)
    fleet.apiServer.calls.length = 0
    fleet.apiServer.fail('updateStatus', ...Array.from({ length: 40 }, () => 'error' as const))
    fleet.use('node-1', 4)
    await fleet.advance(600_000)
    expect(fleet.apiServer.callCount('updateStatus', 'node-1')).toBeLessThan(45)
    await fleet.advance(600_000)
    expect(fleet.read().spec.ipam.pool?.size).toBe(12)
  })

  test('comes back within seconds however often others wrote first', async () => {
    const fleet = await withNode()
    fleet.apiServer.fail('updateStatus', ...Array.from({ length: 12 }, () => 'conflict' as const))
    fleet.use('node-1', 4)
    await fleet.advance(5 * 4_000 + 2_000)
    expect(fleet.log.count('Unable to write a CiliumNode')).toBe(6)
    expect(fleet.read().spec.ipam.pool?.size).toBe(12)
  })

  test('puts back what somebody removed from our fields', async () => {
    const fleet = await withNode()
    const before = fleet.read().spec.ipam.pool
    fleet.apiServer.change('node-1', (node) => {
      const { pool: _pool, ...ipam } = node.spec.ipam
      return { ...node, spec: { ...node.spec, ipam } }
    })
    await fleet.advance(1_000)
    expect(fleet.read().spec.ipam.pool).toEqual(before)
  })

  test('an old version that a watch delivers late changes nothing', async () => {
    const fleet = await withNode()
    const old = fleet.read()
    fleet.use('node-1', 4)
    await fleet.advance(1_000)
    expect(fleet.node().stats().ipv4).toMatchObject({ usedIPs: 4, availableIPs: 12 })
    fleet.manager.upsert(old)
    await fleet.advance(1_000)
    expect(fleet.node().stats().ipv4.usedIPs).toBe(4)
    expect(fleet.read().spec.ipam.pool?.size).toBe(12)
  })

  test('seeds a pre-allocate of 0 once, and never touches a given one', async () => {
    const fleet = new FakeFleet({ provider: { instanceMin: 5 } })
    await fleet.start()
    fleet.join({ name: 'node-1' })
    fleet.join({ name: 'node-2', ipam: { preAllocate: 3 } })
    await fleet.advance(5_000)
    expect(fleet.read('node-1').spec.ipam.preAllocate).toBe(5)
    expect(fleet.read('node-2').spec.ipam.preAllocate).toBe(3)
  })
})

describe('a second writer of our fields', () => {
  const foreign = (address: string) => new Map([[address, { resource: 'eni-x' }]])
  const overwrite = (fleet: FakeFleet, address: string): void => {
    fleet.apiServer.change('node-1', (node) => ({
      ...node,
      spec: { ...node.spec, ipam: { ...node.spec.ipam, pool: foreign(address) } },
    }))
  }

  test('is said once, and nothing is written any more, neither to Kubernetes nor to the cloud', async () => {
    const fleet = await withNode()
    overwrite(fleet, '192.0.2.1')
    await fleet.advance(1_000)
    expect(fleet.manager.readiness().ok).toBe(true)
    overwrite(fleet, '192.0.2.2')
    await fleet.advance(1_000)
    const { resourceVersion } = fleet.read()
    expect(fleet.manager.readiness()).toEqual({
      ok: false,
      reasons: ['another controller writes spec.ipam.pool of CiliumNode node-1: nothing is written until a restart'],
    })
    overwrite(fleet, '192.0.2.3')
    const calls = fleet.provider.callCount('allocateIPs')
    fleet.join({ name: 'node-2' })
    await fleet.advance(60_000)
    expect(fleet.log.lines.filter(({ level }) => level === 'error').map(({ fields }) => fields)).toEqual([
      { node: 'node-1', field: 'spec.ipam.pool' },
    ])
    expect(fleet.provider.callCount('allocateIPs')).toBe(calls)
    expect(Number(fleet.read().resourceVersion)).toBe(Number(resourceVersion) + 1)
  })

  test('is not seen in our own writes, however many', async () => {
    const fleet = await withNode()
    for (let used = 1; used < 15; used++) {
      fleet.use('node-1', used)
      await fleet.advance(500)
    }
    expect(fleet.manager.readiness().ok).toBe(true)
  })

  test('is not seen in a value that the API server stores in another form', async () => {
    const fleet = await withNode()
    const put = fleet.apiServer.put.bind(fleet.apiServer)
    fleet.apiServer.put = (node) =>
      put({ ...node, status: { ...node.status, eni: { ...node.status.eni, 'added-by-default': true } } })
    for (let used = 1; used < 10; used++) {
      fleet.use('node-1', used)
      await fleet.advance(500)
    }
    expect(fleet.manager.readiness().ok).toBe(true)
  })
})
