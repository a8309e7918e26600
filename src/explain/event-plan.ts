import type { ReasonCode } from './reasons.ts'

/** An event of the same node and reason within this time is the same event once more (ms). @source client-go, EventCorrelator */
const SAME_EVENT_MS = 600_000
/** Events remembered (count): beyond that the oldest are forgotten, and would be new ones. */
const MAX_REMEMBERED = 4096
/** Events of nodes that may be written at once (count), and how fast the right to one comes back (ms). */
const BURST = 25
const REFILL_MS = 1_000

/** What becomes of one occasion. */
export type EventDecision =
  | { readonly kind: 'create'; readonly name: string }
  /** @param count occasions by now */
  | { readonly kind: 'repeat'; readonly name: string; readonly count: number }
  /** Too many at once: it is counted into the next summary. */
  | { readonly kind: 'fold' }

export interface EventSummary {
  readonly code: ReasonCode
  /** Nodes that were left out since the last summary (count). */
  readonly count: number
}

interface Remembered {
  readonly name: string
  count: number
  lastMs: number
}

/**
 * Which occasions become Kubernetes Events: one Event for a node and a reason, counted up while it comes again, a bounded number at a
 * time, the rest as one summary a reason. So ten thousand nodes that begin to wait together cost the API server a few dozen writes.
 */
export class EventPlan {
  readonly #remembered = new Map<string, Remembered>()
  readonly #folded = new Map<ReasonCode, number>()
  #tokens = BURST
  #filledMs: number
  #sequence = 0

  constructor(nowMs: number) {
    this.#filledMs = nowMs
  }

  /** A node begins to wait. @param wallMs wall-clock time (ms since the epoch), for the event's name */
  decide(node: string, code: ReasonCode, nowMs: number, wallMs: number): EventDecision {
    if (!this.#take(nowMs)) {
      this.#folded.set(code, (this.#folded.get(code) ?? 0) + 1)
      return { kind: 'fold' }
    }
    const key = `${code}/${node}`
    const known = this.#remembered.get(key)
    // In the order of their last occasion, so that the first entry is the one to forget.
    this.#remembered.delete(key)
    if (known !== undefined && nowMs - known.lastMs < SAME_EVENT_MS) {
      known.count += 1
      known.lastMs = nowMs
      this.#remembered.set(key, known)
      return { kind: 'repeat', name: known.name, count: known.count }
    }
    const name = this.nameOf(node, wallMs)
    this.#remembered.set(key, { name, count: 1, lastMs: nowMs })
    for (const oldest of this.#remembered.keys()) {
      if (this.#remembered.size <= MAX_REMEMBERED) break
      this.#remembered.delete(oldest)
    }
    return { kind: 'create', name }
  }

  /** The event is gone from the API server (it keeps them for an hour): the next occasion makes a new one. */
  forget(node: string, code: ReasonCode): void {
    this.#remembered.delete(`${code}/${node}`)
  }

  /** What was left out since the last summary, by reason. */
  summaries(): readonly EventSummary[] {
    const summaries = [...this.#folded].sort(([a], [b]) => (a < b ? -1 : 1)).map(([code, count]) => ({ code, count }))
    this.#folded.clear()
    return summaries
  }

  /** A name that no other event has. @source client-go tools/record, makeEvent: the object's name and a number of the time */
  nameOf(object: string, wallMs: number): string {
    this.#sequence = (this.#sequence + 1) % 0x1000
    return `${object}.${wallMs.toString(16)}${this.#sequence.toString(16).padStart(3, '0')}`
  }

  #take(nowMs: number): boolean {
    this.#tokens = Math.min(BURST, this.#tokens + (nowMs - this.#filledMs) / REFILL_MS)
    this.#filledMs = nowMs
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}

/** `at-capacity` → `AtCapacity`: reasons of events are written so. @source Kubernetes API conventions, Events */
export function eventReason(code: ReasonCode): string {
  return code.replaceAll(/(^|-)(.)/g, (_, _dash, letter: string) => letter.toUpperCase())
}
