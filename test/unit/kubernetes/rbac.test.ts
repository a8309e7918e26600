import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { createKubernetesSimulator } from '../../../simulators/kubernetes/index.ts'
import { ownNodeFacts } from '../../../src/cli/agent-machine.ts'
import { OwnNode, untilPodCIDRs } from '../../../src/cli/agent-node.ts'
import { neededByPools, PoolsLeader } from '../../../src/cli/controller-pools.ts'
import { checkAPIServer } from '../../../src/cli/controller-preflight.ts'
import { describeOptions } from '../../../src/config/schema.ts'
import { CiliumNodeAPI } from '../../../src/kubernetes/cilium-node-api.ts'
import { decodeCiliumNode } from '../../../src/kubernetes/cilium-node.ts'
import { watchCiliumNodes } from '../../../src/kubernetes/cilium-nodes.ts'
import { KubernetesClient } from '../../../src/kubernetes/client.ts'
import { EventAPI } from '../../../src/kubernetes/event-api.ts'
import { findPod } from '../../../src/kubernetes/find-pod.ts'
import { becomeLeader, LEASE_NAME } from '../../../src/kubernetes/leader-election.ts'
import { LeaseAPI } from '../../../src/kubernetes/lease.ts'
import { NodeNames } from '../../../src/kubernetes/node-names.ts'
import { PendingPods } from '../../../src/kubernetes/pending-pods.ts'
import { RateLimiter } from '../../../src/kubernetes/rate-limiter.ts'
import { inProcessTransport } from '../../../src/kubernetes/transport.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'

const root = new URL('../../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')

interface Rule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
  readonly resourceNames?: readonly string[]
}

interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly rules?: readonly Rule[]
}

const manifestsOf = (path: string): readonly Manifest[] =>
  parseAllDocuments(read(path)).map((document) => document.toJS() as Manifest)
const manifests = manifestsOf('deploy/kubernetes/rbac.yaml')

/** `patch cilium.io/ciliumnodes/status`, as the rules allow it. */
function allowed(kind: 'ClusterRole' | 'Role', of = manifests): string[] {
  const rules = of.filter((manifest) => manifest.kind === kind).flatMap((manifest) => manifest.rules ?? [])
  return rules
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
      ),
    )
    .sort()
}

/** The same of a request. @source Kubernetes documentation, Authorization Overview, Determine the request verb */
function permissionOf({ method, path, query }: { method: string; path: string; query: URLSearchParams }): string {
  const [, kind, ...rest] = path.split('/')
  const group = kind === 'apis' ? (rest.shift() ?? '') : ''
  rest.shift()
  const isNamespaced = rest[0] === 'namespaces'
  const [resource = '', name, subresource] = isNamespaced ? rest.slice(2) : rest
  const read = name === undefined ? (query.get('watch') === 'true' ? 'watch' : 'list') : 'get'
  const verb = { GET: read, PATCH: 'patch', POST: 'create', DELETE: 'delete' }[method] ?? method
  return `${verb} ${group}/${resource}${subresource === undefined ? '' : `/${subresource}`}`
}

/** Does everything that the controller does with the API server. @returns the permissions that it took */
async function everyRequest(): Promise<string[]> {
  const clock = new ManualClock()
  const simulator = createKubernetesSimulator({ clock })
  simulator.load([{ apiVersion: 'cilium.io/v2', kind: 'CiliumNode', metadata: { name: 'a' }, spec: {} }])
  const taken = new Set<string>()
  const transport = inProcessTransport((request, signal) => {
    taken.add(permissionOf(request))
    return simulator.router(request, signal)
  })
  const random = { next: () => 0.5 }
  const quiet = (): void => undefined
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet }
  const client = new KubernetesClient({
    transport,
    clock,
    random,
    limiter: new RateLimiter({ clock, qps: 100, burst: 100 }),
  })
  const stop = new AbortController()
  const { signal } = stop
  await checkAPIServer(client, 'a test', signal)
  const times = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 }
  const lease = new LeaseAPI(client, 'kube-system', LEASE_NAME)
  const leadership = await becomeLeader({ lease, identity: 'a', ...times, clock, random, log }, signal)
  await clock.advance(2_000)
  const shared = { client, clock, random, log, signal }
  const handlers = { onUpsert: quiet, onDelete: quiet, onListed: quiet }
  watchCiliumNodes({ ...shared, handlers })
  new PendingPods().start(shared)
  new NodeNames().start(shared)
  await settle()
  const api = new CiliumNodeAPI(client)
  const node = (await api.get('a', signal))!
  const status = { releaseIPs: new Map(), operatorError: 'x' }
  await api.update(node, { pool: new Map([['10.0.0.1', {}]]) }, signal)
  await api.updateStatus(node, status, signal)
  const about = { apiVersion: 'v1', kind: 'Node', name: 'a', namespace: '', uid: 'a' }
  const event = { name: 'a.1', about, reason: 'AtCapacity', message: 'x', count: 1, at: clock.wallTime() }
  const events = new EventAPI(client, 'a')
  await events.create(event, signal)
  expect(await events.repeat({ ...event, count: 2 }, signal)).toBe(true)
  expect(await findPod(client, 'default', 'none', signal)).toBeUndefined()
  const malformed = decodeCiliumNode({ metadata: { name: 'a', resourceVersion: '1' }, spec: 7 })
  if (malformed.kind === 'malformed') await api.reportMalformed(malformed, signal)
  await api.delete('a', node.uid, node.resourceVersion, signal)
  await leadership.release(signal)
  stop.abort(new Error('done'))
  simulator.close()
  await settle()
  return [...taken].sort()
}

/** Does everything that the controller of multi-pool does with the API server but for the lease. @returns the permissions that it took */
async function everyRequestOfPools(): Promise<string[]> {
  const clock = new ManualClock()
  const simulator = createKubernetesSimulator({ clock })
  const requested = [{ pool: 'default', needed: { 'ipv4-addrs': 8 } }]
  const needy = (name: string, pool: string) => ({
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNode',
    metadata: { name },
    spec: { ipam: { pools: { requested: [{ ...requested[0], pool }] } } },
  })
  // One is served, one is told why not; without Kubernetes nodes both are collected in the end.
  simulator.load([needy('a', 'default'), needy('b', 'none')])
  const taken = new Set<string>()
  let conflicts = 1
  const transport = inProcessTransport((request, signal) => {
    taken.add(permissionOf(request))
    // A conflict makes it read the resource.
    const isPatch = request.method === 'PATCH' && conflicts-- > 0
    const body = isPatch ? request.body.replace(/"resourceVersion":"\d+"/, '"resourceVersion":"1"') : request.body
    return simulator.router({ ...request, body }, signal)
  })
  const quiet = (): void => undefined
  const random = { next: () => 0.5 }
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet }
  const limiter = new RateLimiter({ clock, qps: 100, burst: 100 })
  const client = new KubernetesClient({ transport, clock, random, limiter })
  const config = { parallelAllocWorkers: 2, nodesGCIntervalMs: 60_000, destructiveCallsPerMinute: 60 }
  const pools = new Map([['default', { ipv4: { cidrs: ['10.0.0.0/16'], maskSize: 24 } }]])
  const plan = { mode: 'multi-pool', families: ['ipv4'], pools } as const
  await checkAPIServer(client, 'a test', new AbortController().signal, neededByPools(plan, config))
  const leader = new PoolsLeader({ config, plan, client, log, clock, random })
  await leader.start()
  await settle(50)
  for (let minute = 0; minute < 4; minute++) await clock.advance(60_000)
  expect(simulator.counts()['ciliumnodes.cilium.io'] ?? 0).toBe(0)
  await leader.stop(new AbortController().signal)
  simulator.close()
  await settle()
  return [...taken].sort()
}

/** Does everything that a node's agent does with the API server. @returns the permissions that it took */
async function everyRequestOfAgent(): Promise<string[]> {
  const clock = new ManualClock()
  const simulator = createKubernetesSimulator({ clock })
  simulator.load([{ apiVersion: 'v1', kind: 'Node', metadata: { name: 'a' }, spec: {} }])
  const taken = new Set<string>()
  const transport = inProcessTransport((request, signal) => {
    taken.add(permissionOf(request))
    return simulator.router(request, signal)
  })
  const quiet = (): void => undefined
  const random = { next: () => 0.5 }
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet }
  const limiter = new RateLimiter({ clock, qps: 100, burst: 100 })
  const stop = new AbortController()
  const shared = { client: new KubernetesClient({ transport, clock, random, limiter }), clock, random, log }
  const events = { k8sEventReceived: quiet, k8sEventProcessed: quiet }
  const settings = { ipam: 'multi-pool', nodeName: 'a', autoCreateCiliumNodeResource: 'true' } as const
  const facts = ownNodeFacts({ settings, client: shared.client })!
  const own = (): OwnNode => new OwnNode({ ...shared, name: 'a', events, facts, onChange: quiet, signal: stop.signal })
  const node = own()
  const stopped = node.watch()
  await node.updateCiliumNodeResource()
  // One that starts again looks whether the resource is complete.
  const restarted = own()
  void restarted.watch()
  await restarted.updateCiliumNodeResource()
  await settle()
  await node.patchStatus({ status: { ipam: { used: { '10.0.0.1': { owner: 'default/a' } } } } }, stop.signal)
  await node.patchSpec({ spec: { ipam: { 'pre-allocate': 8 } } }, stop.signal)
  const waiting = untilPodCIDRs('kubernetes', ['ipv4'], { ...shared, name: 'a', signal: stop.signal })
  await settle()
  simulator.load([{ apiVersion: 'v1', kind: 'Node', metadata: { name: 'a' }, spec: { podCIDR: '10.0.0.0/24' } }])
  await settle()
  expect(await waiting).toEqual({ ipv4: ['10.0.0.0/24'] })
  stop.abort(new Error('done'))
  simulator.close()
  await stopped
  return [...taken].sort()
}

describe('the RBAC rules', () => {
  test('of the node agent allow what it requests, and nothing else', async () => {
    const rules = manifestsOf('deploy/kubernetes/agent-rbac.yaml')
    expect([...allowed('ClusterRole', rules), ...allowed('Role', rules)].sort()).toEqual(await everyRequestOfAgent())
  })

  test('allow what the controller requests, and nothing else', async () => {
    expect([...allowed('ClusterRole'), ...allowed('Role')].sort()).toEqual(await everyRequest())
  })

  test('of the pool modes allow what the controller requests beyond those, and nothing else', async () => {
    const common = new Set(allowed('ClusterRole'))
    const requests = await everyRequestOfPools()
    expect(requests.filter((permission) => !common.has(permission))).toEqual(
      allowed('ClusterRole', manifestsOf('deploy/kubernetes/pools-rbac.yaml')),
    )
    expect(requests).toEqual(
      expect.arrayContaining(['get', 'patch', 'delete'].map((verb) => `${verb} cilium.io/ciliumnodes`)),
    )
  })

  test('name every resource plainly: no wildcard', () => {
    expect([...allowed('ClusterRole'), ...allowed('Role')].filter((permission) => permission.includes('*'))).toEqual([])
  })

  test('limit reading and writing of Leases to the one that is used', () => {
    const role = manifests.find(({ kind }) => kind === 'Role')
    const withoutName = role?.rules?.filter(({ resourceNames }) => resourceNames === undefined)
    expect(withoutName?.flatMap(({ verbs }) => verbs)).toEqual(['create'])
    expect(role?.rules?.flatMap(({ resourceNames = [] }) => resourceNames)).toEqual([LEASE_NAME])
  })

  test('are complete only while these files alone speak to the API server, and the API has these operations', () => {
    const speakers = readdirSync(new URL('src/', root), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .filter((path) => /\bclient\s*\.(get|mergePatch|create|delete|watch)\(/.test(read(`src/${path}`)))
      .sort()
    expect(speakers).toEqual([
      'cli/agent-machine.ts',
      'cli/agent-node.ts',
      'cli/controller-preflight.ts',
      'kubernetes/cilium-node-api.ts',
      'kubernetes/event-api.ts',
      'kubernetes/find-pod.ts',
      'kubernetes/informer.ts',
      'kubernetes/lease.ts',
      'kubernetes/node-api.ts',
      'kubernetes/pod-ip-pools.ts',
      'kubernetes/pool-node-api.ts',
    ])
    // `create` is the node agents' part: the controller has no rule for it.
    expect(Object.getOwnPropertyNames(CiliumNodeAPI.prototype).sort()).toEqual(
      ['constructor', 'create', 'delete', 'get', 'reportMalformed', 'update', 'updateStatus'].sort(),
    )
  })
})

describe('the Deployment', () => {
  interface PodSpec {
    readonly serviceAccountName: string
    readonly terminationGracePeriodSeconds: number
    readonly containers: readonly {
      readonly args: readonly string[]
      readonly env: readonly { readonly name: string }[]
    }[]
  }
  const deployment = parse(read('deploy/kubernetes/deployment.yaml')) as { spec: { template: { spec: PodSpec } } }
  const pod = deployment.spec.template.spec

  test('uses the account of the rules and options that exist', () => {
    expect(manifests.find(({ kind }) => kind === 'ServiceAccount')?.metadata.name).toBe(pod.serviceAccountName)
    const known = new Set([...describeOptions().map(({ name }) => `--${name}`), '--config-dir', '--config'])
    const [command, ...flags] = pod.containers[0]!.args
    expect(command).toBe('controller')
    expect(flags.map((flag) => flag.split('=')[0]!).filter((flag) => !known.has(flag))).toEqual([])
  })

  test('gives the process longer than it takes to stop', () => {
    const grace = describeOptions().find(({ name }) => name === 'shutdown-grace-period')?.defaultText
    expect(grace).toBe('20s')
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(20)
  })
})
