import type { AgentGeneration, Holding, NodeFacts } from '../../simulators/kubernetes/index.ts'
import type { Configuration } from '../agent/configuration.ts'
import { createIPAM } from '../agent/create-ipam.ts'
import { DaemonCore } from '../agent/daemon-core.ts'
import { LeaseTable } from '../agent/daemon-leases.ts'
import { isShortage } from '../agent/daemon-waiting.ts'
import { volatileJournal } from '../agent/journal.ts'
import type { Machine } from '../agent/node-resource.ts'
import { readFacts } from '../cli/agent-machine.ts'
import { OwnNode } from '../cli/agent-node.ts'
import type { Logger } from '../ipam/contracts.ts'
import type { KubernetesClient } from '../kubernetes/client.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { Timer, TimerQueue } from '../runtime/timer.ts'
import { AgentView } from './agent-view.ts'
import type { NodeAgent } from './node-agent.ts'

/** What the agents of one world share: nothing of it grows with a node at rest. */
export interface AgentSurroundings {
  readonly client: KubernetesClient
  readonly clock: Clock
  readonly timers: TimerQueue
  readonly log: Logger
}

export interface BerthAgentOptions extends AgentSurroundings {
  readonly facts: NodeFacts
  /** As an agent up to Cilium 1.19, or from 1.20 on. */
  readonly generation: AgentGeneration
  readonly random: Random
  /** Least time between two writes (ms). */
  readonly updateIntervalMs: number
  /** A version of the resource was taken over; called before waiting pods are served from it. */
  readonly onTakenOver: () => void
}

/** Below the 5 minutes after which a multi-pool agent forgets who asked in vain (ms). */
const RENEWAL_MS = 60_000

const NO_EVENTS = { k8sEventReceived: (): void => undefined, k8sEventProcessed: (): void => undefined }

/**
 * The node's half as `berth agent` runs it, without its sockets: the allocators of `src/agent` behind their daemon's core, on the watch
 * and the writes of `OwnNode`. The leases live as long as the process.
 *
 * Pods that find no address wait here in the order in which they came; the next one is tried whenever the addresses change.
 */
export class BerthAgent implements NodeAgent {
  readonly ipam: NodeAgent['ipam']
  readonly #options: BerthAgentOptions
  readonly #stopping = new AbortController()
  readonly #waiting = new Map<string, (holding: Holding) => void>()
  readonly #held = new Map<string, Holding>()
  #core: DaemonCore | undefined
  /** `again`: something has changed while pods were being served. */
  #serving: 'no' | 'yes' | 'again' = 'no'
  readonly #view: AgentView
  #renewal: Timer | undefined

  constructor(options: BerthAgentOptions) {
    const view = new AgentView(options)
    const held = this.#held
    this.#options = options
    this.#view = view
    this.ipam = {
      get heldCount() {
        return held.size
      },
      get availableCount() {
        return view.open.length
      },
      holdings: () => held.values(),
      openAddresses: () => view.open,
    }
  }

  get waitingCount(): number {
    return this.#waiting.size
  }

  get resource(): NodeAgent['resource'] {
    return this.#view.seen
  }

  get counters(): NodeAgent['counters'] {
    return { overwrites: this.#view.overwrites }
  }

  async run(): Promise<void> {
    const { facts, generation, client, clock, timers, random, log, updateIntervalMs } = this.#options
    const { signal } = this.#stopping
    const node = new OwnNode({
      name: facts.name,
      client,
      events: NO_EVENTS,
      // The machine is what the world says it is; there is no metadata service.
      facts: async (limited) => ({
        ...(await readFacts(client, facts.name, () => machineOf(facts), limited)),
        ...(facts.ipam !== undefined && { ipam: facts.ipam }),
      }),
      clock,
      random,
      log,
      onChange: () => this.#addressesChanged(),
      signal,
    })
    void node.watch()
    try {
      const ipam = await createIPAM(
        {
          nodeName: facts.name,
          configuration: configurationOf(facts),
          owner: node,
          events: this.#view.tapped(node),
          writer: this.#view.noted(node),
          clock,
          timers,
          random,
          log,
          updateIntervalMs,
          eniSource: generation === 'pool' ? 'pool' : 'status',
        },
        signal,
      )
      const core = new DaemonCore({
        ipam,
        table: new LeaseTable(),
        journal: volatileJournal,
        clock,
        timers,
        random,
        log,
      })
      core.restore([])
      await core.open()
      this.#core = core
      await this.#serve()
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  stop(): void {
    this.#stopping.abort(new Error(`agent of ${this.#options.facts.name} stopped`))
    this.#core?.stop()
    this.#renewal?.cancel()
  }

  request(owner: string, onAddress: (holding: Holding) => void): void {
    this.#waiting.set(owner, onAddress)
    void this.#serve()
  }

  release(owner: string): void {
    this.#waiting.delete(owner)
    const holding = this.#held.get(owner)
    if (holding === undefined) return
    this.#held.delete(owner)
    this.#give(holding.address)
    void this.#serve()
  }

  #addressesChanged(): void {
    this.#core?.addressesChanged()
    void this.#serve()
  }

  /** One after another, so that nobody is passed over. Never rejects. */
  async #serve(): Promise<void> {
    const core = this.#core
    if (core === undefined || this.#waiting.size === 0) return
    if (this.#serving !== 'no') {
      this.#serving = 'again'
      return
    }
    do {
      this.#serving = 'yes'
      await this.#serveAll(core)
    } while (this.#serving === ('again' as string))
    this.#serving = 'no'
  }

  async #serveAll(core: DaemonCore): Promise<void> {
    const { generation, facts, log } = this.#options
    for (const [owner] of this.#waiting) {
      try {
        const { ipv4 } = await core.allocate({ owner, family: 'ipv4' })
        if (ipv4 !== undefined) this.#deliver(owner, ipv4.ip, ipv4.interfaceNumber ?? '')
      } catch (error) {
        if (!isShortage(error) && !this.#stopping.signal.aborted)
          log.warn({ node: facts.name, error }, 'A simulated pod was refused an address')
        // Who has asked in vain is demand of a multi-pool agent; the others learn nothing by asking too.
        if (generation === 'pool') return
      }
    }
    this.#renewDemand()
  }

  /** A kubelet comes back to a pod that waits; an agent forgets the demand of one that does not ask any more. */
  #renewDemand(): void {
    const { generation, timers, clock } = this.#options
    if (generation === 'pool' || this.#waiting.size === 0 || this.#stopping.signal.aborted) return
    this.#renewal ??= timers.timer(() => void this.#serve())
    this.#renewal.setAt(clock.now() + RENEWAL_MS)
  }

  #deliver(owner: string, address: string, interfaceID: string): void {
    const onAddress = this.#waiting.get(owner)
    this.#waiting.delete(owner)
    if (onAddress === undefined) {
      // The pod went while its address was being booked.
      this.#give(address)
      return
    }
    const holding = { address, owner, interfaceID, sinceMs: this.#options.clock.now() }
    this.#held.set(owner, holding)
    onAddress(holding)
  }

  #give(address: string): void {
    this.#core?.release(address).catch((error: unknown) => {
      if (!this.#stopping.signal.aborted)
        this.#options.log.error({ node: this.#options.facts.name, address, error }, 'An address was not given back')
    })
  }
}

function machineOf(facts: NodeFacts): Machine {
  if (facts.cloud === 'azure') return { cloud: 'azure', instanceID: facts.instanceID }
  const { instanceID, instanceType, vpcID, availabilityZone, subnetID, firstInterfaceIndex = 0 } = facts
  return { cloud: 'aws', instanceID, instanceType, vpcID, availabilityZone, subnetID, firstInterfaceIndex }
}

function configurationOf({ cloud }: NodeFacts): Configuration {
  let nativeRoutingCIDR: string | undefined
  return {
    ipv4Enabled: () => true,
    ipv6Enabled: () => false,
    ipamMode: () => (cloud === 'azure' ? 'azure' : 'eni'),
    healthCheckingEnabled: () => false,
    unreachableRoutesEnabled: () => false,
    setIPv4NativeRoutingCIDR(cidr) {
      nativeRoutingCIDR = cidr
    },
    getIPv4NativeRoutingCIDR: () => nativeRoutingCIDR,
  }
}
