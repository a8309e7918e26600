import type { CiliumNodeGetterUpdater } from '../controller/api-server.ts'
import { NodeGC } from '../controller/node-gc.ts'
import { NodeManager } from '../controller/node-manager.ts'
import type { NodeManagerOptions } from '../controller/options.ts'
import type { Config } from '../config/config.ts'
import type { AllocationImplementation, Logger, MetricsAPI } from '../ipam/contracts.ts'
import type { MalformedCiliumNode } from '../kubernetes/cilium-node-api.ts'
import { CiliumNodeAPI } from '../kubernetes/cilium-node-api.ts'
import { ciliumNodeOfDigest } from '../kubernetes/cilium-node.ts'
import { watchCiliumNodes } from '../kubernetes/cilium-nodes.ts'
import type { KubernetesClient } from '../kubernetes/client.ts'
import { NodeNames } from '../kubernetes/node-names.ts'
import { PendingPods } from '../kubernetes/pending-pods.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'

export interface LeaderOptions {
  readonly config: Config
  readonly client: KubernetesClient
  readonly provider: AllocationImplementation
  readonly metrics: MetricsAPI
  readonly rerank: NonNullable<NodeManagerOptions['rerank']>
  readonly onSecondWriter: NonNullable<NodeManagerOptions['onSecondWriter']>
  readonly log: Logger
  readonly clock: Clock
  readonly random: Random
}

/** What only the leader does: the fleet, what feeds it, and the garbage collection of its resources and its leftovers. */
export class Leader {
  readonly manager: NodeManager
  readonly #options: LeaderOptions
  readonly #api: CiliumNodeAPI
  readonly #stopping = new AbortController()
  #feeding: Promise<unknown> = Promise.resolve()

  constructor(options: LeaderOptions) {
    const { config, provider, metrics, log, clock, random } = options
    const pods = new PendingPods()
    this.#options = options
    this.#api = new CiliumNodeAPI(options.client)
    const apiServer: CiliumNodeGetterUpdater = this.#api
    this.manager = new NodeManager({
      implementation: provider,
      apiServer,
      metrics,
      log,
      clock,
      random,
      config: {
        parallelAllocWorkers: config.parallelAllocWorkers,
        releaseExcessIPs: config.aws.releaseExcessIPs,
        excessIPReleaseDelayMs: config.excessIPReleaseDelayMs,
        prefixDelegation: config.aws.enablePrefixDelegation,
        profile: config.ipamProfile,
        destructiveCallsPerMinute: config.destructiveCallsPerMinute,
      },
      pendingPods: (nodeName) => pods.count(nodeName),
      rerank: options.rerank,
      onSecondWriter: options.onSecondWriter,
    })
    this.#feed(pods)
  }

  /** @throws CloudAPIError or ConfigError when the cloud cannot be used */
  start(): Promise<void> {
    return this.manager.start()
  }

  /** Takes no more work and lets what is under way end; when the signal is aborted, abandons it. */
  async stop(grace: AbortSignal): Promise<void> {
    this.#stopping.abort(new Error('the controller stops'))
    await this.manager.stop(grace)
    await this.#feeding
  }

  #feed(pods: PendingPods): void {
    const { client, clock, random, log, config, provider } = this.#options
    const { signal } = this.#stopping
    const shared = { client, clock, random, log, signal }
    const { manager } = this
    const nodeNames = new NodeNames()
    // Pods first: a node that is served before its pods are known gets no surge.
    const informers = [
      pods.start(shared, (nodeName) => manager.podsWait(nodeName)),
      watchCiliumNodes({
        ...shared,
        handlers: {
          onUpsert: (node) => manager.upsert(node),
          onDelete: (digest) => manager.delete(ciliumNodeOfDigest(digest)),
          onListed: () => {
            log.info({ count: manager.getNames().length }, 'Every CiliumNode is known')
            manager.listed()
          },
          onMalformed: (report) => this.#malformed(report),
        },
      }),
      ...(config.nodesGCIntervalMs > 0 ? [nodeNames.start(shared)] : []),
    ]
    const collector = new NodeGC({
      names: () => manager.getNames(),
      find: (name) => manager.collectable(name),
      kubernetesNodeExists: (name) => nodeNames.has(name),
      apiServer: this.#api,
      limiter: manager.destructiveLimiter,
      clock,
      log,
      intervalMs: config.nodesGCIntervalMs,
    })
    this.#feeding = Promise.all([
      ...informers.map(({ stopped }) => stopped),
      collector.run(signal),
      provider.leftovers?.run(manager.destructiveLimiter, signal),
    ])
  }

  #malformed(report: MalformedCiliumNode): void {
    this.manager.malformed(report.name, report.faults)
    if (report.name === '') return
    this.#api.reportMalformed(report, this.#stopping.signal).catch((error: unknown) => {
      if (this.#stopping.signal.aborted) return
      this.#options.log.warn({ node: report.name, error }, 'Cannot write on a CiliumNode what is wrong with it')
    })
  }
}
