import type { DestructionResult, DestructiveCall } from '../ipam/destruction.ts'
import { CloudAPIError } from '../ipam/errors.ts'
import type { Clock } from '../runtime/clock.ts'

/** Two lines of one call have the same `id`: `call` is written before the call is sent, `answer` when it has ended. */
export type AuditEntry = AuditedCall | AuditedAnswer

export interface AuditedCall {
  /** ISO 8601. */
  readonly time: string
  /** Unique over all processes: identity of the process and number. */
  readonly id: string
  readonly event: 'call'
  readonly action: string
  readonly reason: string
  readonly node?: string
  readonly instanceID?: string
  readonly interfaceID?: string
  readonly addresses?: readonly string[]
  readonly cidrs?: readonly string[]
  readonly proof: {
    readonly basis: string
    /** Start of the read that showed it (ISO 8601), and how long ago that was (s). */
    readonly readStartedAt: string
    readonly ageSeconds: number
    /** The agent's word, or when it was first found left over (ISO 8601). */
    readonly since: string
    readonly seen: Readonly<Record<string, string | number>>
  }
}

export interface AuditedAnswer {
  readonly time: string
  readonly id: string
  readonly event: 'answer'
  readonly action: string
  readonly result: 'done' | 'failed'
  /** Class and message of the failure. `unavailable`: no answer, it may have had its effect. */
  readonly kind?: string
  readonly error?: string
}

export interface AuditLogOptions {
  /** Of this process. */
  readonly identity: string
  readonly clock: Clock
  /** Takes one entry, for good: when it returns the entry is where it belongs. @throws when it cannot be written */
  readonly write: (entry: AuditEntry) => void
  /** An answer could not be written: the call is on record, its end is not. */
  readonly onLost?: (error: unknown) => void
}

/** The record of every destructive call: what, of whom, on which proof, and how it ended. */
export class AuditLog {
  readonly #options: AuditLogOptions
  #count = 0

  constructor(options: AuditLogOptions) {
    this.#options = options
  }

  /** @returns the id of the entry. @throws when it cannot be written */
  called(call: DestructiveCall, nowMs: number): string {
    const { clock, identity, write } = this.#options
    const { action, reason, subject, proof } = call
    const wallMs = clock.wallTime().getTime()
    const timeOf = (atMs: number): string => new Date(wallMs - (nowMs - atMs)).toISOString()
    const id = `${identity}/${(this.#count += 1)}`
    write({
      time: timeOf(nowMs),
      id,
      event: 'call',
      action,
      reason,
      ...subject,
      proof: {
        basis: proof.basis,
        readStartedAt: timeOf(proof.readStartedAtMs),
        ageSeconds: Math.round(nowMs - proof.readStartedAtMs) / 1000,
        since: timeOf(proof.sinceMs),
        seen: proof.seen,
      },
    })
    return id
  }

  /** Never throws: what is done is done. */
  answered(id: string, action: string, result: DestructionResult): void {
    const { clock, write, onLost } = this.#options
    const entry = { time: clock.wallTime().toISOString(), id, event: 'answer', action, result: result.kind } as const
    try {
      write(result.kind === 'done' ? entry : { ...entry, ...failureOf(result.error) })
    } catch (error) {
      onLost?.(error)
    }
  }
}

function failureOf(error: unknown): { readonly kind: string; readonly error: string } {
  const message = error instanceof Error ? error.message : String(error)
  return { kind: error instanceof CloudAPIError ? error.kind : 'unknown', error: message }
}
