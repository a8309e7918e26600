import type { JournalStorage } from '../../../src/agent/journal-storage.ts'

/** A disk in memory: what was acknowledged stays, and what was under way when it crashed may be there in part. */
export class MemoryStorage implements JournalStorage {
  readonly name = '/state/leases'
  content: Buffer | undefined
  /** Writes that happened (count), by kind. */
  readonly writes = { append: 0, replace: 0 }
  /** Thrown by the next writes, one each. */
  readonly failures: Error[] = []
  /** Of the bytes of a failing append, what reaches the disk all the same (bytes). */
  keptOfFailedAppend = 0
  isClosed = false
  /** Awaited inside of each write, so that a test can look at a write under way. */
  gate: () => Promise<void> = () => Promise.resolve()

  read(): Promise<Buffer | undefined> {
    return Promise.resolve(this.content)
  }

  async append(bytes: Buffer): Promise<void> {
    this.writes.append += 1
    const failure = this.failures.shift()
    await this.gate()
    const kept = failure === undefined ? bytes : bytes.subarray(0, this.keptOfFailedAppend)
    this.content = Buffer.concat([this.content ?? Buffer.alloc(0), kept])
    if (failure !== undefined) throw failure
  }

  async replace(pieces: readonly Buffer[]): Promise<void> {
    this.writes.replace += 1
    const failure = this.failures.shift()
    await this.gate()
    if (failure !== undefined) throw failure
    this.content = Buffer.concat(pieces)
  }

  close(): Promise<void> {
    this.isClosed = true
    return Promise.resolve()
  }
}
