import { afterEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../../../simulators/kit/manual-clock.ts'
import { seededRandom } from '../../../../simulators/kit/random.ts'
import {
  APIClient,
  CILIUM_NODES_PATH,
  CiliumAgent,
  MultiPoolIPAM,
  NODES_PATH,
  PodScheduler,
  PoolIPAM,
  createKubernetesSimulator,
  nodeManifest,
} from '../../../../simulators/kubernetes/index.ts'
import type { JSONObject, KubernetesSimulator } from '../../../../simulators/kubernetes/index.ts'

/** The agents and the scheduler against the API simulator in process: real validation, real watches, real conflicts. */

const signal = new AbortController().signal
const facts = {
  name: 'n1',
  instanceID: 'i-1',
  instanceType: 'm5.large',
  vpcID: 'vpc-1',
  availabilityZone: 'us-east-1a',
  subnetID: 'subnet-1',
  internalIP: '10.0.0.4',
}
const opened: { agent: CiliumAgent; simulator: KubernetesSimulator; scheduler: PodScheduler }[] = []

afterEach(() => {
  for (const { agent, simulator, scheduler } of opened.splice(0)) {
    agent.stop()
    scheduler.stop()
    simulator.close()
  }
})

async function setUp(generation: 'pool' | 'multi-pool') {
  const clock = new ManualClock()
  const simulator = createKubernetesSimulator({ clock })
  const client = new APIClient(simulator.router, 'test')
  const random = seededRandom(1)
  const ipam = generation === 'pool' ? new PoolIPAM(random) : new MultiPoolIPAM()
  const agent = new CiliumAgent({ facts, client, ipam, clock, random, updateIntervalMs: 1000 })
  const scheduler = new PodScheduler({ client, clock, random, podsPerSecond: 0 })
  opened.push({ agent, simulator, scheduler })
  await client.request('POST', NODES_PATH, { body: nodeManifest(facts, 29) }, signal)
  void agent.run()
  scheduler.addNode({ name: 'n1', agent, maxPods: 29 })
  await clock.advance(0)
  const path = `${CILIUM_NODES_PATH}/n1`
  const read = (): Promise<JSONObject> => client.request('GET', path, {}, signal)
  const patch = async (body: JSONObject, subresource = ''): Promise<void> => {
    const contentType = 'application/merge-patch+json'
    await client.request('PATCH', `${path}${subresource}`, { body, contentType }, signal)
    await clock.advance(0)
  }
  return { clock, simulator, client, agent, scheduler, read, patch }
}

const ENI = { id: 'eni-1', ip: '10.0.0.4', addresses: ['10.0.0.5', '10.0.0.6'] }

describe('on the API simulator', () => {
  test('a pod of the pool generation gets an address and runs with it', async () => {
    const { clock, client, scheduler, read, patch } = await setUp('pool')
    await scheduler.startPods('n1', 1)
    await patch({ status: { eni: { enis: { 'eni-1': ENI } } } }, '/status')
    await patch({ spec: { ipam: { pool: { '10.0.0.5': { resource: 'eni-1' } } } } })
    await clock.advance(1000)
    expect(await read()).toMatchObject({
      status: { ipam: { used: { '10.0.0.5': { owner: 'default/pod-1', resource: 'eni-1' } } } },
    })
    const pod = await client.request('GET', '/api/v1/namespaces/default/pods/pod-1', {}, signal)
    expect(pod).toMatchObject({ spec: { nodeName: 'n1' }, status: { phase: 'Running', podIP: '10.0.0.5' } })
    expect(await scheduler.stopPod()).toBe(true)
    await clock.advance(2000)
    expect(await read()).not.toHaveProperty(['status', 'ipam', 'used', '10.0.0.5'])
    await expect(client.request('GET', '/api/v1/namespaces/default/pods/pod-1', {}, signal)).rejects.toMatchObject({
      status: 404,
    })
  })

  test('a multi-pool agent takes a prefix over and writes its demand', async () => {
    const { clock, scheduler, read, patch } = await setUp('multi-pool')
    const eni = { ...ENI, addresses: [], prefixes: ['10.0.0.16/28'] }
    await patch({ status: { eni: { enis: { 'eni-1': eni } } } }, '/status')
    await scheduler.startPods('n1', 3)
    await clock.advance(2000)
    expect(await read()).toMatchObject({
      spec: {
        ipam: {
          pools: {
            requested: [{ pool: 'default', needed: { 'ipv4-addrs': 16 } }],
            allocated: [{ pool: 'default', cidrs: ['10.0.0.16/28'] }],
          },
        },
      },
    })
    expect(scheduler.report()).toMatchObject({ pods: 3, waiting: 0 })
  })

  test.each(['cut', 'clean', 'expired'] as const)('an agent survives a watch that ends: %s', async (how) => {
    const { clock, simulator, agent, patch } = await setUp('pool')
    expect(simulator.dropWatches('ciliumnodes', how)).toBe(1)
    await clock.advance(5000)
    await patch({ status: { eni: { enis: { 'eni-1': ENI } } } }, '/status')
    await patch({ spec: { ipam: { pool: { '10.0.0.5': { resource: 'eni-1' } } } } })
    expect(agent.resource?.pool?.size).toBe(1)
  })
})
