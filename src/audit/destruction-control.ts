import type {
  DestructionBasis,
  DestructionGuard,
  DestructionResult,
  DestructionSubject,
  DestructiveCall,
} from '../ipam/destruction.ts'
import { CloudAPIError } from '../ipam/errors.ts'
import { PROOF_LIFETIME_MS } from '../ipam/release-proof.ts'
import type { Clock } from '../runtime/clock.ts'
import type { AuditLog } from './audit-log.ts'

/** Whose proof is a read of the cloud, which grows old while the call waits for its turn. */
const EXPIRING: ReadonlySet<DestructionBasis> = new Set(['agent-gave-up', 'leftover'])

export interface DestructionControlOptions {
  readonly audit: AuditLog
  readonly clock: Clock
  /** Told of every call that was let through, and of every one that was not. */
  readonly onCall?: (outcome: 'sent' | 'withheld', action: string) => void
}

/**
 * The one gate of every destructive call of a controller, at the moment of sending: a call that waited for its turn is judged by what
 * holds now. What passes is on record before it is sent.
 */
export class DestructionControl implements DestructionGuard {
  readonly #options: DestructionControlOptions
  #isFleetPaused = false
  #isNodePaused: (subject: DestructionSubject) => boolean = () => false

  constructor(options: DestructionControlOptions) {
    this.#options = options
  }

  /** The cluster-wide switch. */
  get isFleetPaused(): boolean {
    return this.#isFleetPaused
  }

  setFleetPaused(isPaused: boolean): void {
    this.#isFleetPaused = isPaused
  }

  /** Who knows the annotations of the nodes, while there is somebody. */
  watchNodes(isPaused: (subject: DestructionSubject) => boolean): void {
    this.#isNodePaused = isPaused
  }

  began(call: DestructiveCall): (result: DestructionResult) => void {
    const { audit, clock, onCall } = this.#options
    const nowMs = clock.now()
    const obstacle = this.#obstacle(call, nowMs)
    if (obstacle !== undefined) {
      onCall?.('withheld', call.action)
      throw obstacle
    }
    const id = record(call, () => audit.called(call, nowMs))
    onCall?.('sent', call.action)
    return (result) => audit.answered(id, call.action, result)
  }

  #obstacle({ action, subject, proof }: DestructiveCall, nowMs: number): CloudAPIError | undefined {
    if (this.#isFleetPaused) return withheld(action, 'denied', 'destructive calls are paused (--pause-destructive)')
    if (this.#isNodePaused(subject)) {
      return withheld(action, 'denied', `destructive calls are paused for node ${subject.node ?? subject.instanceID}`)
    }
    const ageMs = nowMs - proof.readStartedAtMs
    if (EXPIRING.has(proof.basis) && ageMs >= PROOF_LIFETIME_MS) {
      return withheld(action, 'stale', `the read that it rests on is ${Math.round(ageMs / 1000)} s old by now`)
    }
    return undefined
  }
}

/** What cannot be put on record does not happen. */
function record<T>({ action }: DestructiveCall, write: () => T): T {
  try {
    return write()
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw withheld(action, 'denied', `the audit log cannot be written: ${message}`, cause)
  }
}

function withheld(action: string, kind: 'denied' | 'stale', why: string, cause?: unknown): CloudAPIError {
  return new CloudAPIError(`${action}: not sent: ${why}`, { kind, code: '', action, cause })
}
