import type { LedgerEntry } from './contracts.ts'

/** Counts calls by action and reason. Both are constants of the code, so the ledger is as long as their pairs. */
export class Ledger {
  readonly #entries = new Map<string, { -readonly [K in keyof LedgerEntry]: LedgerEntry[K] }>()

  /** A wait for tokens ended, with a call or without. */
  waited(action: string, reason: string, waitedMs: number): void {
    this.#entry(action, reason).waitedMs += waitedMs
  }

  called(action: string, reason: string): void {
    this.#entry(action, reason).calls += 1
  }

  refused(action: string, reason: string): void {
    this.#entry(action, reason).refused += 1
  }

  /** A copy, sorted by action and reason. */
  entries(): readonly LedgerEntry[] {
    return [...this.#entries]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { action, reason, calls, refused, waitedMs }]) => ({ action, reason, calls, refused, waitedMs }))
  }

  #entry(action: string, reason: string): { calls: number; refused: number; waitedMs: number } {
    const key = `${action}\n${reason}`
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = { action, reason, calls: 0, refused: 0, waitedMs: 0 }
      this.#entries.set(key, entry)
    }
    return entry
  }
}
