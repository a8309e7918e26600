import { NO_LATENCY } from '../../simulators/aws/index.ts'
import type { Latency, ThrottleChoice } from '../../simulators/aws/index.ts'
import type { WireResponse } from '../../simulators/kit/http.ts'
import {
  APIClient,
  APIStatusError,
  CILIUM_NODES_PATH,
  NODES_PATH,
  PodScheduler,
  createKubernetesSimulator,
  nodeManifest,
} from '../../simulators/kubernetes/index.ts'
import type { AgentGeneration, JSONObject, KubernetesSimulator, NodeFacts } from '../../simulators/kubernetes/index.ts'
import { podAddressCapacity, typeLimits } from '../../src/fleet/cloud-account.ts'
import { SimulatedNode } from '../../src/fleet/simulated-node.ts'
import type { NodeCapacity } from '../../src/fleet/simulated-node.ts'
import type { WorldView } from '../../src/fleet/world-view.ts'
import type { Logger } from '../../src/ipam/contracts.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import { FleetClock } from './fleet-clock.ts'
import { FleetCloud } from './fleet-cloud.ts'
import { ControllerProcess } from './fleet-controller.ts'
import { CLUSTER_AGENT, CONTROLLER_AGENT, EC2_FAULTS, FaultBoard, KUBERNETES_FAULTS } from './fleet-faults.ts'
import { FleetWatch } from './fleet-watch.ts'
import type { FleetStep } from './fleet-steps.ts'
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
/** Until the next full sync has shown what others changed. @source src/controller/full-sync.ts, a minute and a tenth */
const FULL_SYNC_PAUSE_MS = 70_000
/** Longest pause of a watch before it goes on. @source src/kubernetes/backoff.ts */
const WATCH_PAUSE_MS = 60_000
/** @source src/ipam/node-state.ts, LONGEST_MISSING_READ_MS, stretched by a quarter */
const MISSING_READ_PAUSE_MS = 75_000
/** Pods that a node takes at most (count): with 8 spare addresses they fit an m5.large, also once it is out of prefixes. */
const MAX_PODS = 18
/** A pod that ended by itself is started again after this (ms), as by a kubelet. */
const RESTART_MS = 3_000
/** The observer's own requests take no time. */
const USUAL_KUBERNETES_LATENCY = [CONTROLLER_AGENT, CLUSTER_AGENT].flatMap((userAgent) => [
  { action: '*', match: { userAgent }, kind: 'latency', latencyMs: 3 },
  { action: 'patch *', match: { userAgent }, kind: 'latency', where: 'after-effect', latencyMs: 4 },
])
const LEASE_PATH = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/berth-controller'
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
  readonly observer: APIClient
  readonly #options: FleetOptions
  readonly #capacity: NodeCapacity
  readonly #cluster: APIClient
  readonly #closing = new AbortController()
  readonly #usualConsistency: ReturnType<FleetCloud['consistency']>
  #processes: ControllerProcess[] = []
  #started = 0
  #joined = 0
  #hasController: boolean
  #throttledUntilMs = 0
  #staleUntilMs = 0

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
    this.#usualConsistency = this.cloud.consistency()
    this.kubernetes = createKubernetesSimulator({ clock, seed })
    this.ec2Faults = new FaultBoard(this.cloud.ec2.faults)
    this.kubernetesFaults = new FaultBoard(this.kubernetes.faults, USUAL_KUBERNETES_LATENCY)
    this.#cluster = new APIClient(this.kubernetes.router, CLUSTER_AGENT)
    this.observer = new APIClient(this.kubernetes.router, 'observer')
    this.pods = new PodScheduler({ client: this.#cluster, clock, random: seededRandom(seed + 1), podsPerSecond: 0 })
    this.watch = new FleetWatch(this)
  }

  /** The process that leads or tries to, and those that are ending. */
  get processes(): readonly ControllerProcess[] {
    return this.#processes
  }

  get isServing(): boolean {
    return this.#processes.some((process) => process.isServing)
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

  /** A machine boots and its agent registers. @returns undefined when the account has no address for it */
  join(spec = this.#joined): FleetNode | undefined {
    const { instanceType = 'm5.large', specs = [{}], agentGeneration = 'pool', seed } = this.#options
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
    const agent = this.#agent(facts, generation, seed * 7919 + ordinal)
    const node: FleetNode = { facts, generation, ipam, agent, isStopped: false, edit: undefined, isBeingEdited: false }
    this.kubernetes.load([nodeManifest(facts, MAX_PODS)])
    this.nodes.set(facts.name, node)
    this.#boot(node)
    return node
  }

  /** @param order which of machine (I), Node (N) and CiliumNode (C) goes when; what is not named stays */
  leave(node: FleetNode, order: string, gapMs: number): void {
    void this.#leave(node, order, gapMs)
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
      this.#expire()
      await this.watch.look()
    }
  }

  /** Carries one step out; it takes no time by itself. */
  async apply(step: FleetStep): Promise<void> {
    const nowMs = this.clock.now()
    switch (step.kind) {
      case 'podBurst': {
        const node = this.node(step.node)
        if (node !== undefined) this.startPods(node, step.count)
        break
      }
      case 'podsGone':
        for (let gone = 0; gone < step.count; gone++) void this.pods.stopPod()
        break
      case 'nodeJoins':
        this.join(step.spec)
        break
      case 'nodeLeaves': {
        const node = this.node(step.node)
        if (node !== undefined && this.nodes.size > 1) this.leave(node, step.order, step.gapMs)
        break
      }
      case 'instanceStops': {
        const node = this.node(step.node)
        if (node !== undefined) this.#powerCycle(node, step.forMs)
        break
      }
      case 'throttle':
        this.#throttledUntilMs = nowMs + step.forMs
        this.cloud.ec2.setThrottle({
          refill: 'stepwise',
          neighbours: [],
          rules: [{ bucket: '*', size: step.size, refillPerSecond: step.refillPerSecond }],
        })
        break
      case 'ec2Fault':
        this.#ec2Fault(step, nowMs + step.forMs)
        break
      case 'kubernetesFault': {
        const { fault, probability, count, strikesAgents, forMs } = step
        const rule = KUBERNETES_FAULTS[fault]
        for (const userAgent of [CONTROLLER_AGENT, ...(strikesAgents ? [CLUSTER_AGENT] : [])])
          this.kubernetesFaults.add({ ...rule, match: { userAgent } }, { probability, count }, nowMs + forMs)
        break
      }
      case 'staleReads':
        this.#staleUntilMs = nowMs + step.forMs
        this.watch.staleReadsBegan()
        // A machine that the listings do not show is asked for again after a minute at the latest.
        this.watch.everybodyWaits(step.forMs + step.delayMs + MISSING_READ_PAUSE_MS)
        this.cloud.setConsistency({
          createdInterfaceMs: step.delayMs,
          deletedInterfaceMs: step.delayMs,
          addressesMs: step.delayMs,
          availableCountMs: step.delayMs,
          notFoundProbability: 0.3,
        })
        break
      case 'subnetFull':
        this.cloud.occupy(this.cloud.subnet(step.subnet).id, { leaveFree: step.leaveFree }, nowMs + step.forMs)
        break
      case 'subnetFragmented':
        this.cloud.occupy(this.cloud.subnet(step.subnet).id, { fragment: true }, nowMs + step.forMs)
        break
      case 'controllerKilled':
        this.kill()
        break
      case 'controllerTerminated':
        for (const process of this.#processes) process.terminate()
        break
      case 'leaseStolen':
        await this.#stealLease()
        break
      case 'watchesDropped':
        this.kubernetes.dropWatches(undefined, step.how)
        this.watch.everybodyWaits(WATCH_PAUSE_MS)
        break
      case 'historyForgotten':
        this.kubernetes.compact()
        this.kubernetes.dropWatches(undefined, 'expired')
        this.watch.everybodyWaits(WATCH_PAUSE_MS)
        break
      case 'foreignEdit': {
        const node = this.node(step.node)
        if (node !== undefined) void this.#edit(node, step.value)
        break
      }
      case 'timePasses':
        break
      default:
        step satisfies never
    }
    await this.clock.settle()
  }

  /** Everything that is out of the ordinary ends: faults, throttling, stale reads, others' addresses, stopped machines. */
  heal(): void {
    this.ec2Faults.clear()
    this.kubernetesFaults.clear()
    this.#throttledUntilMs = this.#staleUntilMs = this.clock.now()
    this.cloud.freeOccupied(Number.POSITIVE_INFINITY)
    this.#expire()
    for (const node of this.nodes.values()) if (node.isStopped) this.#powerOn(node)
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

  #expire(): void {
    const nowMs = this.clock.now()
    this.ec2Faults.expire(nowMs)
    this.kubernetesFaults.expire(nowMs)
    if (this.cloud.freeOccupied(nowMs)) this.watch.everybodyWaits(FULL_SYNC_PAUSE_MS)
    if (this.#throttledUntilMs > 0 && this.#throttledUntilMs <= nowMs) {
      this.#throttledUntilMs = 0
      this.cloud.ec2.setThrottle(this.#options.throttle ?? 'documented')
    }
    if (this.#staleUntilMs > 0 && this.#staleUntilMs <= nowMs) {
      this.#staleUntilMs = 0
      this.cloud.setConsistency(this.#usualConsistency)
    }
  }

  #startProcess(): void {
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
      ],
      clock: this.clock,
      ec2: this.cloud.ec2.router,
      kubernetes: this.kubernetes.router,
      ec2Observer: {
        started: (call) => this.watch.ec2Started(call),
        ended: (call, answer) => this.watch.ec2Ended(call, answer),
      },
      kubernetesObserver: {
        started: (call) => this.watch.kubernetesStarted(call),
        ended: (call: WireCall, answer: WireResponse | undefined) => this.watch.kubernetesEnded(call, answer),
      },
      log: logger,
    })
    this.#processes.push(process)
    void process.over.then(() => this.#restart(process))
  }

  async #restart(process: ControllerProcess): Promise<void> {
    this.#processes = this.#processes.filter((one) => one !== process)
    this.watch.processEnded()
    if (!this.#hasController || this.#closing.signal.aborted) return
    await this.clock.sleep(RESTART_MS, this.#closing.signal).catch(() => undefined)
    if (this.#hasController && !this.#closing.signal.aborted) this.#startProcess()
  }

  #agent(facts: NodeFacts, generation: AgentGeneration, seed: number): SimulatedNode {
    return new SimulatedNode({
      facts,
      capacity: this.#capacity,
      generation,
      client: this.#cluster,
      clock: this.clock,
      random: seededRandom(seed),
      updateIntervalMs: this.#options.agentIntervalMs ?? USUAL_AGENT_INTERVAL_MS,
    })
  }

  #boot({ agent, facts }: FleetNode): void {
    void agent.agent.run()
    this.pods.addNode({ name: facts.name, agent: agent.agent, maxPods: MAX_PODS })
  }

  async #leave(node: FleetNode, order: string, gapMs: number): Promise<void> {
    const { name, instanceID } = node.facts
    for (const part of order) {
      if (part === 'I') {
        // The machine is gone, and with it its pods: the API server learns of that later.
        this.nodes.delete(name)
        node.agent.agent.stop()
        void this.pods.removeNode(name)
        this.cloud.terminate(instanceID)
      } else await this.#delete(`${part === 'N' ? NODES_PATH : CILIUM_NODES_PATH}/${name}`)
      await this.clock.sleep(gapMs, this.#closing.signal).catch(() => undefined)
    }
  }

  async #delete(path: string): Promise<void> {
    await this.#insist(() => this.#cluster.request('DELETE', path, {}, this.#closing.signal))
  }

  /** As somebody does who tries until it works. @returns undefined when the object is gone */
  async #insist(call: () => Promise<JSONObject>): Promise<JSONObject | undefined> {
    while (!this.#closing.signal.aborted) {
      try {
        return await call()
      } catch (error) {
        if (error instanceof APIStatusError && error.status === 404) return undefined
        await this.clock.sleep(1_000, this.#closing.signal).catch(() => undefined)
      }
    }
    return undefined
  }

  #powerCycle(node: FleetNode, forMs: number): void {
    if (node.isStopped || !this.cloud.isRunning(node.facts.instanceID)) return
    node.isStopped = true
    node.agent.agent.stop()
    void this.pods.removeNode(node.facts.name)
    this.cloud.stop(node.facts.instanceID)
    void this.clock.sleep(forMs, this.#closing.signal).then(
      () => this.#powerOn(node),
      () => undefined,
    )
  }

  #powerOn(node: FleetNode): void {
    if (!node.isStopped || this.nodes.get(node.facts.name) !== node) return
    node.isStopped = false
    this.cloud.start(node.facts.instanceID)
    node.agent = this.#agent(node.facts, node.generation, this.#options.seed * 104_729 + ++this.#joined)
    this.#boot(node)
  }

  #ec2Fault(step: FleetStep & { readonly kind: 'ec2Fault' }, untilMs: number): void {
    const { fault, probability, count } = step
    const rule = EC2_FAULTS[fault]
    const node = step.node === undefined ? undefined : this.node(step.node)
    if (node === undefined) return this.ec2Faults.add(rule!, { probability, count }, untilMs)
    const { instanceID } = node.facts
    const own = this.cloud.interfaces().filter((iface) => iface.instanceID === instanceID)
    const matches = [
      { InstanceId: instanceID },
      { Description: `*${instanceID}*` },
      ...own.map(({ id }) => ({ NetworkInterfaceId: id })),
    ]
    for (const match of matches) this.ec2Faults.add({ ...rule, match }, { probability, count }, untilMs)
  }

  /** Another process writes its own name into the lease, and never renews it. */
  async #stealLease(): Promise<void> {
    const lease = await this.observer.request('GET', LEASE_PATH, {}, this.#closing.signal).catch(() => undefined)
    if (lease === undefined) return
    const body = { spec: { holderIdentity: `thief-${this.clock.now()}` } }
    const contentType = 'application/merge-patch+json'
    await this.observer.request('PATCH', LEASE_PATH, { body, contentType }, this.#closing.signal)
  }

  async #edit(node: FleetNode, value: number): Promise<void> {
    const body = {
      metadata: {
        annotations: { 'tool.example.com/value': String(value) },
        labels: { 'tool.example.com/value': String(value) },
      },
      spec: { encryption: { key: value % 255 }, health: { ipv4: `192.0.2.${value % 255}` } },
    }
    const path = `${CILIUM_NODES_PATH}/${node.facts.name}`
    const contentType = 'application/merge-patch+json'
    if (node.isBeingEdited) return
    // Until the answer is there, either value may be seen.
    node.edit = undefined
    node.isBeingEdited = true
    const answer = await this.#insist(() =>
      this.#cluster.request('PATCH', path, { body, contentType }, this.#closing.signal),
    )
    node.isBeingEdited = false
    if (answer === undefined) return
    const { uid } = answer['metadata'] as { readonly uid: string }
    node.edit = { value, uid }
  }
}

let warmUp: Promise<unknown> | undefined

/**
 * Starts a fleet in virtual time; the timer globals are faked until it is closed, so that one fleet runs at a time.
 * Whatever the SDK reads of the machine (its configuration files) is read before.
 */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  warmUp ??= warm()
  await warmUp
  const clock = new FleetClock()
  clock.install()
  const fleet = new Fleet(options, clock)
  for (let index = 0; index < options.nodeCount; index++) fleet.join()
  if (options.hasController !== false) fleet.startController()
  await clock.settle()
  return fleet
}

/** One call of an SDK client in real time. */
async function warm(): Promise<void> {
  const { createEC2Client } = await import('../../providers/aws/index.ts')
  const { createEC2Simulator, inProcessHandler } = await import('../../simulators/aws/index.ts')
  const { DescribeVpcsCommand } = await import('@aws-sdk/client-ec2')
  const client = createEC2Client({
    region: 'us-east-1',
    credentials: { accessKeyId: 'warm', secretAccessKey: 'warm' },
    requestHandler: inProcessHandler(createEC2Simulator().router),
  })
  await client.send(new DescribeVpcsCommand({}))
  client.destroy()
}
