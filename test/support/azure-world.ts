import { createAzureSimulator, inProcessHTTPClient, NO_LATENCY } from '../../simulators/azure/index.ts'
import type { AzureSimulator, BulkInstance } from '../../simulators/azure/index.ts'
import {
  APIClient,
  CILIUM_NODES_PATH,
  createKubernetesSimulator,
  NODES_PATH,
  nodeManifest,
  PodScheduler,
} from '../../simulators/kubernetes/index.ts'
import type { AgentGeneration, JSONObject, KubernetesSimulator } from '../../simulators/kubernetes/index.ts'
import { startController } from '../../src/cli/controller.ts'
import type { ControllerHandle } from '../../src/cli/controller.ts'
import { loadConfig } from '../../src/config/load.ts'
import { CLOUD_FACTS } from '../../src/fleet/cloud-facts.ts'
import { SimulatedNode } from '../../src/fleet/simulated-node.ts'
import { VirtualTime } from '../../src/fleet/virtual-time.ts'
import { inProcessTransport } from '../../src/kubernetes/transport.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { seededRandom } from '../../src/runtime/random.ts'

export interface AzureWorldOptions {
  readonly kind: 'uniform' | 'flexible' | 'standalone'
  readonly nodes: number
  readonly prefixes?: boolean
  readonly agentGeneration?: AgentGeneration
  /** `spec.ipam` of the nodes, taken in turn; by default that of Cilium's flags as they come. */
  readonly specs?: readonly JSONObject[]
  /** Of the one subnet (bits); 20 by default. */
  readonly subnetBits?: number
  /** Of every controller. */
  readonly flags?: readonly string[]
}

/** What `spec.ipam.static-ip-tags` finds the one public prefix by. */
export const PUBLIC_PREFIX_TAGS = { use: 'pods' }
const SEED = 7
const SUBSCRIPTION_ID = '00000000-0000-0000-0000-0000000000aa'
const RESOURCE_GROUP = 'nodes'
const NETWORK = `/subscriptions/${SUBSCRIPTION_ID}/resourceGroups/network/providers/Microsoft.Network/virtualNetworks/v`
/** Least time between two writes of one agent (ms); real ones take 15 s. */
const AGENT_INTERVAL_MS = 1_000
/** So few that a list has several pages (count). */
const PAGE_SIZE = 4
const MAX_PODS = 40
const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

/** A small cluster in a simulated subscription, machines of any kind, in virtual time: agents, pods, and controllers that tests start. */
export class AzureWorld {
  readonly azure: AzureSimulator
  readonly kubernetes: KubernetesSimulator
  readonly clock: Clock
  readonly pods: PodScheduler
  readonly nodes: SimulatedNode[] = []
  readonly #options: AzureWorldOptions
  readonly #client: APIClient
  readonly #closing = new AbortController()
  #controllers: ControllerHandle[] = []
  #started = 0

  constructor(options: AzureWorldOptions, clock: Clock) {
    this.#options = options
    this.clock = clock
    const subnets = [{ name: 'nodes', properties: { addressPrefix: `10.0.0.0/${options.subnetBits ?? 20}` } }]
    this.azure = createAzureSimulator({
      clock,
      seed: SEED,
      latency: NO_LATENCY,
      settings: { subscriptionID: SUBSCRIPTION_ID, resourceGroup: RESOURCE_GROUP, pageSize: PAGE_SIZE },
      world: {
        version: 1,
        publicIPPrefixes: [
          {
            id: `/subscriptions/${SUBSCRIPTION_ID}/resourceGroups/${RESOURCE_GROUP}/providers/Microsoft.Network/publicIPPrefixes/p`,
            tags: PUBLIC_PREFIX_TAGS,
            properties: { ipPrefix: '52.0.0.0/28' },
          },
        ],
        virtualNetworks: [{ id: NETWORK, properties: { addressSpace: { addressPrefixes: ['10.0.0.0/8'] }, subnets } }],
      },
    })
    this.kubernetes = createKubernetesSimulator({ clock, seed: SEED })
    this.#client = new APIClient(this.kubernetes.router, 'cluster')
    this.pods = new PodScheduler({ client: this.#client, clock, random: seededRandom(SEED + 1), podsPerSecond: 0 })
  }

  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** All nodes at once. */
  async join(): Promise<void> {
    const { kind, nodes } = this.#options
    const { instances } = this.azure.makeInstances({ kind, count: nodes, subnetId: `${NETWORK}/subnets/nodes` })
    await Promise.all(instances.map((instance, index) => this.#join(instance, index)))
  }

  /** Runs until it is told to stop, or the world ends. */
  async start(flags: readonly string[] = []): Promise<ControllerHandle> {
    const { prefixes = false, flags: shared = [] } = this.#options
    const { config } = loadConfig(
      [
        '--ipam=azure',
        '--azure-environment=AzurePublicCloud',
        `--azure-subscription-id=${SUBSCRIPTION_ID}`,
        `--azure-resource-group=${RESOURCE_GROUP}`,
        `--azure-enable-prefixes=${prefixes}`,
        ...shared,
        ...flags,
      ],
      {},
    )
    const ordinal = ++this.#started
    const none = (): Promise<never> => Promise.reject(new Error('none'))
    const transport = inProcessTransport(this.kubernetes.router)
    const controller = await startController({
      config,
      transport,
      leaseTransport: transport,
      source: 'test',
      namespace: 'kube-system',
      identity: `controller-${ordinal}`,
      metadata: { region: none, vpcID: none, instanceID: none },
      azure: { ...CLOUD_FACTS.azure.access.azure, httpClient: inProcessHTTPClient(this.azure.router) },
      startTelemetry: () => Promise.resolve({ url: '', close: () => Promise.resolve() }),
      log: SILENT,
      clock: this.clock,
      random: seededRandom(SEED * 1_000_003 + ordinal),
    })
    this.#controllers.push(controller)
    return controller
  }

  async startPods(countPerNode: number): Promise<void> {
    await Promise.all(this.nodes.map(({ name }) => this.pods.startPods(name, countPerNode)))
  }

  pass(ms: number): Promise<void> {
    return this.clock.sleep(ms, this.closing)
  }

  /** Until no node lacks an address. @throws Error when that takes longer */
  async settle(withinMs: number): Promise<void> {
    const endMs = this.clock.now() + withinMs
    while (this.nodes.some((node) => node.missing() > 0)) {
      if (this.clock.now() >= endMs) throw new Error(`nodes lack addresses after ${withinMs} ms`)
      await this.pass(1_000)
    }
  }

  /** Calls that change something, as the simulator counted them, by action. */
  writes(): Record<string, number> {
    const { actions } = this.azure.calls.report()
    const counts = Object.entries(actions).map(([action, { attempts }]) => [action, attempts] as const)
    return Object.fromEntries(counts.filter(([action]) => /\.(Update|CreateOrUpdate|Delete)$/.test(action)))
  }

  /** Resources of a kind as the API server has them. */
  async list(path: string): Promise<readonly JSONObject[]> {
    const { items } = await this.#client.request('GET', path, {}, this.closing)
    return items as readonly JSONObject[]
  }

  resources(): Promise<readonly JSONObject[]> {
    return this.list(CILIUM_NODES_PATH)
  }

  async stopControllers(): Promise<void> {
    const controllers = this.#controllers
    this.#controllers = []
    await Promise.all(controllers.map((one) => one.stop()))
  }

  async close(): Promise<void> {
    await this.stopControllers()
    this.#closing.abort(new Error('the world ends'))
    this.pods.stop()
    for (const { agent } of this.nodes) agent.stop()
    this.kubernetes.close()
  }

  async #join(instance: BulkInstance, index: number): Promise<void> {
    const { specs = [{}], agentGeneration = 'pool' } = this.#options
    const facts = {
      name: `node-${index + 1}`,
      cloud: 'azure' as const,
      instanceID: instance.id.toLowerCase(),
      instanceType: instance.vmSize,
      vpcID: NETWORK,
      availabilityZone: 'westeurope-1',
      subnetID: instance.subnetId,
      internalIP: instance.privateIPAddress,
      ipam: specs[index % specs.length] ?? {},
    }
    const node = new SimulatedNode({
      facts,
      capacity: { interfaces: 1, slotsPerInterface: 256, podAddresses: 255 },
      generation: agentGeneration,
      client: this.#client,
      clock: this.clock,
      random: seededRandom(SEED * 7919 + index),
      updateIntervalMs: AGENT_INTERVAL_MS,
    })
    await this.#client.request('POST', NODES_PATH, { body: nodeManifest(facts, MAX_PODS) }, this.closing)
    this.nodes.push(node)
    void node.agent.run()
    this.pods.addNode({ name: facts.name, agent: node.agent, maxPods: MAX_PODS })
  }
}

/** Plays in a world of its own; timer globals are replaced meanwhile, so that one runs at a time. */
export async function inAzureWorld<T>(options: AzureWorldOptions, play: (world: AzureWorld) => Promise<T>): Promise<T> {
  // Loaded before time stands still.
  await import('../../providers/azure/index.ts')
  const time = new VirtualTime()
  const world = new AzureWorld(options, time.clock)
  const run = async (): Promise<T> => {
    try {
      await world.join()
      return await play(world)
    } finally {
      await world.close()
    }
  }
  try {
    return await time.run(run())
  } finally {
    time.uninstall()
  }
}
