import type { DestructionProof } from '../../src/ipam/destruction.ts'
import type { DestructivePermits, LeftoverCollection, Logger } from '../../src/ipam/contracts.ts'
import { CloudAPIError } from '../../src/ipam/errors.ts'
import type { Tags } from '../../src/ipam/types.ts'
import { assert } from '../../src/runtime/assert.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { EC2API } from './api.ts'
import type { EC2Filter } from './types.ts'

/** Interfaces marked in one round (count). @source cilium pkg/aws/ipam/eni_gc.go, gcENIBatchSize */
export const MARKS_PER_ROUND = 25
/** Age at which a read proves nothing any more (ms). docs/decisions/0010-proof-before-destroy.md */
const PROOF_AGE_MS = 60_000

export interface ENIGarbageCollectorOptions {
  readonly api: Pick<EC2API, 'deleteNetworkInterface' | 'listings'>
  /** All of them mark an interface as ours; never empty. */
  readonly tags: Tags
  /** As configured; only explicit subnet IDs restrict the search. */
  readonly subnetFilters: readonly EC2Filter[]
  /** Between two rounds (ms): for so long at least a leftover interface is left alone. */
  readonly intervalMs: number
  /** Interfaces that this process has created and is about to attach: their attachment may wait long for its turn. */
  readonly isBeingAttached: (interfaceID: string) => boolean
  readonly clock: Clock
  readonly log: Logger
  readonly marksPerRound?: number
}

/**
 * Deletes interfaces that carry our tags and hang on nothing: left by a process that ended between create and attach, by a lost
 * answer, or by an instance that went without them.
 *
 * An interface is marked in one round and deleted in the next, and only when a read that began since, under 60 s old, still shows
 * it detached and ours. Should it be attached in the moment after that read, EC2 itself refuses the deletion.
 *
 * @source cilium pkg/aws/ipam/eni_gc.go
 */
export class ENIGarbageCollector implements LeftoverCollection {
  readonly #options: ENIGarbageCollectorOptions
  readonly #marksPerRound: number
  #marked: readonly string[] = []
  /** When the read that marked them began (ms). */
  #markedAtMs = 0

  constructor(options: ENIGarbageCollectorOptions) {
    assert(Object.keys(options.tags).length > 0, 'without tags every detached interface of the region would be ours')
    this.#options = options
    this.#marksPerRound = options.marksPerRound ?? MARKS_PER_ROUND
  }

  async run(permits: DestructivePermits, signal: AbortSignal): Promise<void> {
    const { clock, intervalMs } = this.#options
    while (!signal.aborted) {
      await this.collect(permits, signal)
      try {
        await clock.sleep(intervalMs, signal)
      } catch {
        return // only the signal ends a sleep early
      }
    }
  }

  /** One round. Whatever fails in it is left to the next ones. */
  async collect(permits: DestructivePermits, signal: AbortSignal): Promise<void> {
    const context: CallContext = { priority: 'background', reason: 'eni-gc', signal }
    const marked = this.#marked
    const markedAtMs = this.#markedAtMs
    this.#marked = []
    try {
      await this.#deleteMarked(marked, markedAtMs, permits, context)
      this.#markedAtMs = this.#options.clock.now()
      const detached = await this.#listDetached(undefined, context)
      this.#marked = detached.filter((interfaceID) => !this.#options.isBeingAttached(interfaceID)).sort()
    } catch (error) {
      if (signal.aborted) return
      this.#options.log.warn({ error }, 'Cannot look for leftover interfaces, the next round will')
    }
  }

  async #deleteMarked(
    marked: readonly string[],
    markedAtMs: number,
    permits: DestructivePermits,
    context: CallContext,
  ): Promise<void> {
    const { clock, isBeingAttached } = this.#options
    const left = [...marked]
    let proof = { startedAtMs: Number.NEGATIVE_INFINITY, detached: new Set<string>() }
    while (left.length > 0) {
      if (!(await this.#mayDestroy(permits, context.signal))) return
      if (clock.now() - proof.startedAtMs >= PROOF_AGE_MS) {
        const startedAtMs = clock.now()
        proof = { startedAtMs, detached: new Set(await this.#listDetached(left, context)) }
      }
      const [interfaceID = ''] = left
      const isLeftover = proof.detached.has(interfaceID) && !isBeingAttached(interfaceID)
      // The read took its time, in which others may have used the permit up.
      if (isLeftover && !permits.take(clock.now())) continue
      left.shift()
      if (!isLeftover) continue
      const seen = { state: 'available', reads: 2, ...this.#options.tags }
      const { startedAtMs: readStartedAtMs } = proof
      await this.#delete(interfaceID, { basis: 'leftover', readStartedAtMs, sinceMs: markedAtMs, seen }, context)
    }
  }

  /** Waits for the right to one destructive call. @returns false when there will be none */
  async #mayDestroy(permits: DestructivePermits, signal: AbortSignal): Promise<boolean> {
    const { clock, log } = this.#options
    for (;;) {
      const nowMs = clock.now()
      const allowedAtMs = permits.allowedAtMs(nowMs)
      if (allowedAtMs === undefined) {
        log.debug({}, 'Destructive calls are switched off, leftover interfaces stay')
        return false
      }
      if (allowedAtMs <= nowMs) return true
      await clock.sleep(allowedAtMs - nowMs, signal)
    }
  }

  /** @throws the signal's reason when aborted */
  async #delete(interfaceID: string, proof: DestructionProof, context: CallContext): Promise<void> {
    const { api, log } = this.#options
    try {
      await api.deleteNetworkInterface(interfaceID, { ...context, proof })
      log.info({ interfaceID }, 'Deleted a leftover interface')
    } catch (error) {
      if (context.signal.aborted) throw error
      const isSettled = error instanceof CloudAPIError && (error.kind === 'conflict' || error.kind === 'notFound')
      if (isSettled) log.debug({ interfaceID, error }, 'A leftover interface is in use after all, or gone')
      else log.warn({ interfaceID, error }, 'Cannot delete a leftover interface, a later round will')
    }
  }

  /** Detached interfaces of ours; of `among` only, where given. @throws CloudAPIError */
  #listDetached(among: readonly string[] | undefined, context: CallContext): Promise<readonly string[]> {
    const { api, tags, subnetFilters } = this.#options
    const limit = among?.length ?? this.#marksPerRound
    const scope = { tags, subnetFilters, ...(among !== undefined && { interfaceIDs: among }) }
    return api.listings.describeDetachedInterfaces(scope, limit, context)
  }
}
