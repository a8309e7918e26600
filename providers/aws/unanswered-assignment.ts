import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { VISIBILITY_MS } from './interface-change.ts'
import type { ENI } from './types.ts'

/**
 * How old a call without an answer must be before a read that shows nothing of it is believed (ms). Where addresses that are assigned twice
 * only become excess, what is usual of EC2 is enough, since pods may wait; where they would break a ceiling, it is as long as anything was
 * seen to take.
 */
const USUAL_PATIENCE_MS = 3000
const CEILING_PATIENCE_MS = VISIBILITY_MS

/** Wait before the second read of an instance whose assignment was not answered (ms); doubles. A choice. */
const FIRST_WAIT_MS = 1000
/** Reads until the fate of an assignment is taken for known (count); the waits add up to more than a change stays invisible. */
const MAX_READS = 8

export interface AssignmentReads {
  readonly clock: Clock
  /** The node may not have more than so many addresses: `spec.ipam.max-allocate`. */
  readonly hasCeiling: boolean
  /** The interface as the inventory has it now. */
  interfaceNow(interfaceID: string): ENI | undefined
  /** Start of the newest read that covered the instance (monotonic ms). */
  syncedAtMs(): number | undefined
  /** Reads the instance into the inventory. @throws CloudAPIError; the signal's reason */
  read(context: CallContext): Promise<void>
}

interface Unanswered {
  readonly interfaceID: string
  readonly atMs: number
  readonly addresses: ReadonlySet<string>
  readonly ipv6Prefixes: ReadonlySet<string>
}

/**
 * An assignment of one node whose answer was lost: EC2 takes no token for it, so that repeating it may assign twice. What became of it
 * shows in the instance's interfaces, but late: a read that shows nothing new is believed only when it began so long after the call that
 * EC2 would have shown it.
 */
export class UnansweredAssignment {
  #unanswered: Unanswered | undefined

  /** @param eni the interface as it was known when the answer was given up */
  record(eni: ENI, nowMs: number): void {
    // An older one is not forgotten: what it may have brought is new against the older record.
    if (this.#unanswered?.interfaceID === eni.id) this.#unanswered = { ...this.#unanswered, atMs: nowMs }
    else {
      const { id: interfaceID, addresses, ipv6Prefixes } = eni
      const known = { addresses: new Set(addresses), ipv6Prefixes: new Set(ipv6Prefixes) }
      this.#unanswered = { interfaceID, atMs: nowMs, ...known }
    }
  }

  /**
   * Finds out what became of it; to be called before anything more is assigned.
   *
   * @returns addresses that it brought (count); undefined when there was none, or it had no effect
   * @throws CloudAPIError; the signal's reason
   */
  async settle(reads: AssignmentReads, context: CallContext): Promise<number | undefined> {
    for (let readCount = 0; this.#unanswered !== undefined; readCount++) {
      const { interfaceID, atMs, addresses, ipv6Prefixes } = this.#unanswered
      const eni = reads.interfaceNow(interfaceID)
      const added = eni?.addresses.filter((address) => !addresses.has(address)) ?? []
      const hasEffect = added.length > 0 || eni?.ipv6Prefixes.some((prefix) => !ipv6Prefixes.has(prefix)) === true
      const visibleFromMs = atMs + (reads.hasCeiling ? CEILING_PATIENCE_MS : USUAL_PATIENCE_MS)
      const isKnown = hasEffect || eni === undefined || (reads.syncedAtMs() ?? 0) >= visibleFromMs
      if (isKnown || readCount >= MAX_READS) {
        this.#unanswered = undefined
        return hasEffect ? added.length : undefined
      }
      const waitMs = Math.min(FIRST_WAIT_MS * 2 ** readCount, visibleFromMs - reads.clock.now())
      if (waitMs > 0) await reads.clock.sleep(waitMs, context.signal)
      await reads.read(context)
    }
    return undefined
  }
}
