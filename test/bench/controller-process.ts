import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import v8 from 'node:v8'
import { startController } from '../../src/cli/controller.ts'
import type { ControllerHandle } from '../../src/cli/controller.ts'
import { loadConfig } from '../../src/config/load.ts'
import { findClusterAccess } from '../../src/kubernetes/cluster-access.ts'
import { httpsTransport } from '../../src/kubernetes/https-transport.ts'
import type { KubernetesTransport } from '../../src/kubernetes/transport.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { systemRandom } from '../../src/runtime/random.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { check } from './harness.ts'

/** The controller alone in this process, as `berth controller` composes it, and its world in a child: both speak HTTP. */

const NODES_PATH = '/apis/cilium.io/v2/ciliumnodes'
/** How often the memory of the process is looked at (ms). */
const MEMORY_INTERVAL_MS = 100

export interface World {
  readonly ec2URL: string
  readonly kubernetesURL: string
  readonly kubeconfig: string
  readonly region: string
  readonly vpcID: string
  /** Of the nodes, in the order of lists. */
  readonly names: readonly string[]
  /** Calls that the simulators have received, by action (counts). */
  calls(): Promise<{ readonly ec2: CallCounts; readonly kubernetes: CallCounts }>
  stop(): void
}

type CallCounts = Readonly<Record<string, { readonly attempts: number }>>

/** @param kind as `node-world.ts` takes it */
export async function startWorld(kind: 'settled' | 'joining', nodes: number): Promise<World> {
  const program = join(import.meta.dirname, 'node-world.ts')
  const child = spawn(process.execPath, [program, kind, String(nodes)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await Promise.race([
    once(createInterface(child.stdout), 'line'),
    once(child, 'exit').then(() => check(false, 'the world ended before it listened')),
  ])) as [string]
  const world = JSON.parse(line) as Pick<
    World,
    'ec2URL' | 'kubernetesURL' | 'kubeconfig' | 'region' | 'vpcID' | 'names'
  >
  const callsOf = async (url: string): Promise<CallCounts> => {
    const { actions } = (await (await fetch(`${url}/_berth/calls`)).json()) as { readonly actions: CallCounts }
    return actions
  }
  return {
    ...world,
    calls: async () => ({ ec2: await callsOf(world.ec2URL), kubernetes: await callsOf(world.kubernetesURL) }),
    stop: () => child.kill(),
  }
}

/** Attempts of what matches (count). */
export function attemptsOf(counts: CallCounts, pattern: RegExp): number {
  return Object.entries(counts).reduce((sum, [action, { attempts }]) => sum + (pattern.test(action) ? attempts : 0), 0)
}

export interface MeasuredController {
  readonly handle: ControllerHandle
  /** When the first page of CiliumNodes was asked for (`performance.now()`, ms). */
  readonly listBegan: Promise<number>
  /** Largest resident memory of the process so far (bytes). */
  peakBytes(): number
  stop(): Promise<void>
}

/** Starts the controller on a world, with the same settings of V8 as `bin/berth.mjs`. */
export async function startOn(world: World): Promise<MeasuredController> {
  if (Number(process.versions.node.split('.')[0]) >= 24)
    v8.setFlagsFromString('--no-memory-reducer-favors-memory --heap-growing-percent=33')
  const folder = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  const kubeconfigPath = join(folder, 'kubeconfig')
  writeFileSync(kubeconfigPath, world.kubeconfig)
  const clock = systemClock()
  const { config } = loadConfig(
    [
      '--ipam=eni',
      '--cluster-name=berth-bench',
      `--kubeconfig=${kubeconfigPath}`,
      '--k8s-namespace=kube-system',
      `--ec2-api-endpoint=${world.ec2URL}`,
      `--aws-region=${world.region}`,
      `--aws-vpc-id=${world.vpcID}`,
      '--aws-enable-prefix-delegation=true',
      '--operator-prometheus-serve-addr=127.0.0.1:0',
      '--shutdown-grace-period=4s',
    ],
    {},
  )
  const access = await findClusterAccess({ kubeconfigPath, apiServer: '', environment: {} })
  const began = Promise.withResolvers<number>()
  const none = (): Promise<never> => Promise.reject(new Error('there is no metadata service'))
  const handle = await startController({
    config,
    transport: noting(httpsTransport(access, clock), () => began.resolve(performance.now())),
    leaseTransport: httpsTransport(access, clock),
    source: access.source,
    namespace: config.kubernetes.namespace,
    identity: 'bench',
    metadata: { region: none, vpcID: none, instanceID: none },
    aws: { credentials: { accessKeyId: 'berth', secretAccessKey: 'simulator' } },
    // Formatted as in earnest, and thrown away.
    log: createLogger({
      level: config.telemetry.logLevel,
      destination: { write: () => undefined },
      pretty: false,
      clock,
    }),
    clock,
    random: systemRandom,
  })
  let peakBytes = 0
  const look = setInterval(() => (peakBytes = Math.max(peakBytes, process.memoryUsage.rss())), MEMORY_INTERVAL_MS)
  return {
    handle,
    listBegan: began.promise,
    peakBytes: () => Math.max(peakBytes, process.memoryUsage.rss()),
    async stop() {
      clearInterval(look)
      await handle.stop()
      rmSync(folder, { recursive: true })
    },
  }
}

/** Tells of the first page of CiliumNodes that is asked for. */
function noting(transport: KubernetesTransport, onList: () => void): KubernetesTransport {
  return {
    server: transport.server,
    request(request) {
      if (request.path.startsWith(`${NODES_PATH}?limit=`)) onList()
      return transport.request(request)
    },
    close: () => transport.close(),
  }
}

/** Resolves with the time at which the condition held (`performance.now()`, ms). Looks every millisecond. */
export async function until(condition: () => boolean, limitMs: number, what: string): Promise<number> {
  const limit = performance.now() + limitMs
  while (!condition()) {
    check(performance.now() < limit, `${what} within ${limitMs / 1000} s`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  return performance.now()
}
