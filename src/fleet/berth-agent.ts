import type { AgentGeneration, Holding, NodeFacts } from '../../simulators/kubernetes/index.ts'
import type { CiliumNodeSubscriber, Configuration, K8sEventRegister } from '../agent/configuration.ts'
import { createIPAM } from '../agent/create-ipam.ts'
import { DaemonCore } from '../agent/daemon-core.ts'
import { LeaseTable } from '../agent/daemon-leases.ts'
import { isShortage } from '../agent/daemon-waiting.ts'
import { volatileJournal } from '../agent/journal.ts'
import type { Machine } from '../agent/node-resource.ts'
import type { NodeWriter } from '../agent/node-writer.ts'
import { readFacts } from '../cli/agent-machine.ts'
import { OwnNode } from '../cli/agent-node.ts'
import type { Logger } from '../ipam/contracts.ts'
import type { JSONObject } from '../ipam/types.ts'
import type { KubernetesClient } from '../kubernetes/client.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { Timer, TimerQueue } from '../runtime/timer.ts'
import type { NodeAgent } from './node-agent.ts'
import type { OwnFields } from './own-fields.ts'
import { addressesIn, readAttached, readOwnFields, readResource, readTakenOver } from './own-fields.ts'
import type { SeenResource } from './own-fields.ts'

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
  readonly #options: BerthAgentOptions
  readonly #stopping = new AbortController()
  readonly #waiting = new Map<string, (holding: Holding) => void>()
  readonly #held = new Map<string, Holding>()
  #core: DaemonCore | undefined
  /** `again`: something has changed while pods were being served. */
  #serving: 'no' | 'yes' | 'again' = 'no'
  #seen: SeenResource | undefined
  /** What our last write left, as long as no write is under way whose fate is not known. */
  #written: OwnFields | undefined
  /** Multi-pool: CIDRs that were attached when a write did not list them: they are about to go. */
  #givenUp: ReadonlySet<string> = new Set()
  #renewal: Timer | undefined
  #isWriting = false
  #overwrites = 0

  constructor(options: BerthAgentOptions) {
    this.#options = options
  }

  get ipam(): NodeAgent['ipam'] {
    const held = this.#held
    const open = this.#seen?.open ?? []
    return {
      heldCount: held.size,
      availableCount: open.length,
      holdings: () => held.values(),
      openAddresses: () => open,
    }
  }

  get waitingCount(): number {
    return this.#waiting.size
  }

  get resource(): NodeAgent['resource'] {
    return this.#seen
  }

  get counters(): NodeAgent['counters'] {
    return { overwrites: this.#overwrites }
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
          events: this.#tapped(node),
          writer: this.#noted(node),
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

  /** Looks at every version before the allocator does. */
  #tapped(node: OwnNode): K8sEventRegister {
    return {
      k8sEventReceived: (...event) => node.k8sEventReceived(...event),
      k8sEventProcessed: (...event) => node.k8sEventProcessed(...event),
      registerCiliumNodeSubscriber: (subscriber) => node.registerCiliumNodeSubscriber(this.#tap(subscriber)),
    }
  }

  #tap(subscriber: CiliumNodeSubscriber): CiliumNodeSubscriber {
    return {
      onAdd: (json) => {
        subscriber.onAdd(json)
        this.#look(json)
      },
      onUpdate: (old, json) => {
        subscriber.onUpdate(old, json)
        this.#look(json)
      },
      onDelete: (json) => {
        subscriber.onDelete(json)
        this.#seen = undefined
        this.#written = undefined
      },
    }
  }

  #look(json: JSONObject): void {
    const seen = readResource(json)
    if (seen.resourceVersion === this.#seen?.resourceVersion) return
    this.#checkOwnFields(json)
    this.#seen = this.#options.generation === 'pool' ? seen : { ...seen, open: this.#openOf(json) }
    this.#options.onTakenOver()
  }

  /** Multi-pool: what is attached and was not given up, or was asked for again since. */
  #openOf(json: JSONObject): readonly string[] {
    const attached = readAttached(json)
    const takenOver = readTakenOver(json)
    this.#givenUp = new Set(attached.filter((cidr) => this.#givenUp.has(cidr) && !takenOver.has(cidr)))
    return addressesIn(attached.filter((cidr) => !this.#givenUp.has(cidr)))
  }

  /** Whether what the agent has written is still there: it is nobody else's to change. */
  #checkOwnFields(json: JSONObject): void {
    const written = this.#written
    if (written === undefined || this.#isWriting) return
    const fields = readOwnFields(json, this.#options.generation)
    if (BigInt(fields.resourceVersion) >= BigInt(written.resourceVersion) && fields.content !== written.content)
      this.#overwrites += 1
  }

  #noted(node: NodeWriter): NodeWriter {
    const noted = async (write: () => Promise<JSONObject>): Promise<JSONObject> => {
      this.#isWriting = true
      try {
        const answer = await write()
        this.#written = readOwnFields(answer, this.#options.generation)
        if (this.#options.generation === 'multi-pool') {
          const takenOver = readTakenOver(answer)
          this.#givenUp = new Set(readAttached(answer).filter((cidr) => !takenOver.has(cidr)))
        }
        return answer
      } catch (error) {
        // Whether the server has taken it may not be known: the next version seen may be this very write.
        this.#written = undefined
        throw error
      } finally {
        this.#isWriting = false
      }
    }
    return {
      patchStatus: (patch, signal) => noted(() => node.patchStatus(patch, signal)),
      patchSpec: (patch, signal) => noted(() => node.patchSpec(patch, signal)),
    }
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
