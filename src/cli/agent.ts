import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { APIServer, Endpoint } from '../agent/api-server.ts'
import { serveAPI } from '../agent/api-server.ts'
import type { Health } from '../agent/api-router.ts'
import { createRouter } from '../agent/api-router.ts'
import type { NodeAddressing } from '../agent/api-shapes.ts'
import { DaemonCore } from '../agent/daemon-core.ts'
import { DaemonError } from '../agent/daemon-errors.ts'
import { LeaseTable } from '../agent/daemon-leases.ts'
import { isShortage } from '../agent/daemon-waiting.ts'
import type { IPAM } from '../agent/ipam.ts'
import { StateFileError } from '../agent/journal-errors.ts'
import type { FolderLock } from '../agent/journal-lock.ts'
import { lockFolder } from '../agent/journal-lock.ts'
import type { Lease } from '../agent/journal-record.ts'
import type { JournalStorage } from '../agent/journal-storage.ts'
import { fileStorage } from '../agent/journal-storage.ts'
import { Journal, readLeases } from '../agent/journal.ts'
import type { Logger } from '../ipam/contracts.ts'
import type { KubernetesTransport } from '../kubernetes/transport.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import { TimerQueue } from '../runtime/timer.ts'
import type { TelemetryServer } from '../telemetry/server.ts'
import { startTelemetryServer } from '../telemetry/server.ts'
import { AgentAddresses } from './agent-addresses.ts'
import { createAgentMetrics } from './agent-metrics.ts'
import type { AgentSettings } from './agent-options.ts'
import type { MetadataReader } from './controller-metadata.ts'

/** Everything that an agent needs of its surroundings. */
export interface AgentRunOptions {
  readonly settings: AgentSettings
  /** Undefined: the settings say all, no API server is needed. */
  readonly transport: KubernetesTransport | undefined
  /** Of the machine; absent: the own CiliumNode of mode `eni` is somebody else's to create. */
  readonly readMetadata?: MetadataReader
  readonly pid: number
  readonly log: Logger
  readonly clock: Clock
  readonly random: Random
}

export interface AgentHandle {
  /** Of the Unix socket, then of loopback HTTP where it is served. */
  readonly addresses: readonly string[]
  /** Of `/metrics`; empty when that is not served besides the socket. */
  readonly telemetryURL: string
  /** Resolves once requests are served. Never rejects. */
  readonly opened: Promise<void>
  /** Resolves with the reason when the agent ends by itself. Never after `stop`. */
  readonly ended: Promise<Error>
  /** Takes no more requests and lets running ones end within the grace period. May be called twice. */
  stop(): Promise<void>
}

const STATE_FILE = 'leases'
/** Between two attempts to get the agent its own addresses (ms). */
const RESERVE_RETRY_MS = 1_000
/** In the reference's answers the router is the host's address. @source cilium pkg/node/address.go, GetNodeAddressing */
const ROUTER = 'router'

/**
 * Starts the agent of a node. Its API answers at once, with 503 until every address of before the start is registered and the node has
 * addresses.
 *
 * @throws StateFileError, EndpointError, ListenError: nothing is left running then, and no state is changed
 */
export async function startAgent(options: AgentRunOptions): Promise<AgentHandle> {
  const agent = new Agent(options)
  try {
    await agent.start()
  } catch (error) {
    await agent.stop()
    throw error
  }
  return agent
}

class Agent implements AgentHandle {
  readonly #options: AgentRunOptions
  readonly #table = new LeaseTable()
  readonly #metrics = createAgentMetrics()
  readonly #timers: TimerQueue
  readonly #addresses: AgentAddresses
  readonly #stopping = new AbortController()
  readonly #opened = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<Error>()
  #lock: FolderLock | undefined
  #storage: JournalStorage | undefined
  #journal: Journal | undefined
  #servers: APIServer[] = []
  #telemetry: TelemetryServer | undefined
  #core: DaemonCore | undefined
  #waitsFor = 'held addresses to be registered'
  #work: Promise<void> = Promise.resolve()
  #stopped: Promise<void> | undefined

  constructor(options: AgentRunOptions) {
    const { clock, log } = options
    this.#options = options
    this.#timers = new TimerQueue(clock, (error) => log.error({ error }, 'A timer of the agent failed'))
    this.#addresses = new AgentAddresses({
      ...options,
      timers: this.#timers,
      metrics: this.#metrics,
      onChange: () => this.#core?.addressesChanged(),
      signal: this.#stopping.signal,
    })
  }

  get addresses(): readonly string[] {
    return this.#servers.map(({ address }) => address)
  }

  get telemetryURL(): string {
    return this.#telemetry?.url ?? ''
  }

  get opened(): Promise<void> {
    return this.#opened.promise
  }

  get ended(): Promise<Error> {
    return this.#ended.promise
  }

  async start(): Promise<void> {
    const { settings, log, pid, random } = this.#options
    makeFolder(settings.stateDir, '--state-dir')
    this.#lock = await lockFolder(settings.stateDir, pid, random)
    const storage = fileStorage(join(settings.stateDir, STATE_FILE))
    const { leases, tornBytes } = await readLeases(storage, settings.nodeName)
    this.#storage = storage
    if (tornBytes > 0)
      log.warn({ path: storage.name, count: tornBytes }, 'A write under way at the last end is left out')
    await this.#serve()
    this.#work = this.#open(leases).catch((error: unknown) => this.#end(error))
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #serve(): Promise<void> {
    const { settings, log } = this.#options
    const { registry } = this.#metrics
    const router = createRouter({
      core: () => this.#requireCore(),
      expirationMs: settings.expiration.ms,
      health: () => this.#health(),
      hostAddressing: () => this.#hostAddressing(),
      metrics: async () => ({ text: await registry.metrics(), contentType: registry.contentType }),
      log,
    })
    const endpoints: Endpoint[] = [{ kind: 'socket', path: settings.socket }]
    if (settings.apiAddress !== undefined) endpoints.push({ kind: 'loopback', ...settings.apiAddress })
    makeFolder(dirname(settings.socket), '--socket')
    for (const endpoint of endpoints) this.#servers.push(await serveAPI(endpoint, router))
    if (settings.prometheusServeAddr !== undefined) {
      this.#telemetry = await startTelemetryServer({
        address: settings.prometheusServeAddr,
        isReady: () => this.#health(),
        isHealthy: () => ({ ok: true, reasons: this.#health().reasons }),
        registry,
      })
    }
    log.info({ addresses: this.addresses, node: settings.nodeName }, 'Serving the IPAM API')
  }

  /** The order of start-up: restored first, then the node's own, then everybody else's. @source cilium daemon/cmd/daemon.go */
  async #open(leases: readonly Lease[]): Promise<void> {
    const { settings, log, clock, random } = this.#options
    const { signal } = this.#stopping
    const storage = this.#storage
    if (storage === undefined) return
    const ipam = await this.#addresses.open()
    const journal = new Journal({ storage, node: settings.nodeName, leases: () => this.#table.leases() })
    const core = new DaemonCore({ ipam, table: this.#table, journal, clock, timers: this.#timers, random, log })
    this.#journal = journal
    this.#core = core
    this.#metrics.watch(ipam, core)
    const report = core.restore(leases)
    log.info(
      { count: report.restored, ...(report.unbacked > 0 && { missing: report.unbacked }) },
      'Registered held addresses',
    )
    for (const address of settings.exclude) core.exclude(address, 'node-ip')
    for (const name of settings.reserve) await this.#reserve(core, name)
    signal.throwIfAborted()
    await core.open()
    log.info({ availableIPs: capacityOf(ipam), usedIPs: core.leaseCount }, 'Giving addresses to pods')
    this.#opened.resolve()
  }

  async #reserve(core: DaemonCore, name: string): Promise<void> {
    const { log, clock } = this.#options
    for (;;) {
      try {
        core.reserve(name)
        return
      } catch (error) {
        if (!isShortage(error)) throw error
        this.#waitsFor = `an address for ${name}`
        log.info({ identity: name, error }, 'Waiting for an address of the agent itself')
        await clock.sleep(RESERVE_RETRY_MS, this.#stopping.signal)
      }
    }
  }

  #requireCore(): DaemonCore {
    if (this.#core !== undefined) return this.#core
    throw new DaemonError('NOT_READY', `The agent waits for ${this.#addresses.waitsFor}`)
  }

  #health(): Health {
    if (this.#stopping.signal.aborted) return { ok: false, reasons: ['stopping'] }
    const core = this.#core
    if (core === undefined) return { ok: false, reasons: [`waiting for ${this.#addresses.waitsFor}`] }
    if (!core.isOpen) return { ok: false, reasons: [`waiting for ${this.#waitsFor}`] }
    const { unbackedCount } = core
    const reasons = unbackedCount === 0 ? [] : [`${unbackedCount} held addresses are not in the node's pool`]
    return { ok: true, reasons }
  }

  #hostAddressing(): NodeAddressing {
    const { enableIPv4, enableIPv6, reserve } = this.#options.settings
    const own = reserve.includes(ROUTER) ? this.#core?.reserved(ROUTER) : undefined
    return {
      ipv4: { enabled: enableIPv4 === 'true', ...(own?.ipv4 !== undefined && { ip: own.ipv4.ip }) },
      ipv6: { enabled: enableIPv6 === 'true', ...(own?.ipv6 !== undefined && { ip: own.ipv6.ip }) },
    }
  }

  #end(error: unknown): void {
    if (this.#stopping.signal.aborted) return
    const reason = error instanceof Error ? error : new Error(String(error))
    this.#options.log.error({ error: reason }, 'The agent ends')
    void this.stop().then(() => this.#ended.resolve(reason))
  }

  async #stop(): Promise<void> {
    const { settings, clock, log, transport } = this.#options
    this.#stopping.abort(new Error('the agent stops'))
    const grace = new AbortController()
    const over = new AbortController()
    clock.sleep(settings.shutdownGracePeriod.ms, over.signal).then(
      () => grace.abort(new Error('the grace period is over')),
      () => undefined,
    )
    this.#core?.stop()
    await Promise.all(this.#servers.map((server) => server.close(grace.signal)))
    await this.#telemetry?.close(grace.signal)
    await this.#work
    await this.#journal?.close()
    await this.#lock?.release()
    this.#timers.stop()
    over.abort(new Error('stopped'))
    transport?.close()
    log.info({}, 'Stopped')
  }
}

/** @throws StateFileError */
function makeFolder(path: string, option: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const message = `The folder ${path} cannot be made: ${reason}. Choose another ${option}`
    throw new StateFileError('unreadable', path, message, error)
  }
}

function capacityOf({ ipv4Allocator, ipv6Allocator }: IPAM): number {
  return Number((ipv4Allocator?.capacity() ?? 0n) + (ipv6Allocator?.capacity() ?? 0n))
}
