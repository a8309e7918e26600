import type { DestroyPermit } from '../ipam/plan-maintenance.ts'
import type { DestructiveLimiter } from './destructive-limiter.ts'
import type { OwnField } from './second-writer.ts'

/** How long joining nodes wait for the first full sync to show their instances before they read by themselves (ms). */
const FIRST_SYNC_GRACE_MS = 30_000

/** Whether the process may be called ready, and what is missing. */
export interface Readiness {
  readonly ok: boolean
  readonly reasons: readonly string[]
}

/**
 * How far the start has come, and what the controller may therefore do: write and call once the provider is prepared, destroy once
 * the inventory was read in full, and nothing at all once another writer was found (docs/decisions/0009-start.md,
 * docs/decisions/0010-proof-before-destroy.md).
 */
export class ServingState {
  readonly #limiter: Pick<DestructiveLimiter, 'allowedAtMs' | 'stop'>
  #isPrepared = false
  /** Why the newest try to prepare the provider failed. */
  #prepareFailure = ''
  #isListed = false
  #hasFullSync = false
  #contested: { readonly node: string; readonly field: OwnField } | undefined

  /** @param limiter stopped for good when another writer is found */
  constructor(limiter: Pick<DestructiveLimiter, 'allowedAtMs' | 'stop'>) {
    this.#limiter = limiter
  }

  /** The provider can be asked. */
  get isPrepared(): boolean {
    return this.#isPrepared
  }

  /** The initial list of CiliumNodes is complete. */
  get isListed(): boolean {
    return this.#isListed
  }

  /** Where somebody else was found to write. */
  get secondWriter(): { readonly node: string; readonly field: OwnField } | undefined {
    return this.#contested
  }

  /** Nothing is written and nothing called. */
  get isSilent(): boolean {
    return !this.#isPrepared || this.#contested !== undefined
  }

  /** @returns whether that is news */
  setPrepared(isPrepared: boolean): boolean {
    const isNews = this.#isPrepared !== isPrepared
    this.#isPrepared = isPrepared
    return isNews
  }

  /** A try to prepare the provider failed, and goes on. @param why one line for people */
  notePrepareFailure(why: string): void {
    this.#prepareFailure = why
  }

  /** The initial list of CiliumNodes is complete. */
  setListed(): void {
    this.#isListed = true
  }

  /** The inventory was read in full. @returns whether it was for the first time */
  noteFullSync(): boolean {
    const isFirst = !this.#hasFullSync
    this.#hasFullSync = true
    return isFirst
  }

  /** Somebody else writes this field. @returns whether that is news */
  noteSecondWriter(node: string, field: OwnField): boolean {
    if (this.#contested !== undefined) return false
    this.#contested = { node, field }
    this.#limiter.stop()
    return true
  }

  /** Whether `callCount` calls that give something back may be made now. */
  destroyPermit(nowMs: number, callCount: number): DestroyPermit {
    // The end of the first full sync wakes every node.
    if (!this.#hasFullSync) return { kind: 'deferred', untilMs: undefined }
    const allowedAtMs = this.#limiter.allowedAtMs(nowMs, callCount)
    return allowedAtMs !== undefined && allowedAtMs <= nowMs
      ? { kind: 'allowed' }
      : { kind: 'deferred', untilMs: allowedAtMs }
  }

  /**
   * Until when nodes whose instance is not known wait for the first full sync.
   *
   * @param syncStartedAtMs of the sync under way, undefined while none is (monotonic ms)
   * @returns monotonic ms; 0: not at all
   */
  missingReadsFromMs(syncStartedAtMs: number | undefined): number {
    return this.#hasFullSync || syncStartedAtMs === undefined ? 0 : syncStartedAtMs + FIRST_SYNC_GRACE_MS
  }

  readiness(): Readiness {
    const reasons = [
      ...(this.#isPrepared ? [] : [`the cloud has not answered the first reads yet${because(this.#prepareFailure)}`]),
      ...(this.#isListed ? [] : ['the initial list of CiliumNodes is not complete']),
      ...(this.#contested === undefined
        ? []
        : [
            `another controller writes ${this.#contested.field} of CiliumNode ${this.#contested.node}: nothing is written until a restart`,
          ]),
    ]
    return { ok: reasons.length === 0, reasons }
  }
}

function because(why: string): string {
  return why === '' ? '' : `, and is asked again: ${why}`
}
