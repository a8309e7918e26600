import type { AllocationImplementation, Logger, MetricsAPI, SyncResult } from '../ipam/contracts.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'

/** Interval between full syncs (ms). docs/decisions/0011-freshness.md; the reference: one minute whatever the size */
const INTERVAL_MS = 60_000
const LARGE_FLEET_INTERVAL_MS = 600_000
/** From this many nodes on a fleet is large (count). */
const LARGE_FLEET_NODES = 1_000
/** A failed sync is tried again after this, doubling up to the interval (ms). */
const FIRST_RETRY_MS = 1_000

export interface FullSyncOptions {
  readonly implementation: Pick<AllocationImplementation, 'resync'>
  readonly metrics: MetricsAPI
  readonly log: Logger
  readonly clock: Clock
  readonly random: Random
  readonly nodeCount: () => number
  /** After every sync that succeeded. */
  readonly onSynced: (result: SyncResult) => Promise<void>
  /** After every sync that failed. */
  readonly onFailed: (error: unknown) => void
}

/**
 * Reads the whole inventory, again and again, in the background: the safety net below the per-instance freshness. The first read
 * begins at once, the next one an interval after the end of the one before. No node waits for it.
 *
 * @source cilium pkg/ipam/node_manager.go, Start and `ipam-node-interval-refresh`
 */
export class FullSync {
  readonly #options: FullSyncOptions
  #failureCount = 0
  #startedAtMs: number | undefined

  constructor(options: FullSyncOptions) {
    this.#options = options
  }

  /** When the sync under way began; undefined while none is. */
  get startedAtMs(): number | undefined {
    return this.#startedAtMs
  }

  /** Runs until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#sync(signal)
      try {
        await this.#options.clock.sleep(this.#waitMs(), signal)
      } catch {
        return // only the signal ends a sleep early
      }
    }
  }

  async #sync(signal: AbortSignal): Promise<void> {
    const { clock, implementation, log, metrics, onFailed, onSynced } = this.#options
    const startMs = clock.now()
    this.#startedAtMs = startMs
    try {
      const result = await implementation.resync({ priority: 'background', reason: 'full-sync', signal })
      this.#startedAtMs = undefined
      this.#failureCount = 0
      metrics.observeBackgroundSync('success', (clock.now() - startMs) / 1000)
      if (!signal.aborted) await onSynced(result)
    } catch (error) {
      this.#startedAtMs = undefined
      if (signal.aborted) return
      this.#failureCount += 1
      metrics.observeBackgroundSync('failed', (clock.now() - startMs) / 1000)
      log.warn({ error, attempt: this.#failureCount }, 'Unable to read the inventory of the cloud')
      onFailed(error)
    }
  }

  /** A tenth to either side, so that controllers of one account do not meet. */
  #waitMs(): number {
    const { nodeCount, random } = this.#options
    const intervalMs = nodeCount() < LARGE_FLEET_NODES ? INTERVAL_MS : LARGE_FLEET_INTERVAL_MS
    const waitMs =
      this.#failureCount === 0 ? intervalMs : Math.min(FIRST_RETRY_MS * 2 ** (this.#failureCount - 1), intervalMs)
    return waitMs * (0.9 + random.next() / 5)
  }
}
