import type { Clock } from '../../kit/clock.ts'
import type { Random } from '../../kit/random.ts'
import { scalarText, valueAt } from '../json.ts'
import type { JSONObject } from '../json.ts'
import { APIStatusError } from './api-client.ts'
import type { APIClient } from './api-client.ts'
import { backoffMs } from './backoff.ts'
import type { AgentGeneration, AgentIPAM, Holding } from './ipam.ts'
import { CILIUM_NODES_PATH, NODES_PATH, ciliumNodeManifest } from './own-node.ts'
import type { NodeFacts } from './own-node.ts'
import { readOwnResource } from './own-resource.ts'
import type { OwnResource } from './own-resource.ts'

/** `ipam-cilium-node-update-rate`: at most one write of the resource in this time (ms). */
export const DEFAULT_UPDATE_INTERVAL_MS = 15_000

/** Least pause after a failed write (ms): the watch needs a moment even where updates are not limited in rate. */
const RETRY_PAUSE_MS = 100

export interface CiliumAgentOptions {
  readonly facts: NodeFacts
  readonly client: APIClient
  readonly ipam: AgentIPAM
  readonly clock: Clock
  readonly random: Random
  /** Least time between the starts of two writes (ms). */
  readonly updateIntervalMs?: number
  /** A version of the resource was taken over; called before waiting pods are served from it. */
  readonly onTakenOver?: () => void
}

/** What happened so far (counts). */
export interface AgentCounters {
  /** Writes that the server took. */
  readonly writes: number
  /** Writes refused because somebody else had written meanwhile. */
  readonly conflicts: number
  /** Versions of the resource ignored because status and pool did not fit together. */
  readonly ignoredVersions: number
  /** Versions in which another writer had changed the agent's own fields. Never, in a sound cluster. */
  readonly overwrites: number
  /** Failed exchanges with the API server that were retried, conflicts apart. */
  readonly failures: number
}

/** A pod that asked for an address and has none yet. */
interface WaitingPod {
  readonly sinceMs: number
  readonly onAddress: (holding: Holding) => void
}

/**
 * The IPAM half of a Cilium agent: it registers its node's CiliumNode, follows it by a watch on its own name, hands the addresses
 * it finds there to pods, and reports back at most once per update interval.
 *
 * @source cilium pkg/ipam/crd.go and pkg/ipam/multipool.go; pkg/trigger/trigger.go for the rate of writes
 */
export class CiliumAgent {
  readonly #facts: NodeFacts
  readonly #client: APIClient
  readonly #ipam: AgentIPAM
  readonly #clock: Clock
  readonly #random: Random
  readonly #updateIntervalMs: number
  readonly #onTakenOver: () => void
  readonly #waiting = new Map<string, WaitingPod>()
  readonly #stopping = new AbortController()
  #resource: OwnResource | undefined
  /** A write is under way or waits for its slot. */
  #isWriting = false
  /** A write is on the wire: its outcome is open. */
  #isInFlight = false
  #lastWriteMs = -Infinity
  /** The resource as our last successful write left it. */
  #written: OwnResource | undefined
  #counters = { writes: 0, conflicts: 0, ignoredVersions: 0, overwrites: 0, failures: 0 }
  #lastFailure: unknown

  constructor(options: CiliumAgentOptions) {
    this.#facts = options.facts
    this.#client = options.client
    this.#ipam = options.ipam
    this.#clock = options.clock
    this.#random = options.random
    this.#updateIntervalMs = options.updateIntervalMs ?? DEFAULT_UPDATE_INTERVAL_MS
    this.#onTakenOver = options.onTakenOver ?? (() => undefined)
  }

  get nodeName(): string {
    return this.#facts.name
  }

  get generation(): AgentGeneration {
    return this.#ipam.generation
  }

  get counters(): AgentCounters {
    return { ...this.#counters }
  }

  /** What the last failed exchange threw; undefined when none has. */
  get lastFailure(): unknown {
    return this.#lastFailure
  }

  /** The last version taken over; undefined before the first one and after the resource is gone. */
  get resource(): OwnResource | undefined {
    return this.#resource
  }

  get ipam(): Pick<AgentIPAM, 'holdings' | 'holding' | 'heldCount' | 'availableCount' | 'openAddresses'> {
    return this.#ipam
  }

  /** Pods that asked and have no address (count). */
  get waitingCount(): number {
    return this.#waiting.size
  }

  /** When the pod that waits longest asked (clock, ms); undefined when none waits. */
  get waitingSinceMs(): number | undefined {
    for (const { sinceMs } of this.#waiting.values()) return sinceMs
    return undefined
  }

  /** Registers the node and follows its resource until stopped. Failures of the API server are retried with backoff. */
  async run(): Promise<void> {
    const { signal } = this.#stopping
    let failures = 0
    let isRegistered = false
    while (!signal.aborted) {
      try {
        if (!isRegistered) await this.#register(signal)
        isRegistered = true
        await this.#follow(signal, () => (failures = 0))
      } catch (error) {
        if (signal.aborted) return
        this.#noteFailure(error)
        const isExpired = error instanceof APIStatusError && error.status === 410
        failures = isExpired && failures === 0 ? 1 : failures + 1
        await this.#clock.sleep(backoffMs(failures, this.#random), signal).catch(() => undefined)
      }
    }
  }

  /** Ends the agent; what it holds stays on its books. */
  stop(): void {
    this.#stopping.abort(new Error(`agent of ${this.#facts.name} stopped`))
  }

  /**
   * A pod wants an address. `onAddress` is called once: before this returns when one is free, else as soon as the resource brings
   * one. The pods that ask first are served first.
   *
   * @param owner `namespace/name`
   */
  request(owner: string, onAddress: (holding: Holding) => void): void {
    this.#waiting.set(owner, { sinceMs: this.#clock.now(), onAddress })
    this.#serve()
  }

  /** A pod is gone, or no longer wants an address. */
  release(owner: string): void {
    const hasLeftQueue = this.#waiting.delete(owner)
    const hasFreed = this.#ipam.release(owner)
    if (hasLeftQueue) this.#ipam.setWaiting(this.#waiting.size)
    if (hasFreed) this.#serve()
    if (hasLeftQueue || hasFreed) this.#triggerWrite()
  }

  #serve(): void {
    if (this.#resource !== undefined) {
      const nowMs = this.#clock.now()
      for (const [owner, { onAddress }] of this.#waiting) {
        const holding = this.#ipam.allocate(owner, nowMs)
        if (holding === undefined) break
        this.#waiting.delete(owner)
        onAddress(holding)
      }
    }
    this.#ipam.setWaiting(this.#waiting.size)
    this.#triggerWrite()
  }

  async #register(signal: AbortSignal): Promise<void> {
    const { name } = this.#facts
    const node = await this.#client.request('GET', `${NODES_PATH}/${name}`, {}, signal)
    const body = ciliumNodeManifest(this.#facts, scalarText(valueAt(node, 'metadata.uid')))
    try {
      await this.#client.request('POST', CILIUM_NODES_PATH, { body }, signal)
    } catch (error) {
      const exists = error instanceof APIStatusError && error.reason === 'AlreadyExists'
      if (!exists) throw error
    }
  }

  /** Lists and watches the own resource; returns or throws when the list must be made anew. */
  async #follow(signal: AbortSignal, onProgress: () => void): Promise<void> {
    const own = { fieldSelector: `metadata.name=${this.#facts.name}` }
    const list = await this.#client.request('GET', CILIUM_NODES_PATH, { query: own }, signal)
    const [item] = Array.isArray(list['items']) ? (list['items'] as JSONObject[]) : []
    if (item === undefined) this.#forget()
    else this.#receive(item)
    let resourceVersion = scalarText(valueAt(list, 'metadata.resourceVersion'))
    while (!signal.aborted) {
      const startMs = this.#clock.now()
      const query = { ...own, resourceVersion, allowWatchBookmarks: 'true' }
      for await (const { type, object } of this.#client.watch(CILIUM_NODES_PATH, query, signal)) {
        onProgress()
        resourceVersion = scalarText(valueAt(object, 'metadata.resourceVersion'))
        if (type === 'DELETED') this.#forget()
        else if (type !== 'BOOKMARK') this.#receive(object)
      }
      // A server that ends every stream at once is not asked in a loop.
      const pauseMs = backoffMs(1, this.#random) - (this.#clock.now() - startMs)
      if (pauseMs > 0) await this.#clock.sleep(pauseMs, signal)
    }
  }

  #receive(object: JSONObject): void {
    const resource = readOwnResource(object)
    if (this.#resource !== undefined && isOlder(resource, this.#resource)) return
    this.#checkOwnFields(resource)
    if (!this.#ipam.takeOver(resource)) {
      this.#counters.ignoredVersions++
      return
    }
    this.#resource = resource
    this.#onTakenOver()
    this.#serve()
  }

  /** The resource is gone: nothing is written until there is one again. Held addresses stay held. */
  #forget(): void {
    this.#resource = undefined
    this.#written = undefined
  }

  #checkOwnFields(seen: OwnResource): void {
    const written = this.#written
    if (written === undefined || this.#isInFlight || seen.uid !== written.uid || isOlder(seen, written)) return
    if (!this.#ipam.sameOwnFields(seen, written)) this.#counters.overwrites++
  }

  /** The first write starts at once, further ones wait for their slot; triggers meanwhile fold into one write. */
  #triggerWrite(): void {
    if (this.#isWriting || this.#resource === undefined || this.#ipam.pendingWrite() === undefined) return
    this.#isWriting = true
    void this.#writeUntilClean(this.#stopping.signal)
  }

  /** Writes until the server knows everything. Never rejects. */
  async #writeUntilClean(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted && this.#resource !== undefined && this.#ipam.pendingWrite() !== undefined) {
        const waitMs = this.#lastWriteMs + this.#updateIntervalMs - this.#clock.now()
        if (waitMs > 0) await this.#clock.sleep(waitMs, signal)
        this.#lastWriteMs = this.#clock.now()
        const isTaken = await this.#write(signal)
        if (!isTaken) await this.#clock.sleep(RETRY_PAUSE_MS, signal)
      }
    } catch (error) {
      if (!signal.aborted) this.#noteFailure(error)
    } finally {
      this.#isWriting = false
    }
  }

  /**
   * One try; a failed one is left to the next slot, by when the watch has brought what is newer.
   *
   * @returns false when it failed
   */
  async #write(signal: AbortSignal): Promise<boolean> {
    const pending = this.#ipam.pendingWrite()
    const resource = this.#resource
    if (pending === undefined || resource === undefined) return true
    const path = `${CILIUM_NODES_PATH}/${this.#facts.name}`
    const target = pending.subresource === undefined ? path : `${path}/${pending.subresource}`
    this.#isInFlight = true
    try {
      const answer = await this.#client.patch(target, pending.patch, resource.resourceVersion, signal)
      this.#isInFlight = false
      this.#counters.writes++
      this.#written = readOwnResource(answer)
      this.#receive(answer)
      return true
    } catch (error) {
      this.#isInFlight = false
      if (error instanceof APIStatusError && error.status === 409) {
        this.#counters.conflicts++
        return false
      }
      // Whether the server has taken it is not known: the next version seen may be this very write.
      this.#written = undefined
      if (!signal.aborted) this.#noteFailure(error)
      return false
    }
  }

  #noteFailure(error: unknown): void {
    this.#counters.failures++
    this.#lastFailure = error
  }
}

/** Whether `one` is an earlier version than `other` of the same object: resource versions of one object grow. */
function isOlder(one: OwnResource, other: OwnResource): boolean {
  return one.uid === other.uid && BigInt(one.resourceVersion) < BigInt(other.resourceVersion)
}
