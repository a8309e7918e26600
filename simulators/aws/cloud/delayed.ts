/**
 * A value whose changes become visible late: what a listing shows of something that has just changed (eventual consistency).
 * The value itself lives with its owner; this keeps the older ones that are still to be seen.
 */
export class Delayed<T> {
  #older: { readonly untilMs: number; readonly value: T }[] = []

  /** Tells that the value is about to change from `value`, which stays visible for `delayMs` more. */
  changing(value: T, nowMs: number, delayMs: number): void {
    if (delayMs <= 0) return
    this.#forget(nowMs)
    this.#older.push({ untilMs: nowMs + delayMs, value })
  }

  /** The value as it was `delayMs` ago. @param current what it is now */
  seen(current: T, nowMs: number): T {
    if (this.#older.length === 0) return current
    this.#forget(nowMs)
    const [oldest] = this.#older
    return oldest === undefined ? current : oldest.value
  }

  #forget(nowMs: number): void {
    while (this.#older[0] !== undefined && this.#older[0].untilMs <= nowMs) this.#older.shift()
  }
}
