import type { CiliumNodeGetterUpdater } from '../controller/api-server.ts'
import { NodeGC } from '../controller/node-gc.ts'
import { NodeManager } from '../controller/node-manager.ts'
import type { NodeObserver } from '../controller/node-work.ts'
import type { NodeManagerOptions } from '../controller/options.ts'
import type { Config } from '../config/config.ts'
import type { AllocationImplementation, Logger, MetricsAPI } from '../ipam/contracts.ts'
import type { DestructionGuard } from '../ipam/destruction.ts'
import type { PoolQuotaMap } from '../ipam/types.ts'
import type { MalformedCiliumNode } from '../kubernetes/cilium-node-api.ts'
import { CiliumNodeAPI } from '../kubernetes/cilium-node-api.ts'
import { ciliumNodeOfDigest } from '../kubernetes/cilium-node.ts'
import { watchCiliumNodes } from '../kubernetes/cilium-nodes.ts'
import type { KubernetesClient } from '../kubernetes/client.ts'
import { findPod } from '../kubernetes/find-pod.ts'
import type { FoundPod } from '../kubernetes/find-pod.ts'
import { NodeNames } from '../kubernetes/node-names.ts'
import { PendingPods } from '../kubernetes/pending-pods.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { DryRun } from './dry-run.ts'
import { DryRunResources } from './dry-run-resources.ts'
import type { Cloud } from './controller-cloud.ts'
import type { Readiness } from '../telemetry/server.ts'
import type { LeaderWork } from './controller-duty.ts'
import type { LeaderView } from './controller-insight.ts'

/** Told of what happens to nodes and to their resources. */
export interface FleetObserver extends NodeObserver {
  malformed(name: string, faults: readonly string[]): void
  deleted(name: string): void
}

export interface LeaderOptions {
  readonly config: Config
  readonly client: KubernetesClient
  /** For what people ask: it must not use up the requests of the nodes. */
  readonly questions: KubernetesClient
  readonly nodeSettings: Cloud['nodeSettings']
  readonly provider: AllocationImplementation
  readonly metrics: MetricsAPI
  readonly rerank: NonNullable<NodeManagerOptions['rerank']>
  readonly onSecondWriter: NonNullable<NodeManagerOptions['onSecondWriter']>
  readonly quotaWait: NonNullable<NodeManagerOptions['quotaWait']>
  readonly observer: FleetObserver
  /** Stands in front of every deletion; absent: nobody asks. */
  readonly guard?: DestructionGuard
  /** Nothing is written; what would be is noted here. */
  readonly dryRun?: DryRun
  readonly log: Logger
  readonly clock: Clock
  readonly random: Random
}

/** What only the leader does: the fleet, what feeds it, and the garbage collection of its resources and its leftovers. */
export class Leader implements LeaderWork, LeaderView {
  readonly manager: NodeManager
  readonly #options: LeaderOptions
  readonly #api: CiliumNodeAPI
  readonly #apiServer: CiliumNodeGetterUpdater
  readonly #pods = new PendingPods()
  readonly #stopping = new AbortController()
  #feeding: Promise<unknown> = Promise.resolve()

  constructor(options: LeaderOptions) {
    const { config, provider, metrics, log, clock, random } = options
    this.#options = options
    this.#api = new CiliumNodeAPI(options.client)
    const apiServer = options.dryRun === undefined ? this.#api : new DryRunResources(this.#api, options.dryRun)
    this.#apiServer = apiServer
    this.manager = new NodeManager({
      implementation: provider,
      apiServer,
      metrics,
      log,
      clock,
      random,
      config: {
        parallelAllocWorkers: config.parallelAllocWorkers,
        releaseExcessIPs: options.nodeSettings.releaseExcessIPs,
        excessIPReleaseDelayMs: config.excessIPReleaseDelayMs,
        prefixDelegation: options.nodeSettings.prefixDelegation,
        profile: config.ipamProfile,
        destructiveCallsPerMinute: config.destructiveCallsPerMinute,
      },
      pendingPods: (nodeName) => this.pendingPods(nodeName),
      quotaWait: options.quotaWait,
      observer: options.observer,
      rerank: options.rerank,
      onSecondWriter: options.onSecondWriter,
      toleratesOtherWriters: options.dryRun !== undefined,
    })
    this.#feed()
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

  prefixDelegation(): boolean {
    return this.#options.nodeSettings.prefixDelegation
  }

  quota(): PoolQuotaMap {
    return this.#options.provider.getPoolQuota()
  }

  nodesWithPendingPods(): Iterable<string> {
    return this.#pods.nodeNames()
  }

  pendingPods(nodeName: string): number | undefined {
    return this.#pods.count(nodeName)
  }

  /** How long until so many further requests to the API server may have been sent (ms). */
  requestWaitMs(count: number): number {
    return this.#options.client.waitMs(count)
  }

  findPod(namespace: string, name: string, signal: AbortSignal): Promise<FoundPod | undefined> {
    return findPod(this.#options.questions, namespace, name, signal)
  }

  readiness(): Readiness {
    return this.manager.readiness()
  }

  #feed(): void {
    const { client, clock, random, log, config, provider } = this.#options
    const { signal } = this.#stopping
    const shared = { client, clock, random, log, signal }
    const { manager } = this
    const nodeNames = new NodeNames()
    // Pods first: a node that is served before its pods are known gets no surge.
    const informers = [
      this.#pods.start(shared, (nodeName) => manager.podsWait(nodeName)),
      watchCiliumNodes({
        ...shared,
        handlers: {
          onUpsert: (node) => manager.upsert(node),
          onDelete: (digest) => {
            manager.delete(ciliumNodeOfDigest(digest))
            this.#options.observer.deleted(digest.name)
          },
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
      apiServer: this.#apiServer,
      ...(this.#options.guard !== undefined && { guard: this.#options.guard }),
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
    this.#options.observer.malformed(report.name, report.faults)
    if (report.name === '' || this.#options.dryRun !== undefined) return
    this.#api.reportMalformed(report, this.#stopping.signal).catch((error: unknown) => {
      if (this.#stopping.signal.aborted) return
      this.#options.log.warn({ node: report.name, error }, 'Cannot write on a CiliumNode what is wrong with it')
    })
  }
}
