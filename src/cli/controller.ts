import type { Config } from '../config/config.ts'
import type { ReloadableConfig } from '../config/reload.ts'
import type { NodeManager } from '../controller/node-manager.ts'
import type { Node } from '../controller/node.ts'
import type { Logger } from '../ipam/contracts.ts'
import { CloudAPIError, ConfigError } from '../ipam/errors.ts'
import { KubernetesClient } from '../kubernetes/client.ts'
import { EventAPI } from '../kubernetes/event-api.ts'
import { NodeAPI } from '../kubernetes/node-api.ts'
import { becomeLeader, LEASE_NAME } from '../kubernetes/leader-election.ts'
import type { Leadership } from '../kubernetes/leader-election.ts'
import { LeaseAPI } from '../kubernetes/lease.ts'
import { RateLimiter } from '../kubernetes/rate-limiter.ts'
import type { KubernetesTransport } from '../kubernetes/transport.ts'
import { readOnlyTransport, transportUntil } from '../kubernetes/transport.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import { startEventLoopMonitor } from '../telemetry/event-loop.ts'
import { createMetrics } from '../telemetry/metrics.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { declarePoolMetrics } from '../telemetry/pool-metrics.ts'
import type { Readiness, TelemetryServer } from '../telemetry/server.ts'
import { startTelemetryServer } from '../telemetry/server.ts'
import { openCloud, SERVED_CLOUDS } from './controller-cloud.ts'
import type { Cloud, CloudAccesses } from './controller-cloud.ts'
import type { Duty, LeaderWork } from './controller-duty.ts'
import { Leader } from './controller-leader.ts'
import { neededByPools, PoolsLeader } from './controller-pools.ts'
import { ControllerInsight, quotaWaitOf } from './controller-insight.ts'
import { checkAPIServer } from './controller-preflight.ts'
import { Safety } from './controller-safety.ts'
import type { SafetyOptions } from './controller-safety.ts'
import { StartError } from './controller-start-error.ts'
import type { DryRunReport } from './dry-run.ts'
import { plainWords } from './plain-words.ts'
import type { PoolPlan } from './pool-plan.ts'
import { readPoolPlan } from './pool-plan.ts'
import { NodeHints } from './node-hints.ts'
import { WaitingEvents } from './waiting-events.ts'

/** Everything that a controller needs of its surroundings; nothing global is read inside. */
export interface ControllerOptions extends CloudAccesses {
  readonly config: Config
  readonly transport: KubernetesTransport
  /** The lease's own way to the API server, so that no queue of others delays a renewal; absent: `transport`. */
  readonly leaseTransport?: KubernetesTransport
  /** Where the transport's address and credentials come from, for messages. */
  readonly source: string
  /** Of the Lease. */
  readonly namespace: string
  /** Unique among the replicas. */
  readonly identity: string
  /** Serves health and metrics; absent: over HTTP. In virtual time nothing touches a socket. */
  readonly startTelemetry?: typeof startTelemetryServer
  /** Takes one entry of the audit log, for good; absent: the log. */
  readonly writeAudit?: NonNullable<SafetyOptions['writeAudit']>
  readonly log: Logger
  readonly clock: Clock
  readonly random: Random
}

export interface ControllerHandle {
  /** Of `/healthz`, `/readyz` and `/metrics`. */
  readonly telemetryURL: string
  readonly isLeader: boolean
  /** The fleet, while this process leads; never in the modes without a cloud. */
  readonly manager: NodeManager | undefined
  /** What it tells about what waits. */
  readonly insight: ControllerInsight
  /** Resolves with the reason when the controller ends by itself: lost lease, unusable cloud. Never after `stop`. */
  readonly ended: Promise<Error>
  /** What a dry run would have done until now; undefined without `--dry-run`. */
  readonly dryRunReport: DryRunReport | undefined
  /** Puts into effect what may change while running. @throws ConfigError when it cannot be used: nothing has changed then */
  reconfigure(config: ReloadableConfig): void
  /** Stops taking work, lets calls end within the grace period, and releases the lease. May be called twice. */
  stop(): Promise<void>
}

/** Requests of the lease (per second, and at once): a renewal every 2 s, with room for repeats. */
const LEASE_LIMIT = { qps: 5, burst: 10 }

/** Requests for what people ask about pods (per second, and at once): a person asks about one at a time. */
const QUESTION_LIMIT = { qps: 5, burst: 10 }

/** Of the grace period, what is kept for releasing the lease (ms). */
const RELEASE_RESERVE_MS = 2_000

/** A need that is older than this is worth a line on /healthz (ms). */
const OLD_NEED_MS = 300_000

/**
 * Composes the controller and starts it: it serves its health, checks the API server, then leads as soon as it holds the lease.
 * A replica that stands by is ready.
 *
 * @throws ConfigError, StartError, ListenError: nothing is left running then
 */
export async function startController(options: ControllerOptions): Promise<ControllerHandle> {
  refuseUnserved(options.config)
  const controller = new Controller(options)
  try {
    await controller.start()
  } catch (error) {
    await controller.stop()
    throw error
  }
  return controller
}

/**
 * Refuses options that are known and whose work this build cannot do: to go on without it would be a silent lie.
 *
 * @throws ConfigError
 */
export function refuseUnserved(config: Config): void {
  if (config.dryRun && SERVED_CLOUDS[config.ipam] === undefined) {
    const served = Object.keys(SERVED_CLOUDS).join(', ')
    throw new ConfigError([`--dry-run is not served with --ipam ${config.ipam} by this build; it is with: ${served}`])
  }
  const isServed = SERVED_CLOUDS[config.ipam] !== undefined || readPoolPlan(config) !== undefined
  if (isServed) return
  const fault = `--ipam ${config.ipam} is not served by this build; it serves: eni, azure, cluster-pool, multi-pool, kubernetes`
  throw new ConfigError([fault])
}

class Controller implements ControllerHandle {
  readonly #options: ControllerOptions
  readonly #metrics: Metrics
  readonly #insight: ControllerInsight
  readonly #eventLoop = startEventLoopMonitor()
  readonly #stopping = new AbortController()
  /** The term is over: whatever the provider still does ends. */
  readonly #termOver = new AbortController()
  readonly #ended = Promise.withResolvers<Error>()
  readonly #safety: Safety
  #setBudgetTable: Cloud['setBudgetTable'] | undefined
  #telemetry: TelemetryServer | undefined
  #duty: Duty | undefined
  #leadership: Leadership | undefined
  #leader: LeaderWork | undefined
  #term: Promise<void> = Promise.resolve()
  #stopped: Promise<void> | undefined

  constructor(options: ControllerOptions) {
    const { config } = options
    this.#options = options
    this.#metrics = createMetrics({
      enabled: config.telemetry.enableMetrics,
      profile: config.ipamProfile,
      api: SERVED_CLOUDS[config.ipam]?.api ?? 'ec2',
    })
    const { identity, writeAudit, clock, log } = options
    const metrics = this.#metrics.controller
    this.#insight = new ControllerInsight({ clock, metrics })
    this.#safety = new Safety({
      config,
      identity,
      ...(writeAudit !== undefined && { writeAudit }),
      metrics,
      clock,
      log,
    })
  }

  get telemetryURL(): string {
    return this.#telemetry?.url ?? ''
  }

  get isLeader(): boolean {
    return this.#leader !== undefined
  }

  get manager(): NodeManager | undefined {
    return this.#leader?.manager
  }

  get insight(): ControllerInsight {
    return this.#insight
  }

  get ended(): Promise<Error> {
    return this.#ended.promise
  }

  get dryRunReport(): DryRunReport | undefined {
    return this.#safety.report()
  }

  reconfigure(config: ReloadableConfig): void {
    this.#safety.reconfigure(config, this.#setBudgetTable)
  }

  async start(): Promise<void> {
    const { config, log } = this.#options
    const { startTelemetry = startTelemetryServer } = this.#options
    const { controller: metrics, registry } = this.#metrics
    this.#telemetry = await startTelemetry({
      address: config.telemetry.serveAddress,
      isReady: () => this.#readiness(),
      isHealthy: () => this.#health(),
      registry,
      // Nodes that get CIDRs of the cluster's own wait for no cloud.
      routes: [...this.#safety.routes(), ...(readPoolPlan(config) === undefined ? this.#insight.routes : [])],
    })
    metrics.watchEventLoop(() => this.#eventLoop.read())
    metrics.setLeader(false)
    metrics.setSecondWriter(false)
    log.info({ address: this.telemetryURL }, 'Serving health and metrics')
    const plan = readPoolPlan(config)
    this.#duty = plan === undefined ? await this.#openCloud() : await this.#openPools(plan)
    this.#term = this.#lead(this.#duty)
  }

  async #openCloud(): Promise<Duty> {
    const { config, transport, source, metadata, aws, azure, log, clock, random } = this.#options
    const { signal } = this.#stopping
    const { controller: metrics, cloud: cloudMetrics } = this.#metrics
    await checkAPIServer(this.#client(transport, config.kubernetes), source, signal)
    const accesses = { metadata, ...(aws !== undefined && { aws }), ...(azure !== undefined && { azure }) }
    const { guard, dryRun } = this.#safety
    const safety = { ...(guard !== undefined && { guard }), ...(dryRun !== undefined && { dryRun }) }
    const shared = { config, clock, random, log, metrics: cloudMetrics, signal, ...safety }
    const cloud = await openCloud({ ...shared, ...accesses })
    this.#setBudgetTable = (table) => cloud.setBudgetTable(table)
    metrics.watchBudget(cloud.budget)
    this.#insight.setBudget(cloud.budget)
    return { lead: (leadership) => this.#createLeader(cloud, leadership), close: () => cloud.close() }
  }

  /** No cloud is needed, and no SDK loaded. */
  async #openPools(plan: PoolPlan): Promise<Duty> {
    const { config, transport, source, log, clock, random } = this.#options
    const needed = neededByPools(plan, config)
    await checkAPIServer(this.#client(transport, config.kubernetes), source, this.#stopping.signal, needed)
    return {
      lead: ({ lost }) => {
        const client = this.#client(transportUntil(transport, lost), config.kubernetes)
        const leader = new PoolsLeader({ config, plan, client, log, clock, random })
        if (config.telemetry.enableMetrics) declarePoolMetrics(this.#metrics.registry, () => leader.readings())
        return leader
      },
      close: () => undefined,
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  /** One term: waits for the lease, works, and ends the controller when the lease is lost or the cloud cannot be used. */
  async #lead(duty: Duty): Promise<void> {
    const { signal } = this.#stopping
    try {
      const leadership = this.#safety.dryRun === undefined ? await this.#acquire(signal) : noLease()
      this.#leadership = leadership
      const leader = duty.lead(leadership)
      this.#leader = leader
      this.#metrics.controller.setLeader(this.#safety.dryRun === undefined)
      leadership.lost.addEventListener('abort', () => this.#end(leadership.lost.reason as Error), { once: true })
      await leader.start()
    } catch (error) {
      if (!signal.aborted) this.#end(endOf(error, this.#options.config))
    }
  }

  #acquire(signal: AbortSignal): Promise<Leadership> {
    const { config, transport, leaseTransport = transport, namespace, identity, clock, random, log } = this.#options
    const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = config.kubernetes
    const lease = new LeaseAPI(this.#client(leaseTransport, LEASE_LIMIT), namespace, LEASE_NAME)
    const times = { leaseDurationMs, renewDeadlineMs, retryPeriodMs }
    return becomeLeader({ lease, identity, ...times, clock, random, log }, signal)
  }

  #createLeader(cloud: Cloud, leadership: Leadership): Leader {
    const { config, transport, log, clock, random } = this.#options
    const { guard, dryRun } = this.#safety
    const client = this.#client(transportUntil(transport, leadership.lost), config.kubernetes)
    const leader = new Leader({
      config,
      ...(guard !== undefined && { guard }),
      ...(dryRun !== undefined && { dryRun }),
      client,
      questions: this.#client(transportUntil(transport, leadership.lost), QUESTION_LIMIT),
      nodeSettings: cloud.nodeSettings,
      provider: cloud.createProvider(AbortSignal.any([leadership.lost, this.#termOver.signal])),
      metrics: this.#metrics.core,
      rerank: (signal, priority) => cloud.budget.rerank(signal, priority),
      quotaWait: (signal) => quotaWaitOf(cloud.budget.pendingCalls(signal)),
      observer: this.#insight,
      onSecondWriter: () => this.#metrics.controller.setSecondWriter(true),
      log,
      clock,
      random,
    })
    this.#safety.watch(leader.manager)
    const signal = AbortSignal.any([leadership.lost, this.#termOver.signal])
    // A dry run writes neither events nor hints.
    this.#insight.lead(leader, signal, dryRun === undefined ? this.#startTelling(client, leader, leadership) : {})
    return leader
  }

  /** What the leader says outside of the CiliumNodes. */
  #startTelling(
    client: KubernetesClient,
    { manager }: Leader,
    { lost }: Leadership,
  ): { readonly reporter: WaitingEvents; readonly follower?: NodeHints } {
    const { config, namespace, identity, log, clock } = this.#options
    const signal = AbortSignal.any([lost, this.#stopping.signal])
    const reporter = new WaitingEvents({ api: new EventAPI(client, identity), namespace, clock, log, signal })
    void reporter.run()
    const { capacityAnnotation, startupTaint } = config.nodeHints
    if (capacityAnnotation === '' && startupTaint === '') return { reporter }
    const find = (name: string): Node | undefined => manager.get(name)
    const api = new NodeAPI(client)
    return { reporter, follower: new NodeHints({ config: config.nodeHints, api, find, clock, log, signal }) }
  }

  #end(reason: Error): void {
    if (this.#stopping.signal.aborted) return
    this.#options.log.error({ error: reason }, 'The controller ends')
    // Without the lease every further step is another one's: nothing is waited for.
    void this.stop().then(() => this.#ended.resolve(reason))
  }

  async #stop(): Promise<void> {
    const { config, clock, transport, leaseTransport, log } = this.#options
    const over = new AbortController()
    const grace = new AbortController()
    const release = new AbortController()
    const abortAfter = (ms: number, controller: AbortController): void => {
      clock.sleep(ms, over.signal).then(
        () => controller.abort(new Error('the grace period is over')),
        () => undefined,
      )
    }
    this.#stopping.abort(new Error('the controller stops'))
    const isLost = this.#leadership?.lost.aborted === true
    if (isLost) grace.abort(this.#leadership?.lost.reason)
    abortAfter(Math.max(config.shutdownGracePeriodMs - RELEASE_RESERVE_MS, 0), grace)
    abortAfter(config.shutdownGracePeriodMs, release)
    this.#leadership?.lost.addEventListener('abort', () => grace.abort(this.#leadership?.lost.reason), { once: true })
    await this.#leader?.stop(grace.signal)
    await this.#term
    // Clean-up that the grace period did not see done must not go on without the lease.
    this.#termOver.abort(new Error('the controller has stopped'))
    this.#duty?.close()
    await this.#leadership?.release(release.signal)
    this.#metrics.controller.setLeader(false)
    await this.#telemetry?.close(release.signal)
    this.#eventLoop.stop()
    over.abort(new Error('stopped'))
    transport.close()
    leaseTransport?.close()
    log.info({}, 'Stopped')
  }

  #readiness(): Readiness {
    if (this.#stopping.signal.aborted) return { ok: false, reasons: ['stopping'] }
    if (this.#duty === undefined) return { ok: false, reasons: ['starting'] }
    return this.#leader?.readiness() ?? { ok: true, reasons: ['standing by: another replica leads'] }
  }

  /** Whether a restart would help; what is merely slow is named, and no reason to restart. */
  #health(): Readiness {
    const oldestMs = this.#leader?.manager?.oldestNeedMs() ?? 0
    const reasons =
      oldestMs > OLD_NEED_MS ? [`a node has waited for addresses for ${Math.round(oldestMs / 1000)} s`] : []
    return { ok: true, reasons }
  }

  #client(transport: KubernetesTransport, limit: { readonly qps: number; readonly burst: number }): KubernetesClient {
    const { clock, random } = this.#options
    const { qps, burst } = limit
    const own = this.#safety.dryRun === undefined ? transport : readOnlyTransport(transport)
    return new KubernetesClient({ transport: own, clock, random, limiter: new RateLimiter({ clock, qps, burst }) })
  }
}

/** What an operator can mend is said plainly; the rest stays as it was thrown. */
function endOf(error: unknown, { ipam }: Config): Error {
  if (error instanceof CloudAPIError) {
    const advice = SERVED_CLOUDS[ipam]?.advice[error.kind === 'denied' ? 'denied' : 'other'] ?? ''
    return new StartError(`The cloud API cannot be used: ${plainWords(error.message)}. ${advice}`, { cause: error })
  }
  return error instanceof Error ? error : new Error(String(error))
}

/** A dry run writes nothing, not even a Lease: it leads nobody, and nobody takes its place. */
function noLease(): Leadership {
  return { lost: new AbortController().signal, release: () => Promise.resolve() }
}
