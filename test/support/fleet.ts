import { NO_LATENCY } from '../../simulators/aws/index.ts'
import type { Latency, ThrottleChoice } from '../../simulators/aws/index.ts'
import type { Router, WireResponse } from '../../simulators/kit/http.ts'
import {
  APIClient,
  CILIUM_NODES_PATH,
  PodScheduler,
  createKubernetesSimulator,
  nodeManifest,
} from '../../simulators/kubernetes/index.ts'
import type { AgentGeneration, JSONObject, KubernetesSimulator, NodeFacts } from '../../simulators/kubernetes/index.ts'
import type { AuditEntry } from '../../src/audit/audit-log.ts'
import { podAddressCapacity, typeLimits } from '../../src/fleet/aws-account.ts'
import { SimulatedNode } from '../../src/fleet/simulated-node.ts'
import type { NodeCapacity } from '../../src/fleet/simulated-node.ts'
import type { WorldView } from '../../src/fleet/world-view.ts'
import type { Logger } from '../../src/ipam/contracts.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import { FleetClock } from './fleet-clock.ts'
import { FleetCloud } from './fleet-cloud.ts'
import { ControllerProcess } from './fleet-controller.ts'
import { CLUSTER_AGENT, CONTROLLER_AGENT, FaultBoard } from './fleet-faults.ts'
import { Happenings } from './fleet-happenings.ts'
import { FleetWatch } from './fleet-watch.ts'
import type { FleetStep } from './fleet-steps.ts'
import { warmUp } from './fleet-warm-up.ts'
import type { WireCall } from './fleet-wires.ts'

export interface FleetOptions {
  readonly seed: number
  /** Nodes at the start (count). */
  readonly nodeCount: number
  /** m5.large by default. */
  readonly instanceType?: string
  readonly prefixDelegation?: boolean
  readonly releaseExcess?: boolean
  readonly agentGeneration?: AgentGeneration | 'mixed'
  /** `documented` by default. */
  readonly throttle?: ThrottleChoice
  readonly latency?: Latency
  readonly subnetBits?: number
  /** `spec.ipam` of the nodes, taken in turn; by default that of Cilium's flags as they come. */
  readonly specs?: readonly JSONObject[]
  /** Least time between two writes of one agent (ms). */
  readonly agentIntervalMs?: number
  /** Further flags of the controller. */
  readonly flags?: readonly string[]
  /** False: no controller runs until `startController` is called. */
  readonly hasController?: boolean
}

export interface FleetNode {
  readonly facts: NodeFacts
  readonly generation: AgentGeneration
  readonly ipam: JSONObject
  agent: SimulatedNode
  isStopped: boolean
  /** What another tool has put on the resource, and the uid of that. */
  edit: { readonly value: number; readonly uid: string } | undefined
  isBeingEdited: boolean
}

/** How often the world is looked at while time passes (ms). */
const LOOK_INTERVAL_MS = 500
/** Least time between two writes of one agent (ms); real ones take 15 s. */
const USUAL_AGENT_INTERVAL_MS = 1_000
/** Pods that a node takes at most (count): with 8 spare addresses they fit an m5.large, also once it is out of prefixes. */
const MAX_PODS = 18
/** A pod that ended by itself is started again after this (ms), as by a kubelet. */
const RESTART_MS = 3_000
/** The observer's own requests take no time. */
const USUAL_KUBERNETES_LATENCY = [CONTROLLER_AGENT, CLUSTER_AGENT].flatMap((userAgent) => [
  { action: '*', match: { userAgent }, kind: 'latency', latencyMs: 3 },
  { action: 'patch *', match: { userAgent }, kind: 'latency', where: 'after-effect', latencyMs: 4 },
])
/** Lines of the controllers' logs that are kept (count). */
const KEPT_LINES = 400

export interface LogLine {
  readonly atMs: number
  readonly process: number
  readonly level: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/**
 * A cluster in a cloud account, in one process and in virtual time: the real controller with the real SDK over in-process wires, agents
 * and pods. What is true of the world is read from the simulators, never from the controller.
 */
export class Fleet {
  readonly clock: FleetClock
  readonly cloud: FleetCloud
  readonly kubernetes: KubernetesSimulator
  readonly pods: PodScheduler
  readonly nodes = new Map<string, FleetNode>()
  readonly watch: FleetWatch
  readonly ec2Faults: FaultBoard
  readonly kubernetesFaults: FaultBoard
  readonly log: LogLine[] = []
  /** The audit logs of all controllers. */
  readonly audit: AuditEntry[] = []
  /** The test's own way to the API server: no fault strikes it, and it takes no time. */
  readonly observer: APIClient
  /** The cluster's: agents, pods, people. */
  readonly cluster: APIClient
  readonly #happenings: Happenings
  readonly #options: FleetOptions
  readonly #capacity: NodeCapacity
  readonly #closing = new AbortController()
  readonly #kubernetesRouter: Router
  readonly #ec2Router: Router
  #processes: ControllerProcess[] = []
  #started = 0
  #joined = 0
  #agents = 0
  #changes = 0
  #hasController: boolean

  constructor(options: FleetOptions, clock: FleetClock) {
    const { seed, instanceType = 'm5.large', prefixDelegation = false } = options
    const limits = typeLimits(instanceType)
    if (limits === undefined) throw new Error(`${instanceType} is not known`)
    const { interfaces, slotsPerInterface } = limits
    this.#options = options
    this.#capacity = { interfaces, slotsPerInterface, podAddresses: podAddressCapacity(limits, prefixDelegation) }
    this.#hasController = options.hasController ?? true
    this.clock = clock
    this.cloud = new FleetCloud(clock, {
      seed,
      throttle: options.throttle ?? 'documented',
      latency: options.latency ?? NO_LATENCY,
      subnetBits: options.subnetBits ?? 22,
      consistency: {},
    })
    this.kubernetes = createKubernetesSimulator({ clock, seed })
    this.ec2Faults = new FaultBoard(this.cloud.ec2.faults)
    this.kubernetesFaults = new FaultBoard(this.kubernetes.faults, USUAL_KUBERNETES_LATENCY)
    this.#kubernetesRouter = this.#counted(this.kubernetes.router)
    this.#ec2Router = this.#counted(this.cloud.ec2.router)
    this.cluster = new APIClient(this.#kubernetesRouter, CLUSTER_AGENT)
    this.observer = new APIClient(this.kubernetes.router, 'observer')
    this.pods = new PodScheduler({ client: this.cluster, clock, random: seededRandom(seed + 1), podsPerSecond: 0 })
    this.watch = new FleetWatch(this)
    this.#happenings = new Happenings(this, options.throttle ?? 'documented')
  }

  /** The process that leads or tries to, and those that are ending. */
  get processes(): readonly ControllerProcess[] {
    return this.#processes
  }

  get isServing(): boolean {
    return this.#processes.some((process) => process.isServing)
  }

  /** Aborted when the fleet ends. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  get capacity(): NodeCapacity {
    return this.#capacity
  }

  node(index: number): FleetNode | undefined {
    const nodes = [...this.nodes.values()]
    return nodes[index % nodes.length]
  }

  startController(): void {
    this.#hasController = true
    this.#startProcess()
  }

  /** SIGTERM to all controllers; none is started again. */
  stopController(): void {
    this.#hasController = false
    for (const process of this.#processes) process.terminate()
  }

  /** One more controller, which changes nothing. @param flags besides those of the fleet */
  startDry(flags: readonly string[] = []): void {
    this.#startProcess(['--dry-run', ...flags])
  }

  /** A machine boots and its agent registers. @returns undefined when the account has no address for it */
  join(spec = this.#joined): FleetNode | undefined {
    const { instanceType = 'm5.large', specs = [{}], agentGeneration = 'pool' } = this.#options
    const launched = this.cloud.launch(instanceType)
    if (launched === undefined) return undefined
    const ordinal = ++this.#joined
    const ipam = specs[spec % specs.length]!
    const facts = {
      name: `node-${ordinal}`,
      instanceType,
      vpcID: this.cloud.vpcID,
      instanceID: launched.instanceID,
      availabilityZone: launched.availabilityZone,
      subnetID: launched.subnetID,
      internalIP: launched.privateIP,
      ipam,
    }
    const generation = agentGeneration === 'mixed' ? (ordinal % 2 === 0 ? 'multi-pool' : 'pool') : agentGeneration
    const agent = this.#agent(facts, generation)
    const node: FleetNode = { facts, generation, ipam, agent, isStopped: false, edit: undefined, isBeingEdited: false }
    this.kubernetes.load([nodeManifest(facts, MAX_PODS)])
    this.nodes.set(facts.name, node)
    this.#run(node)
    return node
  }

  /** @param order which of machine (I), Node (N) and CiliumNode (C) goes when; what is not named stays */
  leave(node: FleetNode, order: string, gapMs: number): void {
    this.#happenings.leave(node, order, gapMs)
  }

  startPods(node: FleetNode, count: number): void {
    if (!node.isStopped) void this.pods.startPods(node.facts.name, count)
  }

  kill(): void {
    for (const process of this.#processes) process.kill()
  }

  /** Lets time pass, looking at the world on the way. */
  async advance(ms: number): Promise<void> {
    const endMs = this.clock.now() + ms
    while (this.clock.now() < endMs) {
      await this.clock.advance(Math.min(LOOK_INTERVAL_MS, endMs - this.clock.now()))
      this.#happenings.expire()
      await this.watch.lookIfChanged()
    }
  }

  /** Grows with every call to a simulator and every step: what has the same number has the same world. */
  get changeCount(): number {
    return this.#changes
  }

  /** Carries one step out; it takes no time by itself. */
  apply(step: FleetStep): Promise<void> {
    this.#changes++
    return this.#happenings.apply(step)
  }

  /** Everything that is out of the ordinary ends: faults, throttling, stale reads, others' addresses, stopped machines. */
  heal(): void {
    this.#happenings.heal()
  }

  /** @throws FleetViolation naming everything that is broken */
  assertInvariants(): Promise<void> {
    return this.watch.assertInvariants()
  }

  /**
   * Waits until every node has what it wants and no pod waits that could be served.
   *
   * @param withinMs longest wait
   * @returns how long it took (ms)
   * @throws FleetViolation
   */
  async converge(withinMs: number): Promise<number> {
    const startMs = this.clock.now()
    // Served at one look may mean that an agent has not reported yet.
    const agentTurnMs = (this.#options.agentIntervalMs ?? USUAL_AGENT_INTERVAL_MS) + LOOK_INTERVAL_MS
    let servedMs: number | undefined
    for (;;) {
      const unserved = await this.watch.unserved()
      const nowMs = this.clock.now()
      servedMs = unserved.length > 0 ? undefined : (servedMs ?? nowMs)
      if (servedMs !== undefined && nowMs - servedMs >= agentTurnMs) return servedMs - startMs
      if (unserved.length > 0 && nowMs - startMs >= withinMs) return this.watch.notConverged(unserved, withinMs)
      await this.advance(LOOK_INTERVAL_MS)
    }
  }

  view(): WorldView {
    return { interfaces: this.cloud.interfaces(), nodes: [...this.nodes.values()].map(({ agent }) => agent.view()) }
  }

  /** The CiliumNodes as the API server has them. */
  async resources(): Promise<readonly JSONObject[]> {
    const list = await this.observer.request('GET', CILIUM_NODES_PATH, {}, this.#closing.signal)
    return list['items'] as readonly JSONObject[]
  }

  /** Attempts of an action since the start (count). */
  calls(action: string): number {
    return this.cloud.ec2.calls.counts(action).attempts
  }

  async close(): Promise<void> {
    this.#hasController = false
    for (const process of this.#processes) process.kill()
    this.#closing.abort(new Error('the fleet ends'))
    this.pods.stop()
    for (const { agent } of this.nodes.values()) agent.agent.stop()
    for (let waited = 0; waited < 60 && this.#processes.length > 0; waited++) await this.clock.advance(1_000)
    this.kubernetes.close()
    await this.clock.settle()
    this.clock.uninstall()
  }

  /** Begin and end of a call both count: the effect lies between. */
  #counted(router: Router): Router {
    return async (request, signal) => {
      this.#changes++
      try {
        return await router(request, signal)
      } finally {
        this.#changes++
      }
    }
  }

  #startProcess(ownFlags: readonly string[] = []): void {
    const ordinal = ++this.#started
    const line = (level: string) => (fields: object, message: string) => {
      this.log.push({ atMs: this.clock.now(), process: ordinal, level, message, fields: fields as LogLine['fields'] })
      this.watch.logged(level, message, fields)
      if (this.log.length > KEPT_LINES) this.log.shift()
    }
    const logger: Logger = { debug: () => undefined, info: line('info'), warn: line('warn'), error: line('error') }
    const { seed, prefixDelegation = false, releaseExcess = false, flags = [] } = this.#options
    const process = new ControllerProcess({
      ordinal,
      seed,
      flags: [
        `--aws-enable-prefix-delegation=${prefixDelegation}`,
        `--aws-release-excess-ips=${releaseExcess}`,
        '--excess-ip-release-delay=20',
        ...flags,
        ...ownFlags,
      ],
      clock: this.clock,
      ec2: this.#ec2Router,
      kubernetes: this.#kubernetesRouter,
      ec2Observer: {
        started: (call) => this.watch.ec2Started(call),
        ended: (call, answer) => this.watch.ec2Ended(call, answer),
      },
      kubernetesObserver: {
        started: (call) => this.watch.kubernetesStarted(call),
        ended: (call: WireCall, answer: WireResponse | undefined) => this.watch.kubernetesEnded(call, answer),
      },
      log: logger,
      writeAudit: (entry) => this.audit.push(entry),
    })
    this.#processes.push(process)
    void process.over.then(() => this.#restart(process, ownFlags))
  }

  async #restart(process: ControllerProcess, ownFlags: readonly string[]): Promise<void> {
    this.#processes = this.#processes.filter((one) => one !== process)
    this.watch.processEnded()
    if (!this.#hasController || this.#closing.signal.aborted) return
    await this.clock.sleep(RESTART_MS, this.#closing.signal).catch(() => undefined)
    if (this.#hasController && !this.#closing.signal.aborted) this.#startProcess(ownFlags)
  }

  /** A machine starts again: with a new agent, which knows of no pods. */
  boot(node: FleetNode): void {
    node.agent = this.#agent(node.facts, node.generation)
    this.#run(node)
  }

  #agent(facts: NodeFacts, generation: AgentGeneration): SimulatedNode {
    return new SimulatedNode({
      facts,
      capacity: this.#capacity,
      generation,
      client: this.cluster,
      clock: this.clock,
      random: seededRandom(this.#options.seed * 7919 + ++this.#agents),
      updateIntervalMs: this.#options.agentIntervalMs ?? USUAL_AGENT_INTERVAL_MS,
    })
  }

  #run({ agent, facts }: FleetNode): void {
    void agent.agent.run()
    this.pods.addNode({ name: facts.name, agent: agent.agent, maxPods: MAX_PODS })
  }
}

/**
 * Starts a fleet in virtual time; the timer globals are faked until it is closed, so that one fleet runs at a time.
 * Whatever the SDK reads of the machine (its configuration files) is read before.
 */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  await warmUp()
  const clock = new FleetClock()
  clock.install()
  const fleet = new Fleet(options, clock)
  for (let index = 0; index < options.nodeCount; index++) fleet.join()
  if (options.hasController !== false) fleet.startController()
  await clock.settle()
  return fleet
}
