/** How a call ended: answered, turned away by the throttle, or answered with an error or not at all. */
export type CallOutcome = 'ok' | 'refused' | 'failed'

export interface CallRecord {
  /** Monotonic milliseconds of the simulator's clock when the answer was ready. */
  readonly atMs: number
  readonly action: string
  readonly outcome: CallOutcome
  /** Error code, or the fault that spoilt the answer; absent when all went well. */
  readonly code?: string
  /** Whose call, as the request said: an access key, a user agent. */
  readonly caller?: string
}

export interface ActionCounts {
  /** All of them (count); the sum of the other three. */
  attempts: number
  ok: number
  refused: number
  failed: number
}

export interface CallsReport {
  readonly attempts: number
  readonly refused: number
  readonly failed: number
  readonly actions: Readonly<Record<string, Readonly<ActionCounts>>>
  /** Attempts by caller (count). */
  readonly callers: Readonly<Record<string, number>>
  /** The latest calls, oldest first. */
  readonly last: readonly CallRecord[]
}

/** Calls kept one by one; counts are kept for all. */
const DEFAULT_KEPT = 1000
/** Callers told apart; further ones are counted together as `other`. */
const MAX_CALLERS = 100

/** The ledger of calls that a simulator has received. Control requests do not enter it. */
export class CallLedger {
  readonly #kept: number
  readonly #actions = new Map<string, ActionCounts>()
  readonly #callers = new Map<string, number>()
  #last: CallRecord[] = []
  #oldest = 0

  /** @param kept how many calls are kept one by one (count) */
  constructor(kept: number = DEFAULT_KEPT) {
    this.#kept = kept
  }

  record(call: CallRecord): void {
    let counts = this.#actions.get(call.action)
    if (counts === undefined) {
      counts = { attempts: 0, ok: 0, refused: 0, failed: 0 }
      this.#actions.set(call.action, counts)
    }
    counts.attempts++
    counts[call.outcome]++
    if (call.caller !== undefined) this.#countCaller(call.caller)
    if (this.#last.length < this.#kept) {
      this.#last.push(call)
    } else if (this.#kept > 0) {
      this.#last[this.#oldest] = call
      this.#oldest = (this.#oldest + 1) % this.#kept
    }
  }

  /** Counts of one action; zeros when it was never called. */
  counts(action: string): Readonly<ActionCounts> {
    return this.#actions.get(action) ?? { attempts: 0, ok: 0, refused: 0, failed: 0 }
  }

  report(): CallsReport {
    const actions = Object.fromEntries(
      [...this.#actions].sort(([a], [b]) => (a < b ? -1 : 1)).map(([action, counts]) => [action, { ...counts }]),
    )
    const sum = (key: keyof ActionCounts): number =>
      [...this.#actions.values()].reduce((total, counts) => total + counts[key], 0)
    return {
      attempts: sum('attempts'),
      refused: sum('refused'),
      failed: sum('failed'),
      actions,
      callers: Object.fromEntries([...this.#callers].sort(([a], [b]) => (a < b ? -1 : 1))),
      last: [...this.#last.slice(this.#oldest), ...this.#last.slice(0, this.#oldest)],
    }
  }

  clear(): void {
    this.#actions.clear()
    this.#callers.clear()
    this.#last = []
    this.#oldest = 0
  }

  #countCaller(caller: string): void {
    const name = this.#callers.has(caller) || this.#callers.size < MAX_CALLERS ? caller : 'other'
    this.#callers.set(name, (this.#callers.get(name) ?? 0) + 1)
  }
}
