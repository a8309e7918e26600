import { CloudAPIError } from '../../src/ipam/errors.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { EC2Action } from './buckets.ts'

/** How long a refusal holds before anybody asks the subnet again (ms); doubles with each that follows. A choice. */
const FIRST_CLOSED_MS = 30_000
const LONGEST_CLOSED_MS = 600_000

/** The code of a refusal of our own: no call was made. */
const NO_ROOM_CODE = 'NoRoomInSubnet'

interface Refusal {
  readonly atMs: number
  readonly untilMs: number
  /** Free addresses that are still believed in (count); 0 = the subnet is closed. */
  readonly ceiling: number
  /** Least free addresses that were listed since (count): more than that is room that was given back. */
  readonly leastListed: number
  /** Refusals of which each came after the one before it had ended (count). */
  readonly inARow: number
}

/** Addresses of a subnet that a call under way is about to take. */
export interface Claim {
  /** Granted (count): all that was wanted, or what is left. */
  readonly count: number
  /** The call is over; what it took is told apart. */
  readonly end: () => void
  /** To be called when it is the call's turn: the subnet may have closed meanwhile. @throws CloudAPIError exhausted */
  readonly admit: () => void
}

/**
 * How many of the free addresses that EC2 lists a plan may count on, shared by all nodes. What calls under way are about to take is
 * not there for others, and a subnet that refused counts as having at most half of what it refused, at last none: until a listing shows
 * room, or for a time that grows with each refusal. docs/decisions/0023-free-counts.md, 0031-full-subnets.md
 */
export class SubnetRoom {
  readonly #clock: Clock
  readonly #onChange: () => void
  readonly #claimed = new Map<string, number>()
  readonly #refusals = new Map<string, Refusal>()

  /** @param onChange the free counts are other ones now */
  constructor(clock: Clock, onChange: () => void) {
    this.#clock = clock
    this.#onChange = onChange
  }

  /** When the next refusal ends by itself (monotonic ms); undefined when none will. */
  get nextEndMs(): number | undefined {
    const ends = [...this.#refusals.values()].map(({ untilMs }) => untilMs).filter((ms) => ms > this.#clock.now())
    return ends.length === 0 ? undefined : Math.min(...ends)
  }

  /** Free addresses to count on (count). @param known as listed, with what our own calls have changed since (count) */
  free(subnetID: string, known: number): number {
    const ceiling = this.#active(subnetID)?.ceiling ?? Number.POSITIVE_INFINITY
    return Math.max(0, Math.min(known, ceiling) - (this.#claimed.get(subnetID) ?? 0))
  }

  /**
   * Claims addresses for a call.
   *
   * @param known as for `free`; undefined = the subnet is not known: nothing is said against it
   * @returns undefined when there is none left
   */
  claim(subnetID: string, wanted: number, known: number | undefined, action: EC2Action): Claim | undefined {
    const count = known === undefined ? wanted : Math.min(wanted, this.free(subnetID, known))
    if (count <= 0) return undefined
    this.#claimed.set(subnetID, (this.#claimed.get(subnetID) ?? 0) + count)
    this.#onChange()
    let isUnderWay = true
    return {
      count,
      end: () => {
        if (!isUnderWay) return
        isUnderWay = false
        const left = (this.#claimed.get(subnetID) ?? 0) - count
        if (left > 0) this.#claimed.set(subnetID, left)
        else this.#claimed.delete(subnetID)
        this.#onChange()
      },
      admit: () => {
        if (this.#active(subnetID)?.ceiling === 0) throw noRoom(subnetID, action)
      },
    }
  }

  /** Our own call took addresses (negative) or gave some back (count). */
  changed(subnetID: string, difference: number): void {
    const refusal = this.#refusals.get(subnetID)
    if (refusal === undefined) return
    // A call that got through after the refusal had ended: the next one begins anew.
    if (difference < 0 && this.#active(subnetID) === undefined) this.#refusals.delete(subnetID)
    else this.#refusals.set(subnetID, { ...refusal, ceiling: Math.max(refusal.ceiling + difference, 0) })
  }

  /** EC2 had no room for so many (count). @param known as for `free` */
  refused(subnetID: string, refusedCount: number, known: number): void {
    const nowMs = this.#clock.now()
    const before = this.#refusals.get(subnetID)
    const active = this.#active(subnetID)
    const inARow = (before?.inARow ?? 0) + Number(active === undefined)
    this.#refusals.set(subnetID, {
      atMs: nowMs,
      untilMs: active?.untilMs ?? nowMs + Math.min(FIRST_CLOSED_MS * 2 ** (inARow - 1), LONGEST_CLOSED_MS),
      ceiling: Math.min(active?.ceiling ?? Number.POSITIVE_INFINITY, Math.floor(refusedCount / 2)),
      leastListed: active?.leastListed ?? known,
      inARow,
    })
    this.#onChange()
  }

  /**
   * A listing of the subnets that began then. After the first refusal in a row it is believed: what filled the subnet may be gone. When the
   * subnet refuses again nevertheless, as one does whose free addresses are reserved, only a listing that shows more than before opens it.
   *
   * @param free by subnet (count)
   */
  listed(free: ReadonlyMap<string, number>, startedAtMs: number): void {
    for (const [subnetID, refusal] of this.#refusals) {
      const now = free.get(subnetID)
      if (now === undefined) this.#refusals.delete(subnetID)
      else if (startedAtMs > refusal.atMs) this.#compare(subnetID, refusal, now)
    }
    this.#onChange()
  }

  #compare(subnetID: string, refusal: Refusal, listedFree: number): void {
    if (listedFree > refusal.leastListed) this.#refusals.delete(subnetID)
    else {
      const untilMs = refusal.inARow === 1 ? Math.min(refusal.untilMs, this.#clock.now()) : refusal.untilMs
      this.#refusals.set(subnetID, { ...refusal, untilMs, leastListed: listedFree })
    }
  }

  #active(subnetID: string): Refusal | undefined {
    const refusal = this.#refusals.get(subnetID)
    return refusal !== undefined && this.#clock.now() < refusal.untilMs ? refusal : undefined
  }
}

/**
 * A call that is not made, because the subnet refused others a moment ago or has nothing left.
 *
 * @param forPrefixes fewer addresses are left than a /28 block has
 */
export function noRoom(subnetID: string, action: EC2Action, forPrefixes = false): CloudAPIError {
  const what = forPrefixes ? 'free /28 block' : 'free address'
  return new CloudAPIError(`${action}: subnet ${subnetID} has no ${what} left`, {
    kind: 'exhausted',
    ...(forPrefixes && { reason: 'prefixExhausted' as const }),
    code: NO_ROOM_CODE,
    action,
  })
}

/** Whether a failure is a refusal of our own: it tells nothing new about the subnet. */
export function isOwnRefusal(error: unknown): boolean {
  return error instanceof CloudAPIError && error.code === NO_ROOM_CODE
}
