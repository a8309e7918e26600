import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { Server } from '../../simulators/kit/http.ts'
import { createKubernetesSimulator } from '../../simulators/kubernetes/index.ts'
import type { JSONObject, KubernetesSimulator } from '../../simulators/kubernetes/index.ts'
import type { CiliumNode } from '../../src/ipam/cilium-node.ts'
import { CiliumNodeAPI } from '../../src/kubernetes/cilium-node-api.ts'
import { watchCiliumNodes } from '../../src/kubernetes/cilium-nodes.ts'
import { KubernetesClient } from '../../src/kubernetes/client.ts'
import { findClusterAccess } from '../../src/kubernetes/cluster-access.ts'
import { httpsTransport } from '../../src/kubernetes/https-transport.ts'
import type { Informer } from '../../src/kubernetes/informer.ts'
import { becomeLeader } from '../../src/kubernetes/leader-election.ts'
import { LeaseAPI } from '../../src/kubernetes/lease.ts'
import { NodeNames } from '../../src/kubernetes/node-names.ts'
import { PendingPods } from '../../src/kubernetes/pending-pods.ts'
import { RateLimiter } from '../../src/kubernetes/rate-limiter.ts'
import type { KubernetesTransport } from '../../src/kubernetes/transport.ts'
import { inProcessTransport } from '../../src/kubernetes/transport.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'

/** Our client against the simulated API server: without a socket on a manual clock, and over HTTP with a kubeconfig. */

const quiet = (): void => undefined
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet }
const random = { next: () => 0.5 }

interface World {
  readonly simulator: KubernetesSimulator
  readonly client: KubernetesClient
  readonly clock: Clock
  readonly stop: AbortController
  /** Waits until the condition holds; on a manual clock, time passes meanwhile. */
  until(condition: () => boolean): Promise<void>
}

const cleanUps: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

function world(
  simulator: KubernetesSimulator,
  transport: KubernetesTransport,
  clock: Clock,
  pass: () => Promise<void>,
): World {
  const stop = new AbortController()
  cleanUps.push(async () => {
    stop.abort(new Error('the test is over'))
    transport.close()
    simulator.close()
    await settle()
  })
  const client = new KubernetesClient({
    transport,
    clock,
    random,
    limiter: new RateLimiter({ clock, qps: 1_000, burst: 1_000 }),
  })
  return {
    simulator,
    client,
    clock,
    stop,
    async until(condition) {
      for (let turn = 0; turn < 400; turn++) {
        if (condition()) return
        await pass()
      }
      throw new Error(`not reached: ${condition.toString()}`)
    },
  }
}

function inProcess(): World {
  const clock = new ManualClock()
  const simulator = createKubernetesSimulator({ clock })
  return world(simulator, inProcessTransport(simulator.router), clock, () => clock.advance(100))
}

async function overHTTP(): Promise<World> {
  const simulator = createKubernetesSimulator({ tokens: ['right'] })
  const server: Server = await simulator.listen({ host: '127.0.0.1', port: 0 })
  const folder = mkdtempSync(join(tmpdir(), 'berth-'))
  cleanUps.push(async () => {
    await server.close()
    rmSync(folder, { recursive: true })
  })
  const kubeconfigPath = join(folder, 'kubeconfig')
  writeFileSync(kubeconfigPath, simulator.kubeconfig(server.url))
  const clock = systemClock()
  const access = await findClusterAccess({ kubeconfigPath, apiServer: '', environment: {} })
  const pause = (): Promise<void> => clock.sleep(10, new AbortController().signal)
  return world(simulator, httpsTransport(access, clock), clock, pause)
}

function ciliumNode(name: string, spec: JSONObject = {}): JSONObject {
  return {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNode',
    metadata: { name },
    spec: { 'instance-id': `i-${name}`, ...spec },
  }
}

interface Watched {
  readonly informer: Informer
  readonly nodes: Map<string, CiliumNode>
  readonly deleted: string[]
  readonly malformed: string[]
  readonly upserts: () => number
}

function watch({ client, clock, stop }: World): Watched {
  const nodes = new Map<string, CiliumNode>()
  const deleted: string[] = []
  const malformed: string[] = []
  let upserts = 0
  const informer = watchCiliumNodes({
    client,
    clock,
    random,
    log,
    signal: stop.signal,
    handlers: {
      onUpsert(node) {
        upserts += 1
        nodes.set(node.name, node)
      },
      onDelete({ name, instanceID }) {
        nodes.delete(name)
        deleted.push(`${name}/${instanceID}`)
      },
      onListed: quiet,
      onMalformed: ({ name }) => malformed.push(name),
    },
  })
  return { informer, nodes, deleted, malformed, upserts: () => upserts }
}

const { signal } = new AbortController()

describe.each([
  ['in process', () => Promise.resolve(inProcess())],
  ['over HTTP', overHTTP],
])('%s', (_, open) => {
  test('250 CiliumNodes are listed in pages of 100 and then watched', async () => {
    const at = await open()
    at.simulator.load(Array.from({ length: 250 }, (_unused, index) => ciliumNode(`n-${index}`)))
    const seen = watch(at)
    await at.until(() => seen.informer.isListed)
    expect(seen.nodes.size).toBe(250)
    expect(at.simulator.calls.report().actions['list ciliumnodes']?.attempts).toBe(3)
    at.simulator.load([ciliumNode('late')])
    await at.until(() => seen.nodes.has('late'))
    expect(seen.upserts()).toBe(251)
  })

  test('a change, a deletion and a malformed resource arrive', async () => {
    const at = await open()
    at.simulator.load([ciliumNode('a'), ciliumNode('b')])
    const seen = watch(at)
    await at.until(() => seen.informer.isListed)
    const api = new CiliumNodeAPI(at.client)
    const b = seen.nodes.get('b')!
    expect(
      await api.update(b, { pool: new Map([['10.0.0.5', { resource: 'eni-1' }]]), preAllocate: 8 }, signal),
    ).toMatchObject({ kind: 'ok' })
    await at.until(() => seen.nodes.get('b')?.spec.ipam.pool?.has('10.0.0.5') === true)
    expect(seen.nodes.get('b')?.spec.ipam.preAllocate).toBe(8)
    const a = seen.nodes.get('a')!
    expect(await api.delete(a.name, a.uid, a.resourceVersion, signal)).toMatchObject({ kind: 'ok' })
    await at.until(() => seen.deleted.includes('a/i-a'))
    at.simulator.load([ciliumNode('bad', { ipam: { pool: { 'not-an-address': {} } } })])
    await at.until(() => seen.malformed.includes('bad'))
  })

  test.each(['clean', 'cut', 'expired'] as const)('nothing is missed or repeated when watches end: %s', async (how) => {
    const at = await open()
    at.simulator.load([ciliumNode('a'), ciliumNode('b')])
    const seen = watch(at)
    await at.until(() => seen.informer.isListed)
    await at.until(() => at.simulator.dropWatches('ciliumnodes', how) > 0)
    at.simulator.load([ciliumNode('c')])
    await at.until(() => seen.nodes.has('c'))
    expect(seen.upserts()).toBe(3)
  })
})

describe('writes', () => {
  async function withNode(spec?: JSONObject): Promise<{ at: World; api: CiliumNodeAPI; node: CiliumNode }> {
    const at = inProcess()
    at.simulator.load([ciliumNode('a', spec)])
    const api = new CiliumNodeAPI(at.client)
    const node = await api.get('a', signal)
    return { at, api, node: node! }
  }

  const enis = (...ids: string[]): JSONObject => ({
    enis: Object.fromEntries(ids.map((id) => [id, { id, tags: { name: id } }])),
  })

  test('a status is written, changed and emptied again through its subresource', async () => {
    const { api, node } = await withNode()
    const wanted = { releaseIPs: new Map(), operatorError: '' }
    const first = await api.updateStatus(
      node,
      { ...wanted, provider: { section: 'eni', value: enis('eni-1', 'eni-2') }, operatorError: 'subnet full' },
      signal,
    )
    if (first.kind !== 'ok') throw new Error(first.kind)
    expect(first.node.status).toMatchObject({ eni: enis('eni-1', 'eni-2'), operatorError: 'subnet full' })
    const second = await api.updateStatus(
      first.node,
      { ...wanted, provider: { section: 'eni', value: enis('eni-2') } },
      signal,
    )
    if (second.kind !== 'ok') throw new Error(second.kind)
    expect(second.node.status).toMatchObject({ eni: enis('eni-2'), operatorError: '' })
    expect(
      await api.updateStatus(second.node, { ...wanted, provider: { section: 'eni', value: enis('eni-2') } }, signal),
    ).toEqual({ kind: 'noop' })
  })

  test('the fields of others survive', async () => {
    const encryption = { key: 3 }
    const { at, api, node } = await withNode({ encryption, ipam: { podCIDRs: ['10.1.0.0/24'] } })
    await api.update(node, { pool: new Map([['10.0.0.5', {}]]) }, signal)
    const after = await at.client.get('/apis/cilium.io/v2/ciliumnodes/a', { signal })
    expect(after['spec']).toMatchObject({ encryption, ipam: { podCIDRs: ['10.1.0.0/24'], pool: { '10.0.0.5': {} } } })
  })

  test('an old version is a conflict, a vanished node is not found', async () => {
    const { at, api, node } = await withNode()
    await api.update(node, { pool: new Map([['10.0.0.5', {}]]) }, signal)
    expect(await api.update(node, { pool: new Map([['10.0.0.6', {}]]) }, signal)).toEqual({ kind: 'conflict' })
    expect(await api.delete('a', node.uid, node.resourceVersion, signal)).toEqual({ kind: 'conflict' })
    const now = (await api.get('a', signal))!
    expect(now.spec.ipam.pool?.has('10.0.0.6')).toBe(false)
    await api.delete('a', now.uid, now.resourceVersion, signal)
    expect(await api.update(now, { pool: new Map([['10.0.0.7', {}]]) }, signal)).toEqual({ kind: 'notFound' })
    expect(await api.get('a', signal)).toBeUndefined()
    expect(at.simulator.counts()['ciliumnodes.cilium.io'] ?? 0).toBe(0)
  })

  test('a node can be created, and not twice', async () => {
    const { api, node } = await withNode({ ipam: { 'pre-allocate': 8 } })
    expect(await api.create({ ...node, name: 'b' }, signal)).toMatchObject({
      kind: 'ok',
      node: { spec: { ipam: { preAllocate: 8 } } },
    })
    expect(await api.create({ ...node, name: 'b' }, signal)).toEqual({ kind: 'conflict' })
  })

  test('a throttled write is repeated when the server says', async () => {
    const { at, api, node } = await withNode()
    at.simulator.faults.set([
      {
        action: 'patch ciliumnodes',
        where: 'before-effect',
        effect: { kind: 'error', code: 'TooManyRequests', status: 429, message: 'slow down' },
        probability: 1,
        count: 2,
        fromCall: 1,
        untilCall: Number.POSITIVE_INFINITY,
      },
    ])
    let kind = ''
    void api.update(node, { pool: new Map([['10.0.0.5', {}]]) }, signal).then((result) => {
      kind = result.kind
    })
    await at.until(() => kind === 'ok')
  })
})

test('pending pods and node names follow the cluster', async () => {
  const at = inProcess()
  const pod = (name: string, nodeName: string, phase: string, spec: JSONObject = {}): JSONObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { nodeName, containers: [{ name: 'c', image: 'i' }], ...spec },
    status: { phase },
  })
  at.simulator.load([
    { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' } },
    pod('a', 'node-1', 'Pending'),
    pod('b', 'node-1', 'Pending'),
    pod('c', 'node-1', 'Running'),
    pod('d', 'node-1', 'Pending', { hostNetwork: true }),
  ])
  const shared = { client: at.client, clock: at.clock, random, log, signal: at.stop.signal }
  const pods = new PendingPods()
  const names = new NodeNames()
  pods.start(shared)
  names.start(shared)
  await at.until(() => pods.count('node-1') !== undefined && names.has('node-1') !== undefined)
  expect([pods.count('node-1'), names.has('node-1'), names.has('node-2')]).toEqual([2, true, false])
  await at.client.mergePatch('/api/v1/namespaces/default/pods/a/status', { status: { phase: 'Running' } }, signal)
  await at.until(() => pods.count('node-1') === 1)
})

test('of two replicas one leads, and the other takes over when it is released', async () => {
  const at = inProcess()
  const candidate = (identity: string) =>
    becomeLeader(
      {
        lease: new LeaseAPI(at.client, 'kube-system', 'berth-controller'),
        identity,
        leaseDurationMs: 15_000,
        renewDeadlineMs: 10_000,
        retryPeriodMs: 2_000,
        clock: at.clock,
        random,
        log,
      },
      at.stop.signal,
    )
  const first = await candidate('a')
  let second: Awaited<typeof first> | undefined
  candidate('b').then((leadership) => {
    second = leadership
  }, quiet)
  await (at.clock as ManualClock).advance(60_000)
  expect(second).toBeUndefined()
  expect(first.lost.aborted).toBe(false)
  await first.release(signal)
  await at.until(() => second !== undefined)
  const lease = await at.client.get('/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/berth-controller', {
    signal,
  })
  expect(lease['spec']).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 })
  await second?.release(signal)
})

test('wrong credentials are denied', async () => {
  const simulator = createKubernetesSimulator({ tokens: ['right'] })
  const at = world(simulator, inProcessTransport(simulator.router), new ManualClock(), settle)
  await expect(at.client.get('/apis/cilium.io/v2/ciliumnodes', { signal })).rejects.toMatchObject({
    kind: 'denied',
    status: 401,
  })
})
