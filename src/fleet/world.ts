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
import type { CloudAccount, LaunchedInstance } from './cloud-account.ts'
import { IdleNeed } from './idle-need.ts'
import { checkInvariants } from './invariants.ts'
import type { Violation } from './invariants.ts'
import { maxPods, podsPerNode } from './node-capacity.ts'
import type { ActionReport, WorldReport } from './report.ts'
import { SimulatedNode } from './simulated-node.ts'
import type { NodeCapacity } from './simulated-node.ts'
import { podAddresses } from './world-view.ts'
import type { WorldView } from './world-view.ts'
import type { WorldPlan } from './world-plan.ts'

/** Broken invariants kept (count): each is told once, and a world that breaks hundreds is known to be broken. */
const MAX_VIOLATIONS = 100
/** Nodes that register at the same time (count). */
const JOIN_BATCH = 50

/**
 * A node that lacks addresses for longer, while every bucket has tokens, has been forgotten (ms). Far above what calls, reports and a
 * slow machine take, and below the minute after which a full sync would find it again.
 */
const IDLE_BOUND_MS = 30_000
/** A bucket with less than this share of its size is drawn on as fast as it fills: somebody has to wait. */
const SCARCE_SHARE = 0.2
/** What brings addresses: while one of their buckets is scarce, waiting is no fault of the controller. */
const SERVING_ACTIONS = [
  'AssignPrivateIpAddresses',
  'CreateNetworkInterface',
  'AttachNetworkInterface',
  'ModifyNetworkInterfaceAttribute',
]

/** Clock, ms; `servedMs` is undefined while the resource has opened no address yet. */
export interface NodeWait {
  readonly joinedMs: number
  readonly servedMs: number | undefined
}

export interface WorldParts {
  readonly account: CloudAccount
  readonly kubernetes: KubernetesSimulator
  /** By instance type. */
  readonly capacities: ReadonlyMap<string, NodeCapacity>
  readonly clock: Clock
}

/**
 * A simulated cluster in a simulated cloud account: machines, their agents, and pods that come and go. It knows the truth about both
 * sides, and nothing of the controller that is judged by it.
 */
export class World {
  readonly #plan: WorldPlan
  readonly #account: CloudAccount
  readonly #clock: Clock
  readonly #random: Random
  readonly #client: APIClient
  readonly #pods: PodScheduler
  readonly #capacities: ReadonlyMap<string, NodeCapacity>
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

  constructor(plan: WorldPlan, { account, kubernetes, capacities, clock }: WorldParts) {
    this.#plan = plan
    this.#account = account
    this.#clock = clock
    this.#random = seededRandom(plan.seed)
    this.#capacities = capacities
    this.#client = new APIClient(kubernetes.router, 'berth-world')
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
    const instances = this.#account.launch(this.#plan.nodes)
    for (let start = 0; start < instances.length && !this.#stopping.signal.aborted; start += JOIN_BATCH)
      await Promise.all(instances.slice(start, start + JOIN_BATCH).map((instance) => this.#join(instance)))
    this.#isPopulated = true
    this.#isChurning = this.#plan.podsPerSecond > 0
    if (this.#isChurning) void this.#pods.runChurn()
  }

  /** One more machine. @returns the node's name */
  async addNode(): Promise<string> {
    const [instance] = this.#account.launch(1)
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
    await this.#account.terminate(node.facts.instanceID, signal)
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
    return { interfaces: this.#account.interfaces(), nodes: [...this.#nodes.values()].map((node) => node.view()) }
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

  /** Ends agents, pods and whatever is still joining. The simulators stay. */
  close(): void {
    this.#stopping.abort(new Error('the simulated world ends'))
    this.#pods.stop()
    for (const { agent } of this.#nodes.values()) agent.stop()
  }

  async #report(missing: (node: SimulatedNode) => number): Promise<WorldReport> {
    const calls = await this.#account.calls(this.#stopping.signal)
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

  async #join({ privateIP, ...launched }: LaunchedInstance): Promise<string> {
    const capacity = this.#capacities.get(launched.instanceType)
    assert(capacity !== undefined, `a machine of type ${launched.instanceType} was not planned`)
    const ordinal = this.#nextOrdinal++
    const facts = {
      name: `node-${String(ordinal + 1).padStart(4, '0')}`,
      ...launched,
      vpcID: this.#account.vpcID,
      internalIP: privateIP,
    }
    const node = new SimulatedNode({
      facts,
      capacity,
      generation: generationOf(this.#plan, ordinal),
      client: this.#client,
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
    const serving = SERVING_ACTIONS.flatMap((action) => calls[action] ?? [])
    const isScarce = ({ bucket }: ActionReport): boolean =>
      bucket !== undefined && bucket.tokens < bucket.size * SCARCE_SHARE
    const isBlocked = serving.length === 0 || serving.some(isScarce)
    const nowMs = this.#clock.now()
    const look = (node: SimulatedNode) => ({ nodeName: node.name, isNeedy: node.missing() > 0, isBlocked })
    this.#idle.observe([...this.#nodes.values()].map(look), nowMs)
    this.#note(this.#idle.violations(IDLE_BOUND_MS, nowMs))
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
