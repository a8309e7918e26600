import { CiliumAgent, MultiPoolIPAM, PoolIPAM } from '../../simulators/kubernetes/index.ts'
import type { APIClient, AgentGeneration, NodeFacts } from '../../simulators/kubernetes/index.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { AgentSurroundings } from './berth-agent.ts'
import { BerthAgent } from './berth-agent.ts'
import { missingAddresses } from './convergence.ts'
import type { NodeAgent } from './node-agent.ts'
import type { NodeView } from './world-view.ts'

/** What an instance of the node's type can carry (counts). */
export interface NodeCapacity {
  readonly interfaces: number
  /** Addresses and prefixes of one interface, its primary address included. */
  readonly slotsPerInterface: number
  /** Addresses for pods. */
  readonly podAddresses: number
}

export interface SimulatedNodeOptions {
  readonly facts: NodeFacts
  readonly capacity: NodeCapacity
  readonly generation: AgentGeneration
  readonly client: APIClient
  /** Of the agent of `src/agent`; absent: the simulators' own agent runs, which shares nothing with what is tested. */
  readonly surroundings?: AgentSurroundings
  readonly clock: Clock
  readonly random: Random
  readonly updateIntervalMs: number
}

/** A machine of the cluster with its agent, and what can be said about the two. */
export class SimulatedNode {
  readonly facts: NodeFacts
  readonly agent: NodeAgent
  readonly #capacity: NodeCapacity
  readonly joinedMs: number
  /** Whether it has lacked nothing at some time. */
  hasConverged = false
  #servedMs: number | undefined

  constructor(options: SimulatedNodeOptions) {
    const { facts, clock } = options
    this.facts = facts
    this.#capacity = options.capacity
    this.joinedMs = clock.now()
    const onTakenOver = (): void => {
      if (this.#servedMs === undefined && this.agent.ipam.availableCount > 0) this.#servedMs = clock.now()
    }
    this.agent = this.#createAgent(options, onTakenOver)
  }

  /** When its resource first opened an address to pods (clock, ms); undefined while it has not. */
  get servedMs(): number | undefined {
    return this.#servedMs
  }

  get name(): string {
    return this.facts.name
  }

  /**
   * Addresses that the node lacks, by what its resource opens to pods (count).
   *
   * @param attached addresses that the cloud has on the node: what the resource says beyond them does not count; undefined = believe
   *   the resource
   */
  missing(attached?: ReadonlySet<string>): number {
    const { resource, ipam } = this.agent
    const { preAllocate, minAllocate, maxAllocate } = resource?.watermarks ?? NO_WATERMARKS
    const available =
      attached === undefined ? ipam.availableCount : this.open().filter((one) => attached.has(one)).length
    const capacity = this.#capacity.podAddresses
    return missingAddresses({ available, used: ipam.heldCount, preAllocate, minAllocate, maxAllocate, capacity })
  }

  /** Addresses open to pods, as the agent sees them. */
  open(): readonly string[] {
    return this.agent.ipam.openAddresses()
  }

  #createAgent(options: SimulatedNodeOptions, onTakenOver: () => void): NodeAgent {
    const { facts, generation, client, surroundings, clock, random, updateIntervalMs } = options
    const own = { facts, random, updateIntervalMs, onTakenOver }
    // `src/agent` makes no pools of the status of other clouds than AWS (docs/compatibility.md).
    const isBuilt = generation === 'pool' || facts.cloud !== 'azure'
    if (surroundings !== undefined && isBuilt) return new BerthAgent({ ...surroundings, ...own, generation })
    const ipam = generation === 'pool' ? new PoolIPAM(random) : new MultiPoolIPAM()
    return new CiliumAgent({ ...own, client, ipam, clock })
  }

  view(): NodeView {
    const { resource, ipam, counters } = this.agent
    return {
      name: this.name,
      instanceID: this.facts.instanceID,
      limits: this.#capacity,
      maxAllocate: resource?.watermarks.maxAllocate ?? 0,
      holdings: [...ipam.holdings()],
      open: new Set(this.open()),
      overwrites: counters.overwrites,
    }
  }
}

const NO_WATERMARKS = { preAllocate: 0, minAllocate: 0, maxAllocate: 0 }
