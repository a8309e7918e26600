import type { Logger } from '../ipam/contracts.ts'
import type { MalformedPodIPPool, PodIPPool } from '../kubernetes/pod-ip-pools.ts'
import type { PoolNodeAPI, PoolNodeWrite } from '../kubernetes/pool-node-api.ts'
import type { NodePoolEntry, PoolNode } from '../kubernetes/pool-node.ts'
import type { Clock } from '../runtime/clock.ts'
import { isOlderVersion } from '../runtime/resource-version.ts'
import type { TimerQueue } from '../runtime/timer.ts'
import { Trigger } from '../runtime/trigger.ts'
import type { Family } from './cidr-set.ts'
import { AggregatePoolError, PoolError } from './errors.ts'
import { KnownPools } from './known-pools.ts'
import { MultiPoolAllocator } from './multi-pool-allocator.ts'
import { NodeWork } from './node-work.ts'
import type { PoolReadings, WriteCounts } from './readings.ts'

export interface MultiPoolOperatorOptions {
  /** Enabled ones. */
  readonly families: readonly Family[]
  readonly api: Pick<PoolNodeAPI, 'get' | 'updateAllocated' | 'updateOperatorError'>
  /** Nodes that are written at once (count). */
  readonly concurrency: number
  readonly clock: Clock
  readonly timers: TimerQueue
  readonly log: Logger
  /** Ends the writes under way. */
  readonly signal: AbortSignal
}

/** A node as it was last seen, and what was last sent for it. */
interface NodeEntry {
  seen: PoolNode
  /**
   * The list of the last write, and the version that it was made for. As long as no newer version is seen, the resource says or will
   * say this: an answer may have been lost, and the write be under way still.
   */
  sent: { readonly resourceVersion: string; readonly allocated: readonly NodePoolEntry[] } | undefined
}

/** Versions of one resource that are read and written in one run (count); then it waits for its next turn. */
const MAX_ROUNDS = 4
/** Those that wait for CIDRs are looked at again at most this often (ms), however many CIDRs come back. */
const RETRY_INTERVAL_MS = 1_000

/**
 * The operator's half of multi-pool: keeps the CIDRs of every node in line with what the node lists and asks for.
 *
 * Nothing is handed out before every pool and every node was seen once, so that a restart gives no CIDR twice. A CIDR that was handed
 * out stays its node's until a version of the resource that is newer than the one it was handed out for is without it: that alone
 * proves that the node has given it back.
 *
 * @source cilium pkg/ipam/allocator/multipool/node_handler.go, NodeHandler
 */
export class MultiPoolOperator {
  readonly #options: MultiPoolOperatorOptions
  readonly #allocator: MultiPoolAllocator
  readonly #pools: KnownPools
  readonly #nodes = new Map<string, NodeEntry>()
  /** Nodes that got less than they asked for, who waits longest first. */
  readonly #waiting = new Set<string>()
  readonly #work: NodeWork
  readonly #retry: Trigger
  readonly #writes: WriteCounts = { ok: 0, conflict: 0, failed: 0 }
  #isReady = false

  constructor(options: MultiPoolOperatorOptions) {
    const { families, concurrency, clock, timers, log } = options
    this.#options = options
    this.#allocator = new MultiPoolAllocator(families)
    this.#pools = new KnownPools(this.#allocator, log)
    this.#work = new NodeWork({
      run: (name) => this.#reconcile(name),
      concurrency,
      clock,
      timers,
      onFailure: (node, error, attempt, delayMs) => {
        this.#writes.failed += 1
        if (!options.signal.aborted) log.warn({ node, error, attempt, delayMs }, 'Unable to write the CIDRs of a node')
      },
    })
    this.#retry = new Trigger({
      run: () => {
        for (const name of this.#waiting) this.#work.request(name)
        return Promise.resolve()
      },
      minIntervalMs: RETRY_INTERVAL_MS,
      clock,
      timers,
      onError: (error) => log.error({ error }, 'Looking at the waiting nodes failed'),
    })
  }

  /** Every node that is known, by name. */
  get nodes(): ReadonlyMap<string, { readonly seen: PoolNode }> {
    return this.#nodes
  }

  readings(): PoolReadings {
    return {
      usage: this.#allocator.usage(),
      waiting: [...this.#waiting].sort(),
      failing: this.#work.failing,
      refused: this.#pools.refused,
      writes: this.#writes,
    }
  }

  /** A pool was added or has changed. One that cannot be used is left alone: its last good version stays in force. */
  upsertPool(pool: PodIPPool | MalformedPodIPPool): void {
    this.#pools.upsert(pool)
    this.#poolsChanged()
  }

  deletePool(name: string): void {
    this.#pools.delete(name)
    this.#poolsChanged()
  }

  /** A node was added or has changed. */
  upsertNode(node: PoolNode): void {
    const known = this.#nodes.get(node.name)
    if (known !== undefined && known.seen.uid === node.uid) {
      if (isOlderVersion(node.resourceVersion, known.seen.resourceVersion)) return
      known.seen = node
    } else {
      if (known !== undefined) this.deleteNode(node.name)
      this.#nodes.set(node.name, { seen: node, sent: undefined })
    }
    if (this.#isReady) this.#work.request(node.name)
    else this.#occupy(node)
  }

  /** The node is gone: its CIDRs are open to others. */
  deleteNode(name: string): void {
    if (!this.#nodes.delete(name)) return
    this.#work.forget(name)
    this.#waiting.delete(name)
    this.#refusalsOf(() => this.#allocator.releaseNode(name))
    this.#retry.trigger('node deleted')
  }

  /** Every pool and every node was seen: CIDRs may be handed out. */
  nodesListed(): void {
    if (this.#isReady) return
    this.#isReady = true
    this.#allocator.restoreFinished()
    for (const name of [...this.#nodes.keys()].sort()) this.#work.request(name)
  }

  async stop(grace: AbortSignal): Promise<void> {
    this.#retry.shutdown()
    await this.#work.stop(grace)
  }

  /** Before all nodes were seen nothing is handed out, and what is refused is said later. */
  #occupy({ name, allocated }: PoolNode): void {
    this.#refusalsOf(() => this.#allocator.allocateToNode(name, [], allocated))
  }

  #poolsChanged(): void {
    // Also nodes that lack nothing: what they hold may have become orphaned, or be covered again.
    if (this.#isReady) for (const name of [...this.#nodes.keys()].sort()) this.#work.request(name)
    // Where a pool came back before the nodes were all seen, what they list is the pool's again.
    else for (const { seen } of this.#nodes.values()) this.#occupy(seen)
  }

  /** @throws what keeps the resource from being written */
  async #reconcile(name: string): Promise<void> {
    const entry = this.#nodes.get(name)
    if (entry === undefined) return
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const { seen } = entry
      const { allocated, error } = this.#allocate(entry)
      const write = this.#nextWrite(entry, allocated, error)
      if (write === undefined) return
      const result = await write()
      // The node may have gone while the write was under way.
      if (this.#nodes.get(name) !== entry) return
      if (result.kind === 'notFound') return
      if (result.kind === 'ok') {
        this.#writes.ok += 1
        this.#adopt(entry, result.node)
        continue
      }
      this.#writes.conflict += 1
      // The watch may have brought the newer version already.
      if (entry.seen === seen && !(await this.#reread(entry))) return
      if (this.#nodes.get(name) !== entry) return
    }
    throw new Error(`CiliumNode ${name} has changed ${MAX_ROUNDS} times while it was being written`)
  }

  /** What the node should list now, and what it should be told. Hands out and takes back. */
  #allocate(entry: NodeEntry): { readonly allocated: readonly NodePoolEntry[]; readonly error: string } {
    const { name, resourceVersion, requested, allocated, faults } = entry.seen
    if (entry.sent !== undefined && entry.sent.resourceVersion !== resourceVersion) entry.sent = undefined
    const isFaulty = faults.length > 0
    // What cannot be read may be what the node holds: nothing is taken back then, and nothing handed out.
    const listed = isFaulty
      ? [...allocated, ...this.#allocator.allocatedPools(name)]
      : (entry.sent?.allocated ?? allocated)
    const givenBefore = this.#allocator.givenBack
    const refusals = this.#refusalsOf(() => this.#allocator.allocateToNode(name, isFaulty ? [] : requested, listed))
    if (this.#allocator.givenBack > givenBefore) this.#retry.trigger('CIDRs given back')
    if (refusals.length > 0) this.#waiting.add(name)
    else this.#waiting.delete(name)
    const lines = [
      ...(isFaulty ? [`this resource cannot be managed: ${faults.join('; ')}`] : []),
      ...refusals.map(({ message }) => message),
      ...(refusals.length > 0 ? this.#refusedPoolsOf(entry.seen) : []),
    ]
    return { allocated: this.#allocatedTo(entry.seen), error: lines.join('\n') }
  }

  /** What is wrong with the pools that the node takes part in. */
  #refusedPoolsOf({ requested, allocated }: PoolNode): readonly string[] {
    const names = new Set([...requested, ...allocated].map(({ pool }) => pool))
    return this.#pools.refused.flatMap(({ pool, reason }) =>
      names.has(pool) ? [`pool ${pool} cannot be used as it is: ${reason}`] : [],
    )
  }

  /** With what pool or list says of the edges of the CIDRs. */
  #allocatedTo({ name, allocated }: PoolNode): readonly NodePoolEntry[] {
    return this.#allocator.allocatedPools(name).map(({ pool, cidrs }) => {
      const edges = this.#allocator.edgesOf(pool) ?? allocated.find((entry) => entry.pool === pool)
      return { pool, cidrs, allowFirstIP: edges?.allowFirstIP === true, allowLastIP: edges?.allowLastIP === true }
    })
  }

  /** Spec first; the status only once the spec says what it should. */
  #nextWrite(
    entry: NodeEntry,
    allocated: readonly NodePoolEntry[],
    error: string,
  ): (() => Promise<PoolNodeWrite>) | undefined {
    const { api, signal, log } = this.#options
    const { seen } = entry
    // What cannot be read in a list would be lost by writing it.
    if (seen.faults.length === 0 && !isSameList(seen.allocated, allocated)) {
      entry.sent = { resourceVersion: seen.resourceVersion, allocated }
      const cidrs = allocated.flatMap((pool) => pool.cidrs)
      log.info({ node: seen.name, cidrs, count: cidrs.length }, 'Writing the CIDRs of a node')
      return () => api.updateAllocated(seen, allocated, signal)
    }
    if (seen.operatorError === error) return undefined
    if (error !== '') log.warn({ node: seen.name, reason: error }, 'A node cannot have the CIDRs that it asks for')
    return () => api.updateOperatorError(seen, error, signal)
  }

  #adopt(entry: NodeEntry, node: PoolNode): void {
    if (node.uid === entry.seen.uid && !isOlderVersion(node.resourceVersion, entry.seen.resourceVersion))
      entry.seen = node
  }

  /** @returns false when there is nothing of this entry to write any more; the watch tells what there is instead */
  async #reread(entry: NodeEntry): Promise<boolean> {
    const { api, signal } = this.#options
    const node = await api.get(entry.seen.name, signal)
    if (node === undefined || node.uid !== entry.seen.uid) return false
    this.#adopt(entry, node)
    return true
  }

  #refusalsOf(call: () => void): readonly PoolError[] {
    try {
      call()
      return []
    } catch (error) {
      if (error instanceof PoolError) return [error]
      if (error instanceof AggregatePoolError) return error.errors
      throw error
    }
  }
}

/** Whether both lists say the same; the order of pools and CIDRs is ours to choose, and no reason to write. */
function isSameList(left: readonly NodePoolEntry[], right: readonly NodePoolEntry[]): boolean {
  return JSON.stringify(left.map(sorted)) === JSON.stringify(right.map(sorted))
}

function sorted({ pool, cidrs, allowFirstIP, allowLastIP }: NodePoolEntry): readonly unknown[] {
  return [pool, [...cidrs].sort(), allowFirstIP, allowLastIP]
}
