import type { Clock } from '../../src/runtime/clock.ts'

/** How long a subnet counts as without free blocks after it refused one, for nodes that need not try (ms). A choice. */
export const REFUSED_FOR_MS = 600_000

/**
 * What the refusals of subnets tell about free /28 blocks: nothing else does, EC2 shows only how many addresses are free. For nodes that
 * had to fall back to single addresses and may try prefixes again: one try in ten minutes a subnet, whatever the number of nodes.
 */
export class PrefixSupply {
  readonly #clock: Clock
  /** When a block was last refused; before that nothing is known, and a process that starts is as good as refused. */
  readonly #refusedAtMs = new Map<string, number>()
  readonly #startedAtMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startedAtMs = clock.now()
  }

  /** The subnet had no free block. */
  refused(subnetID: string): void {
    this.#refusedAtMs.set(subnetID, this.#clock.now())
  }

  /** Whether the subnet had no free block when it was last asked, a while ago at most. */
  isRefused(subnetID: string): boolean {
    const refusedAtMs = this.#refusedAtMs.get(subnetID)
    return refusedAtMs !== undefined && this.#clock.now() - refusedAtMs < REFUSED_FOR_MS
  }

  /** Whether a node that could do without may ask this subnet for a block. */
  mayTry(subnetID: string): boolean {
    const refusedAtMs = this.#refusedAtMs.get(subnetID) ?? this.#startedAtMs
    return this.#clock.now() - refusedAtMs >= REFUSED_FOR_MS
  }
}
