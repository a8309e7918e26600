import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseFaults } from '../../simulators/kit/faults.ts'
import type { JSONObject } from '../../simulators/kubernetes/index.ts'
import { until } from '../unit/cli/controller-world.ts'
import { AgentWorld } from './agent-harness.ts'

/** The agent makes the resource of its own node, as Cilium's does. */

let world: AgentWorld
beforeEach(() => {
  world = new AgentWorld()
})
afterEach(() => world.close())

const OWN = '/apis/cilium.io/v2/ciliumnodes/node-a'

const kubernetesNode = (spec: JSONObject = {}): JSONObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'node-a', labels: { 'topology.kubernetes.io/zone': 'one' } },
  spec,
  status: {
    addresses: [
      { type: 'InternalIP', address: '10.0.0.1' },
      { type: 'Hostname', address: 'node-a' },
    ],
  },
})

const METADATA: Readonly<Record<string, string>> = {
  '/meta-data/mac': '02:00:00:00:00:01/',
  '/meta-data/instance-id': 'i-1',
  '/meta-data/instance-type': 'm5.large',
  '/meta-data/placement/availability-zone': 'eu-central-1a',
  '/meta-data/network/interfaces/macs/02:00:00:00:00:01/vpc-id': 'vpc-1',
  '/meta-data/network/interfaces/macs/02:00:00:00:00:01/subnet-id': 'subnet-1',
}

const readMetadata = (path: string): Promise<string> => {
  const value = METADATA[path]
  return value === undefined ? Promise.reject(new Error(`there is no ${path}`)) : Promise.resolve(value)
}

describe('an agent whose node has no resource', () => {
  test('creates it in mode eni, with machine, owner and labels', async () => {
    world.kubernetes.load([kubernetesNode()])
    world.readMetadata = readMetadata
    await world.start('--ipam', 'eni')
    await until(async () => (await world.request('GET', OWN))['kind'] === 'CiliumNode')
    expect(await world.request('GET', OWN)).toMatchObject({
      metadata: {
        labels: { 'topology.kubernetes.io/zone': 'one' },
        ownerReferences: [{ kind: 'Node', name: 'node-a', uid: expect.stringMatching(/./) as string }],
      },
      spec: {
        'instance-id': 'i-1',
        addresses: [{ type: 'InternalIP', ip: '10.0.0.1' }],
        eni: { 'instance-type': 'm5.large', 'vpc-id': 'vpc-1', 'node-subnet-id': 'subnet-1' },
      },
    })
  })

  test('creates it in mode azure, out of the provider ID', async () => {
    world.kubernetes.load([kubernetesNode({ providerID: 'azure:///subscriptions/S/resourceGroups/G/vm-1' })])
    await world.start('--ipam', 'azure')
    await until(async () => (await world.request('GET', OWN))['kind'] === 'CiliumNode')
    expect((await world.request('GET', OWN))['spec']).toMatchObject({
      'instance-id': '/subscriptions/s/resourcegroups/g/vm-1',
    })
  })

  test('does not create it without the ID of its machine', async () => {
    world.kubernetes.load([kubernetesNode()])
    await world.start('--ipam', 'azure')
    await until(() => world.logged.includes('Unable to create or update the own CiliumNode'))
    expect(world.kubernetes.counts()['ciliumnodes.cilium.io'] ?? 0).toBe(0)
  })

  test.each(['multi-pool', 'cluster-pool'])('creates it in mode %s', async (mode) => {
    world.kubernetes.load([kubernetesNode()])
    await world.start('--ipam', mode)
    await until(async () => (await world.request('GET', OWN))['kind'] === 'CiliumNode')
  })

  test('tries again while the Kubernetes node is not there, and does not wait for it once somebody else has made the resource', async () => {
    const agent = await world.start('--ipam', 'multi-pool')
    await until(() => world.logged.includes('Unable to create or update the own CiliumNode'))
    world.kubernetes.load([
      {
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumNode',
        metadata: { name: 'node-a' },
        spec: { ipam: { pools: { allocated: [{ pool: 'default', cidrs: ['10.1.0.0/28'] }] } } },
      },
    ])
    await agent.opened
    world.kubernetes.load([kubernetesNode()])
    await until(async () => JSON.stringify(await world.request('GET', OWN)).includes('ownerReferences'))
    expect((await world.request('GET', OWN))['spec']).toMatchObject({ addresses: [{ ip: '10.0.0.1' }] })
  })

  test('is not stopped by a lost answer: the resource is there once', async () => {
    world.kubernetes.load([kubernetesNode()])
    const lost = { action: 'create ciliumnodes', kind: 'drop', where: 'after-effect', count: 1 }
    world.kubernetes.faults.set(parseFaults({ rules: [lost] }))
    await world.start('--ipam', 'multi-pool')
    await until(async () => (await world.request('GET', OWN))['kind'] === 'CiliumNode')
    expect(world.kubernetes.counts()['ciliumnodes.cilium.io']).toBe(1)
  })

  test('leaves it to others where it is told so', async () => {
    world.kubernetes.load([kubernetesNode()])
    await world.start('--ipam', 'multi-pool', '--auto-create-cilium-node-resource', 'false')
    await until(() => world.logged.includes('Waiting for the own CiliumNode: nobody has created it yet'))
    expect(world.kubernetes.counts()['ciliumnodes.cilium.io'] ?? 0).toBe(0)
  })
})
