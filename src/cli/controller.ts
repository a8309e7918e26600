import type { Config } from '../config/config.ts'
import type { NodeManager } from '../controller/node-manager.ts'
import type { Logger } from '../ipam/contracts.ts'
import { CloudAPIError, ConfigError } from '../ipam/errors.ts'
import { KubernetesClient } from '../kubernetes/client.ts'
import { becomeLeader, LEASE_NAME } from '../kubernetes/leader-election.ts'
import type { Leadership } from '../kubernetes/leader-election.ts'
import { LeaseAPI } from '../kubernetes/lease.ts'
import { RateLimiter } from '../kubernetes/rate-limiter.ts'
import type { KubernetesTransport } from '../kubernetes/transport.ts'
import { transportUntil } from '../kubernetes/transport.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import { startEventLoopMonitor } from '../telemetry/event-loop.ts'
import { createMetrics } from '../telemetry/metrics.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Readiness, TelemetryServer } from '../telemetry/server.ts'
import { startTelemetryServer } from '../telemetry/server.ts'
import { openAWS } from './controller-aws.ts'
import type { AWSAccess, Cloud } from './controller-aws.ts'
import { Leader } from './controller-leader.ts'
import type { InstanceMetadata } from './controller-metadata.ts'
import { checkAPIServer } from './controller-preflight.ts'
import { StartError } from './controller-start-error.ts'
import { plainWords } from './plain-words.ts'

/** Everything that a controller needs of its surroundings; nothing global is read inside. */
export interface ControllerOptions {
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
  readonly metadata: InstanceMetadata
  readonly aws?: AWSAccess
  /** Serves health and metrics; absent: over HTTP. In virtual time nothing touches a socket. */
  readonly startTelemetry?: typeof startTelemetryServer
  readonly log: Logger
  readonly clock: Clock
  readonly random: Random
}

export interface ControllerHandle {
  /** Of `/healthz`, `/readyz` and `/metrics`. */
  readonly telemetryURL: string
  readonly isLeader: boolean
  /** The fleet, while this process leads. */
  readonly manager: NodeManager | undefined
  /** Resolves with the reason when the controller ends by itself: lost lease, unusable cloud. Never after `stop`. */
  readonly ended: Promise<Error>
  /** Stops taking work, lets calls end within the grace period, and releases the lease. May be called twice. */
  stop(): Promise<void>
}

/** Requests of the lease (per second, and at once): a renewal every 2 s, with room for repeats. */
const LEASE_LIMIT = { qps: 5, burst: 10 }

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
export function refuseUnserved({ ipam }: Config): void {
  const faults: string[] = []
  if (ipam !== 'eni') faults.push(`--ipam ${ipam} is not served by this build; it serves: eni`)
  if (faults.length > 0) throw new ConfigError(faults)
}

class Controller implements ControllerHandle {
  readonly #options: ControllerOptions
  readonly #metrics: Metrics
  readonly #eventLoop = startEventLoopMonitor()
  readonly #stopping = new AbortController()
  /** The term is over: whatever the provider still does ends. */
  readonly #termOver = new AbortController()
  readonly #ended = Promise.withResolvers<Error>()
  #telemetry: TelemetryServer | undefined
  #cloud: Cloud | undefined
  #leadership: Leadership | undefined
  #leader: Leader | undefined
  #term: Promise<void> = Promise.resolve()
  #stopped: Promise<void> | undefined

  constructor(options: ControllerOptions) {
    const { config } = options
    this.#options = options
    this.#metrics = createMetrics({ enabled: config.telemetry.enableMetrics, profile: config.ipamProfile, api: 'ec2' })
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

  get ended(): Promise<Error> {
    return this.#ended.promise
  }

  async start(): Promise<void> {
    const { config, transport, source, metadata, aws = {}, log, clock, random } = this.#options
    const { startTelemetry = startTelemetryServer } = this.#options
    const { signal } = this.#stopping
    const { controller: metrics, cloud, registry } = this.#metrics
    this.#telemetry = await startTelemetry({
      address: config.telemetry.serveAddress,
      isReady: () => this.#readiness(),
      isHealthy: () => this.#health(),
      registry,
    })
    metrics.watchEventLoop(() => this.#eventLoop.read())
    metrics.setLeader(false)
    metrics.setSecondWriter(false)
    log.info({ address: this.telemetryURL }, 'Serving health and metrics')
    await checkAPIServer(this.#client(transport, config.kubernetes), source, signal)
    this.#cloud = await openAWS({ config, access: aws, metadata, clock, random, log, metrics: cloud, signal })
    metrics.watchBudget(this.#cloud.budget)
    this.#term = this.#lead(this.#cloud)
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  /** One term: waits for the lease, works, and ends the controller when the lease is lost or the cloud cannot be used. */
  async #lead(cloud: Cloud): Promise<void> {
    const { signal } = this.#stopping
    try {
      const leadership = await this.#acquire(signal)
      this.#leadership = leadership
      const leader = this.#createLeader(cloud, leadership)
      this.#leader = leader
      this.#metrics.controller.setLeader(true)
      leadership.lost.addEventListener('abort', () => this.#end(leadership.lost.reason as Error), { once: true })
      await leader.start()
    } catch (error) {
      if (!signal.aborted) this.#end(endOf(error))
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
    return new Leader({
      config,
      client: this.#client(transportUntil(transport, leadership.lost), config.kubernetes),
      provider: cloud.createProvider(AbortSignal.any([leadership.lost, this.#termOver.signal])),
      metrics: this.#metrics.core,
      rerank: (signal, priority) => cloud.budget.rerank(signal, priority),
      onSecondWriter: () => this.#metrics.controller.setSecondWriter(true),
      log,
      clock,
      random,
    })
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
    this.#cloud?.close()
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
    if (this.#cloud === undefined) return { ok: false, reasons: ['starting'] }
    return this.#leader?.manager.readiness() ?? { ok: true, reasons: ['standing by: another replica leads'] }
  }

  /** Whether a restart would help; what is merely slow is named, and no reason to restart. */
  #health(): Readiness {
    const oldestMs = this.#leader?.manager.oldestNeedMs() ?? 0
    const reasons =
      oldestMs > OLD_NEED_MS ? [`a node has waited for addresses for ${Math.round(oldestMs / 1000)} s`] : []
    return { ok: true, reasons }
  }

  #client(transport: KubernetesTransport, limit: { readonly qps: number; readonly burst: number }): KubernetesClient {
    const { clock, random } = this.#options
    const { qps, burst } = limit
    return new KubernetesClient({ transport, clock, random, limiter: new RateLimiter({ clock, qps, burst }) })
  }
}

/** What an operator can mend is said plainly; the rest stays as it was thrown. */
function endOf(error: unknown): Error {
  if (error instanceof CloudAPIError) {
    const advice =
      error.kind === 'denied'
        ? 'Check the credentials (AWS_ACCESS_KEY_ID, or the role of the pod) and that they have the policy of deploy/aws'
        : 'Check the region, the endpoint (--ec2-api-endpoint) and the network'
    return new StartError(`The cloud API cannot be used: ${plainWords(error.message)}. ${advice}`, { cause: error })
  }
  return error instanceof Error ? error : new Error(String(error))
}
