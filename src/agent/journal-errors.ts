/**
 * Why a state file cannot be used.
 *
 * - `damaged`: bytes that were once acknowledged cannot be read back
 * - `other-node`: it belongs to another node
 * - `other-format`: a version of this program wrote it that this one does not know
 * - `unreadable`: the operating system refuses it
 * - `in-use`: another agent works on it
 */
export type StateFileErrorKind = 'damaged' | 'other-node' | 'other-format' | 'unreadable' | 'in-use'

/** The file of leases cannot be used. It is left as it was found; the message names it and says what to do. */
export class StateFileError extends Error {
  override readonly name = 'StateFileError'
  readonly kind: StateFileErrorKind
  readonly file: string

  constructor(kind: StateFileErrorKind, file: string, message: string, cause?: unknown) {
    super(message, { cause })
    this.kind = kind
    this.file = file
  }
}

/** A change could not be made durable. It was not acknowledged; the next change tries to save everything anew. */
export class JournalWriteError extends Error {
  override readonly name = 'JournalWriteError'

  constructor(file: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    super(`The state file ${file} cannot be written: ${reason}`, { cause })
  }
}
