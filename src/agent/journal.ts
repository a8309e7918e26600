import { JournalWriteError, StateFileError } from './journal-errors.ts'
import { DamagedFrameError, decodeFrames, encodeFrame } from './journal-frame.ts'
import type { DecodedFrames } from './journal-frame.ts'
import { JOURNAL_FORMAT, leaseKey, parseHeader, parseRecord } from './journal-record.ts'
import type { JournalHeader, JournalRecord, Lease } from './journal-record.ts'
import type { JournalStorage } from './journal-storage.ts'

/** Keeps leases over a restart. Memory decides and the journal follows: records are durable in the order of `append`. */
export interface LeaseJournal {
  /** Takes a change down, at once. It is not durable yet. */
  append(record: JournalRecord): void
  /**
   * Resolves once every change appended so far is durable.
   *
   * @throws JournalWriteError some of them are not; the next call tries to save the whole state
   */
  durable(): Promise<void>
}

/** A journal that keeps nothing: for agents that live and die with their process, such as simulated ones. */
export const volatileJournal: LeaseJournal = { append() {}, durable: () => Promise.resolve() }

/** Leases of one frame of a rewritten file (count). */
const LEASES_PER_FRAME = 256
/** A file below this is never rewritten for its size (bytes). */
const MIN_REWRITE_BYTES = 256 * 1024
/** A file is rewritten when its changes outgrow what it began with this many times: a change costs O(1) on average. */
const REWRITE_FACTOR = 2

interface Waiter {
  readonly upTo: number
  readonly resolve: () => void
  readonly reject: (error: JournalWriteError) => void
}

export interface JournalOptions {
  readonly storage: JournalStorage
  readonly node: string
  /** The leases of this moment, everything appended so far included. Read at once, never over an `await`. */
  readonly leases: () => Iterable<Lease>
}

/** What a state file holds. */
export interface StoredLeases {
  readonly leases: readonly Lease[]
  /** Bytes at the end that a crash left behind (count); they were never acknowledged. */
  readonly tornBytes: number
}

/**
 * Reads the leases of a state file without changing it.
 *
 * @returns in the order in which they were first held; none when there is no file
 * @throws StateFileError
 */
export async function readLeases(storage: JournalStorage, node: string): Promise<StoredLeases> {
  const { name } = storage
  const { frames, tornBytes } = decoded(name, await read(storage))
  const [first, ...changes] = frames
  if (first === undefined) return { leases: [], tornBytes }
  const header = parseHeader(first)
  if (header === undefined) throw damaged(name, 'line 1 is not the header of a state file of berth agent')
  if (header.format !== JOURNAL_FORMAT) {
    const message = `The state file ${name} has the format ${header.format}; this version reads ${JOURNAL_FORMAT}. Start the version that wrote it`
    throw new StateFileError('other-format', name, message)
  }
  if (header.node !== node) {
    const message = `The state file ${name} belongs to node ${header.node}, and this agent serves ${node}. Give each node its own --state-dir`
    throw new StateFileError('other-node', name, message)
  }
  const leases = new Map<string, Lease>()
  for (const [index, change] of changes.entries()) {
    for (const record of recordsOf(change, name, index + 2)) {
      if (record.op === 'hold') leases.set(leaseKey(record.lease), record.lease)
      else leases.delete(leaseKey(record))
    }
  }
  return { leases: [...leases.values()], tornBytes }
}

/**
 * The state file of a running agent. Changes that wait together are written as one frame and made durable with one sync. The
 * first write replaces the file: what a crash left at its end is gone then.
 */
export class Journal implements LeaseJournal {
  readonly #options: JournalOptions
  #pending: JournalRecord[] = []
  /** Changes appended, and of these durable (counts since the start). */
  #appended = 0
  #saved = 0
  #mustReplace = true
  #baseBytes = 0
  #grownBytes = 0
  #waiters: Waiter[] = []
  #isWriting = false
  #idle: Promise<void> = Promise.resolve()

  constructor(options: JournalOptions) {
    this.#options = options
  }

  append(record: JournalRecord): void {
    this.#pending.push(record)
    this.#appended += 1
  }

  durable(): Promise<void> {
    if (this.#saved === this.#appended && !this.#mustReplace) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#waiters.push({ upTo: this.#appended, resolve, reject })
      if (!this.#isWriting) this.#idle = this.#write()
    })
  }

  /** Lets writes under way end and closes the file. What was not durable by then was never acknowledged. */
  async close(): Promise<void> {
    await this.#idle
    await this.#options.storage.close()
  }

  async #write(): Promise<void> {
    this.#isWriting = true
    while (this.#waiters.length > 0) {
      const upTo = this.#appended
      const records = this.#pending
      this.#pending = []
      let failure: JournalWriteError | undefined
      try {
        await this.#save(records)
        this.#saved = upTo
      } catch (error) {
        failure = new JournalWriteError(this.#options.storage.name, error)
        this.#mustReplace = true
      }
      this.#settle(upTo, failure)
      // Callers take back what was refused before the state is written again.
      if (failure !== undefined) await new Promise((resolve) => void setImmediate(resolve))
    }
    this.#isWriting = false // in the same turn as the last look at the waiters: one that comes later starts a new run
  }

  async #save(records: readonly JournalRecord[]): Promise<void> {
    const { storage } = this.#options
    const hasOutgrown = this.#grownBytes > Math.max(MIN_REWRITE_BYTES, REWRITE_FACTOR * this.#baseBytes)
    if (!this.#mustReplace && !hasOutgrown) {
      const frame = encodeFrame(records)
      await storage.append(frame)
      this.#grownBytes += frame.length
      return
    }
    const pieces = this.#snapshot()
    await storage.replace(pieces)
    this.#mustReplace = false
    this.#baseBytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
    this.#grownBytes = 0
  }

  #snapshot(): readonly Buffer[] {
    const { leases, node } = this.#options
    const records = [...leases()].map((lease): JournalRecord => ({ op: 'hold', lease }))
    const pieces = [encodeFrame({ format: JOURNAL_FORMAT, node } satisfies JournalHeader)]
    for (let start = 0; start < records.length; start += LEASES_PER_FRAME) {
      pieces.push(encodeFrame(records.slice(start, start + LEASES_PER_FRAME)))
    }
    return pieces
  }

  #settle(upTo: number, failure: JournalWriteError | undefined): void {
    const settled = this.#waiters.filter((waiter) => waiter.upTo <= upTo)
    this.#waiters = this.#waiters.filter((waiter) => waiter.upTo > upTo)
    for (const waiter of settled) {
      if (failure === undefined) waiter.resolve()
      else waiter.reject(failure)
    }
  }
}

async function read(storage: JournalStorage): Promise<Buffer> {
  try {
    return (await storage.read()) ?? Buffer.alloc(0)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const message = `The state file ${storage.name} cannot be read: ${reason}. Check its owner and mode, or choose another --state-dir`
    throw new StateFileError('unreadable', storage.name, message, error)
  }
}

function decoded(name: string, bytes: Buffer): DecodedFrames {
  try {
    return decodeFrames(bytes)
  } catch (error) {
    if (error instanceof DamagedFrameError) throw damaged(name, error.message, error)
    throw error
  }
}

function recordsOf(frame: unknown, name: string, line: number): readonly JournalRecord[] {
  if (!Array.isArray(frame)) throw damaged(name, `line ${line}: not a list of changes`)
  return frame.map((value: unknown) => {
    const record = parseRecord(value)
    if (record === undefined) throw damaged(name, `line ${line}: not a change of a lease`)
    return record
  })
}

function damaged(name: string, problem: string, cause?: unknown): StateFileError {
  const message = `The state file ${name} is damaged at ${problem}. It was left as it is. Only it knows which pods hold which addresses: drain the node, then move the file away and start the agent again`
  return new StateFileError('damaged', name, message, cause)
}
