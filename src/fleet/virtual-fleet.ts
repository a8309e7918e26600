import { startController } from '../cli/controller.ts'
import type { ControllerHandle } from '../cli/controller.ts'
import { loadConfig } from '../config/load.ts'
import type { Logger } from '../ipam/contracts.ts'
import { inProcessTransport } from '../kubernetes/transport.ts'
import type { Clock } from '../runtime/clock.ts'
import { seededRandom } from '../runtime/random.ts'
import { createSimulators } from './simulators.ts'
import type { Simulators } from './simulators.ts'
import { World } from './world.ts'
import type { WorldPlan } from './world-plan.ts'

/** The controller's stream of chance, apart from those of the world. */
const CONTROLLER_STREAM = 0x2545f491

/** How often somebody looks whether the controller serves (ms of virtual time), and for how long at most. */
const LOOK_MS = 100
const START_LIMIT_MS = 60_000

export interface VirtualFleetOptions {
  readonly plan: WorldPlan
  readonly clock: Clock
  readonly log: Logger
  /** Further flags of `berth controller`. */
  readonly flags?: readonly string[]
  /** How long cloud calls take, as `--latency` has it; `usual` by default. */
  readonly latency?: string
}

/**
 * A simulated cluster in a simulated account, and the real controller with the real SDK, in one process and without a socket. Agents,
 * API servers and controller share one clock, which has to be driven.
 */
export class VirtualFleet {
  readonly simulators: Simulators
  readonly world: World
  readonly clock: Clock
  readonly #options: VirtualFleetOptions
  readonly #closing = new AbortController()
  #controller: ControllerHandle | undefined
  #starts = 0

  /** @throws PlanError */
  constructor(options: VirtualFleetOptions) {
    const { plan, clock, latency } = options
    this.#options = options
    this.clock = clock
    this.simulators = createSimulators(plan, clock, latency)
    this.world = new World(plan, { ...this.simulators, clock })
  }

  /** Ends the waits and calls of whoever plays with the fleet. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** Starts a controller, as `berth controller` composes it, and waits until it leads and is prepared. @throws Error when it is not in time */
  async startController(): Promise<void> {
    const { plan, clock, log, flags = [] } = this.#options
    const { cloud, kubernetes } = this.simulators
    const ordinal = ++this.#starts
    const { config } = loadConfig(
      ['--cluster-name=berth-fleet', '--k8s-namespace=kube-system', ...cloud.controllerFlags(undefined), ...flags],
      {},
    )
    const none = (): Promise<never> => Promise.reject(new Error('a simulated fleet has no metadata service'))
    const transport = inProcessTransport(kubernetes.router)
    const controller = await startController({
      config,
      transport,
      leaseTransport: transport,
      source: 'the simulated fleet',
      namespace: config.kubernetes.namespace,
      identity: `berth-fleet-${ordinal}`,
      metadata: { region: none, vpcID: none, instanceID: none },
      ...cloud.access,
      startTelemetry: () => Promise.resolve({ url: '', close: () => Promise.resolve() }),
      log,
      clock,
      random: seededRandom((plan.seed ^ CONTROLLER_STREAM) + ordinal),
    })
    this.#controller = controller
    const limitMs = clock.now() + START_LIMIT_MS
    while (controller.manager?.instancesAPIIsReady() !== true) {
      if (clock.now() >= limitMs) throw new Error(`the controller did not serve within ${START_LIMIT_MS / 1000} s`)
      await clock.sleep(LOOK_MS, this.closing)
    }
  }

  /** The one that runs; undefined when none does. */
  get controller(): ControllerHandle | undefined {
    return this.#controller
  }

  async stopController(): Promise<void> {
    const controller = this.#controller
    this.#controller = undefined
    await controller?.stop()
  }

  /** Ends everything. */
  async close(): Promise<void> {
    await this.stopController()
    this.#closing.abort(new Error('the simulated fleet ends'))
    this.world.close()
    this.simulators.kubernetes.close()
  }
}
