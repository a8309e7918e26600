import type { SyncResult } from '../../src/ipam/contracts.ts'
import { CALL_PRIORITIES, type CallContext, type CallPriority } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { untilAborted } from '../../src/runtime/until-aborted.ts'
import { chunks, MAX_FILTER_VALUES } from './filters.ts'

/** Instances asked for within this time of a read share the next one (ms). docs/decisions/0011-freshness.md */
export const SHARING_WINDOW_MS = 1000

interface Waiter {
  readonly context: CallContext
  readonly resolve: (result: SyncResult) => void
  readonly reject: (reason: unknown) => void
}

type Waiters = ReadonlyMap<string, readonly Waiter[]>

/**
 * Folds reads of single instances: the first goes out at once, together with all others asked for in the same turn of the event
 * loop; those asked for within a second after it share the next one. One request carries up to 200 instances.
 */
export class InstanceReads {
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #read: (instanceIDs: readonly string[], context: CallContext) => Promise<SyncResult>
  #queued = new Map<string, Waiter[]>()
  #lastReadMs = Number.NEGATIVE_INFINITY
  #isScheduled = false

  /**
   * @param deps.read reads and records a few instances; its answer is that of one listing
   * @param deps.signal ends the waiting
   */
  constructor(deps: {
    readonly clock: Clock
    readonly signal: AbortSignal
    readonly read: (instanceIDs: readonly string[], context: CallContext) => Promise<SyncResult>
  }) {
    this.#clock = deps.clock
    this.#signal = deps.signal
    this.#read = deps.read
  }

  /** @returns a read that began after this call; of its changes only this instance. @throws what the read throws */
  async request(instanceID: string, context: CallContext): Promise<SyncResult> {
    context.signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<SyncResult>()
    const waiters = this.#queued.get(instanceID)
    const waiter = { context, resolve, reject }
    if (waiters === undefined) this.#queued.set(instanceID, [waiter])
    else waiters.push(waiter)
    if (!this.#isScheduled) {
      this.#isScheduled = true
      void this.#flushWhenDue()
    }
    return untilAborted(promise, context.signal)
  }

  /** Never rejects: what goes wrong reaches the waiters. */
  async #flushWhenDue(): Promise<void> {
    const waitMs = this.#lastReadMs + SHARING_WINDOW_MS - this.#clock.now()
    try {
      // Without a wait: after the current turn, so that those who ask together are read together.
      await (waitMs > 0 ? this.#clock.sleep(waitMs, this.#signal) : Promise.resolve())
    } catch (reason) {
      for (const { reject } of [...this.#queued.values()].flat()) reject(reason)
      this.#queued.clear()
      return
    } finally {
      this.#isScheduled = false
    }
    const queued = this.#queued
    this.#queued = new Map()
    this.#lastReadMs = this.#clock.now()
    await Promise.all(
      chunks([...queued.keys()].sort(), MAX_FILTER_VALUES).map((instanceIDs) => this.#serve(instanceIDs, queued)),
    )
  }

  async #serve(instanceIDs: readonly string[], queued: Waiters): Promise<void> {
    const waiters = instanceIDs.flatMap((instanceID) => queued.get(instanceID) ?? [])
    const waiting = new Set(waiters.filter(({ context }) => !context.signal.aborted))
    if (waiting.size === 0) return
    const abandoned = new AbortController()
    const removals = [...waiting].map((waiter) => onAbort(waiter, waiting, abandoned))
    try {
      const result = await this.#read(instanceIDs, {
        priority: mostUrgent(waiters.map(({ context }) => context.priority)),
        reason: 'instance-sync',
        signal: AbortSignal.any([this.#signal, abandoned.signal]),
      })
      const changed = new Set(result.changedInstanceIDs)
      for (const instanceID of instanceIDs) {
        const changedInstanceIDs = changed.has(instanceID) ? [instanceID] : []
        for (const { resolve } of queued.get(instanceID) ?? []) resolve({ ...result, changedInstanceIDs })
      }
    } catch (error) {
      for (const { reject } of waiters) reject(error)
    } finally {
      for (const remove of removals) remove()
    }
  }
}

/** Abandons the shared read once its last waiter has gone. @returns how to stop listening */
function onAbort(waiter: Waiter, waiting: Set<Waiter>, abandoned: AbortController): () => void {
  const { signal } = waiter.context
  const leave = (): void => {
    waiting.delete(waiter)
    if (waiting.size === 0) abandoned.abort(signal.reason)
  }
  signal.addEventListener('abort', leave, { once: true })
  return () => signal.removeEventListener('abort', leave)
}

function mostUrgent(priorities: readonly CallPriority[]): CallPriority {
  return CALL_PRIORITIES.find((priority) => priorities.includes(priority)) ?? 'background'
}
