import type { Clock } from '../runtime/clock.ts'

/** How long a released address is held back from other pods, whose peers may still have connections to its last holder. */
export interface CooldownOptions {
  readonly clock: Clock
  /** 0: not at all, as in the reference. */
  readonly cooldownMs: number
}

/**
 * Keys in the order in which their time is up. All wait equally long, so that a queue is enough: no timer, and the cost of a key
 * is paid once. A key that is added again waits anew.
 */
export class Cooldown<K> {
  readonly #options: CooldownOptions
  /** Key → monotonic ms; in order of insertion, which is the order of due times. */
  readonly #dueMs = new Map<K, number>()

  constructor(options: CooldownOptions) {
    this.#options = options
  }

  get isEnabled(): boolean {
    return this.#options.cooldownMs > 0
  }

  /** Keys that wait, those whose time is up and which were not taken yet included (count). */
  get size(): number {
    return this.#dueMs.size
  }

  add(key: K): void {
    if (!this.isEnabled) return
    this.#dueMs.delete(key)
    this.#dueMs.set(key, this.#options.clock.now() + this.#options.cooldownMs)
  }

  has(key: K): boolean {
    const dueMs = this.#dueMs.get(key)
    return dueMs !== undefined && dueMs > this.#options.clock.now()
  }

  /** @returns whether the key waited */
  delete(key: K): boolean {
    return this.#dueMs.delete(key)
  }

  /** Takes out every key whose time is up. */
  takeDue(): readonly K[] {
    if (this.#dueMs.size === 0) return NONE
    const due: K[] = []
    const nowMs = this.#options.clock.now()
    for (const [key, dueMs] of this.#dueMs) {
      if (dueMs > nowMs) break
      due.push(key)
      this.#dueMs.delete(key)
    }
    return due
  }
}

const NONE: readonly never[] = []
