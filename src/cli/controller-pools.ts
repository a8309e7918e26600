import type { Config } from '../config/config.ts'
import { DestructiveLimiter } from '../controller/destructive-limiter.ts'
import { NodeGC } from '../controller/node-gc.ts'
import type { Logger } from '../ipam/contracts.ts'
import { Backoff } from '../kubernetes/backoff.ts'
import { CiliumNodeAPI } from '../kubernetes/cilium-node-api.ts'
import type { KubernetesClient } from '../kubernetes/client.ts'
import { KubernetesAPIError } from '../kubernetes/errors.ts'
import type { Informer } from '../kubernetes/informer.ts'
import { NodeNames } from '../kubernetes/node-names.ts'
import { CILIUM_NODES_PATH, NODES_PATH, POD_IP_POOLS_PATH } from '../kubernetes/paths.ts'
import { createPodIPPool, watchPodIPPools } from '../kubernetes/pod-ip-pools.ts'
import { PoolNodeAPI, watchPoolNodes } from '../kubernetes/pool-node-api.ts'
import type { PoolNode } from '../kubernetes/pool-node.ts'
import { MultiPoolOperator } from '../pools/multi-pool-operator.ts'
import { PodCIDROperator } from '../pools/pod-cidr-operator.ts'
import type { PoolSpec } from '../pools/pool-spec.ts'
import type { PoolReadings } from '../pools/readings.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import { TimerQueue } from '../runtime/timer.ts'
import type { Readiness } from '../telemetry/server.ts'
import type { LeaderWork } from './controller-duty.ts'
import { StartError } from './controller-start-error.ts'
import type { PoolPlan } from './pool-plan.ts'

export interface PoolsLeaderOptions {
  readonly config: Pick<Config, 'parallelAllocWorkers' | 'nodesGCIntervalMs' | 'destructiveCallsPerMinute'>
  readonly plan: PoolPlan
  readonly client: KubernetesClient
  readonly log: Logger
  readonly clock: Clock
  readonly random: Random
}

/** Names of nodes that readiness tells (count). */
const MAX_NAMED = 5

const NO_WRITES = { ok: 0, conflict: 0, failed: 0 }
const NOTHING: PoolReadings = { usage: [], waiting: [], failing: [], refused: [], writes: NO_WRITES }

function shortened(names: readonly string[]): string {
  const rest = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : ''
  return names.slice(0, MAX_NAMED).join(', ') + rest
}

/** The nodes of a mode, as those who give them CIDRs follow them. */
interface NodeFollower {
  readonly nodes: ReadonlyMap<string, { readonly seen: PoolNode }>
  upsertNode(node: PoolNode): void
  deleteNode(name: string): void
  nodesListed(): void
  readings(): PoolReadings
  stop(grace: AbortSignal): Promise<void>
}

/** What is read all the time in a mode; see `checkAPIServer`. */
export function neededByPools(
  { mode }: PoolPlan,
  { nodesGCIntervalMs }: Pick<Config, 'nodesGCIntervalMs'>,
): readonly (readonly [path: string, what: string])[] {
  return [
    [CILIUM_NODES_PATH, 'CiliumNodes'],
    ...(mode === 'multi-pool' ? [[POD_IP_POOLS_PATH, 'CiliumPodIPPools'] as const] : []),
    ...(nodesGCIntervalMs > 0 ? [[NODES_PATH, 'nodes'] as const] : []),
  ]
}

/**
 * What the leader does in the modes without a cloud: gives nodes their CIDRs, and collects CiliumNodes whose Kubernetes node is gone. In
 * mode `kubernetes` only the latter: Kubernetes gives the CIDRs, and the agents wait for them.
 *
 * @source cilium operator/cmd/root.go, ipam modes; operator/pkg/ipam/clusterpool.go, multipool.go
 */
export class PoolsLeader implements LeaderWork {
  readonly #options: PoolsLeaderOptions
  readonly #timers: TimerQueue
  /** Nothing new is begun. */
  readonly #stopping = new AbortController()
  /** What is under way is abandoned. */
  readonly #ending = new AbortController()
  readonly #follower: NodeFollower
  readonly #multiPool: MultiPoolOperator | undefined
  #arePoolsListed: boolean
  #areNodesListed = false
  readonly #running: Promise<unknown>[] = []

  constructor(options: PoolsLeaderOptions) {
    const { plan, client, clock, log, config } = options
    this.#options = options
    this.#timers = new TimerQueue(clock, (error) => log.error({ error }, 'A timer of the pools failed'))
    const shared = {
      api: new PoolNodeAPI(client),
      concurrency: config.parallelAllocWorkers,
      clock,
      timers: this.#timers,
      log,
      signal: this.#ending.signal,
    }
    this.#multiPool =
      plan.mode === 'multi-pool' ? new MultiPoolOperator({ ...shared, families: plan.families }) : undefined
    this.#arePoolsListed = this.#multiPool === undefined
    this.#follower =
      this.#multiPool ??
      (plan.mode === 'cluster-pool' ? new PodCIDROperator({ ...shared, sets: plan.sets }) : new NodesOfKubernetes())
  }

  /** For metrics. */
  readings(): PoolReadings {
    return this.#follower.readings()
  }

  /** Resolves once the nodes are being listed. @throws StartError when a pool may not be created */
  async start(): Promise<void> {
    const { plan, log, config } = this.#options
    const { signal } = this.#stopping
    if (plan.mode === 'multi-pool') {
      for (const [name, spec] of [...plan.pools].sort(([left], [right]) => (left < right ? -1 : 1)))
        await this.#createPool(name, spec)
      await this.#followPools()
    }
    if (signal.aborted) return
    if (plan.mode === 'kubernetes')
      log.info({}, 'Kubernetes gives the nodes their CIDRs: there is nothing to give here')
    this.#keep(this.#followNodes())
    if (config.nodesGCIntervalMs > 0) this.#collectNodes()
  }

  async stop(grace: AbortSignal): Promise<void> {
    this.#stopping.abort(new Error('the controller stops'))
    await this.#follower.stop(grace)
    this.#ending.abort(new Error('the controller stops'))
    this.#timers.stop()
    await Promise.all(this.#running)
  }

  readiness(): Readiness {
    if (!this.#arePoolsListed) return { ok: false, reasons: ['the CiliumPodIPPools are not listed yet'] }
    if (!this.#areNodesListed) return { ok: false, reasons: ['the CiliumNodes are not listed yet'] }
    const { waiting, failing, refused } = this.readings()
    return {
      ok: true,
      reasons: [
        ...refused.map(({ pool, reason }) => `pool ${pool} cannot be used as it is: ${reason}`),
        ...(waiting.length > 0 ? [`nodes cannot have the CIDRs that they ask for: ${shortened(waiting)}`] : []),
        ...(failing.length > 0 ? [`nodes cannot be written: ${shortened(failing)}`] : []),
      ],
    }
  }

  /** An existing pool is never changed. @throws StartError when the API server will not have it */
  async #createPool(name: string, spec: PoolSpec): Promise<void> {
    const { client, clock, random, log } = this.#options
    const { signal } = this.#stopping
    const backoff = new Backoff(clock, random)
    while (!signal.aborted) {
      try {
        if (await createPodIPPool(client, { name, ...spec }, signal))
          log.info({ pool: name }, 'Created a CiliumPodIPPool')
        return
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof KubernetesAPIError && (error.kind === 'denied' || error.kind === 'invalid'))
          throw new StartError(
            `The CiliumPodIPPool ${name} of --auto-create-cilium-pod-ip-pools cannot be created: ${error.message}. Apply deploy/kubernetes/pools-rbac.yaml, or create the pool yourself`,
            { cause: error },
          )
        log.warn({ pool: name, error }, 'Unable to create a CiliumPodIPPool; it is tried again')
        await backoff.wait(signal).catch(() => undefined)
      }
    }
  }

  /** Resolves once every pool was seen: no node is looked at before. */
  async #followPools(): Promise<void> {
    const operator = this.#multiPool
    if (operator === undefined) return
    const listed = Promise.withResolvers<void>()
    const informer = watchPodIPPools({
      ...this.#shared(),
      handlers: {
        onUpsert: (pool) => operator.upsertPool(pool),
        onDelete: (name) => operator.deletePool(name),
        onListed: () => listed.resolve(),
      },
    })
    this.#keep(informer)
    await Promise.race([listed.promise, informer.stopped])
    this.#arePoolsListed = true
    this.#options.log.info({ count: informer.size }, 'Every CiliumPodIPPool is known')
  }

  #followNodes(): Informer {
    const follower = this.#follower
    return watchPoolNodes({
      ...this.#shared(),
      handlers: {
        onUpsert: (node) => follower.upsertNode(node),
        onDelete: ({ name }) => follower.deleteNode(name),
        onListed: () => {
          this.#areNodesListed = true
          this.#options.log.info({ count: follower.nodes.size }, 'Every CiliumNode is known')
          follower.nodesListed()
        },
      },
    })
  }

  #collectNodes(): void {
    const { client, clock, log, config } = this.#options
    const names = new NodeNames()
    const { nodes } = this.#follower
    this.#keep(names.start(this.#shared()))
    const collector = new NodeGC({
      names: () => [...nodes.keys()],
      find: (name) => nodes.get(name)?.seen,
      kubernetesNodeExists: (name) => names.has(name),
      apiServer: new CiliumNodeAPI(client),
      limiter: new DestructiveLimiter(config.destructiveCallsPerMinute),
      clock,
      log,
      intervalMs: config.nodesGCIntervalMs,
    })
    this.#running.push(collector.run(this.#stopping.signal))
  }

  #shared() {
    const { client, clock, random, log } = this.#options
    return { client, clock, random, log, signal: this.#stopping.signal }
  }

  #keep({ stopped }: Informer): void {
    this.#running.push(stopped)
  }
}

/** Mode `kubernetes`: the nodes are known, for their garbage collection alone. */
class NodesOfKubernetes implements NodeFollower {
  readonly nodes = new Map<string, { readonly seen: PoolNode }>()

  upsertNode(seen: PoolNode): void {
    this.nodes.set(seen.name, { seen })
  }

  deleteNode(name: string): void {
    this.nodes.delete(name)
  }

  nodesListed(): void {
    // Nobody waits for it.
  }

  readings(): PoolReadings {
    return NOTHING
  }

  stop(): Promise<void> {
    return Promise.resolve()
  }
}
