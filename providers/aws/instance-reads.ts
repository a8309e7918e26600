import type { SyncResult } from '../../src/ipam/contracts.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { FoldedRequests } from '../../src/runtime/folded-requests.ts'
import { MAX_FILTER_VALUES } from './filters.ts'

/** Instances asked for within this time of a read share the next one (ms). docs/decisions/0011-freshness.md */
const SHARING_WINDOW_MS = 1000

/**
 * Folds reads of single instances, up to 200 a request. A read does not wait for the one before it: that one may stand in line for
 * its quota with less urgency.
 */
export class InstanceReads {
  readonly #folded: FoldedRequests<SyncResult>

  /**
   * @param deps.read reads and records a few instances; its answer is that of one listing
   * @param deps.signal ends the waiting
   */
  constructor(deps: {
    readonly clock: Clock
    readonly signal: AbortSignal
    readonly read: (instanceIDs: readonly string[], context: CallContext) => Promise<SyncResult>
  }) {
    this.#folded = new FoldedRequests({
      clock: deps.clock,
      signal: deps.signal,
      windowMs: SHARING_WINDOW_MS,
      groupOf: () => '',
      mayOverlap: true,
      maxKeys: MAX_FILTER_VALUES,
      serve(instanceIDs, context) {
        const read = deps.read(instanceIDs, { ...context, reason: 'instance-sync' })
        const changed = read.then(({ changedInstanceIDs }) => new Set(changedInstanceIDs))
        const ofOne = async (instanceID: string): Promise<SyncResult> => {
          const isChanged = (await changed).has(instanceID)
          return { ...(await read), changedInstanceIDs: isChanged ? [instanceID] : [] }
        }
        return new Map(instanceIDs.map((instanceID) => [instanceID, ofOne(instanceID)]))
      },
    })
  }

  /** @returns a read that began after this call; of its changes only this instance. @throws what the read throws */
  async request(instanceID: string, context: CallContext): Promise<SyncResult> {
    return this.#folded.request(instanceID, context)
  }
}
