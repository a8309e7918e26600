import { NodeManager } from '../../src/controller/node-manager.ts'
import type { Node } from '../../src/controller/node.ts'
import type { ControllerConfig, NodeManagerOptions } from '../../src/controller/options.ts'
import type { CiliumNode } from '../../src/ipam/cilium-node.ts'
import type { Logger, MetricsAPI, TriggerObserver } from '../../src/ipam/contracts.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import type { ResourceOptions } from './builders.ts'
import { ciliumNode, usedMap } from './builders.ts'
import { agentAnswers, FakeAPIServer } from './fake-api-server.ts'
import type { FakeProviderOptions } from './fake-provider.ts'
import { FakeProvider } from './fake-provider.ts'
import { ManualClock, settle } from './manual-clock.ts'

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly fields: object
  readonly message: string
}

/** Keeps every line. */
export class RecordingLog implements Logger {
  readonly lines: LogLine[] = []
  debug(fields: object, message: string): void {
    this.lines.push({ level: 'debug', fields, message })
  }
  info(fields: object, message: string): void {
    this.lines.push({ level: 'info', fields, message })
  }
  warn(fields: object, message: string): void {
    this.lines.push({ level: 'warn', fields, message })
  }
  error(fields: object, message: string): void {
    this.lines.push({ level: 'error', fields, message })
  }
  count(message: string): number {
    return this.lines.filter((line) => line.message === message).length
  }
}

/** Keeps every operation as `[name, …arguments]`. */
export type RecordedMetrics = MetricsAPI & { readonly recorded: readonly (readonly unknown[])[] }

export function recordingMetrics(): RecordedMetrics {
  const recorded: unknown[][] = []
  const observer: TriggerObserver = { queueEvent: () => undefined, postRun: () => undefined }
  const base = { recorded }
  return new Proxy(base, {
    get: (target, name) => {
      if (name === 'recorded') return target.recorded
      if (String(name).endsWith('Trigger')) return () => observer
      return (...args: unknown[]) => {
        recorded.push([String(name), ...args])
      }
    },
  }) as unknown as RecordedMetrics
}

export const DEFAULT_CONFIG: ControllerConfig = {
  parallelAllocWorkers: 50,
  releaseExcessIPs: false,
  excessIPReleaseDelayMs: 180_000,
  prefixDelegation: false,
  profile: 'latest',
  destructiveCallsPerMinute: 60,
}

export interface FakeFleetOptions {
  readonly provider?: Omit<FakeProviderOptions, 'clock'>
  readonly config?: Partial<ControllerConfig>
  readonly pendingPods?: NodeManagerOptions['pendingPods']
  readonly rerank?: NodeManagerOptions['rerank']
  readonly onSecondWriter?: NodeManagerOptions['onSecondWriter']
  readonly quotaWait?: NodeManagerOptions['quotaWait']
  readonly observer?: NodeManagerOptions['observer']
  /** Agents answer the release handshake by themselves, after this (ms). Undefined: the test does it. */
  readonly agentDelayMs?: number
  readonly seed?: number
}

/** A controller on a manual clock, with a cloud and an API server in memory. */
export class FakeFleet {
  readonly clock = new ManualClock(1_000)
  readonly provider: FakeProvider
  readonly apiServer = new FakeAPIServer()
  readonly log = new RecordingLog()
  readonly metrics = recordingMetrics()
  manager: NodeManager
  readonly #options: FakeFleetOptions
  readonly #agentDelayMs: number | undefined

  constructor(options: FakeFleetOptions = {}) {
    this.provider = new FakeProvider({ ...options.provider, clock: this.clock })
    this.#agentDelayMs = options.agentDelayMs
    this.#options = options
    this.manager = this.#newManager()
    this.apiServer.onChange = (node) => {
      this.manager.upsert(node)
      if (this.#agentDelayMs !== undefined && node.status.releaseIPs.size > 0)
        void this.#answerLater(node.name, this.#agentDelayMs)
    }
  }

  async start(): Promise<void> {
    const started = this.manager.start()
    await this.advance(1)
    await started
    this.manager.listed()
  }

  /** The controller is killed, and another one starts on what the cloud and the API server hold. */
  async restart(): Promise<void> {
    await this.manager.stop(AbortSignal.abort())
    this.provider.restart()
    this.manager = this.#newManager()
    await this.start()
    for (const name of this.apiServer.names()) this.manager.upsert(this.apiServer.read(name))
  }

  #newManager(): NodeManager {
    const { config, pendingPods, rerank, onSecondWriter, quotaWait, observer, seed = 1 } = this.#options
    return new NodeManager({
      implementation: this.provider,
      apiServer: this.apiServer,
      metrics: this.metrics,
      log: this.log,
      clock: this.clock,
      random: seededRandom(seed),
      config: { ...DEFAULT_CONFIG, ...config },
      ...(pendingPods !== undefined && { pendingPods }),
      ...(rerank !== undefined && { rerank }),
      ...(onSecondWriter !== undefined && { onSecondWriter }),
      ...(quotaWait !== undefined && { quotaWait }),
      ...(observer !== undefined && { observer }),
    })
  }

  /** A machine joins: its instance runs, and its agent has created its resource. */
  join(options: ResourceOptions = {}): CiliumNode {
    const resource = ciliumNode(options)
    if (!this.provider.cloud.has(resource.spec.instanceID)) this.provider.launch(resource.spec.instanceID)
    return this.apiServer.put(resource)
  }

  /** The agent reports so many, or these, addresses in use. */
  use(name: string, used: number | readonly string[]): void {
    this.apiServer.change(name, (node) => ({ ...node, status: { ...node.status, used: usedMap(used) } }))
  }

  /** The agent answers the release handshake now. */
  answer(name: string): void {
    const before = this.apiServer.read(name)
    const after = agentAnswers(before)
    const isSame = JSON.stringify([...before.status.releaseIPs]) === JSON.stringify([...after.status.releaseIPs])
    if (!isSame) this.apiServer.put(after)
  }

  leave(name: string): void {
    const resource = this.apiServer.read(name)
    this.provider.terminate(resource.spec.instanceID)
    this.apiServer.remove(name)
    this.manager.delete(resource)
  }

  node(name = 'node-1'): Node {
    const node = this.manager.get(name)
    if (node === undefined) throw new Error(`no node ${name}`)
    return node
  }

  read(name = 'node-1'): CiliumNode {
    return this.apiServer.read(name)
  }

  /** Moves time; work that becomes runnable is done on the way. */
  async advance(ms: number): Promise<void> {
    await this.settle()
    await this.clock.advance(ms)
    await this.settle()
  }

  /** Lets everything that is runnable at this moment run. */
  async settle(): Promise<void> {
    await settle(20)
  }

  async #answerLater(name: string, delayMs: number): Promise<void> {
    await this.clock.sleep(delayMs, new AbortController().signal)
    if (this.manager.get(name) !== undefined) this.answer(name)
  }
}
