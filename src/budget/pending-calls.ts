import type { CallPriority } from '../runtime/call-priority.ts'
import type { CallPhase, PendingCall, QueuePosition } from './contracts.ts'

/** A call that was asked for, as it goes through its phases. */
export interface TrackedCall {
  readonly action: string
  readonly reason: string
  readonly buckets: readonly string[]
  readonly signal: AbortSignal
  readonly sinceMs: number
  priority: CallPriority
  refusals: number
  phase: CallPhase
  phaseSinceMs: number
  /** Where it stands at a moment; undefined unless it is queued. */
  position: (() => QueuePosition) | undefined
}

/** The calls of a budget that have not come to their end, by the signal that they wait under. */
export class PendingCalls {
  readonly #calls = new Map<AbortSignal, Set<TrackedCall>>()

  begin(call: TrackedCall): void {
    const calls = this.#calls.get(call.signal)
    if (calls === undefined) this.#calls.set(call.signal, new Set([call]))
    else calls.add(call)
  }

  end(call: TrackedCall): void {
    const calls = this.#calls.get(call.signal)
    calls?.delete(call)
    if (calls?.size === 0) this.#calls.delete(call.signal)
  }

  /** Copies, oldest first. A position that is asked for after its call has moved on is undefined. */
  of(signal: AbortSignal): readonly PendingCall[] {
    return [...(this.#calls.get(signal) ?? [])].map((call): PendingCall => {
      const { action, reason, buckets, priority, sinceMs, refusals, phase, phaseSinceMs, position } = call
      const now = (): QueuePosition | undefined => (call.position === position ? position?.() : undefined)
      return { action, reason, buckets, priority, sinceMs, refusals, phase, phaseSinceMs, position: now }
    })
  }
}
