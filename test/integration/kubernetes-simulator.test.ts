import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import {
  ApiException,
  CoordinationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  PatchStrategy,
  Watch,
  setHeaderOptions,
} from '@kubernetes/client-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createKubernetesSimulator } from '../../simulators/kubernetes/index.ts'
import type { JSONObject, KubernetesSimulator, KubernetesSimulatorOptions } from '../../simulators/kubernetes/index.ts'
import type { Server } from '../../simulators/kit/http.ts'

/** Clients that know nothing of the simulator, over HTTP: the project's own client library and kubectl. */

const opened: { readonly simulator: KubernetesSimulator; readonly server: Server }[] = []

async function start(options: KubernetesSimulatorOptions): Promise<(typeof opened)[number]> {
  const simulator = createKubernetesSimulator({ bookmarkIntervalMs: 50, podTerminationMs: 50, ...options })
  const server = await simulator.listen({ host: '127.0.0.1', port: 0 })
  const both = { simulator, server }
  opened.push(both)
  return both
}

afterAll(async () => {
  for (const { simulator, server } of opened) {
    simulator.close()
    await server.close()
  }
})

interface CiliumNode {
  readonly metadata: { readonly name: string; readonly resourceVersion: string; readonly generation: number }
  readonly spec: Readonly<Record<string, unknown>>
  readonly status?: Readonly<Record<string, unknown>>
}

interface CiliumNodeList {
  readonly metadata: {
    readonly resourceVersion: string
    readonly continue?: string
    readonly remainingItemCount?: number
  }
  readonly items: readonly CiliumNode[]
}

const CILIUM_NODES = { group: 'cilium.io', version: 'v2', plural: 'ciliumnodes' } as const
const PATH = '/apis/cilium.io/v2/ciliumnodes'

function node(name: string, zone = 'a'): JSONObject {
  return { apiVersion: 'cilium.io/v2', kind: 'CiliumNode', metadata: { name, labels: { zone } }, spec: {} }
}

/** The HTTP status and the reason of a refusal. */
async function refusal(call: Promise<unknown>): Promise<readonly [number, string]> {
  try {
    await call
  } catch (error) {
    if (!(error instanceof ApiException)) throw error
    const body: unknown = typeof error.body === 'string' ? JSON.parse(error.body) : error.body
    return [error.code, (body as { reason?: string } | undefined)?.reason ?? '']
  }
  throw new Error('the call was not refused')
}

describe('@kubernetes/client-node', () => {
  let simulator: KubernetesSimulator
  let server: Server
  let config: KubeConfig
  let custom: CustomObjectsApi

  beforeAll(async () => {
    ;({ simulator, server } = await start({ tokens: ['secret'] }))
    config = new KubeConfig()
    config.loadFromString(simulator.kubeconfig(server.url))
    custom = config.makeApiClient(CustomObjectsApi)
    simulator.load(['client-a', 'client-b', 'client-c'].map((name) => node(name, 'client')))
  })

  async function list(limit: number, continueToken?: string): Promise<CiliumNodeList> {
    const token = continueToken === undefined ? {} : { _continue: continueToken }
    return (await custom.listClusterCustomObject({ ...CILIUM_NODES, limit, ...token })) as CiliumNodeList
  }

  async function watchUntil(
    query: Record<string, string | number | boolean>,
    isEnough: (events: readonly string[]) => boolean,
    meanwhile: () => Promise<unknown> = () => Promise.resolve(),
  ): Promise<readonly string[]> {
    const events: string[] = []
    return new Promise((resolve, reject) => {
      let controller: AbortController | undefined
      const finish = (): void => {
        resolve(events)
        controller?.abort()
      }
      const started = new Watch(config).watch(
        PATH,
        query,
        (phase, object: { metadata?: { name?: string }; code?: number }) => {
          events.push(`${phase} ${object.metadata?.name ?? object.code ?? ''}`.trim())
          if (isEnough(events)) finish()
        },
        () => finish(),
      )
      started.then(async (opened) => {
        controller = opened
        await meanwhile()
      }, reject)
    })
  }

  test('lists in pages', async () => {
    const first = await list(2)
    expect(first.items.map((item) => item.metadata.name)).toEqual(['client-a', 'client-b'])
    expect(first.metadata.remainingItemCount).toBe(1)
    const second = await list(2, first.metadata.continue)
    expect(second.items.map((item) => item.metadata.name)).toEqual(['client-c'])
    expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion)
  })

  test('patches spec and status apart, and is told of a conflict', async () => {
    const asMergePatch = setHeaderOptions('Content-Type', PatchStrategy.MergePatch)
    const before = (await custom.getClusterCustomObject({ ...CILIUM_NODES, name: 'client-a' })) as CiliumNode
    const { resourceVersion } = before.metadata
    const body = { metadata: { resourceVersion }, spec: { 'instance-id': 'i-1' }, status: { ipam: { used: {} } } }
    const changed = (await custom.patchClusterCustomObject(
      { ...CILIUM_NODES, name: 'client-a', body },
      asMergePatch,
    )) as CiliumNode
    expect(changed.spec).toEqual({ 'instance-id': 'i-1' })
    expect(changed.status).toBeUndefined()
    const stale = custom.patchClusterCustomObjectStatus({ ...CILIUM_NODES, name: 'client-a', body }, asMergePatch)
    expect(await refusal(stale)).toEqual([409, 'Conflict'])
    const fresh = { ...body, metadata: { resourceVersion: changed.metadata.resourceVersion } }
    const status = (await custom.patchClusterCustomObjectStatus(
      { ...CILIUM_NODES, name: 'client-a', body: fresh },
      asMergePatch,
    )) as CiliumNode
    expect(status.status).toEqual({ ipam: { used: {} } })
  })

  test('is refused with the reasons of the real server', async () => {
    const create = (body: object): Promise<unknown> => custom.createClusterCustomObject({ ...CILIUM_NODES, body })
    expect(await refusal(create(node('client-a')))).toEqual([409, 'AlreadyExists'])
    expect(await refusal(create({ ...node('x'), spec: { ipam: { 'pre-allocate': -1 } } }))).toEqual([422, 'Invalid'])
    expect(await refusal(custom.getClusterCustomObject({ ...CILIUM_NODES, name: 'nobody' }))).toEqual([404, 'NotFound'])
    const stranger = new KubeConfig()
    stranger.loadFromString(createKubernetesSimulator({ tokens: ['wrong'] }).kubeconfig(server.url))
    expect(await refusal(stranger.makeApiClient(CoreV1Api).listNode())).toEqual([401, '']) // this client drops the body of a 401
  })

  test('watches from a list on: changes, bookmarks, a clean end', async () => {
    const { resourceVersion } = (await list(1)).metadata
    const query = { resourceVersion, allowWatchBookmarks: true, fieldSelector: 'metadata.name=client-w' }
    const events = await watchUntil(
      query,
      (seen) => seen.includes('DELETED client-w') && seen.at(-1) === 'BOOKMARK',
      async () => {
        await custom.createClusterCustomObject({ ...CILIUM_NODES, body: node('client-w') })
        await custom.createClusterCustomObject({ ...CILIUM_NODES, body: node('client-other') })
        await custom.deleteClusterCustomObject({ ...CILIUM_NODES, name: 'client-w' })
        await custom.deleteClusterCustomObject({ ...CILIUM_NODES, name: 'client-other' })
      },
    )
    expect(events.filter((event) => event !== 'BOOKMARK')).toEqual(['ADDED client-w', 'DELETED client-w'])
    expect(await watchUntil({ resourceVersion, timeoutSeconds: 1 }, () => false)).toContain('ADDED client-w')
  })

  test('a watch from before the history is an ERROR event with 410', async () => {
    const { resourceVersion } = (await list(1)).metadata
    simulator.compact()
    expect(await watchUntil({ resourceVersion }, () => false)).toEqual(['ERROR 410'])
  })

  test('a watch that is cut ends its client', async () => {
    const { resourceVersion } = (await list(1)).metadata
    const events = await watchUntil(
      { resourceVersion },
      () => false,
      async () => {
        while (simulator.dropWatches('ciliumnodes', 'cut') === 0) await new Promise((resolve) => setImmediate(resolve))
      },
    )
    expect(events).toEqual([])
  })

  test('leases and pods with their typed clients', async () => {
    const leases = config.makeApiClient(CoordinationV1Api)
    const namespace = 'kube-system'
    const spec = { holderIdentity: 'a', leaseDurationSeconds: 15 }
    const lease = await leases.createNamespacedLease({ namespace, body: { metadata: { name: 'lock' }, spec } })
    const { resourceVersion = '' } = lease.metadata ?? {}
    const held = { metadata: { name: 'lock', resourceVersion }, spec: { ...spec, holderIdentity: 'b' } }
    expect((await leases.replaceNamespacedLease({ namespace, name: 'lock', body: held })).spec?.holderIdentity).toBe(
      'b',
    )
    expect(await refusal(leases.replaceNamespacedLease({ namespace, name: 'lock', body: held }))).toEqual([
      409,
      'Conflict',
    ])
    const pods = config.makeApiClient(CoreV1Api)
    const podSpec = { nodeName: 'n1', containers: [{ name: 'c', image: 'pause' }] }
    const pod = { metadata: { name: 'client-pod' }, spec: podSpec }
    await pods.createNamespacedPod({ namespace: 'default', body: pod })
    const found = await pods.listPodForAllNamespaces({ fieldSelector: 'spec.nodeName=n1' })
    expect(found.items.map((one) => one.metadata?.name)).toEqual(['client-pod'])
  })
})

const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0

describe.skipIf(!hasKubectl)('kubectl', () => {
  const home = mkdtempSync(join(tmpdir(), 'kubectl-'))
  const manifest = join(home, 'node.yaml')
  let simulator: KubernetesSimulator

  beforeAll(async () => {
    const { simulator: started, server } = await start({})
    simulator = started
    writeFileSync(join(home, 'config'), simulator.kubeconfig(server.url))
    writeFileSync(
      manifest,
      [
        'apiVersion: cilium.io/v2',
        'kind: CiliumNode',
        'metadata: {name: kubectl-a, labels: {by: kubectl}}',
        'spec:',
        '  addresses: [{type: CiliumInternalIP, ip: 10.0.0.9}, {type: InternalIP, ip: 192.168.1.9}]',
        '  ipam: {pre-allocate: 8}',
      ].join('\n'),
    )
  })

  afterAll(() => rmSync(home, { recursive: true }))

  const run = promisify(execFile)
  const environment = { ...process.env, HOME: home, KUBECONFIG: join(home, 'config') }

  /** What it prints; of a failure its error output. */
  async function kubectl(...options: readonly string[]): Promise<string> {
    try {
      return (await run('kubectl', options, { env: environment, timeout: 20_000 })).stdout.trim()
    } catch (error) {
      return (error as { stderr: string }).stderr.trim()
    }
  }

  test('create, get with columns, describe, patch, apply, delete', async () => {
    expect(await kubectl('create', '-f', manifest)).toBe('ciliumnode.cilium.io/kubectl-a created')
    expect(await kubectl('create', '-f', manifest)).toContain('AlreadyExists')
    const lines = (await kubectl('get', 'cn', '-l', 'by=kubectl')).split('\n')
    expect(lines[0]?.split(/\s+/)).toEqual(['NAME', 'CILIUMINTERNALIP', 'INTERNALIP', 'AGE'])
    expect(lines[1]?.split(/\s+/).slice(0, 3)).toEqual(['kubectl-a', '10.0.0.9', '192.168.1.9'])
    expect(lines).toHaveLength(2)
    expect(await kubectl('describe', 'ciliumnode', 'kubectl-a')).toMatch(/Pre - Allocate:\s+8/)
    const merge = ['patch', 'cn', 'kubectl-a', '--type', 'merge', '-p']
    expect(await kubectl(...merge, '{"spec":{"instance-id":"i-7"}}')).toContain('patched')
    expect(await kubectl(...merge, '{"spec":{"ipam":{"pre-allocate":"x"}}}')).toContain('must be of type integer')
    expect(await kubectl(...merge, '{"metadata":{"resourceVersion":"3"}}')).toContain('the object has been modified')
    const add = '[{"op":"add","path":"/spec/bootid","value":"b"}]'
    expect(await kubectl('patch', 'cn', 'kubectl-a', '--type', 'json', '-p', add)).toContain('patched')
    expect(await kubectl('get', 'cn', 'kubectl-a', '-o', 'jsonpath={.spec.instance-id} {.spec.bootid}')).toBe('i-7 b')
    expect(await kubectl('apply', '-f', manifest)).toContain('configured')
    expect(await kubectl('label', 'cn', 'kubectl-a', 'zone=x')).toContain('labeled')
    expect(await kubectl('delete', 'cn', 'kubectl-a')).toContain('deleted')
    expect(await kubectl('get', 'cn', 'kubectl-a')).toContain('NotFound')
  })

  test('watch shows a row for each change', async () => {
    const shown: string[] = []
    const watching = execFile('kubectl', ['get', 'cn', '-l', 'by=watch', '--watch', '--no-headers'], {
      env: environment,
    })
    const sees = (count: number): Promise<void> =>
      new Promise((resolve) => {
        const check = (): void => {
          if (shown.join('').split('\n').length > count) resolve()
        }
        watching.stdout?.on('data', check)
        check()
      })
    watching.stdout?.on('data', (text: string) => shown.push(text))
    simulator.load([{ ...node('watched'), metadata: { name: 'watched', labels: { by: 'watch' } } }])
    await sees(1)
    simulator.load([
      {
        ...node('watched'),
        metadata: { name: 'watched', labels: { by: 'watch' } },
        spec: { addresses: [{ type: 'InternalIP', ip: '10.9.9.9' }] },
      },
    ])
    await sees(2)
    watching.kill()
    expect(shown.join('')).toMatch(/^watched\b.*\n(?:.*\n)*watched\b.*10\.9\.9\.9/)
  })

  test('pods, nodes and namespaces', async () => {
    simulator.load([
      {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: 'kubectl-n' },
        status: { conditions: [{ type: 'Ready', status: 'True' }] },
      },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'kubectl-p', namespace: 'default' },
        spec: { nodeName: 'kubectl-n', containers: [{ name: 'c' }] },
      },
    ])
    expect(await kubectl('get', 'nodes', '--no-headers')).toMatch(/^kubectl-n\s+Ready\s+<none>/m)
    expect(await kubectl('get', 'pods', '-A', '-o', 'wide', '--no-headers')).toMatch(
      /kubectl-p\s+0\/1\s+Pending.*kubectl-n/,
    )
    expect(await kubectl('describe', 'node', 'kubectl-n')).toContain('kubectl-p')
    expect(await kubectl('delete', 'pod', 'kubectl-p')).toContain('deleted')
    expect(await kubectl('get', 'ns', '-o', 'name')).toContain('namespace/kube-system')
  })
})

describe('the process of its own', () => {
  const main = fileURLToPath(new URL('../../simulators/kubernetes/main.ts', import.meta.url))

  test('says where it listens, serves, and ends with 0 on SIGTERM', async () => {
    const child = execFile(process.execPath, [main, '--port', '0'])
    const url = await new Promise<string>((resolve) => {
      child.stdout?.on('data', (text: string) => resolve(/http:\S+/.exec(text)?.[0] ?? ''))
    })
    expect(await (await fetch(`${url}/readyz`)).text()).toBe('ok')
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
  })

  test.each<{ name: string; options: readonly string[]; says: RegExp }>([
    { name: 'an unknown option', options: ['--prot', '1'], says: /--prot/ },
    { name: 'a port that is none', options: ['--port', 'http'], says: /--port must be a whole number from 0 to 65535/ },
    { name: 'a missing file', options: ['--faults', '/nowhere/faults.json'], says: /\/nowhere\/faults\.json/ },
  ])('$name is one line and exit 2', ({ options, says }) => {
    const { status, stderr } = spawnSync(process.execPath, [main, ...options], { encoding: 'utf8' })
    expect(status).toBe(2)
    expect(stderr).toMatch(says)
    expect(stderr.trim().split('\n')).toHaveLength(1)
  })

  test('a taken port is named', async () => {
    const { server } = await start({ manifests: [] })
    const port = String(server.port)
    const { status, stderr } = await new Promise<{ status: number | null; stderr: string }>((resolve) => {
      const child = execFile(process.execPath, [main, '--port', port], (_, __, text) =>
        resolve({ status: child.exitCode, stderr: text }),
      )
    })
    expect(status).toBe(1)
    expect(stderr).toContain(`127.0.0.1:${port}: the port is taken`)
  })
})
