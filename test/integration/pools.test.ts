import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { createKubernetesSimulator } from '../../simulators/kubernetes/index.ts'
import type { JSONObject, KubernetesSimulator } from '../../simulators/kubernetes/index.ts'
import type { IPAMResponse } from '../../src/agent/api-shapes.ts'
import type { ControllerHandle } from '../../src/cli/controller.ts'
import { startController } from '../../src/cli/controller.ts'
import { loadConfig } from '../../src/config/load.ts'
import { findClusterAccess } from '../../src/kubernetes/cluster-access.ts'
import { httpsTransport } from '../../src/kubernetes/https-transport.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { systemRandom } from '../../src/runtime/random.ts'
import { AgentWorld } from './agent-harness.ts'
import { until } from '../unit/cli/controller-world.ts'

/** The controller of the pool modes as `berth controller` composes it, over HTTP, in real time. */

const PROGRAM = fileURLToPath(new URL('../../bin/berth.mjs', import.meta.url))
const NODES = '/apis/cilium.io/v2/ciliumnodes'
const POOLS = '/apis/cilium.io/v2alpha1/ciliumpodippools'
const cleanUps: (() => Promise<unknown> | void)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** Starts a controller for the API server at the URL. */
async function controllerFor(url: string, ...flags: readonly string[]): Promise<ControllerHandle> {
  const { config } = loadConfig(
    [
      `--k8s-api-server=${url}`,
      '--operator-prometheus-serve-addr=127.0.0.1:0',
      '--leader-election-lease-duration=15s',
      '--leader-election-renew-deadline=10s',
      '--leader-election-retry-period=100ms',
      '--shutdown-grace-period=3s',
      ...flags,
    ],
    {},
  )
  const clock = systemClock()
  const access = await findClusterAccess({ kubeconfigPath: '', apiServer: url, environment: {} })
  const none = (): Promise<never> => Promise.reject(new Error('there is no cloud'))
  const quiet = (): void => undefined
  const controller = await startController({
    config,
    transport: httpsTransport(access, clock),
    leaseTransport: httpsTransport(access, clock),
    source: 'a test',
    namespace: 'kube-system',
    identity: `replica-${cleanUps.length}`,
    metadata: { region: none, vpcID: none, instanceID: none },
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    clock,
    random: systemRandom,
  })
  cleanUps.push(() => controller.stop())
  return controller
}

async function cluster(): Promise<{ readonly kubernetes: KubernetesSimulator; readonly url: string }> {
  const kubernetes = createKubernetesSimulator()
  const server = await kubernetes.listen({ host: '127.0.0.1', port: 0 })
  cleanUps.push(async () => {
    kubernetes.close()
    await server.close()
  })
  return { kubernetes, url: server.url }
}

async function call(url: string, method: string, path: string, body?: JSONObject): Promise<JSONObject> {
  const contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
  const answer = await fetch(url + path, {
    method,
    headers: { 'content-type': contentType },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  return (await answer.json()) as JSONObject
}

interface Listed {
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly ipam?: {
      readonly podCIDRs?: readonly string[]
      readonly pools?: { readonly allocated?: readonly { readonly pool: string; readonly cidrs: readonly string[] }[] }
    }
  }
  readonly status?: { readonly ipam?: { readonly 'operator-status'?: { readonly error?: string } } }
}

/** Node → its CIDRs of all pools. */
async function cidrs(url: string): Promise<Readonly<Record<string, readonly string[]>>> {
  const { items } = (await call(url, 'GET', NODES)) as { readonly items?: readonly Listed[] }
  return Object.fromEntries(
    (items ?? []).map(({ metadata, spec: { ipam } }) => [
      metadata.name,
      [...(ipam?.podCIDRs ?? []), ...(ipam?.pools?.allocated ?? []).flatMap((entry) => entry.cidrs)],
    ]),
  )
}

async function errorOf(url: string, name: string): Promise<string> {
  const { status } = (await call(url, 'GET', `${NODES}/${name}`)) as unknown as Listed
  return status?.ipam?.['operator-status']?.error ?? ''
}

const node = (name: string, ipam: JSONObject = {}): JSONObject => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNode',
  metadata: { name },
  spec: { ipam },
})
const asking = (pool: string, count: number): JSONObject => ({
  pools: { requested: [{ pool, needed: { 'ipv4-addrs': count } }] },
})
const flat = (held: Readonly<Record<string, readonly string[]>>): readonly string[] => Object.values(held).flat()

describe('berth controller --ipam multi-pool', () => {
  test('serves 50 nodes of two pools, each CIDR once, and goes on after a restart as if there had been none', async () => {
    const { kubernetes, url } = await cluster()
    const names = Array.from({ length: 50 }, (_, index) => `node-${String(index).padStart(2, '0')}`)
    for (const [index, name] of names.entries()) {
      kubernetes.load([
        { apiVersion: 'v1', kind: 'Node', metadata: { name } },
        node(name, asking(index % 2 === 0 ? 'default' : 'red', 20)),
      ])
    }
    const pools = 'default=ipv4-cidrs:10.0.0.0/20;ipv4-mask-size:28,red=ipv4-cidrs:10.1.0.0/20;ipv4-mask-size:27'
    const flags = ['--ipam=multi-pool', `--auto-create-cilium-pod-ip-pools=${pools}`]
    const first = await controllerFor(url, ...flags)
    await until(async () => flat(await cidrs(url)).length === 25 * 2 + 25)
    const held = await cidrs(url)
    expect(new Set(flat(held)).size).toBe(75)
    const metrics = await (await fetch(`${first.telemetryURL}/metrics`)).text()
    expect(metrics).toContain('berth_pool_node_cidrs{pool="default",family="ipv4",state="used"} 50')
    expect(metrics).toContain('berth_leader 1')
    expect(first.manager).toBeUndefined()

    // While it is away an agent gives one back, another one needs more, and a node joins.
    await first.stop()
    const [given] = held['node-00']!
    await call(url, 'PATCH', `${NODES}/node-00`, {
      spec: {
        ipam: {
          pools: {
            requested: [{ pool: 'default', needed: { 'ipv4-addrs': 14 } }],
            allocated: [{ pool: 'default', cidrs: held['node-00']!.slice(1) }],
          },
        },
      },
    })
    await call(url, 'PATCH', `${NODES}/node-02`, { spec: { ipam: asking('default', 40) } })
    kubernetes.load([
      node('node-99', asking('red', 1)),
      { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-99' } },
    ])
    await controllerFor(url, ...flags)
    await until(async () => {
      const now = await cidrs(url)
      return now['node-99']!.length === 1 && now['node-02']!.length === 3
    })
    const after = await cidrs(url)
    expect(new Set(flat(after)).size).toBe(flat(after).length)
    for (const name of names.slice(3)) expect(after[name]).toEqual(held[name])
    expect(after['node-02']).toEqual(expect.arrayContaining([...held['node-02']!]))
    expect(after['node-00']).not.toContain(given)
  })

  test('a pool that is exhausted is named on the node, which is served when the pool grows', async () => {
    const { url } = await cluster()
    await call(url, 'POST', POOLS, {
      apiVersion: 'cilium.io/v2alpha1',
      kind: 'CiliumPodIPPool',
      metadata: { name: 'small' },
      spec: { ipv4: { cidrs: ['10.0.0.0/28'], maskSize: 28 } },
    })
    const controller = await controllerFor(url, '--ipam=multi-pool')
    for (const name of ['a', 'b']) {
      await call(url, 'POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name } })
      await call(url, 'POST', NODES, node(name, asking('small', 1)))
      await until(async () => flat(await cidrs(url)).length === 1 && (name === 'a' || (await errorOf(url, 'b')) !== ''))
    }
    expect(await errorOf(url, 'b')).toBe('unable to allocate from pool small (ipv4) for node b: pool empty')
    expect(await (await fetch(`${controller.telemetryURL}/readyz`)).text()).toContain('cannot have the CIDRs')
    await call(url, 'PATCH', `${POOLS}/small`, { spec: { ipv4: { cidrs: ['10.0.0.0/28', '10.0.1.0/28'] } } })
    await until(async () => (await errorOf(url, 'b')) === '')
    expect(await cidrs(url)).toEqual({ a: ['10.0.0.0/28'], b: ['10.0.1.0/28'] })
  })

  test('a second replica takes over, and both together give no CIDR twice', async () => {
    const { kubernetes, url } = await cluster()
    const flags = [
      '--ipam=multi-pool',
      '--nodes-gc-interval=0',
      '--auto-create-cilium-pod-ip-pools=default=ipv4-cidrs:10.0.0.0/22;ipv4-mask-size:28',
    ]
    const first = await controllerFor(url, ...flags)
    await until(() => first.isLeader)
    const second = await controllerFor(url, ...flags)
    expect(second.isLeader).toBe(false)
    for (let index = 0; index < 20; index++) kubernetes.load([node(`a-${index}`, asking('default', 1))])
    await until(async () => flat(await cidrs(url)).length > 0)
    await first.stop()
    for (let index = 0; index < 20; index++) kubernetes.load([node(`b-${index}`, asking('default', 1))])
    await until(async () => flat(await cidrs(url)).length === 40)
    expect(second.isLeader).toBe(true)
    expect(new Set(flat(await cidrs(url))).size).toBe(40)
  })

  test('pods of two nodes get addresses of their own pools, from pool to pod', async () => {
    const at = new AgentWorld()
    cleanUps.push(() => at.close())
    const server = await at.kubernetes.listen({ host: '127.0.0.1', port: 0 })
    cleanUps.push(() => server.close())
    at.kubernetes.load([node('node-a'), node('node-b', asking('default', 14))])
    const flags = [
      '--ipam=multi-pool',
      '--nodes-gc-interval=0',
      '--auto-create-cilium-pod-ip-pools=default=ipv4-cidrs:10.0.0.0/24;ipv4-mask-size:28',
    ]
    await controllerFor(server.url, ...flags)
    const agent = await at.start('--ipam', 'multi-pool')
    await agent.opened
    const { status, value } = await at.client('POST', '/v1/ipam?owner=default%2Fweb&family=ipv4')
    expect(status).toBe(201)
    const { ip = '' } = (value as IPAMResponse).ipv4 ?? {}
    const held = await cidrs(server.url)
    expect(held['node-a']![0]).toMatch(/^10\.0\.0\.\d+\/28$/)
    expect(ip.startsWith('10.0.0.')).toBe(true)
    expect(new Set(flat(held)).size).toBe(flat(held).length)
  })
})

describe('berth controller --ipam cluster-pool', () => {
  test('gives 50 nodes one CIDR each, which no restart changes, and takes back those of nodes that are gone', async () => {
    const { kubernetes, url } = await cluster()
    for (let index = 0; index < 50; index++) kubernetes.load([node(`node-${index}`)])
    const flags = ['--ipam=cluster-pool', '--cluster-pool-ipv4-cidr=10.0.0.0/18', '--nodes-gc-interval=0']
    const first = await controllerFor(url, ...flags)
    await until(async () => flat(await cidrs(url)).length === 50)
    const held = await cidrs(url)
    expect(new Set(flat(held)).size).toBe(50)
    await first.stop()
    await call(url, 'DELETE', `${NODES}/node-7`)
    kubernetes.load(Array.from({ length: 15 }, (_, index) => node(`late-${index}`)))
    await controllerFor(url, ...flags)
    await until(async () => flat(await cidrs(url)).length === 64)
    const after = await cidrs(url)
    expect(new Set(flat(after)).size).toBe(64)
    for (const [name, before] of Object.entries(held)) if (name !== 'node-7') expect(after[name]).toEqual(before)
  })

  test('the agent of a node hands out the addresses of its CIDR', async () => {
    const at = new AgentWorld()
    cleanUps.push(() => at.close())
    const server = await at.kubernetes.listen({ host: '127.0.0.1', port: 0 })
    cleanUps.push(() => server.close())
    at.kubernetes.load([node('node-a')])
    await controllerFor(
      server.url,
      '--ipam=cluster-pool',
      '--cluster-pool-ipv4-cidr=10.7.0.0/16',
      '--nodes-gc-interval=0',
    )
    const agent = await at.start('--ipam', 'cluster-pool')
    await agent.opened
    const { value } = await at.client('POST', '/v1/ipam?owner=default%2Fweb&family=ipv4')
    expect((value as IPAMResponse).ipv4?.ip).toMatch(/^10\.7\.0\.\d+$/)
  })
})

describe('what a person gets wrong', () => {
  function berth(
    ...args: readonly string[]
  ): Promise<{ readonly code: number | null; readonly said: readonly string[] }> {
    const child = spawn(process.execPath, [PROGRAM, 'controller', ...args], {
      env: { PATH: process.env['PATH'], HOME: '/nowhere' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    child.stderr.on('data', (piece: Buffer) => (said += piece.toString()))
    cleanUps.push(() => void child.kill('SIGKILL'))
    return new Promise((resolve) => {
      child.on('close', (code) =>
        resolve({ code, said: said.split('\n').filter((line) => line !== '' && !line.startsWith('{')) }),
      )
    })
  }

  test('every fault of the options is told in one line, and the exit code is 2', async () => {
    const end = await berth(
      '--ipam=cluster-pool',
      '--enable-ipv6',
      '--cluster-pool-ipv4-cidr=10.0.0.0/8,10.1.0.0/16',
      '--cluster-pool-ipv4-mask-size=24',
    )
    expect(end).toEqual({
      code: 2,
      said: [
        'berth controller: --cluster-pool-ipv4-cidr: CIDR 10.1.0.0/16 collides with 10.0.0.0/8',
        'berth controller: --cluster-pool-ipv6-cidr must be given with --ipam cluster-pool and --enable-ipv6',
      ],
    })
  })

  test.each<[flags: readonly string[], says: string]>([
    [['--ipam=cluster-pool'], '--cluster-pool-ipv4-cidr must be given'],
    [['--ipam=cluster-pool', '--cluster-pool-ipv4-cidr=10.0.0.0'], '--cluster-pool-ipv4-cidr: invalid CIDR "10.0.0.0"'],
    [
      ['--ipam=cluster-pool', '--cluster-pool-ipv4-cidr=10.0.0.0/24', '--cluster-pool-ipv4-mask-size=16'],
      '--cluster-pool-ipv4-mask-size: mask size 16 is not possible',
    ],
    [
      ['--ipam=multi-pool', '--auto-create-cilium-pod-ip-pools=red=ipv4-cidrs:10.0.0.0/16'],
      'pool red: ipv4-mask-size is missing',
    ],
    [
      ['--ipam=multi-pool', '--auto-create-cilium-pod-ip-pools=red=ipv4-cidr:10.0.0.0/16'],
      'has neither ipv4-cidrs nor',
    ],
    [
      [
        '--ipam=multi-pool',
        '--auto-create-cilium-pod-ip-pools=red=ipv4-cidrs:10.0.0.0/16;ipv4-mask-size:24,blue=ipv4-cidrs:10.0.1.0/24;ipv4-mask-size:26',
      ],
      'pool red: CIDR 10.0.0.0/16 of pool red collides with 10.0.1.0/24 of pool blue',
    ],
    [['--ipam=multi-pool', '--enable-ipv4=false'], 'there is nothing to give'],
    [['--ipam=cluster-pools'], "found 'cluster-pools'"],
  ])('%j', (flags, says) => {
    const load = async (): Promise<unknown> => {
      const { refuseUnserved } = await import('../../src/cli/controller.ts')
      refuseUnserved(loadConfig(flags, {}).config)
      return undefined
    }
    return expect(load()).rejects.toThrow(says)
  })

  test('without the definition of the pools the controller says which to install', async () => {
    const kubernetes = createKubernetesSimulator({ manifests: [] })
    const server = await kubernetes.listen({ host: '127.0.0.1', port: 0 })
    cleanUps.push(async () => {
      kubernetes.close()
      await server.close()
    })
    await expect(controllerFor(server.url, '--ipam=multi-pool')).rejects.toThrow('deploy/crds')
  })

  test('no cloud SDK is loaded in the modes without a cloud', async () => {
    const { url } = await cluster()
    const script = `
      const { startController } = await import('./src/cli/controller.ts')
      const { loadConfig } = await import('./src/config/load.ts')
      const { findClusterAccess } = await import('./src/kubernetes/cluster-access.ts')
      const { httpsTransport } = await import('./src/kubernetes/https-transport.ts')
      const { systemClock } = await import('./src/runtime/clock.ts')
      const { systemRandom } = await import('./src/runtime/random.ts')
      const { createRequire } = await import('node:module')
      const clock = systemClock()
      const access = await findClusterAccess({ kubeconfigPath: '', apiServer: '${url}', environment: {} })
      const none = () => Promise.reject(new Error('none'))
      const quiet = () => undefined
      const { config } = loadConfig(['--ipam=multi-pool', '--operator-prometheus-serve-addr=127.0.0.1:0'], {})
      const controller = await startController({
        config, transport: httpsTransport(access, clock), source: 'a test', namespace: 'kube-system', identity: 'x',
        metadata: { region: none, vpcID: none, instanceID: none },
        log: { debug: quiet, info: quiet, warn: quiet, error: quiet }, clock, random: systemRandom,
      })
      while (!controller.isLeader) await clock.sleep(20, new AbortController().signal)
      await controller.stop()
      const { cache } = createRequire(import.meta.url)
      const count = () => Object.keys(cache).filter((path) => /@aws-sdk|@azure|alicloud/.test(path)).length
      const before = count()
      await import('./providers/aws/index.ts')
      console.log(before, count() > 0)
    `
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: fileURLToPath(new URL('../../', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    cleanUps.push(() => void child.kill('SIGKILL'))
    let out = ''
    child.stdout.on('data', (piece: Buffer) => (out += piece.toString()))
    await new Promise((resolve) => child.on('close', resolve))
    // The second number shows that the first can be another one.
    expect(out.trim()).toBe('0 true')
  })
})
