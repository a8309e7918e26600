import { afterEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../../../simulators/kit/manual-clock.ts'
import { seededRandom } from '../../../../simulators/kit/random.ts'
import { CiliumAgent } from '../../../../simulators/kubernetes/cilium-agent/agent.ts'
import { APIClient } from '../../../../simulators/kubernetes/cilium-agent/api-client.ts'
import type { AgentIPAM } from '../../../../simulators/kubernetes/cilium-agent/ipam.ts'
import { MultiPoolIPAM } from '../../../../simulators/kubernetes/cilium-agent/multi-pool-ipam.ts'
import { CILIUM_NODES_PATH } from '../../../../simulators/kubernetes/cilium-agent/own-node.ts'
import { PoolIPAM } from '../../../../simulators/kubernetes/cilium-agent/pool-ipam.ts'
import { wireNode } from './builders.ts'
import { FakeAPIServer } from './fake-api-server.ts'

const OWN = `${CILIUM_NODES_PATH}/n1`
const running: CiliumAgent[] = []

afterEach(() => {
  for (const agent of running.splice(0)) agent.stop()
})

async function start(ipam?: AgentIPAM): Promise<{ server: FakeAPIServer; clock: ManualClock; agent: CiliumAgent }> {
  const server = new FakeAPIServer()
  server.put('/api/v1/nodes/n1', {})
  const clock = new ManualClock()
  const random = seededRandom(1)
  const agent = new CiliumAgent({
    facts: {
      name: 'n1',
      instanceID: 'i-1',
      instanceType: 'm5.large',
      vpcID: 'vpc-1',
      availabilityZone: 'az-1',
      subnetID: 'subnet-1',
      internalIP: '10.0.0.4',
    },
    client: new APIClient(server.router, 'agent'),
    ipam: ipam ?? new PoolIPAM(random),
    clock,
    random,
    updateIntervalMs: 15_000,
  })
  running.push(agent)
  void agent.run()
  await clock.advance(0)
  return { server, clock, agent }
}

/** What the operator would write: two addresses on one interface. */
function stock(server: FakeAPIServer, ...addresses: string[]): void {
  const { spec, status } = wireNode({ pool: Object.fromEntries(addresses.map((one) => [one, 'eni-1'])) }) as {
    spec: { ipam: { pool: Record<string, unknown> } }
    status: { eni: { enis: Record<string, unknown> } }
  }
  server.put(OWN, { spec: { ipam: { pool: spec.ipam.pool } }, status: { eni: { enis: status.eni.enis } } })
}

function patches(server: FakeAPIServer): unknown[] {
  return server.requests.filter(({ method }) => method === 'PATCH').map(({ body }) => JSON.parse(body) as unknown)
}

function used(server: FakeAPIServer): string[] {
  const status = server.objects.get(OWN)!['status'] as { ipam?: { used?: Record<string, unknown> } } | undefined
  return Object.keys(status?.ipam?.used ?? {}).sort()
}

describe('CiliumAgent', () => {
  test('registers its node with the owner reference to the Kubernetes node', async () => {
    const { server } = await start()
    expect(server.objects.get(OWN)).toMatchObject({
      metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'uid-n1' }] },
      spec: { 'instance-id': 'i-1', eni: { 'instance-type': 'm5.large', 'first-interface-index': 0 } },
    })
  })

  test('waits for its Kubernetes node to exist', async () => {
    const { server, clock, agent } = await start()
    expect(agent.resource?.uid).toBe('uid-n1')
    const late = new FakeAPIServer()
    const other = new CiliumAgent({
      facts: {
        name: 'n1',
        instanceID: '',
        instanceType: '',
        vpcID: '',
        availabilityZone: '',
        subnetID: '',
        internalIP: '',
      },
      client: new APIClient(late.router, 'agent'),
      ipam: new PoolIPAM(seededRandom(1)),
      clock,
      random: seededRandom(1),
    })
    running.push(other)
    void other.run()
    await clock.advance(0)
    expect(other.resource).toBeUndefined()
    expect(other.counters.failures).toBe(1)
    late.put('/api/v1/nodes/n1', {})
    await clock.advance(1000)
    expect(other.resource).toBeDefined()
    expect(server.objects.size).toBe(2)
  })

  test('a pod gets an address as soon as the resource has one, and it is reported', async () => {
    const { server, clock, agent } = await start()
    const given: string[] = []
    agent.request('default/a', ({ address }) => given.push(address))
    expect(agent.waitingCount).toBe(1)
    stock(server, '10.0.0.5')
    await clock.advance(0)
    expect(given).toEqual(['10.0.0.5'])
    expect(agent.waitingCount).toBe(0)
    expect(used(server)).toEqual(['10.0.0.5'])
  })

  test('pods are served in the order in which they asked', async () => {
    const { server, clock, agent } = await start()
    const served: string[] = []
    for (const owner of ['default/a', 'default/b', 'default/c']) agent.request(owner, (one) => served.push(one.owner))
    agent.release('default/b')
    stock(server, '10.0.0.5', '10.0.0.6')
    await clock.advance(0)
    expect(served).toEqual(['default/a', 'default/c'])
  })

  test('reports at once, then at most once per interval, folding what happened meanwhile', async () => {
    const { server, clock, agent } = await start()
    stock(server, '10.0.0.5', '10.0.0.6', '10.0.0.7')
    await clock.advance(0)
    const ignore = (): void => undefined
    agent.request('default/a', ignore)
    await clock.advance(0)
    expect(patches(server)).toHaveLength(1)
    agent.request('default/b', ignore)
    await clock.advance(7000)
    agent.request('default/c', ignore)
    await clock.advance(7999)
    expect(patches(server)).toHaveLength(1)
    await clock.advance(1)
    expect(patches(server)).toHaveLength(2)
    expect(used(server)).toHaveLength(3)
    await clock.advance(60_000)
    expect(patches(server)).toHaveLength(2)
  })

  test('a conflicting write loses nothing: the next slot writes on the newer version', async () => {
    const { server, clock, agent } = await start()
    stock(server, '10.0.0.5')
    await clock.advance(0)
    server.beforePatch = () => server.put(OWN, { spec: { note: 'faster' } })
    agent.request('default/a', () => undefined)
    await clock.advance(0)
    expect(agent.counters).toMatchObject({ writes: 0, conflicts: 1 })
    await clock.advance(15_000)
    expect(agent.counters).toMatchObject({ writes: 1, conflicts: 1, overwrites: 0 })
    expect(used(server)).toEqual(['10.0.0.5'])
    expect(server.objects.get(OWN)).toMatchObject({ spec: { note: 'faster' } })
  })

  test('answers the release handshake and keeps the address from pods until the entry is gone', async () => {
    const { server, clock, agent } = await start()
    stock(server, '10.0.0.5')
    server.put(OWN, { status: { ipam: { 'release-ips': { '10.0.0.5': 'marked-for-release' } } } })
    await clock.advance(0)
    expect(server.objects.get(OWN)).toMatchObject({
      status: { ipam: { 'release-ips': { '10.0.0.5': 'ready-for-release' } } },
    })
    agent.request('default/a', () => undefined)
    expect(agent.waitingCount).toBe(1)
    server.put(OWN, { status: { ipam: { 'release-ips': { '10.0.0.5': null } } } })
    await clock.advance(0)
    expect(agent.waitingCount).toBe(0)
  })

  test('an inconsistent version changes nothing and is counted', async () => {
    const { server, clock, agent } = await start()
    server.put(OWN, { spec: { ipam: { pool: { '10.0.0.5': { resource: 'eni-9' } } } } })
    await clock.advance(0)
    agent.request('default/a', () => undefined)
    expect(agent.waitingCount).toBe(1)
    expect(agent.counters.ignoredVersions).toBe(1)
  })

  test('notices that another writer has overwritten what it reported', async () => {
    const { server, clock, agent } = await start()
    stock(server, '10.0.0.5', '10.0.0.6')
    await clock.advance(0)
    agent.request('default/a', () => undefined)
    await clock.advance(0)
    server.put(OWN, { status: { operator: 'fine' } })
    await clock.advance(0)
    expect(agent.counters.overwrites).toBe(0)
    server.put(OWN, { status: { ipam: { used: { '10.0.0.5': null, '10.0.0.6': null } } } })
    await clock.advance(0)
    expect(agent.counters.overwrites).toBe(1)
  })

  test('a write whose answer is lost is not taken for somebody else', async () => {
    const { server, clock, agent } = await start()
    stock(server, '10.0.0.5', '10.0.0.6')
    await clock.advance(0)
    agent.request('default/a', () => undefined)
    await clock.advance(0)
    server.failures.push({ match: ({ method }) => method === 'PATCH', status: 500, reason: 'InternalError' })
    agent.request('default/b', () => undefined)
    await clock.advance(15_000)
    expect(agent.counters.failures).toBe(1)
    // The server had taken it all the same: its event comes now.
    server.put(OWN, {
      status: { ipam: { used: { '10.0.0.5': { owner: 'default/b' }, '10.0.0.6': { owner: 'default/a' } } } },
    })
    await clock.advance(20_000)
    expect(agent.counters.overwrites).toBe(0)
  })

  test('follows on after the server has ended the watch', async () => {
    const { server, clock, agent } = await start()
    server.endWatches()
    await clock.advance(2000)
    stock(server, '10.0.0.5')
    await clock.advance(0)
    expect(agent.resource?.pool?.size).toBe(1)
  })

  test('lists anew when its version is too old for a watch', async () => {
    const { server, clock, agent } = await start()
    server.failures.push({ match: ({ query }) => query.has('watch'), status: 410, reason: 'Expired' })
    server.endWatches()
    await clock.advance(1000)
    stock(server, '10.0.0.5')
    await clock.advance(2000)
    expect(agent.resource?.pool?.size).toBe(1)
  })

  test('hands out nothing and writes nothing while its resource is gone', async () => {
    const { server, clock, agent } = await start()
    stock(server, '10.0.0.5', '10.0.0.6')
    await clock.advance(0)
    server.remove(OWN)
    await clock.advance(0)
    agent.request('default/a', () => undefined)
    await clock.advance(20_000)
    expect(agent.waitingCount).toBe(1)
    expect(patches(server)).toHaveLength(0)
  })

  test('a multi-pool agent writes its demand to the spec, not to the status', async () => {
    const { server } = await start(new MultiPoolIPAM(8))
    const [patch] = server.requests.filter(({ method }) => method === 'PATCH')
    expect(patch?.path).toBe(OWN)
    expect(server.objects.get(OWN)).toMatchObject({
      spec: { ipam: { pools: { requested: [{ pool: 'default', needed: { 'ipv4-addrs': 8 } }] } } },
    })
  })

  test('stops: no further request', async () => {
    const { server, clock, agent } = await start()
    agent.stop()
    const count = server.requests.length
    stock(server, '10.0.0.5')
    agent.request('default/a', () => undefined)
    await clock.advance(60_000)
    expect(server.requests).toHaveLength(count)
  })
})
