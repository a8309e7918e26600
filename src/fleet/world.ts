import {
  APIClient,
  CILIUM_NODES_PATH,
  NODES_PATH,
  PodScheduler,
  nodeManifest,
} from '../../simulators/kubernetes/index.ts'
import type { AgentGeneration, KubernetesSimulator } from '../../simulators/kubernetes/index.ts'
import { assert } from '../runtime/assert.ts'
import type { Clock } from '../runtime/clock.ts'
import { seededRandom } from '../runtime/random.ts'
import type { Random } from '../runtime/random.ts'
import type { LaunchedInstance } from './cloud-account.ts'
import { CLOUDS } from './clouds.ts'
import { IdleNeed } from './idle-need.ts'
import { checkInvariants } from './invariants.ts'
import type { Violation } from './invariants.ts'
import { maxPods, podsPerNode } from './node-capacity.ts'
import type { ActionReport, WorldReport } from './report.ts'
import type { AgentSurroundings } from './berth-agent.ts'
import { agentSurroundings } from './agent-surroundings.ts'
import type { CloudKind, SimulatedCloud } from './simulated-cloud.ts'
import { SimulatedNode } from './simulated-node.ts'
import { podAddresses } from './world-view.ts'
import type { WorldView } from './world-view.ts'
import type { WorldPlan } from './world-plan.ts'

/** Broken invariants kept (count): each is told once, and a world that breaks hundreds is known to be broken. */
const MAX_VIOLATIONS = 100
/** Nodes that register at the same time (count). */
const JOIN_BATCH = 50

/** A bucket with less than this share of its size is drawn on as fast as it fills: somebody has to wait. */
const SCARCE_SHARE = 0.2
/** Clock, ms; `servedMs` is undefined while the resource has opened no address yet. */
export interface NodeWait {
  readonly joinedMs: number
  readonly servedMs: number | undefined
}

/** Counts of one moment. */
export interface WorldSupply {
  /** Nodes that ever joined, and of them those whose resource has opened an address at some time. */
  readonly joined: number
  readonly served: number
  /** Addresses open to pods, used ones included. */
  readonly available: number
  readonly used: number
  readonly podsWaiting: number
}

export interface WorldParts {
  readonly cloud: Pick<SimulatedCloud, 'account' | 'capacities'>
  readonly kubernetes: KubernetesSimulator
  readonly clock: Clock
}

/**
 * A simulated cluster in a simulated cloud account: machines, their agents, and pods that come and go. It knows the truth about both
 * sides, and nothing of the controller that is judged by it.
 */
export class World {
  readonly #plan: WorldPlan
  readonly #kind: CloudKind
  readonly #cloud: WorldParts['cloud']
  readonly #clock: Clock
  readonly #random: Random
  readonly #client: APIClient
  /** Of the nodes' agents. */
  readonly #surroundings: AgentSurroundings
  readonly #pods: PodScheduler
  readonly #nodes = new Map<string, SimulatedNode>()
  readonly #goneWaits: NodeWait[] = []
  readonly #violations = new Set<string>()
  readonly #idle = new IdleNeed()
  readonly #stopping = new AbortController()
  readonly #startMs: number
  /**
   * As the last look at every address found it: pod addresses by instance, attached interfaces, addresses open and attached, addresses
   * in pods' hands. Counts of one moment, so that they fit together.
   */
  #attached = new Map<string, Set<string>>()
  #attachedCount = 0
  #openCount = 0
  #heldCount = 0
  #nextOrdinal = 0
  #isPopulated = false
  #isChurning = false

  constructor(plan: WorldPlan, { cloud, kubernetes, clock }: WorldParts) {
    this.#plan = plan
    this.#kind = CLOUDS[plan.cloud]
    this.#cloud = cloud
    this.#clock = clock
    this.#random = seededRandom(plan.seed)
    this.#client = new APIClient(kubernetes.router, 'berth-world')
    this.#surroundings = agentSurroundings(kubernetes.router, clock, seededRandom(plan.seed + 2))
    this.#startMs = clock.now()
    this.#pods = new PodScheduler({
      client: this.#client,
      clock,
      random: seededRandom(plan.seed + 1),
      podsPerSecond: plan.podsPerSecond,
    })
  }

  /** Lets all nodes join, each with its pods, then starts the churn. */
  async populate(): Promise<void> {
    await this.joinNodes(this.#plan.nodes)
    this.#isPopulated = true
    if (this.#plan.podsPerSecond > 0) this.startChurn(this.#plan.podsPerSecond)
  }

  /** So many machines at once, each with its pods. */
  async joinNodes(count: number): Promise<void> {
    const instances = this.#cloud.account.launch(count)
    for (let start = 0; start < instances.length && !this.#stopping.signal.aborted; start += JOIN_BATCH)
      await Promise.all(instances.slice(start, start + JOIN_BATCH).map((instance) => this.#join(instance)))
  }

  /** @param podsPerSecond that come, and as many that go, over the whole cluster (count) */
  startChurn(podsPerSecond: number): void {
    this.#isChurning = true
    void this.#pods.runChurn(podsPerSecond)
  }

  /** One more machine. @returns the node's name */
  async addNode(): Promise<string> {
    const [instance] = this.#cloud.account.launch(1)
    assert(instance !== undefined, 'asked for one machine, got none')
    return this.#join(instance)
  }

  /** A machine goes: its pods, its agent, its objects, its instance. @returns false when there is no such node */
  async removeNode(name: string): Promise<boolean> {
    const node = this.#nodes.get(name)
    if (node === undefined) return false
    this.#nodes.delete(name)
    this.#goneWaits.push(waitOf(node))
    this.#idle.observe([{ nodeName: name, isNeedy: false, isBlocked: false }], this.#clock.now())
    await this.#pods.removeNode(name)
    node.agent.stop()
    const { signal } = this.#stopping
    await this.#client.request('DELETE', `${NODES_PATH}/${name}`, {}, signal)
    await this.#client.request('DELETE', `${CILIUM_NODES_PATH}/${name}`, {}, signal)
    await this.#cloud.account.terminate(node.facts.instanceID, signal)
    return true
  }

  /** Binds so many new pods to each node, as many as it takes. */
  async startPods(countPerNode: number): Promise<void> {
    await Promise.all(this.nodeNames.map((name) => this.#pods.startPods(name, countPerNode)))
  }

  /** Deletes so many pods, chosen by chance. */
  async stopPods(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.#pods.stopPod()))
  }

  /** Binds so many new pods to one node, as many as it takes; none to a node that is gone. */
  async startPodsOn(name: string, count: number): Promise<void> {
    await this.#pods.startPods(name, count)
  }

  /** When each node that ever joined did so, and was first served (clock, ms). */
  waits(): readonly NodeWait[] {
    return [...this.#goneWaits, ...[...this.#nodes.values()].map(waitOf)]
  }

  get nodeNames(): readonly string[] {
    return [...this.#nodes.keys()]
  }

  stopChurn(): void {
    this.#isChurning = false
    this.#pods.stopChurn()
  }

  /** Everything as it is at this moment. */
  view(): WorldView {
    return { interfaces: this.#cloud.account.interfaces(), nodes: [...this.#nodes.values()].map((node) => node.view()) }
  }

  /** Looks at every address: finds broken invariants, and counts what is really there. */
  verify(): void {
    const view = this.view()
    this.#note(checkInvariants(view))
    this.#attached = new Map()
    this.#attachedCount = 0
    for (const iface of view.interfaces) {
      if (iface.instanceID === undefined) continue
      this.#attachedCount++
      const addresses = this.#attached.get(iface.instanceID) ?? new Set()
      for (const address of podAddresses(iface)) addresses.add(address)
      this.#attached.set(iface.instanceID, addresses)
    }
    this.#openCount = 0
    this.#heldCount = 0
    for (const { instanceID, open, holdings } of view.nodes) {
      this.#heldCount += holdings.length
      for (const address of open) if (this.#attached.get(instanceID)?.has(address) === true) this.#openCount++
    }
  }

  /** How the world is. Interfaces and addresses are those of the last look at all of them. */
  report(): Promise<WorldReport> {
    return this.#report((node) => node.missing())
  }

  /** The same after a fresh look; a node has what it needs only if the cloud says so too. */
  verifiedReport(): Promise<WorldReport> {
    this.verify()
    return this.#report((node) => node.missing(this.#attached.get(node.facts.instanceID) ?? new Set()))
  }

  /** What the nodes have and lack, without a look at any address. */
  supply(): WorldSupply {
    let served = 0
    let available = 0
    let used = 0
    for (const { servedMs } of this.#goneWaits) if (servedMs !== undefined) served++
    for (const node of this.#nodes.values()) {
      if (node.servedMs !== undefined) served++
      available += node.agent.ipam.availableCount
      used += node.agent.ipam.heldCount
    }
    const joined = this.#nodes.size + this.#goneWaits.length
    return { joined, served, available, used, podsWaiting: this.#pods.report().waiting }
  }

  /** Ends agents, pods and whatever is still joining. The simulators stay. */
  close(): void {
    this.#stopping.abort(new Error('the simulated world ends'))
    this.#pods.stop()
    for (const { agent } of this.#nodes.values()) agent.stop()
    this.#surroundings.timers.stop()
  }

  async #report(missing: (node: SimulatedNode) => number): Promise<WorldReport> {
    const calls = await this.#cloud.account.calls(this.#stopping.signal)
    this.#observeNeeds(calls)
    let nodesConverged = 0
    let nodesEverConverged = 0
    for (const node of this.#nodes.values()) {
      if (missing(node) === 0) {
        nodesConverged++
        node.hasConverged = true
      }
      if (node.hasConverged) nodesEverConverged++
    }
    const { pods, waiting, longestWaitMs, longestRecentWaitMs, waits } = this.#pods.report()
    return {
      elapsedMs: this.#clock.now() - this.#startMs,
      nodes: this.#nodes.size,
      nodesConverged,
      nodesEverConverged,
      isPopulated: this.#isPopulated,
      pods,
      podsWaiting: waiting,
      longestWaitMs,
      longestRecentWaitMs,
      podWaits: waits,
      addressesAvailable: this.#openCount,
      addressesUsed: this.#heldCount,
      interfaces: this.#attachedCount,
      calls,
      isChurning: this.#isChurning,
      violations: [...this.#violations],
      rssBytes: process.memoryUsage.rss(),
    }
  }

  async #join(launched: LaunchedInstance): Promise<string> {
    const capacity = this.#cloud.capacities.get(launched.instanceType)
    assert(capacity !== undefined, `a machine of type ${launched.instanceType} was not planned`)
    const ordinal = this.#nextOrdinal++
    const { nodeIPAM = [{}] } = this.#plan
    const ipam = nodeIPAM[ordinal % nodeIPAM.length] ?? {}
    const facts = { name: `node-${String(ordinal + 1).padStart(4, '0')}`, ...launched, ipam }
    const generation = generationOf(this.#plan, ordinal)
    const node = new SimulatedNode({
      facts,
      capacity,
      generation,
      client: this.#client,
      ...(this.#kind.ownAgents.includes(generation) && { surroundings: this.#surroundings }),
      clock: this.#clock,
      random: seededRandom(Math.floor(this.#random.next() * 2 ** 32)),
      updateIntervalMs: this.#plan.agentUpdateIntervalMs,
    })
    const most = maxPods(capacity)
    await this.#client.request('POST', NODES_PATH, { body: nodeManifest(facts, most) }, this.#stopping.signal)
    this.#nodes.set(node.name, node)
    void node.agent.run()
    this.#pods.addNode({ name: node.name, agent: node.agent, maxPods: most })
    await this.#pods.startPods(node.name, podsPerNode(this.#plan, capacity))
    return node.name
  }

  /** Somebody serves the cluster from the first call on that brings addresses; before, nobody can have forgotten a node. */
  #observeNeeds(calls: Readonly<Record<string, ActionReport>>): void {
    const serving = this.#kind.servingActions.flatMap((action) => calls[action] ?? [])
    const isScarce = ({ bucket }: ActionReport): boolean =>
      bucket !== undefined && bucket.tokens < bucket.size * SCARCE_SHARE
    const isCloudBusy = serving.length === 0 || serving.some(isScarce)
    const nowMs = this.#clock.now()
    const look = (node: SimulatedNode) => {
      const isNeedy = node.missing() > 0
      const isBlocked = isCloudBusy || (isNeedy && this.#cloud.account.isChanging(node.facts.instanceID))
      return { nodeName: node.name, isNeedy, isBlocked }
    }
    this.#idle.observe([...this.#nodes.values()].map(look), nowMs)
    this.#note(this.#idle.violations(this.#kind.idleBoundMs, nowMs))
  }

  #note(violations: readonly Violation[]): void {
    for (const { kind, detail } of violations)
      if (this.#violations.size < MAX_VIOLATIONS) this.#violations.add(`${kind}: ${detail}`)
  }
}

function waitOf({ joinedMs, servedMs }: SimulatedNode): NodeWait {
  return { joinedMs, servedMs }
}

function generationOf({ agentGeneration }: WorldPlan, ordinal: number): AgentGeneration {
  if (agentGeneration === 'mixed') return ordinal % 2 === 0 ? 'pool' : 'multi-pool'
  return agentGeneration
}
