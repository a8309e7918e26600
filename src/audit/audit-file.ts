import { closeSync, openSync, writeSync } from 'node:fs'
import type { AuditEntry } from './audit-log.ts'

/** Only the owner may read what the controller did; the file is appended to, never rewritten. */
const FILE_MODE = 0o600

export interface AuditFile {
  /** One JSON object a line, handed to the operating system before it returns. @throws when the disk is full or gone */
  write(entry: AuditEntry): void
  /** Opens the path anew: the file was moved away by a log rotation. The old one stays in use when that fails. @throws Error */
  reopen(): void
  close(): void
}

/**
 * The audit log as a file of its own. Synchronous: there are at most a few destructive calls a second
 * (`--destructive-calls-per-minute`), and each must be on record before it is sent.
 *
 * @throws Error when it cannot be opened
 */
export function openAuditFile(path: string): AuditFile {
  let file = openSync(path, 'a', FILE_MODE)
  return {
    write(entry) {
      const line = Buffer.from(`${JSON.stringify(entry)}\n`)
      for (let written = 0; written < line.length;) written += writeSync(file, line, written)
    },
    reopen() {
      const before = file
      file = openSync(path, 'a', FILE_MODE)
      closeSync(before)
    },
    close() {
      closeSync(file)
    },
  }
}
