import { afterEach, describe, expect, test } from 'vitest'
import { USUAL_LATENCY } from '../../simulators/aws/index.ts'
import { CILIUM_NODES_PATH } from '../../simulators/kubernetes/index.ts'
import { readResource } from '../support/fleet-resource.ts'
import {
  closeFleet,
  FIRST_SUBNET,
  interfacesOf,
  MINUTE,
  OTHER_ZONE_SUBNET,
  resource,
  settled,
  SIBLING_SUBNET,
  start,
  write,
} from '../support/fleet-scenario.ts'

/**
 * What went wrong in the field with systems like this one, played on the whole: the composed controller with the real SDK against the
 * simulated EC2 and API server, in virtual time. The numbers are issues and pull requests of cilium/cilium.
 */

afterEach(closeFleet)

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
    // Asked for again and again by its ID: no full sync is due before.
    await of.converge(22_000)
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

describe('an assignment', () => {
  test.each(['AssignPrivateIpAddresses lost', 'AssignPrivateIpAddresses lost with 500', 'answers cut'])(
    'whose answer is lost is found, and is not made up for by an interface: %s',
    async (fault) => {
      const of = await settled(0)
      const node = of.node(0)!
      const created = of.calls('CreateNetworkInterface')
      await of.apply({ kind: 'ec2Fault', fault, probability: 1, count: 1, forMs: MINUTE })
      of.startPods(node, 1)
      await of.advance(2_000)
      await of.converge(10_000)
      expect(of.calls('CreateNetworkInterface')).toBe(created)
      expect((await resource(of, node.facts.name)).pool).toHaveLength(9)
      await of.assertInvariants()
    },
  )
})

describe('a creation', () => {
  test.each(['CreateNetworkInterface lost', 'CreateNetworkInterface lost with 500'])(
    'whose answer is lost is not made twice: %s',
    async (fault) => {
      const of = await settled(2)
      const node = of.node(0)!
      const before = interfacesOf(of, node)
      await of.apply({ kind: 'ec2Fault', fault, probability: 1, count: 1, forMs: MINUTE })
      of.startPods(node, 12)
      await of.advance(2_000)
      await of.converge(30_000)
      expect(interfacesOf(of, node)).toBe(before + 1)
      expect(of.cloud.looseOurs()).toEqual([])
    },
  )
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
