/** The window that the limit is counted over (ms). */
const WINDOW_MS = 60_000

/**
 * Bounds how much the whole fleet gives back: at most so many destructive calls in any minute, whatever a defect or a wrong view
 * of the cloud may ask for (docs/decisions/0010-proof-before-destroy.md).
 */
export class DestructiveLimiter {
  readonly #callsPerMinute: number
  /** Times of the calls of the last minute, oldest first; at most as many as the limit. */
  readonly #taken: number[] = []
  #isStopped = false
  #isPaused = false

  /** @param callsPerMinute 0 stops them all */
  constructor(callsPerMinute: number) {
    this.#callsPerMinute = callsPerMinute
  }

  /**
   * When `count` calls may be made: now or earlier = at once; undefined = never.
   *
   * An action of more calls than the limit waits for an empty window: it could not be made at all otherwise.
   */
  allowedAtMs(nowMs: number, count = 1): number | undefined {
    if (this.#isStopped || this.#isPaused || this.#callsPerMinute <= 0) return undefined
    this.#forget(nowMs)
    const surplus = this.#taken.length + Math.min(count, this.#callsPerMinute) - this.#callsPerMinute
    if (surplus <= 0) return nowMs
    const freed = this.#taken[surplus - 1]
    return freed === undefined ? nowMs : freed + WINDOW_MS
  }

  /** Takes the right to make `count` calls now. */
  take(nowMs: number, count = 1): boolean {
    const allowedAtMs = this.allowedAtMs(nowMs, count)
    if (allowedAtMs === undefined || allowedAtMs > nowMs) return false
    for (let call = 0; call < count; call++) this.#taken.push(nowMs)
    return true
  }

  /** The cluster-wide switch of the operator: while it is on no call is made. */
  get isPaused(): boolean {
    return this.#isPaused
  }

  setPaused(isPaused: boolean): void {
    this.#isPaused = isPaused
  }

  /** No further call is made: another controller is at work, and what looks left over may be its own. */
  stop(): void {
    this.#isStopped = true
  }

  #forget(nowMs: number): void {
    const firstKept = this.#taken.findIndex((atMs) => nowMs - atMs < WINDOW_MS)
    this.#taken.splice(0, firstKept === -1 ? this.#taken.length : firstKept)
  }
}
