import { describe, expect, test } from 'vitest'
import type { CiliumNodeSubscriber } from '../../../src/agent/configuration.ts'
import type { CreateIPAMOptions } from '../../../src/agent/create-ipam.ts'
import { createIPAM } from '../../../src/agent/create-ipam.ts'
import type { Family } from '../../../src/agent/family.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'
import { codeOf, configuration, FakeNodeServer, testWorld } from './builders.ts'

function setup(mode: string, families: readonly Family[] = ['ipv4'], node: JSONObject = { metadata: { name: 'n1' } }) {
  const world = testWorld()
  const server = new FakeNodeServer(node)
  const subscribers: CiliumNodeSubscriber[] = []
  const announced: (readonly (readonly string[])[])[] = []
  let resourceUpdates = 0
  const options: CreateIPAMOptions = {
    ...world,
    nodeName: 'n1',
    configuration: configuration(mode, families),
    owner: {
      updateCiliumNodeResource: () => {
        resourceUpdates += 1
        return Promise.resolve()
      },
      localAllocCIDRsUpdated: (ipv4, ipv6) => void announced.push([ipv4, ipv6]),
    },
    events: {
      k8sEventReceived: () => undefined,
      k8sEventProcessed: () => undefined,
      registerCiliumNodeSubscriber: (subscriber) => {
        subscribers.push(subscriber)
        subscriber.onAdd(server.node)
      },
    },
    writer: server,
    allocationCIDRs: { ipv4: ['10.0.0.0/24'], ipv6: ['fd00::/120'] },
  }
  const change = (patch: JSONObject): void => {
    const node = server.change(patch)
    for (const subscriber of subscribers) subscriber.onUpdate(undefined, node)
  }
  const controller = new AbortController()
  return { ...world, options, server, change, controller, announced, updates: () => resourceUpdates }
}

describe('createIPAM', () => {
  test.each(['', 'kubernetes', 'cluster-pool'])('mode %j serves the node’s own CIDRs', async (mode) => {
    const { options, controller } = setup(mode, ['ipv4', 'ipv6'])
    const pair = (await createIPAM(options, controller.signal)).allocateNext({ owner: 'a' })
    expect([pair.ipv4!.ip, pair.ipv6!.ip]).toEqual([
      expect.stringMatching(/^10\.0\.0\./),
      expect.stringMatching(/^fd00::/),
    ])
  })

  test('a family is there only when it is enabled', async () => {
    const { options, controller } = setup('cluster-pool', ['ipv6'])
    const ipam = await createIPAM(options, controller.signal)
    expect([ipam.ipv4Allocator, ipam.ipv6Allocator !== undefined]).toEqual([undefined, true])
  })

  test('an unknown mode is refused with its name', async () => {
    const { options, controller } = setup('openstack')
    await expect(createIPAM(options, controller.signal)).rejects.toMatchObject({
      code: 'UNKNOWN_MODE',
      message: expect.stringContaining('openstack') as string,
    })
  })

  test('delegated: everything is refused, nothing is held', async () => {
    const { options, controller } = setup('delegated-plugin')
    const ipam = await createIPAM(options, controller.signal)
    for (const call of [
      () => ipam.allocateIP('10.0.0.1', 'a'),
      () => ipam.allocateIPWithoutSyncUpstream('10.0.0.1', 'a'),
      () => ipam.allocateNext({ owner: 'a' }),
      () => ipam.allocateNextFamilyWithoutSyncUpstream({ family: 'ipv4', owner: 'a' }),
      () => ipam.releaseIP('10.0.0.1'),
    ])
      expect(codeOf(call)).toBe('NOT_SUPPORTED')
    expect(ipam.dump()).toEqual({ ipv4: null, status: 'IPv4: delegated to plugin' })
    ipam.restoreFinished()
    expect([ipam.usage(), ipam.ipv4Allocator!.capacity()]).toEqual([[], 0n])
  })

  test('CRD modes wait for addresses; both families share what is written', async () => {
    const { options, controller, change, clock, server, updates } = setup('crd', ['ipv4', 'ipv6'])
    const creating = createIPAM(options, controller.signal)
    await clock.advance(10_000)
    change({ spec: { ipam: { pool: { '10.0.0.1': {}, 'fd00::1': {} } } } })
    await clock.advance(5_000)
    const ipam = await creating
    expect(updates()).toBe(1)
    ipam.allocateNext({ owner: 'ns/pod' })
    ipam.restoreFinished()
    await clock.advance(15_000)
    expect(server.node['status']).toEqual({
      ipam: { used: { '10.0.0.1': { owner: 'ns/pod' }, 'fd00::1': { owner: 'ns/pod' } } },
    })
    expect([ipam.getVPCCIDRs(), ipam.usage().map(({ capacity }) => capacity)]).toEqual([null, [1n, 1n]])
  })

  test('multi-pool waits for its pools', async () => {
    const { options, controller, change, clock } = setup('multi-pool')
    const creating = createIPAM(options, controller.signal)
    await clock.advance(1_000)
    change({ spec: { ipam: { pools: { allocated: [{ pool: 'default', cidrs: ['10.0.0.0/28'] }] } } } })
    await clock.advance(5_000)
    expect((await creating).allocateNext({ owner: 'a' }).ipv4!.ipPoolName).toBe('default')
  })

  test('a wait that is given up ends, and nothing is written after it', async () => {
    const { options, controller, clock, server } = setup('multi-pool')
    const creating = createIPAM(options, controller.signal)
    const failing = expect(creating).rejects.toThrow('stopped')
    await clock.advance(0)
    const before = server.patches.length
    controller.abort(new Error('stopped'))
    await failing
    await clock.advance(600_000)
    expect(server.patches).toHaveLength(before)
  })
})

describe('cluster-pool-v2beta', () => {
  const node = { metadata: { name: 'n1' }, spec: { ipam: { podCIDRs: ['10.0.0.0/27', '10.0.1.0/27', 'fd00::/123'] } } }

  test('uses its CIDRs in order, says what it thinks of them, and tells the routes', async () => {
    const { options, controller, server, clock, announced } = setup('cluster-pool-v2beta', ['ipv4'], node)
    const ipam = await createIPAM(options, controller.signal)
    expect(announced).toEqual([[['10.0.0.0/27', '10.0.1.0/27'], []]])
    for (let owner = 0; owner < 31; owner++) ipam.allocateNext({ owner: `p${owner}` })
    await clock.advance(60_000)
    expect(server.patches).toEqual([])
    ipam.restoreFinished()
    await clock.advance(15_000)
    expect(server.node['status']).toEqual({
      ipam: { 'pod-cidrs': { '10.0.0.0/27': { status: 'depleted' }, '10.0.1.0/27': { status: 'in-use' } } },
    })
    expect(ipam.dump().status).toBe('IPv4: 31/29 allocated from 2 pod CIDRs')
  })

  test('does not use again after a restart what it gave back before', async () => {
    const released = { ...node, status: { ipam: { 'pod-cidrs': { '10.0.0.0/27': { status: 'released' } } } } }
    const { options, controller } = setup('cluster-pool-v2beta', ['ipv4'], released)
    const ipam = await createIPAM(options, controller.signal)
    for (let owner = 0; owner < 30; owner++)
      expect(ipam.allocateNext({ owner: `p${owner}` }).ipv4!.ip).toMatch(/^10\.0\.1\./)
    expect(codeOf(() => ipam.allocateNext({ owner: 'x' }))).toBe('POD_CIDRS_EXHAUSTED')
  })

  test('writes again after a failure', async () => {
    const { options, controller, server, clock } = setup('cluster-pool-v2beta', ['ipv4'], node)
    const ipam = await createIPAM(options, controller.signal)
    server.outcomes.push('refused')
    ipam.restoreFinished()
    await clock.advance(1_000)
    expect(server.patches).toHaveLength(1)
    ipam.releaseIP('10.0.0.1')
    expect(ipam.allocateIP('10.0.0.9', 'a').ip).toBe('10.0.0.9')
    expect(ipam.allocateIPWithoutSyncUpstream('10.0.0.10', 'a').ip).toBe('10.0.0.10')
    // The second CIDR was given back: one is enough.
    expect(ipam.usage()).toEqual([
      { family: 'ipv4', pool: 'default', capacity: 30n, allocated: 2, cooling: 0, pending: 0 },
    ])
  })
})
