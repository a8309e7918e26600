import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'

/** @source client-go tools/cache/reflector.go, NewReflectorWithOptions: 800 ms, factor 2, jitter 1.0, at most 30 s */
const FIRST_MS = 800
const LONGEST_MS = 30_000

/** Waits between repeated failures: doubling, jittered, at least what the server asked for. */
export class Backoff {
  readonly #clock: Clock
  readonly #random: Random
  #failures = 0

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  reset(): void {
    this.#failures = 0
  }

  /** @param atLeastMs the server's own wish, e.g. its Retry-After */
  async wait(signal: AbortSignal, atLeastMs = 0): Promise<void> {
    const baseMs = Math.min(FIRST_MS * 2 ** this.#failures, LONGEST_MS)
    this.#failures += 1
    const waitMs = Math.min(baseMs * (1 + this.#random.next()), LONGEST_MS)
    await this.#clock.sleep(Math.max(waitMs, Math.min(atLeastMs, LONGEST_MS)), signal)
  }
}
