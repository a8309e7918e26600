/** The place of a read in the order of reads and writes. */
export interface ReadTicket {
  readonly number: number
  /** Monotonic ms: what the read shows is at least this fresh. */
  readonly startedAtMs: number
}

interface InstanceTimes {
  /** The newest read that was applied. */
  readonly applied: ReadTicket | undefined
  /** Number of the newest write that ended; 0 = none. */
  readonly wrote: number
  /** Whether no full sync has been applied since that write. */
  readonly hasUnlistedWrite: boolean
}

const UNKNOWN: InstanceTimes = { applied: undefined, wrote: 0, hasUnlistedWrite: false }

/**
 * What came first, for each machine: reads by when they began, writes by when they ended. A plain counter, as several of them may share
 * one millisecond.
 *
 * @source cilium pkg/azure/ipam/instances.go, the release marker (cilium/cilium#48449)
 */
export class InstanceClock {
  readonly #times = new Map<string, InstanceTimes>()
  #number = 0

  /** A read begins. */
  begin(nowMs: number): ReadTicket {
    return { number: (this.#number += 1), startedAtMs: nowMs }
  }

  /** A write of ours has ended. */
  wrote(instanceID: string): void {
    const times = this.#times.get(instanceID) ?? UNKNOWN
    this.#times.set(instanceID, { ...times, wrote: (this.#number += 1), hasUnlistedWrite: true })
  }

  /** Whether a read tells anything new: it began after our newest write and after whatever was applied. */
  isNews(instanceID: string, { number }: ReadTicket): boolean {
    const { applied, wrote } = this.#times.get(instanceID) ?? UNKNOWN
    return number > wrote && number > (applied?.number ?? 0)
  }

  /** A read was taken over. @param isFull whether it covered everything */
  applied(instanceID: string, ticket: ReadTicket, isFull: boolean): void {
    const times = this.#times.get(instanceID) ?? UNKNOWN
    this.#times.set(instanceID, {
      ...times,
      applied: ticket,
      hasUnlistedWrite: times.hasUnlistedWrite && !isFull,
    })
  }

  /** Start of the newest read that was applied (monotonic ms). */
  syncedAtMs(instanceID: string): number | undefined {
    return this.#times.get(instanceID)?.applied?.startedAtMs
  }

  hasUnlistedWrite(instanceID: string): boolean {
    return this.#times.get(instanceID)?.hasUnlistedWrite ?? false
  }

  forget(instanceID: string): void {
    this.#times.delete(instanceID)
  }
}
