import type { Logger } from '../ipam/contracts.ts'
import type { PoolNodeAPI, PoolNodeWrite } from '../kubernetes/pool-node-api.ts'
import type { PoolNode } from '../kubernetes/pool-node.ts'
import { assert } from '../runtime/assert.ts'
import type { Clock } from '../runtime/clock.ts'
import { isOlderVersion } from '../runtime/resource-version.ts'
import type { TimerQueue } from '../runtime/timer.ts'
import type { CIDRSet, Family } from './cidr-set.ts'
import { NodeWork } from './node-work.ts'
import type { PodCIDRNode } from './pod-cidr-manager.ts'
import { NodesPodCIDRManager } from './pod-cidr-manager.ts'
import type { PoolReadings, WriteCounts } from './readings.ts'
import type { CallResult, PodCIDRNodeAPI } from './write-queue.ts'
import { syncNode } from './write-queue.ts'

export interface PodCIDROperatorOptions {
  /** The cluster's CIDRs; an empty family is disabled. */
  readonly sets: Readonly<Record<Family, readonly CIDRSet[]>>
  readonly api: Pick<PoolNodeAPI, 'get' | 'updatePodCIDRs' | 'updateOperatorError'>
  /** Nodes that are written at once (count). */
  readonly concurrency: number
  readonly clock: Clock
  readonly timers: TimerQueue
  readonly log: Logger
  /** Ends the writes under way. */
  readonly signal: AbortSignal
}

/** Versions of one resource that are read and written in one run (count); then it waits for its next turn. */
const MAX_ROUNDS = 4
/** The cluster's own CIDRs have no name; in metrics they are told as this pool. */
const POOL = 'cluster-pool'

/**
 * The operator's half of cluster-pool: every node gets a CIDR of each family, once, and keeps it until its resource is deleted.
 *
 * @source cilium pkg/ipam/allocator/podcidr/podcidr.go, NodesPodCIDRManager; operator/cmd/cilium_node.go
 */
export class PodCIDROperator {
  readonly #options: PodCIDROperatorOptions
  readonly #manager: NodesPodCIDRManager
  readonly #nodes = new Map<string, { seen: PoolNode }>()
  /** Nodes that were refused, who waits longest first. */
  readonly #waiting = new Set<string>()
  readonly #work: NodeWork
  readonly #writes: WriteCounts = { ok: 0, conflict: 0, failed: 0 }

  constructor(options: PodCIDROperatorOptions) {
    const { sets, concurrency, clock, timers, log, signal } = options
    this.#options = options
    this.#manager = new NodesPodCIDRManager(sets)
    this.#work = new NodeWork({
      run: (name) => this.#sync(name),
      concurrency,
      clock,
      timers,
      onFailure: (node, error, attempt, delayMs) => {
        this.#writes.failed += 1
        if (!signal.aborted) log.warn({ node, error, attempt, delayMs }, 'Unable to write the CIDRs of a node')
      },
    })
  }

  /** Every node that is known, by name. */
  get nodes(): ReadonlyMap<string, { readonly seen: PoolNode }> {
    return this.#nodes
  }

  readings(): PoolReadings {
    const usage = (['ipv4', 'ipv6'] as const).flatMap((family) => {
      const sets = this.#manager.sets(family)
      if (sets.length === 0) return []
      const sum = (countOf: (set: CIDRSet) => number): number => sets.reduce((total, set) => total + countOf(set), 0)
      return [{ pool: POOL, family, size: sum(({ size }) => size), used: sum(({ usedCount }) => usedCount) }]
    })
    return {
      usage,
      waiting: [...this.#waiting].sort(),
      failing: this.#work.failing,
      refused: [],
      writes: this.#writes,
    }
  }

  /** A node was added or has changed. */
  upsertNode(node: PoolNode): void {
    const known = this.#nodes.get(node.name)
    if (known?.seen.uid === node.uid) {
      if (isOlderVersion(node.resourceVersion, known.seen.resourceVersion)) return
      known.seen = node
    } else {
      if (known !== undefined) this.deleteNode(node.name)
      this.#nodes.set(node.name, { seen: node })
    }
    this.#judge(node)
  }

  /** The node is gone: its CIDRs are open to others, and first of all to those who wait. */
  deleteNode(name: string): void {
    if (!this.#nodes.delete(name)) return
    this.#waiting.delete(name)
    this.#work.forget(name)
    this.#manager.delete(name)
    // What is queued for a deleted node is a look whether it is gone, which the watch has said.
    this.#manager.queue.delete(name)
    for (const waiting of this.#waiting) {
      const node = this.#nodes.get(waiting)
      if (node !== undefined) this.#judge(node.seen)
    }
  }

  /** Every node was seen: CIDRs may be handed out. */
  nodesListed(): void {
    this.#manager.resync()
    for (const name of this.#manager.queue.keys()) this.#queued(name)
  }

  async stop(grace: AbortSignal): Promise<void> {
    await this.#work.stop(grace)
  }

  #judge(node: PoolNode): void {
    if (node.faults.length === 0) this.#manager.upsert(viewOf(node))
    else this.#manager.refuse(viewOf(node), `this resource cannot be managed: ${node.faults.join('; ')}`)
    if (this.#manager.queue.has(node.name)) this.#queued(node.name)
  }

  #queued(name: string): void {
    if (this.#manager.queue.get(name)?.error === '') this.#waiting.delete(name)
    else this.#waiting.add(name)
    this.#work.request(name)
  }

  /** @throws what keeps the resource from being written */
  async #sync(name: string): Promise<void> {
    const calls = this.#calls()
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (!(await syncNode(this.#manager.queue, name, calls))) return
      if (calls.failure !== undefined) throw calls.failure
    }
    throw new Error(`CiliumNode ${name} has changed ${MAX_ROUNDS} times while it was being written`)
  }

  /** The queue's calls, made with what was last seen. What the resource says already is not written. */
  #calls(): PodCIDRNodeAPI & { failure: Error | undefined } {
    const { api, signal, log } = this.#options
    const calls: PodCIDRNodeAPI & { failure: Error | undefined } = {
      failure: undefined,
      create(name) {
        assert(false, `CiliumNode ${name} comes from the API server and is to be created there`)
      },
      update: (name, { podCIDRs }) =>
        this.#call(name, calls, (seen) => {
          if (isSame(seen.podCIDRs, podCIDRs)) return undefined
          log.info({ node: name, cidrs: podCIDRs }, 'Writing the CIDRs of a node')
          return api.updatePodCIDRs(seen, podCIDRs, signal)
        }),
      updateStatus: (name, { error }) =>
        this.#call(name, calls, (seen) => {
          if (seen.operatorError === error) return undefined
          if (error !== '') log.warn({ node: name, reason: error }, 'A node cannot have CIDRs')
          return api.updateOperatorError(seen, error, signal)
        }),
      get: (name) => this.#reread(name, calls),
    }
    return calls
  }

  async #call(
    name: string,
    calls: { failure: Error | undefined },
    write: (seen: PoolNode) => Promise<PoolNodeWrite> | undefined,
  ): Promise<CallResult> {
    const entry = this.#nodes.get(name)
    if (entry === undefined) return 'NotFound'
    try {
      const result = await write(entry.seen)
      if (result === undefined) return 'ok'
      if (result.kind === 'ok') {
        this.#writes.ok += 1
        this.#adopt(entry, result.node)
        return 'ok'
      }
      this.#writes.conflict += 1
      return result.kind === 'conflict' ? 'Conflict' : 'NotFound'
    } catch (error) {
      calls.failure = error instanceof Error ? error : new Error(String(error))
      return 'failed'
    }
  }

  /** What is read is judged anew: somebody else may have written CIDRs. */
  async #reread(name: string, calls: { failure: Error | undefined }): Promise<CallResult> {
    const { api, signal } = this.#options
    try {
      const node = await api.get(name, signal)
      if (node === undefined) return 'NotFound'
      const known = this.#nodes.get(name)
      if (known?.seen.uid === node.uid) this.upsertNode(node)
      return 'ok'
    } catch (error) {
      calls.failure = error instanceof Error ? error : new Error(String(error))
      return 'failed'
    }
  }

  #adopt(entry: { seen: PoolNode }, node: PoolNode): void {
    if (node.uid === entry.seen.uid && !isOlderVersion(node.resourceVersion, entry.seen.resourceVersion))
      entry.seen = node
  }
}

function viewOf({ name, resourceVersion, podCIDRs, operatorError }: PoolNode): PodCIDRNode {
  return { name, resourceVersion, podCIDRs, error: operatorError }
}

function isSame(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((text, index) => text === right[index])
}
