import { afterEach, describe, expect, test } from 'vitest'
import { USUAL_LATENCY } from '../../simulators/aws/index.ts'
import { CILIUM_NODES_PATH } from '../../simulators/kubernetes/index.ts'
import type { JSONObject } from '../../simulators/kubernetes/index.ts'
import { podAddresses } from '../../src/fleet/world-view.ts'
import type { Fleet, FleetNode, FleetOptions } from '../support/fleet.ts'
import { startFleet } from '../support/fleet.ts'
import { readResource } from '../support/fleet-resource.ts'
import type { ResourceView } from '../support/fleet-resource.ts'

/**
 * What went wrong in the field with systems like this one, played on the whole: the composed controller with the real SDK against the
 * simulated EC2 and API server, in virtual time. The numbers are issues and pull requests of cilium/cilium.
 */

const MINUTE = 60_000
const FIRST_SUBNET = 'subnet-0000000000000f000'
const SIBLING_SUBNET = 'subnet-0000000000000f001'
const OTHER_ZONE_SUBNET = 'subnet-0000000000000f002'

let fleet: Fleet | undefined

afterEach(async () => {
  await fleet?.close()
  fleet = undefined
})

async function start(options: Partial<FleetOptions> = {}): Promise<Fleet> {
  fleet = await startFleet({ seed: 1, nodeCount: 3, ...options })
  return fleet
}

/** A fleet in which every node has what it wants and holds so many pods. */
async function settled(pods: number, options: Partial<FleetOptions> = {}): Promise<Fleet> {
  const of = await start(options)
  for (const node of of.nodes.values()) of.startPods(node, pods)
  await of.advance(2_000)
  await of.converge(30_000)
  await of.advance(2_000)
  await of.assertInvariants()
  return of
}

async function resource(of: Fleet, name: string): Promise<ResourceView> {
  const found = (await of.resources()).map(readResource).find((one) => one.name === name)
  if (found === undefined) throw new Error(`there is no CiliumNode ${name}`)
  return found
}

async function write(of: Fleet, method: string, path: string, body: JSONObject): Promise<JSONObject> {
  const contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
  return of.observer.request(method, path, { body, contentType }, new AbortController().signal)
}

function interfacesOf(of: Fleet, { facts }: FleetNode): number {
  return of.cloud.interfaces().filter(({ instanceID }) => instanceID === facts.instanceID).length
}

/** Until the condition holds, at most so long, asked at these intervals (ms). */
async function until(of: Fleet, withinMs: number, everyMs: number, condition: () => Promise<boolean>): Promise<void> {
  const endMs = of.clock.now() + withinMs
  while (!(await condition())) {
    if (of.clock.now() >= endMs) throw new Error(`not within ${withinMs / 1000} s: ${condition.toString()}`)
    await of.advance(everyMs)
  }
}

describe('a node', () => {
  test('that the filtered listing never shows is served, and stays served (46513, 35404)', async () => {
    const flags = [`--subnet-ids-filter=${SIBLING_SUBNET},${OTHER_ZONE_SUBNET}`]
    const of = await settled(4, { nodeCount: 6, flags })
    const hidden = [...of.nodes.values()].filter(({ facts }) => facts.subnetID === FIRST_SUBNET)
    expect(hidden.length).toBeGreaterThan(0)
    await of.advance(5 * MINUTE)
    // Two further interfaces carry 18 addresses; the first one lies in a subnet that the filter leaves out.
    for (const node of hidden) of.startPods(node, 6)
    await of.advance(2_000)
    await of.converge(5_000)
    await of.assertInvariants()
  })

  test('whose instance the listings show late is served as soon as they do', async () => {
    const of = await settled(2)
    await of.apply({ kind: 'staleReads', delayMs: 20_000, forMs: MINUTE })
    const late = of.join()!
    await of.advance(19_000)
    expect((await resource(of, late.facts.name)).pool).toEqual([])
    await of.converge(MINUTE)
    expect((await resource(of, late.facts.name)).pool.length).toBeGreaterThanOrEqual(8)
  })

  test('with an empty instance ID makes nobody list everything, and is told what is missing (15682)', async () => {
    const of = await settled(2)
    const before = of.calls('DescribeNetworkInterfaces')
    await write(of, 'POST', CILIUM_NODES_PATH, {
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNode',
      metadata: { name: 'nameless' },
      spec: { 'instance-id': '', ipam: {}, eni: { 'instance-type': 'm5.large' } },
    })
    await of.advance(3_000)
    expect(of.calls('DescribeNetworkInterfaces')).toBe(before)
    expect((await resource(of, 'nameless')).operatorError).not.toBe('')
    expect((await resource(of, 'nameless')).pool).toEqual([])
    await of.assertInvariants()
  })

  test('with a malformed resource is left alone, and the others are served', async () => {
    const of = await settled(2)
    const [bad, good] = [of.node(0)!, of.node(1)!]
    await write(of, 'PATCH', `${CILIUM_NODES_PATH}/${bad.facts.name}`, {
      spec: { ipam: { pool: { 'not-an-address': {} } } },
    })
    of.startPods(good, 8)
    await of.advance(2_000)
    expect((await resource(of, bad.facts.name)).operatorError).toContain('not-an-address')
    expect((await resource(of, good.facts.name)).pool.length).toBeGreaterThanOrEqual(18)
    await write(of, 'PATCH', `${CILIUM_NODES_PATH}/${bad.facts.name}`, {
      spec: { ipam: { pool: { 'not-an-address': null } } },
    })
    await of.advance(1_000)
    await of.converge(10_000)
    await of.assertInvariants()
  })

  test('whose machine is gone and whose resource stayed costs few calls (9533)', async () => {
    const of = await settled(2)
    const gone = of.node(0)!
    of.leave(gone, 'I', 0)
    await of.advance(5_000)
    const before = of.cloud.ec2.calls.report().attempts
    await of.advance(30 * MINUTE)
    const perMinute = (of.cloud.ec2.calls.report().attempts - before) / 30
    // A full sync a minute takes 5 calls; the read of the missing instance is one more.
    expect(perMinute).toBeLessThan(7.5)
    expect(of.calls('CreateNetworkInterface')).toBe(of.cloud.ec2.calls.counts('CreateNetworkInterface').ok)
  })

  test('without a Kubernetes node loses its resource in time', async () => {
    const of = await settled(2)
    await write(of, 'PATCH', `${CILIUM_NODES_PATH}/node-1`, { metadata: { ownerReferences: null } })
    of.leave(of.node(0)!, 'IN', 1_000)
    await of.advance(4 * MINUTE)
    expect(await of.resources()).toHaveLength(3)
    await of.advance(12 * MINUTE)
    expect((await of.resources()).map((one) => readResource(one).name)).not.toContain('node-1')
    expect(await of.resources()).toHaveLength(2)
  })

  test('that is refused every interface does not create without end (15877)', async () => {
    const of = await settled(4)
    of.ec2Faults.add(
      {
        action: 'AttachNetworkInterface',
        kind: 'error',
        code: 'AttachmentLimitExceeded',
        status: 400,
        message: 'Interface count exceeds the limit for m5.large',
      },
      {},
      Number.POSITIVE_INFINITY,
    )
    of.startPods(of.node(0)!, 12)
    await of.advance(60 * MINUTE)
    expect(of.calls('CreateNetworkInterface')).toBeLessThan(60)
    expect(of.cloud.looseOurs().length).toBeLessThanOrEqual(1)
    of.heal()
    await of.advance(1_000)
    await of.converge(6 * MINUTE)
  })
})

test('a ceiling holds when a controller begins with a status that its predecessor could not write', async () => {
  const of = await settled(1, { nodeCount: 2, specs: [{ 'max-allocate': 20 }], latency: USUAL_LATENCY })
  const node = of.node(0)!
  const writes = { action: 'patch ciliumnodes*', match: { userAgent: 'berth-controller', name: node.facts.name } }
  const refused = { ...writes, kind: 'error', code: 'InternalError', status: 500, message: 'etcd is down' }
  of.kubernetesFaults.add(refused, {}, Number.POSITIVE_INFINITY)
  of.startPods(node, 6)
  await of.advance(5_000)
  expect(interfacesOf(of, node)).toBe(2)
  of.kill()
  of.heal()
  of.startPods(node, 4)
  await of.advance(30_000)
  await of.converge(10_000)
  await of.assertInvariants()
})

describe('an attachment', () => {
  test.each(['AttachNetworkInterface lost', 'AttachNetworkInterface lost with 500'])(
    'whose answer is lost is found: %s',
    async (fault) => {
      const of = await settled(2)
      const node = of.node(0)!
      const before = of.calls('CreateNetworkInterface')
      await of.apply({ kind: 'ec2Fault', fault, probability: 1, count: 1, forMs: MINUTE })
      of.startPods(node, 12)
      await of.advance(2_000)
      await of.converge(30_000)
      expect(interfacesOf(of, node)).toBe(3)
      await of.advance(2 * MINUTE)
      expect(of.cloud.looseOurs()).toEqual([])
      expect(of.calls('CreateNetworkInterface') - before).toBe(1)
      await of.assertInvariants()
    },
  )

  test('wrongly refused as "not running" during an outage is tried again after it (11088)', async () => {
    const of = await settled(0)
    const node = of.node(0)!
    await of.apply({ kind: 'ec2Fault', fault: 'wrongly not running', probability: 1, count: 1e6, forMs: 10 * MINUTE })
    of.startPods(node, 14)
    await of.advance(10 * MINUTE)
    expect(node.agent.agent.waitingCount).toBeGreaterThan(0)
    expect(of.calls('CreateNetworkInterface')).toBeLessThan(30)
    // The pause of a stopped instance, or the backoff that the failures have built up.
    await of.converge(5 * MINUTE + 5_000)
    await of.assertInvariants()
  })
})

describe('a subnet', () => {
  test('that is nearly full is not crowded: the nodes go to its sibling', async () => {
    const of = await start({ nodeCount: 12, subnetBits: 24 })
    await of.advance(2_000)
    await of.converge(30_000)
    of.cloud.occupy(FIRST_SUBNET, { leaveFree: 20 }, Number.POSITIVE_INFINITY)
    await of.advance(MINUTE)
    const crowd = [...of.nodes.values()].filter(({ facts }) => facts.availabilityZone === 'us-east-1a')
    for (const node of crowd) of.startPods(node, 12)
    await of.advance(2_000)
    await of.converge(MINUTE)
    const { failed } = of.cloud.ec2.calls.counts('AssignPrivateIpAddresses')
    const { failed: failedCreations } = of.cloud.ec2.calls.counts('CreateNetworkInterface')
    expect(failed + failedCreations).toBeLessThanOrEqual(crowd.length)
    await of.assertInvariants()
  })

  test('that has no room serves its nodes again as soon as it has', async () => {
    const of = await settled(2, { nodeCount: 2, subnetBits: 24 })
    of.cloud.occupy(OTHER_ZONE_SUBNET, { leaveFree: 0 }, Number.POSITIVE_INFINITY)
    of.cloud.occupy(FIRST_SUBNET, { leaveFree: 0 }, Number.POSITIVE_INFINITY)
    of.cloud.occupy(SIBLING_SUBNET, { leaveFree: 0 }, Number.POSITIVE_INFINITY)
    const node = of.node(0)!
    of.startPods(node, 12)
    await of.advance(5 * MINUTE)
    expect((await resource(of, node.facts.name)).operatorError).toMatch(/subnet/i)
    const before = of.calls('AssignPrivateIpAddresses')
    await of.advance(5 * MINUTE)
    expect(of.calls('AssignPrivateIpAddresses') - before).toBeLessThan(10)
    of.heal()
    // The next full sync shows the room.
    await of.converge(70_000)
    expect((await resource(of, node.facts.name)).operatorError).toBe('')
  })
})

describe('room', () => {
  test('in a subnet that our own calls had filled is used after the next full sync', async () => {
    const of = await settled(2, { nodeCount: 1, subnetBits: 24 })
    await of.advance(30_000 - of.clock.now())
    for (const subnet of [FIRST_SUBNET, SIBLING_SUBNET])
      of.cloud.occupy(subnet, { leaveFree: 2 }, of.clock.now() + 10_000)
    of.startPods(of.node(0)!, 14)
    await of.advance(12_000)
    expect(await of.watch.unserved()).toHaveLength(1)
    // By itself the node would look again at 90 s; a full sync comes after 54 to 66 s.
    await of.converge(28_000)
  })
})

describe('a release', () => {
  test.each(['marked-for-release', 'ready-for-release', 'released'])(
    'goes on after a restart at %s, and takes no pod its address',
    async (state) => {
      const of = await settled(16, { releaseExcess: true })
      const node = of.node(0)!
      for (let gone = 0; gone < 30; gone++) await of.apply({ kind: 'podsGone', count: 1 })
      const isAt = (wanted: string) => async (): Promise<boolean> =>
        (await of.resources()).some((one) => [...readResource(one).releaseIPs.values()].includes(wanted))
      await until(of, 2 * MINUTE, 100, isAt('marked-for-release'))
      // The controller answers the agent within milliseconds.
      await until(of, 5_000, 1, isAt(state))
      of.kill()
      await of.advance(1_000)
      of.startPods(node, 6)
      await of.advance(3 * MINUTE)
      await of.converge(MINUTE)
      await of.assertInvariants()
      for (const one of await of.resources()) {
        const { pool, used, releaseIPs } = readResource(one)
        expect([...releaseIPs.values()].filter((status) => status !== 'do-not-release')).toEqual([])
        // What is left above the watermark is less than what would be given back again.
        expect(pool.length - used).toBeLessThanOrEqual(16)
      }
    },
  )

  test('that the agent of a multi-pool node takes back while the call waits does not happen', async () => {
    const of = await settled(16, { nodeCount: 2, releaseExcess: true, agentGeneration: 'multi-pool' })
    await of.apply({ kind: 'podsGone', count: 24 })
    await of.advance(12_000)
    // From now on a release waits for minutes.
    await of.apply({ kind: 'throttle', size: 1, refillPerSecond: 0.02, forMs: 5 * MINUTE })
    await of.advance(20_000)
    for (const node of of.nodes.values()) of.startPods(node, 12)
    for (let seconds = 0; seconds < 120; seconds += 5) {
      await of.advance(5_000)
      await of.assertInvariants()
    }
    of.heal()
    await of.converge(5 * MINUTE)
    await of.assertInvariants()
  })

  test('is written before the next one waits for its turn', async () => {
    const of = await settled(16, { nodeCount: 1, releaseExcess: true, agentGeneration: 'multi-pool' })
    await of.apply({ kind: 'podsGone', count: 14 })
    await of.advance(12_000)
    await of.apply({ kind: 'throttle', size: 1, refillPerSecond: 0.02, forMs: 5 * MINUTE })
    await of.advance(30_000)
    expect(of.cloud.ec2.calls.counts('UnassignPrivateIpAddresses')).toMatchObject({ ok: 1 })
    const attached = new Set(of.cloud.interfaces().flatMap(podAddresses))
    const { open } = await resource(of, 'node-1')
    expect(open.filter((address) => !attached.has(address))).toEqual([])
  })
})

describe('a stale read', () => {
  test('never closes an address that a pod uses', async () => {
    const of = await settled(2)
    await of.apply({ kind: 'staleReads', delayMs: 30_000, forMs: 5 * MINUTE })
    for (let round = 0; round < 6; round++) {
      of.startPods(of.node(round)!, 6)
      for (let second = 0; second < 30; second++) {
        await of.advance(1_000)
        for (const { facts, agent } of of.nodes.values()) {
          const { pool } = await resource(of, facts.name)
          const held = [...agent.agent.ipam.holdings()].map(({ address }) => address)
          expect(pool, `${facts.name} at ${of.clock.now() / 1000} s`).toEqual(expect.arrayContaining(held))
        }
      }
    }
    await of.assertInvariants()
  })

  test('and refused credentials never empty a status (11052)', async () => {
    const of = await settled(6)
    const before = new Map((await of.resources()).map((one) => [readResource(one).name, readResource(one).pool.length]))
    of.ec2Faults.add(
      { action: '*', kind: 'error', code: 'AuthFailure', status: 401, message: 'AWS was not able to validate' },
      {},
      Number.POSITIVE_INFINITY,
    )
    await of.advance(5 * MINUTE)
    of.kill()
    await of.advance(5 * MINUTE)
    for (const one of await of.resources()) {
      const { name, pool } = readResource(one)
      expect(pool.length).toBe(before.get(name))
    }
    await of.assertInvariants()
  })
})

describe('a fleet', () => {
  test('of 100 nodes that join at once shares its listings (25073, 33654)', async () => {
    const of = await settled(0, { nodeCount: 2, prefixDelegation: true, subnetBits: 20 })
    const read = of.calls('DescribeNetworkInterfaces')
    const types = of.calls('DescribeInstanceTypes')
    const assigned = of.calls('AssignPrivateIpAddresses')
    for (let index = 0; index < 100; index++) of.join()
    await of.advance(1_000)
    await of.converge(30_000)
    expect(of.calls('DescribeNetworkInterfaces') - read).toBeLessThanOrEqual(5)
    expect(of.calls('DescribeInstanceTypes') - types).toBe(0)
    expect(of.calls('AssignPrivateIpAddresses') - assigned).toBe(100)
    expect(of.cloud.ec2.calls.report().refused).toBe(0)
    await of.assertInvariants()
  })

  test('is not slowed down by one node whose calls all fail', async () => {
    const of = await settled(2, { nodeCount: 5 })
    await of.advance(10_000)
    await of.apply({
      kind: 'ec2Fault',
      fault: 'no connection',
      probability: 1,
      count: 1e6,
      forMs: 60 * MINUTE,
      node: 0,
    })
    of.startPods(of.node(0)!, 12)
    for (let round = 0; round < 12; round++) {
      await of.advance(10_000)
      for (const index of [1, 2, 3, 4]) of.startPods(of.node(index)!, 1)
      await of.assertInvariants()
    }
    await of.advance(2_000)
    for (const index of [1, 2, 3, 4]) expect(of.node(index)!.agent.agent.waitingCount).toBe(0)
    expect(of.node(0)!.agent.agent.waitingCount).toBeGreaterThan(0)
  })

  test('is not written to any more once a second writer is there', async () => {
    const of = await settled(4)
    of.watch.expectSecondWriter()
    const node = of.node(0)!
    const path = `${CILIUM_NODES_PATH}/${node.facts.name}`
    for (let round = 0; round < 3; round++) {
      await write(of, 'PATCH', path, { spec: { ipam: { pool: { [`192.0.2.${round}`]: { resource: 'eni-other' } } } } })
      await of.advance(2_000)
    }
    const said = of.log.filter(({ message }) => message.startsWith('Another controller writes'))
    expect(said).toHaveLength(1)
    const writes = (): number => of.kubernetes.calls.report().actions['patch ciliumnodes']?.attempts ?? 0
    const agentsWrite = (): number => of.kubernetes.calls.report().callers['cluster'] ?? 0
    const before = { writes: writes(), cloud: of.calls('AssignPrivateIpAddresses'), agents: agentsWrite() }
    of.startPods(of.node(1)!, 12)
    await of.advance(3 * MINUTE)
    expect(agentsWrite()).toBeGreaterThan(before.agents)
    expect(writes()).toBe(before.writes)
    expect(of.calls('AssignPrivateIpAddresses')).toBe(before.cloud)
    expect(of.processes[0]!.handle!.manager!.readiness().ok).toBe(false)
  })

  test('whose controller was killed goes on with the next one, without a call for what it has', async () => {
    const of = await settled(6, { nodeCount: 8 })
    const calls = of.calls('AssignPrivateIpAddresses') + of.calls('CreateNetworkInterface')
    of.kill()
    await of.advance(2 * MINUTE)
    expect(of.isServing).toBe(true)
    expect(of.calls('AssignPrivateIpAddresses') + of.calls('CreateNetworkInterface')).toBe(calls)
    for (const node of of.nodes.values()) of.startPods(node, 6)
    await of.advance(2_000)
    await of.converge(10_000)
    await of.assertInvariants()
  })
})
