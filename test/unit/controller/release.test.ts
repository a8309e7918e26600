import { describe, expect, test } from 'vitest'
import type { CiliumNode } from '../../../src/ipam/cilium-node.ts'
import { FakeFleet } from '../../support/fake-fleet.ts'
import type { FakeFleetOptions } from '../../support/fake-fleet.ts'

const DELAY_MS = 180_000

/** A node that used 8 addresses and now uses none: 8 too many. */
async function withExcess(options: FakeFleetOptions = {}): Promise<FakeFleet> {
  const fleet = new FakeFleet({
    ...options,
    config: { releaseExcessIPs: true, ...options.config },
    provider: { limits: { adapters: 3, ipv4: 30, firstInterfaceIndex: 0 }, ...options.provider },
  })
  await fleet.start()
  fleet.join()
  await fleet.advance(1_000)
  fleet.use('node-1', 8)
  await fleet.advance(1_000)
  fleet.use('node-1', 0)
  await fleet.advance(1_000)
  return fleet
}

const held = (fleet: FakeFleet): number => fleet.provider.addressesInCloud('i-node-1').length
const states = (node: CiliumNode): string[] => [...new Set(node.status.releaseIPs.values())]

describe('excess addresses of an agent with a pool', () => {
  test('go after the delay, with the agent agreeing, and only after a read of the instance', async () => {
    const fleet = await withExcess()
    expect(held(fleet)).toBe(16)
    await fleet.advance(DELAY_MS - 5_000)
    expect(fleet.read().status.releaseIPs.size).toBe(0)
    await fleet.advance(5_000)
    expect(states(fleet.read())).toEqual(['marked-for-release'])
    fleet.provider.calls.length = 0
    fleet.answer('node-1')
    await fleet.advance(1_000)
    expect(fleet.provider.calls.map(({ call }) => call)).toEqual(['instanceSync', 'releaseIPs'])
    expect(fleet.provider.calls.map(({ priority }) => priority)).toEqual(['release', 'release'])
    expect(held(fleet)).toBe(8)
    expect(states(fleet.read())).toEqual(['released'])
    expect(fleet.read().spec.ipam.pool?.size).toBe(8)
    fleet.answer('node-1')
    await fleet.advance(1_000)
    expect(fleet.read().status.releaseIPs.size).toBe(0)
    expect(fleet.node().getNeededAddresses()).toBe(0)
  })

  test('stay without the agent, however long it takes', async () => {
    const fleet = await withExcess()
    await fleet.advance(3_600_000)
    expect(held(fleet)).toBe(16)
    expect(fleet.provider.callCount('releaseIPs')).toBe(0)
  })

  test('stay while nothing may be destroyed: 0 calls a minute', async () => {
    const fleet = await withExcess({ agentDelayMs: 1_000, config: { destructiveCallsPerMinute: 0 } })
    await fleet.advance(3_600_000)
    expect(held(fleet)).toBe(16)
    expect(fleet.provider.callCount('releaseIPs')).toBe(0)
  })

  test('that the agent refuses stay, and the delay starts anew', async () => {
    const fleet = await withExcess()
    await fleet.advance(DELAY_MS)
    const marked = [...fleet.read().status.releaseIPs.keys()]
    fleet.use('node-1', marked.slice(0, 1))
    fleet.answer('node-1')
    await fleet.advance(5_000)
    expect(fleet.provider.addressesInCloud('i-node-1')).toContain(marked[0])
    await fleet.advance(3_600_000)
    expect(fleet.provider.addressesInCloud('i-node-1')).toContain(marked[0])
  })

  test('in use are never given back, even when the agent agreed before', async () => {
    const fleet = await withExcess()
    await fleet.advance(DELAY_MS)
    fleet.provider.hold('instanceSync')
    const release = fleet.provider.hold('instanceSync')
    fleet.answer('node-1')
    await fleet.advance(100)
    const [taken] = [...fleet.read().status.releaseIPs.keys()]
    fleet.apiServer.change('node-1', (node) => ({
      ...node,
      status: { ...node.status, used: new Map([[taken!, { owner: 'default/p' }]]) },
    }))
    release()
    await fleet.advance(10_000)
    expect(fleet.provider.addressesInCloud('i-node-1')).toContain(taken)
  })

  test('are needed again meanwhile: the handshake is taken back, nothing is released', async () => {
    const fleet = await withExcess()
    await fleet.advance(DELAY_MS)
    expect(fleet.read().status.releaseIPs.size).toBe(8)
    fleet.use('node-1', 12)
    await fleet.advance(5_000)
    expect(fleet.read().status.releaseIPs.size).toBe(0)
    fleet.answer('node-1')
    await fleet.advance(DELAY_MS)
    expect(fleet.provider.callCount('releaseIPs')).toBe(0)
    expect(held(fleet)).toBe(20)
  })

  test('are not given back on an old read: it is made again', async () => {
    const fleet = await withExcess()
    await fleet.advance(DELAY_MS)
    fleet.provider.fail('releaseIPs', 'throttled')
    fleet.answer('node-1')
    await fleet.advance(100)
    const reads = fleet.provider.callCount('instanceSync')
    fleet.provider.fail('resync', ...Array.from({ length: 100 }, () => 'unavailable' as const))
    await fleet.advance(61_000)
    expect(held(fleet)).toBe(8)
    const lastRead = fleet.provider.calls.findLast(({ call }) => call === 'instanceSync')
    const lastRelease = fleet.provider.calls.findLast(({ call }) => call === 'releaseIPs')
    expect(fleet.provider.callCount('instanceSync')).toBeGreaterThanOrEqual(reads)
    expect(lastRelease!.atMs - lastRead!.atMs).toBeLessThan(60_000)
  })

  test('wait for the first full sync after a start', async () => {
    const fleet = new FakeFleet({ config: { releaseExcessIPs: true, excessIPReleaseDelayMs: 0 }, agentDelayMs: 100 })
    fleet.provider.hold('resync')
    await fleet.start()
    const addresses = Array.from({ length: 9 }, (_, index) => `172.16.0.${index}`)
    fleet.provider.launch('i-node-1', [
      { index: 0, addresses },
      { index: 1, addresses: ['172.16.1.1'] },
    ])
    fleet.provider.learn('i-node-1')
    fleet.join()
    await fleet.advance(600_000)
    expect(held(fleet)).toBe(10)
    expect(fleet.provider.callCount('releaseIPs')).toBe(0)
  })

  test('that were refused by the cloud are tried again, and do not keep the node from new addresses', async () => {
    const fleet = await withExcess({ agentDelayMs: 500 })
    fleet.provider.fail('releaseIPs', 'denied', 'denied', 'denied')
    await fleet.advance(DELAY_MS + 1_000)
    expect(fleet.node().state.failure?.blocks).toBe('upkeep')
    fleet.use('node-1', 14)
    await fleet.advance(200)
    expect(fleet.node().stats().ipv4.neededIPs).toBe(0)
    fleet.use('node-1', 0)
    await fleet.advance(1_200_000)
    expect(held(fleet)).toBe(8)
  })

  test('whose release was lost are not given back twice', async () => {
    const fleet = await withExcess({ agentDelayMs: 500 })
    fleet.provider.fail('releaseIPs', 'lost')
    await fleet.advance(DELAY_MS + 30_000)
    expect(held(fleet)).toBe(8)
    expect(fleet.provider.callCount('releaseIPs')).toBe(1)
    expect(fleet.read().status.releaseIPs.size).toBe(0)
  })

  test('give way: a node that needs addresses does not wait for the proof of a release', async () => {
    const fleet = await withExcess()
    await fleet.advance(DELAY_MS)
    fleet.provider.hold('instanceSync')
    fleet.answer('node-1')
    await fleet.advance(1_000)
    fleet.use('node-1', 14)
    await fleet.advance(200)
    expect(fleet.node().stats().ipv4.neededIPs).toBe(0)
    expect(held(fleet)).toBe(22)
  })

  test('give way: a node that needs addresses does not wait for a release that waits for its turn', async () => {
    const fleet = await withExcess()
    await fleet.advance(DELAY_MS)
    const release = fleet.provider.hold('releaseIPs')
    fleet.answer('node-1')
    await fleet.advance(1_000)
    expect(fleet.provider.callCount('releaseIPs')).toBe(1)
    fleet.use('node-1', 14)
    await fleet.advance(200)
    expect(fleet.node().stats().ipv4.neededIPs).toBe(0)
    release()
    await fleet.advance(200)
    expect(held(fleet)).toBe(22)
  })

  test('are aborted by a restart: the delay starts anew', async () => {
    const fleet = new FakeFleet({
      config: { releaseExcessIPs: true },
      provider: { limits: { adapters: 3, ipv4: 30, firstInterfaceIndex: 0 } },
    })
    await fleet.start()
    const addresses = Array.from({ length: 16 }, (_, index) => `172.16.0.${index}`)
    fleet.provider.launch('i-node-1', [{ index: 0, addresses }])
    fleet.provider.learn('i-node-1')
    fleet.join({
      releaseIPs: Object.fromEntries(addresses.slice(0, 8).map((address) => [address, 'ready-for-release'])),
      ipam: { pool: new Map(addresses.map((address) => [address, { resource: 'eni-1' }])) },
    })
    await fleet.advance(DELAY_MS - 5_000)
    expect(held(fleet)).toBe(16)
  })

  test('of a whole fleet go at the pace of the limit', async () => {
    const fleet = new FakeFleet({
      agentDelayMs: 500,
      config: { releaseExcessIPs: true, excessIPReleaseDelayMs: 0, destructiveCallsPerMinute: 3 },
      provider: { limits: { adapters: 3, ipv4: 30, firstInterfaceIndex: 0 } },
    })
    await fleet.start()
    for (let index = 1; index <= 10; index++) {
      const addresses = Array.from({ length: 12 }, (_, nth) => `172.16.${index}.${nth}`)
      fleet.provider.launch(`i-node-${index}`, [{ index: 0, addresses }])
      fleet.provider.learn(`i-node-${index}`)
      fleet.join({ name: `node-${index}` })
    }
    await fleet.advance(600_000)
    const times = fleet.provider.calls.filter(({ call }) => call === 'releaseIPs').map(({ atMs }) => atMs)
    expect(times).toHaveLength(10)
    for (const atMs of times)
      expect(times.filter((other) => other > atMs - 60_000 && other <= atMs).length).toBeLessThanOrEqual(3)
  })
})

describe('delegated prefixes', () => {
  test('go as a whole, when the agent has agreed to all of their addresses', async () => {
    const fleet = new FakeFleet({
      agentDelayMs: 500,
      config: { releaseExcessIPs: true, prefixDelegation: true, excessIPReleaseDelayMs: 1_000 },
      provider: { prefixDelegation: true },
    })
    await fleet.start()
    fleet.join()
    await fleet.advance(500)
    fleet.use('node-1', 20)
    await fleet.advance(500)
    expect(held(fleet)).toBe(32)
    fleet.use('node-1', 0)
    await fleet.advance(10_000)
    expect(held(fleet)).toBe(16)
    expect(fleet.provider.callCount('releaseIPPrefixes')).toBe(1)
    expect(fleet.provider.callCount('releaseIPs')).toBe(0)
    const counted = fleet.metrics.recorded.filter(([name]) => name === 'addIPRelease')
    expect(counted).toEqual([['addIPRelease', 'subnet-1', 16]])
  })
})

describe('addresses of a multi-pool agent', () => {
  async function multiPool(): Promise<FakeFleet> {
    const fleet = new FakeFleet({ config: { releaseExcessIPs: true, excessIPReleaseDelayMs: 10_000 } })
    await fleet.start()
    fleet.join({ ipam: { preAllocate: 4, requested: [{ pool: 'default', ipv4Addrs: 8, ipv6Addrs: 0 }] } })
    await fleet.advance(1_000)
    adopt(fleet, 0)
    await fleet.advance(1_000)
    return fleet
  }

  function demand(fleet: FakeFleet, ipv4Addrs: number): void {
    fleet.apiServer.change('node-1', (node) => ({
      ...node,
      spec: { ...node.spec, ipam: { ...node.spec.ipam, requested: [{ pool: 'default', ipv4Addrs, ipv6Addrs: 0 }] } },
    }))
  }

  /** Addresses that the resource tells the agent of. */
  function listed(fleet: FakeFleet): readonly string[] {
    const { eni } = fleet.read().status
    const enis = Object.values((eni?.['enis'] ?? {}) as Record<string, { readonly addresses: readonly string[] }>)
    return enis.flatMap(({ addresses }) => addresses)
  }

  /** The agent takes over all but so many CIDRs. */
  function adopt(fleet: FakeFleet, dropped: number): string[] {
    const cidrs = fleet.provider.addressesInCloud('i-node-1').map((address) => `${address}/32`)
    const kept = cidrs.slice(dropped)
    fleet.apiServer.change('node-1', (node) => ({
      ...node,
      spec: { ...node.spec, ipam: { ...node.spec.ipam, allocated: [{ pool: 'default', cidrs: kept }] } },
    }))
    return cidrs.slice(0, dropped).map((cidr) => cidr.replace('/32', ''))
  }

  test('follow its request, without a pool in the spec', async () => {
    const fleet = await multiPool()
    expect(held(fleet)).toBe(8)
    expect(fleet.read().spec.ipam.pool).toBeUndefined()
    expect(fleet.node().state.generation).toBe('multi-pool')
  })

  test('go after the delay once it has dropped them, on a read after its word', async () => {
    const fleet = await multiPool()
    demand(fleet, 6)
    const dropped = adopt(fleet, 2)
    await fleet.advance(9_000)
    expect(held(fleet)).toBe(8)
    fleet.provider.calls.length = 0
    await fleet.advance(2_000)
    expect(fleet.provider.calls.map(({ call }) => call)).toEqual(['instanceSync', 'releaseCIDRs'])
    expect(fleet.provider.addressesInCloud('i-node-1')).not.toEqual(expect.arrayContaining(dropped.slice(0, 1)))
  })

  test('stay as far as the node would have to attach them again', async () => {
    const fleet = await multiPool()
    adopt(fleet, 2)
    await fleet.advance(600_000)
    expect(held(fleet)).toBe(8)
    expect(fleet.provider.callCount('releaseCIDRs')).toBe(0)
  })

  test('stay when it takes them back within the delay', async () => {
    const fleet = await multiPool()
    demand(fleet, 6)
    adopt(fleet, 2)
    await fleet.advance(5_000)
    adopt(fleet, 0)
    await fleet.advance(60_000)
    expect(fleet.provider.callCount('releaseCIDRs')).toBe(0)
    expect(held(fleet)).toBe(8)
  })

  test('stay when it takes them back while their release waits for its turn', async () => {
    const fleet = await multiPool()
    demand(fleet, 6)
    adopt(fleet, 2)
    const release = fleet.provider.hold('releaseCIDRs')
    await fleet.advance(11_000)
    expect(fleet.provider.callCount('releaseCIDRs')).toBe(1)
    adopt(fleet, 0)
    await fleet.advance(100)
    release()
    await fleet.advance(60_000)
    expect(held(fleet)).toBe(8)
    expect(fleet.provider.callCount('releaseCIDRs')).toBe(1)
  })

  test('leave its resource before they are detached, and return to it when it takes them up again', async () => {
    const fleet = await multiPool()
    demand(fleet, 6)
    const [dropped = ''] = adopt(fleet, 2)
    await fleet.advance(1_000)
    expect(listed(fleet)).toHaveLength(6)
    expect(listed(fleet)).not.toContain(dropped)
    expect(held(fleet)).toBe(8)
    adopt(fleet, 0)
    await fleet.advance(1_000)
    expect(listed(fleet)).toContain(dropped)
    await fleet.advance(60_000)
    expect(held(fleet)).toBe(8)
  })

  test('return to its resource when it needs more', async () => {
    const fleet = await multiPool()
    demand(fleet, 6)
    adopt(fleet, 2)
    await fleet.advance(1_000)
    expect(listed(fleet)).toHaveLength(6)
    demand(fleet, 8)
    await fleet.advance(1_000)
    expect(listed(fleet)).toHaveLength(8)
    await fleet.advance(60_000)
    expect(held(fleet)).toBe(8)
  })

  test('are not detached while the resource still lists them', async () => {
    const fleet = await multiPool()
    fleet.apiServer.fail('updateStatus', ...Array.from({ length: 1_000 }, () => 'error' as const))
    demand(fleet, 6)
    adopt(fleet, 2)
    await fleet.advance(120_000)
    expect(held(fleet)).toBe(8)
    expect(listed(fleet)).toHaveLength(8)
  })

  test('lose pool and release map once, when the agent turns to it', async () => {
    const fleet = new FakeFleet({ config: { releaseExcessIPs: true } })
    await fleet.start()
    fleet.join()
    await fleet.advance(5_000)
    expect(fleet.read().spec.ipam.pool?.size).toBe(8)
    fleet.apiServer.change('node-1', (node) => ({
      ...node,
      spec: { ...node.spec, ipam: { ...node.spec.ipam, requested: [{ pool: 'default', ipv4Addrs: 8, ipv6Addrs: 0 }] } },
    }))
    await fleet.advance(5_000)
    expect(fleet.read().spec.ipam.pool).toBeUndefined()
    const { resourceVersion } = fleet.read()
    await fleet.advance(300_000)
    expect(fleet.read().resourceVersion).toBe(resourceVersion)
  })

  test('IPv6 alone attaches one prefix and no IPv4 address', async () => {
    const fleet = new FakeFleet()
    await fleet.start()
    fleet.join({
      ipam: { preAllocate: 8, maxAboveWatermark: 4, requested: [{ pool: 'default', ipv4Addrs: 8, ipv6Addrs: 0 }] },
    })
    await fleet.advance(1_000)
    const before = held(fleet)
    fleet.apiServer.change('node-1', (node) => ({
      ...node,
      spec: { ...node.spec, ipam: { ...node.spec.ipam, requested: [{ pool: 'default', ipv4Addrs: 8, ipv6Addrs: 4 }] } },
    }))
    await fleet.advance(60_000)
    expect(
      fleet.provider.cloud.get('i-node-1')?.interfaces.reduce((sum, { ipv6Prefixes }) => sum + ipv6Prefixes, 0),
    ).toBe(1)
    expect(held(fleet)).toBe(before)
    expect(fleet.log.count('A maintenance pass failed')).toBe(0)
  })
})
