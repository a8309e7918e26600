import type { Clock } from '../../src/runtime/clock.ts'
import { keyOf } from './resource-id.ts'

/** How long a subnet counts as without free blocks after it refused one (ms). A choice, as for AWS. */
const REFUSED_FOR_MS = 600_000

/** Which subnets refused a /28 block: nothing else tells, as Azure shows only how many addresses are free. */
export class PrefixSupply {
  readonly #clock: Clock
  readonly #refusedAtMs = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  refused(subnetID: string): void {
    this.#refusedAtMs.set(keyOf(subnetID), this.#clock.now())
  }

  /** Whether the subnet had no free block when it was last asked, a while ago at most. */
  isRefused(subnetID: string): boolean {
    const refusedAtMs = this.#refusedAtMs.get(keyOf(subnetID))
    return refusedAtMs !== undefined && this.#clock.now() - refusedAtMs < REFUSED_FOR_MS
  }
}
