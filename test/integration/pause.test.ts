import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { CILIUM_NODES_PATH } from '../../simulators/kubernetes/index.ts'
import { ConfigReloader, WATCH_INTERVAL_MS } from '../../src/cli/config-reloader.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Fleet } from '../support/fleet.ts'
import { closeFleet, MINUTE, resource, settled, until, write } from '../support/fleet-scenario.ts'
import { ManualClock } from '../support/manual-clock.ts'

/** A pause of everything destructive, by the simulator's own count, in virtual time. */

afterEach(closeFleet)

const PAUSED = { metadata: { annotations: { 'ipam.berth.io/pause-destructive': 'true' } } }
const RESUMED = { metadata: { annotations: { 'ipam.berth.io/pause-destructive': null } } }

const destructiveCalls = (of: Fleet): number =>
  of.calls('UnassignPrivateIpAddresses') + of.calls('DeleteNetworkInterface') + of.calls('DetachNetworkInterface')

function reconfigure(of: Fleet, pauseDestructive: boolean): void {
  for (const { handle } of of.processes) handle?.reconfigure({ pauseDestructive, logLevel: 'info', budgetTable: {} })
}

const releasing = (of: Fleet, name: string, state: string) => async (): Promise<boolean> =>
  [...(await resource(of, name)).releaseIPs.values()].includes(state)

describe.each(['pool', 'multi-pool'] as const)('with %s agents', (agentGeneration) => {
  test('nothing of an annotated node is given back, while everything else goes on', async () => {
    const of = await settled(16, { nodeCount: 2, releaseExcess: true, agentGeneration })
    await write(of, 'PATCH', `${CILIUM_NODES_PATH}/node-1`, PAUSED)
    await of.apply({ kind: 'podsGone', count: 30 })
    await of.advance(5 * MINUTE)
    const attached = new Map(of.cloud.interfaces().map(({ id, instanceID }) => [id, instanceID]))
    const paused = of.node(0)!.facts.instanceID
    const released = of.audit.filter((entry) => entry.event === 'call')
    // The other one has given back what it had too many.
    expect(released.map(({ node }) => node)).toContain('node-2')
    expect(released.filter(({ instanceID }) => instanceID === paused)).toEqual([])
    expect(released.filter(({ interfaceID = '' }) => attached.get(interfaceID) === paused)).toEqual([])
    // It still gets what it needs.
    const before = (await resource(of, 'node-1')).open.length
    of.startPods(of.node(0)!, 18)
    await of.advance(2_000)
    await of.converge(MINUTE)
    expect((await resource(of, 'node-1')).open.length).toBeGreaterThanOrEqual(before)
    await of.assertInvariants()
    // And gives back once it may.
    await of.apply({ kind: 'podsGone', count: 30 })
    await write(of, 'PATCH', `${CILIUM_NODES_PATH}/node-1`, RESUMED)
    await of.advance(5 * MINUTE)
    expect(of.audit.some((entry) => entry.event === 'call' && entry.node === 'node-1')).toBe(true)
    await of.assertInvariants()
  })

  test('the cluster-wide switch stops everything, without a restart, and lets it go on', async () => {
    const of = await settled(16, { nodeCount: 3, releaseExcess: true, agentGeneration })
    const before = destructiveCalls(of)
    reconfigure(of, true)
    await of.apply({ kind: 'podsGone', count: 40 })
    of.join()
    await of.advance(10 * MINUTE)
    await of.converge(MINUTE)
    expect(destructiveCalls(of)).toBe(before)
    await of.assertInvariants()
    reconfigure(of, false)
    await of.advance(5 * MINUTE)
    expect(destructiveCalls(of)).toBeGreaterThan(before)
    await of.assertInvariants()
  })

  test('a release that waits for its turn is withdrawn by the switch', async () => {
    const of = await settled(16, { nodeCount: 2, releaseExcess: true, agentGeneration })
    await of.apply({ kind: 'podsGone', count: 26 })
    await of.advance(12_000)
    await of.apply({ kind: 'throttle', size: 1, refillPerSecond: 0.02, forMs: 5 * MINUTE })
    await of.advance(20_000)
    const before = destructiveCalls(of)
    reconfigure(of, true)
    await of.advance(10 * MINUTE)
    expect(destructiveCalls(of)).toBe(before)
    of.heal()
    await of.converge(5 * MINUTE)
    await of.assertInvariants()
  })
})

test('addresses that an agent has given up come back to its pods when its node is paused', async () => {
  const of = await settled(16, { nodeCount: 1, releaseExcess: true })
  await of.apply({ kind: 'podsGone', count: 14 })
  // The controller answers within milliseconds: its answer is held up.
  await until(of, 2 * MINUTE, 50, releasing(of, 'node-1', 'marked-for-release'))
  await write(of, 'PATCH', `${CILIUM_NODES_PATH}/node-1`, PAUSED)
  const before = destructiveCalls(of)
  await of.advance(3 * MINUTE)
  expect([...(await resource(of, 'node-1')).releaseIPs.values()]).not.toContain('ready-for-release')
  expect(destructiveCalls(of)).toBe(before)
  of.startPods(of.node(0)!, 14)
  await of.advance(MINUTE)
  await of.converge(MINUTE)
  await of.assertInvariants()
})

describe('a leftover interface', () => {
  test('and a CiliumNode without a node stay while everything is paused', async () => {
    const flags = ['--eni-gc-interval=60s', '--nodes-gc-interval=60s', '--cluster-name=test', '--pause-destructive']
    const of = await settled(4, { nodeCount: 2, flags })
    const slow = { action: 'CreateNetworkInterface', where: 'after-effect', kind: 'latency', latencyMs: 30_000 }
    of.ec2Faults.add(slow, {}, of.clock.now() + 10_000)
    for (const node of of.nodes.values()) of.startPods(node, 14)
    await of.advance(3_000)
    of.kill()
    const orphan = { apiVersion: 'cilium.io/v2', kind: 'CiliumNode', metadata: { name: 'gone' }, spec: {} }
    await write(of, 'POST', CILIUM_NODES_PATH, orphan)
    await of.advance(20 * MINUTE)
    expect(destructiveCalls(of)).toBe(0)
    expect((await resource(of, 'gone')).name).toBe('gone')
    const loose = of.cloud.looseOurs().length
    expect(loose).toBeGreaterThan(0)
    reconfigure(of, false)
    await of.advance(6 * MINUTE)
    expect(of.cloud.looseOurs()).toEqual([])
    await expect(resource(of, 'gone')).rejects.toThrow('no CiliumNode')
  })
})

test('the switch is read from its file while the controller runs, and a mistake in it changes nothing', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'berth-config-'))
  const put = (name: string, value: string): void => writeFileSync(join(directory, name), value)
  put('cluster-name', 'test')
  const load = (): ReturnType<typeof loadConfig> => loadConfig(['--config-dir', directory], {})
  const clock = new ManualClock()
  const applied: object[] = []
  const said: string[] = []
  const say = (fields: object, message: string): void => void said.push(`${message} ${JSON.stringify(fields)}`)
  const log = { debug: say, info: say, warn: say, error: say }
  const reloader = new ConfigReloader({ started: load(), load, apply: (config) => applied.push(config), clock, log })
  const stop = new AbortController()
  const over = reloader.run(stop.signal)
  await clock.advance(2 * WATCH_INTERVAL_MS)
  expect(applied).toEqual([])
  put('pause-destructive', 'true')
  put('log-level', 'debug')
  await clock.advance(WATCH_INTERVAL_MS)
  expect(applied).toEqual([{ pauseDestructive: true, logLevel: 'debug', budgetTable: {} }])
  put('pause-destructive', 'maybe')
  await clock.advance(WATCH_INTERVAL_MS)
  expect(applied).toHaveLength(1)
  expect(said.at(-1)).toMatch(/options are wrong.*pause-destructive.*maybe/)
  put('pause-destructive', 'false')
  put('cluster-name', 'other')
  await clock.advance(WATCH_INTERVAL_MS)
  expect(applied.at(-1)).toMatchObject({ pauseDestructive: false })
  expect(said.at(-1)).toContain('take effect with the next start {"faults":["clusterName"]}')
  await clock.advance(5 * WATCH_INTERVAL_MS)
  expect(applied).toHaveLength(2)
  stop.abort(new Error('done'))
  await over
})
