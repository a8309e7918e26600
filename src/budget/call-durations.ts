/** How much of the mean the newest call is: the last ten or so decide. */
const NEWEST_SHARE = 0.2

/** How long answered calls take, by action: a moving mean. Actions are constants of the code, so it is as long as their list. */
export class CallDurations {
  readonly #meansMs = new Map<string, number>()

  /** @param ms from being sent to the answer */
  observe(action: string, ms: number): void {
    const mean = this.#meansMs.get(action)
    this.#meansMs.set(action, mean === undefined ? ms : mean + (ms - mean) * NEWEST_SHARE)
  }

  /** Undefined before the first call of the action was answered. */
  meanMs(action: string): number | undefined {
    return this.#meansMs.get(action)
  }
}
