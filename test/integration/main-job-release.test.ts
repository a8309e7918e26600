import { afterEach, describe, expect, test } from 'vitest'
import { CILIUM_NODES_PATH } from '../../simulators/kubernetes/index.ts'
import { podAddresses } from '../../src/fleet/world-view.ts'
import { readResource } from '../support/fleet-resource.ts'
import { closeFleet, MINUTE, resource, settled, until, write } from '../support/fleet-scenario.ts'

/**
 * What went wrong in the field with systems like this one, played on the whole (see main-job.test.ts), as far as
 * addresses are given back, or seen wrongly: the composed controller with the real SDK against the
 * simulated EC2 and API server, in virtual time. The numbers are issues and pull requests of cilium/cilium.
 */

afterEach(closeFleet)

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
