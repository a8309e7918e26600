import { inProcessHandler } from '../../simulators/aws/index.ts'
import type { Router } from '../../simulators/kit/http.ts'
import type { Registry } from 'prom-client'
import type { AuditEntry } from '../../src/audit/audit-log.ts'
import type { ControllerHandle } from '../../src/cli/controller.ts'
import { startController } from '../../src/cli/controller.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Logger } from '../../src/ipam/contracts.ts'
import { inProcessTransport } from '../../src/kubernetes/transport.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import type { FleetClock } from './fleet-clock.ts'
import { ProcessWire } from './fleet-wires.ts'
import type { WireObserver } from './fleet-wires.ts'

export interface ProcessOptions {
  readonly ordinal: number
  readonly seed: number
  readonly flags: readonly string[]
  readonly clock: FleetClock
  readonly ec2: Router
  readonly kubernetes: Router
  readonly ec2Observer: WireObserver
  readonly kubernetesObserver: WireObserver
  readonly log: Logger
  readonly writeAudit: (entry: AuditEntry) => void
}

/** Seconds that a pod has to end (`--shutdown-grace-period`, s). */
const GRACE_SECONDS = 10
/** Beyond its grace period a stop may take one more tick of the clock (ms). */
const STOP_SLACK_MS = 1_000

/** The whole controller, composed as `berth controller` does it, as one process that can be killed. */
export class ControllerProcess {
  readonly ordinal: number
  /** Resolves when the process is over, however it came to it. */
  readonly over: Promise<void>
  readonly #clock: FleetClock
  readonly #wires: ProcessWire
  readonly #over = Promise.withResolvers<void>()
  #handle: ControllerHandle | undefined
  /** When the process must have ended by (ms): it was told to stop. */
  #deadlineMs: number | undefined
  #isOver = false
  #registry: Registry | undefined

  constructor(options: ProcessOptions) {
    this.ordinal = options.ordinal
    this.#clock = options.clock
    this.#wires = new ProcessWire(options.clock)
    this.over = this.#over.promise
    void this.#run(options)
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** It holds the lease, has prepared its provider, and was not told to stop. */
  get isServing(): boolean {
    return this.#deadlineMs === undefined && !this.#isOver && this.#handle?.manager?.instancesAPIIsReady() === true
  }

  get handle(): ControllerHandle | undefined {
    return this.#handle
  }

  /** What `/metrics` would show. */
  get registry(): Registry | undefined {
    return this.#isOver ? undefined : this.#registry
  }

  /** It was told to stop and has not done so in time: a defect. */
  get isStuck(): boolean {
    return !this.#isOver && this.#deadlineMs !== undefined && this.#clock.now() > this.#deadlineMs
  }

  /** SIGKILL: nothing it does from now on reaches anybody. Its ghost is stopped too, so that it leaves nothing behind. */
  kill(): void {
    this.#wires.cut()
    this.terminate()
  }

  /** SIGTERM. */
  terminate(): void {
    this.#deadlineMs ??= this.#clock.now() + GRACE_SECONDS * 1000 + STOP_SLACK_MS
    void this.#handle?.stop().then(() => this.#end())
  }

  async #run(options: ProcessOptions): Promise<void> {
    const { ordinal, seed, flags, clock, ec2, kubernetes, ec2Observer, kubernetesObserver, log, writeAudit } = options
    const { config } = loadConfig(['--aws-region=us-east-1', `--shutdown-grace-period=${GRACE_SECONDS}s`, ...flags], {})
    const transport = inProcessTransport(
      this.#wires.kubernetes(kubernetes, kubernetesObserver),
      'https://api.test:6443',
    )
    try {
      this.#handle = await startController({
        config,
        transport,
        leaseTransport: transport,
        source: 'test',
        namespace: 'kube-system',
        identity: `controller-${ordinal}`,
        metadata: {
          region: () => Promise.reject(new Error('none')),
          vpcID: () => Promise.reject(new Error('none')),
          instanceID: () => Promise.reject(new Error('none')),
        },
        aws: {
          credentials: { accessKeyId: 'controller', secretAccessKey: 'secret' },
          requestHandler: inProcessHandler(this.#wires.ec2(ec2, ec2Observer)),
        },
        startTelemetry: ({ registry }) => {
          this.#registry = registry
          return Promise.resolve({ url: '', close: () => Promise.resolve() })
        },
        // What a dead process still believes to do is on nobody's record.
        writeAudit: (entry) => (this.#wires.isCut ? undefined : writeAudit(entry)),
        log,
        clock,
        random: seededRandom(seed * 1_000_003 + ordinal),
      })
    } catch (error) {
      log.error({ error }, 'The controller did not start')
      this.#end()
      return
    }
    if (this.#deadlineMs !== undefined) this.terminate()
    await this.#handle.ended
    this.#end()
  }

  #end(): void {
    this.#isOver = true
    this.#over.resolve()
  }
}
