import type { Logger } from '../../src/ipam/contracts.ts'
import type { DestructionResult } from '../../src/ipam/destruction.ts'
import { CloudAPIError } from '../../src/ipam/errors.ts'
import type { JSONObject } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { Random } from '../../src/runtime/random.ts'
import { sharedContext } from '../../src/runtime/shared-context.ts'
import { untilAborted } from '../../src/runtime/until-aborted.ts'
import { WRITE_LABELS, type AzureAPI, type WriteTarget } from './api.ts'
import { refusedByUs, retryAfterMsOf } from './errors.ts'
import { OPERATION_TIMED_OUT, type OperationFollower } from './operation-follower.ts'
import { readProvisioning } from './operation-state.ts'

/** A change to a document, as a function of whatever the document is at the time. */
export interface DocumentChange {
  /**
   * The document with the change; undefined when it has it already. Called anew for every attempt, so that a change must know its own
   * traces again.
   *
   * @throws CloudAPIError when the document cannot have it: then this change fails alone
   */
  edit(document: JSONObject): JSONObject | undefined
  /**
   * Asked each time the write with this change is about to be sent: what it throws fails this change alone, and nothing is sent with
   * it. Absent: nobody asks.
   *
   * @returns to be called with how the write ended
   */
  admit?(): (result: DestructionResult) => void
}

/** Changes of one document that go out in one write (count). A node has one or two. */
const MAX_MERGED = 16
/** Attempts after the entity tag was old, after a conflict, and after an answer was lost (counts). */
const MAX_STALE = 3
const MAX_CONFLICTS = 6
const MAX_LOST = 3
/** Wait after a conflict that names no time (ms). @source kubernetes-sigs/cloud-provider-azure */
const CONFLICT_MS = 5000
const FIRST_LOST_MS = 1000
/** A longer `Retry-After` is taken as this (ms): the node has other things to do. */
const LONGEST_WAIT_MS = 60_000

export interface DocumentWriterDependencies {
  readonly api: Pick<AzureAPI, 'readTarget' | 'writeTarget' | 'caller'>
  readonly follower: Pick<OperationFollower, 'follow' | 'settle'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

interface Entry {
  readonly change: DocumentChange
  readonly context: CallContext
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

/** How often a turn has met what it may meet again. */
interface Counts {
  writes: number
  stale: number
  conflicts: number
  lost: number
}

/**
 * Read, change, write, for documents that have no finer interface: a scale-set VM's model and a standalone interface.
 *
 * One write at a time for each document; changes that arrive meanwhile go out together in the next one. A write carries the entity
 * tag of what it was made from; when that is old, or another write is under way, the document is read and changed anew. An answer that
 * was lost is no failure: the document tells whether the write had its effect.
 */
export class DocumentWriter {
  readonly #deps: DocumentWriterDependencies
  readonly #waiting = new Map<string, Entry[]>()
  #pendingCount = 0

  constructor(deps: DocumentWriterDependencies) {
    this.#deps = deps
  }

  /** Changes that wait or are being written (count). */
  get pendingCount(): number {
    return this.#pendingCount
  }

  /**
   * Makes a change, to the end of its long-running operation.
   *
   * @throws CloudAPIError: of the change's own `edit`, or of the write; the signal's reason when aborted. A write under way then
   *   goes on in the cloud
   */
  async change(target: WriteTarget, change: DocumentChange, context: CallContext): Promise<void> {
    context.signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const entry: Entry = { change, context, resolve, reject }
    const queue = this.#waiting.get(target.key)
    this.#pendingCount += 1
    if (queue === undefined) {
      this.#waiting.set(target.key, [entry])
      void this.#drain(target)
    } else {
      queue.push(entry)
    }
    try {
      await untilAborted(promise, context.signal)
    } finally {
      this.#pendingCount -= 1
    }
  }

  /** Turn after turn until nobody waits. Never rejects. */
  async #drain(target: WriteTarget): Promise<void> {
    for (;;) {
      // After the current turn of the event loop, so that changes made together are written together.
      await Promise.resolve()
      const queue = this.#waiting.get(target.key) ?? []
      const entries = queue.splice(0, MAX_MERGED).filter(({ context }) => !context.signal.aborted)
      if (entries.length > 0) await this.#serve(target, entries)
      if (queue.length === 0) break
    }
    this.#waiting.delete(target.key)
  }

  /** One write for all; where it is refused and there are several, one for each, so that a bad one spoils no other. */
  async #serve(target: WriteTarget, entries: readonly Entry[]): Promise<void> {
    const live = new Set(entries)
    try {
      await this.#turn(target, live)
      for (const { resolve } of live) resolve()
    } catch (error) {
      const left = [...live].filter(({ context }) => !context.signal.aborted)
      if (left.length > 1 && error instanceof CloudAPIError && isAboutContent(error)) {
        for (const entry of left) await this.#serve(target, [entry])
        return
      }
      for (const { reject } of live) reject(error)
    }
  }

  /** @param live changes to make; those that the document refuses are rejected and taken out */
  async #turn(target: WriteTarget, live: Set<Entry>): Promise<void> {
    const shared = sharedContext([...live].map(({ context }) => context))
    const counts: Counts = { writes: 0, stale: 0, conflicts: 0, lost: 0 }
    try {
      for (;;) {
        try {
          if (await this.#attempt(target, live, shared.context, counts)) return
        } catch (error) {
          if (!(error instanceof CloudAPIError)) throw error
          const waitMs = this.#waitAfter(error, counts)
          this.#deps.log.debug({ resource: target.key, error, delayMs: waitMs }, 'Writing the document anew')
          if (waitMs > 0) await this.#deps.clock.sleep(waitMs, shared.context.signal)
        }
      }
    } finally {
      shared.release()
    }
  }

  /** @returns whether everything is written. @throws CloudAPIError */
  async #attempt(target: WriteTarget, live: Set<Entry>, context: CallContext, counts: Counts): Promise<boolean> {
    const { api, follower } = this.#deps
    const document = await api.readTarget(target, context)
    const { kind: state } = readProvisioning(document)
    const isBusy = state === 'running'
    const { edited: changed, changing } = applied(document, live)
    if (live.size === 0) return true
    // A write of ours that failed may have left its document: the same one again makes Azure finish it.
    const edited = changed ?? (state === 'failed' && counts.writes > 0 ? document : undefined)
    if (edited === undefined) {
      // Ours, accepted without our hearing of it; or somebody else has done it before.
      if (isBusy) await follower.settle(target, context)
      return !isBusy || this.#isWritten(target, live, context)
    }
    if (isBusy && counts.conflicts < MAX_CONFLICTS)
      throw refusedByUs(
        WRITE_LABELS[target.kind],
        `Cannot write ${target.path}: another write is under way`,
        'WriteUnderWay',
        'conflict',
      )
    const admission = new WriteAdmission(changed === undefined ? [...live] : changing)
    counts.writes += 1
    try {
      await api.caller.measured(WRITE_LABELS[target.kind], async () => {
        const accepted = await api.writeTarget(target, edited, context, () => admission.ask())
        await follower.follow(target, accepted, context)
      })
      admission.ended({ kind: 'done' })
      return true
    } catch (error) {
      admission.ended({ kind: 'failed', error })
      if (!(error instanceof WithdrawnError)) throw error
      live.delete(error.entry)
      error.entry.reject(error.cause)
      return live.size === 0
    }
  }

  /** Whether the document, now at rest, still has every change. */
  async #isWritten(target: WriteTarget, live: Set<Entry>, context: CallContext): Promise<boolean> {
    return applied(await this.#deps.api.readTarget(target, context), live).edited === undefined
  }

  /** How long to wait before the next attempt (ms). @throws the error when there is none */
  #waitAfter(error: CloudAPIError, counts: Counts): number {
    const jitter = 0.75 + this.#deps.random.next() / 2
    if (error.kind === 'stale' && (counts.stale += 1) < MAX_STALE) return 0
    if (error.kind === 'conflict' && (counts.conflicts += 1) <= MAX_CONFLICTS)
      return Math.min(retryAfterMsOf(error) ?? CONFLICT_MS * jitter, LONGEST_WAIT_MS)
    if (error.kind === 'unavailable' && error.code !== OPERATION_TIMED_OUT && (counts.lost += 1) < MAX_LOST)
      return Math.min(retryAfterMsOf(error) ?? FIRST_LOST_MS * 2 ** (counts.lost - 1) * jitter, LONGEST_WAIT_MS)
    throw error
  }
}

/** A change that may not be sent. */
class WithdrawnError extends Error {
  override readonly name = 'WithdrawnError'
  readonly entry: Entry

  constructor(entry: Entry, cause: unknown) {
    super('a change was not admitted', { cause })
    this.entry = entry
  }
}

/** Asks for the changes of one write, and tells them how it ended. */
class WriteAdmission {
  readonly #entries: readonly Entry[]
  #ends: ((result: DestructionResult) => void)[] = []

  constructor(entries: readonly Entry[]) {
    this.#entries = entries
  }

  /** Before each sending: one that was refused for its rate is sent, and so asked for, again. @throws WithdrawnError */
  ask(): void {
    this.ended({ kind: 'failed', error: new Error('refused for its rate') })
    for (const entry of this.#entries) {
      try {
        const end = entry.change.admit?.()
        if (end !== undefined) this.#ends.push(end)
      } catch (error) {
        throw new WithdrawnError(entry, error)
      }
    }
  }

  ended(result: DestructionResult): void {
    for (const end of this.#ends) end(result)
    this.#ends = []
  }
}

/**
 * The document with all changes that it can have; those that it refuses are rejected and taken out.
 *
 * @returns `edited` undefined when it has them already; `changing`: whose changes it lacked
 */
function applied(
  document: JSONObject,
  live: Set<Entry>,
): { readonly edited: JSONObject | undefined; readonly changing: readonly Entry[] } {
  let edited: JSONObject | undefined
  const changing: Entry[] = []
  for (const entry of live) {
    try {
      const next = entry.change.edit(edited ?? document)
      if (next === undefined) continue
      edited = next
      changing.push(entry)
    } catch (error) {
      live.delete(entry)
      entry.reject(error)
    }
  }
  return { edited, changing }
}

/** What another content could change: rate, rights and the state of the network are the same for all. */
function isAboutContent({ kind }: CloudAPIError): boolean {
  return kind === 'exhausted' || kind === 'limit' || kind === 'taken' || kind === 'invalid' || kind === 'unknown'
}
