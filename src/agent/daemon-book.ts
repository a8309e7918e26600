import type { Logger } from '../ipam/contracts.ts'
import { assert } from '../runtime/assert.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { TimerQueue } from '../runtime/timer.ts'
import type { AllocationResult } from './allocator.ts'
import { DaemonError } from './daemon-errors.ts'
import { LeaseExpirations } from './daemon-expirations.ts'
import type { HeldLease, LeaseTable } from './daemon-leases.ts'
import { IPAMError } from './errors.ts'
import type { AllocationPair } from './ipam-types.ts'
import type { IPAM } from './ipam.ts'
import type { Lease } from './journal-record.ts'
import type { LeaseJournal } from './journal.ts'
import { poolOrDefault } from './pool.ts'
import { randomUUID } from './uuid.ts'

export interface LeaseBookOptions {
  readonly ipam: IPAM
  /** Empty at first; the journal reads it when it rewrites itself. */
  readonly table: LeaseTable
  readonly journal: LeaseJournal
  readonly clock: Clock
  readonly timers: TimerQueue
  readonly random: Random
  readonly log: Logger
  /** An address is free again. */
  readonly onFreed: () => void
}

/** What became of the leases of before a restart (counts). */
export interface RestoreReport {
  readonly restored: number
  /** Their time was up meanwhile. */
  readonly expired: number
  /** Still held, though not in the node's pool: nobody else gets them, and they end with their attachment. */
  readonly unbacked: number
}

/** Whom a lease is for and how long it lasts. */
export interface LeaseTerms {
  readonly owner: string
  readonly attachment?: string | undefined
  /** ms; 0 or absent: it does not end by itself */
  readonly expirationMs?: number | undefined
}

/**
 * Keeps facade, table and journal in step: whatever begins or ends a lease does so in all three, in one turn. Memory decides; what
 * is answered waits for `save`.
 */
export class LeaseBook {
  readonly #ipam: IPAM
  readonly #table: LeaseTable
  readonly #journal: LeaseJournal
  readonly #clock: Clock
  readonly #random: Random
  readonly #log: Logger
  readonly #onFreed: () => void
  readonly #expirations: LeaseExpirations

  constructor(options: LeaseBookOptions) {
    this.#ipam = options.ipam
    this.#table = options.table
    this.#journal = options.journal
    this.#clock = options.clock
    this.#random = options.random
    this.#log = options.log
    this.#onFreed = options.onFreed
    this.#expirations = new LeaseExpirations(options, (lease) => this.#expire(lease))
  }

  /** Registers what was held before a restart, without telling the API server. */
  restore(leases: readonly Lease[]): RestoreReport {
    let expired = 0
    for (const lease of leases) {
      if (this.#expirations.isOver(lease)) {
        expired += 1
        this.#journal.append({ op: 'free', ip: lease.ip, pool: lease.pool })
        continue
      }
      const result = this.#registered(lease, (error) => {
        this.#log.warn(
          { address: lease.ip, pod: lease.owner, error },
          'A held address is not in the pool; it stays held',
        )
      })
      this.#table.set({ lease, result })
      this.#expirations.arm(lease)
    }
    const unbacked = this.#table.unbackedCount
    return { restored: leases.length - expired - unbacked, expired, unbacked }
  }

  /** Registers leases whose address is in the node's pool again. */
  backUnbacked(): void {
    for (const { lease } of this.#table.unbacked()) {
      const result = this.#registered(lease, () => undefined)
      if (result === undefined) continue
      this.#table.set({ lease, result })
      this.#log.info({ address: lease.ip, pod: lease.owner }, 'A held address is in the pool again')
    }
  }

  /**
   * Takes addresses that no lease holds. One that an unbacked lease holds, and that came back to the pool unnoticed, stays with it.
   *
   * @param take one call of the facade, possibly repeated
   */
  takeNext(take: () => AllocationPair): AllocationPair {
    for (;;) {
      const pair = take()
      const taken = resultsOf(pair).map((result) => ({ result, before: this.#table.get(result.ip, poolOf(result)) }))
      if (taken.every(({ before }) => before === undefined)) return pair
      for (const { result, before } of taken) {
        if (before === undefined) {
          this.#ipam.releaseIP(result.ip, poolOf(result))
          continue
        }
        const { lease } = before
        assert(
          before.result === undefined,
          `${lease.ip} of pool ${lease.pool} was given although ${lease.owner} holds it`,
        )
        this.#table.set({ lease, result })
      }
    }
  }

  /** Begins a lease of what the facade has just given. */
  hold(result: AllocationResult, { owner, attachment, expirationMs = 0 }: LeaseTerms): HeldLease {
    const atMs = this.#clock.wallTime().getTime() + expirationMs
    const lease: Lease = {
      ip: result.ip,
      pool: poolOf(result),
      owner,
      ...(attachment !== undefined && { attachment }),
      ...(expirationMs > 0 && { expiration: { uuid: randomUUID(this.#random), atMs, timeoutMs: expirationMs } }),
    }
    const held = this.#put({ lease, result })
    this.#expirations.arm(lease)
    return held
  }

  /** Gives the address back and ends the lease. @throws IPAMError the facade's; nothing has changed then */
  end({ lease, result }: HeldLease): void {
    if (result !== undefined) this.#ipam.releaseIP(lease.ip, lease.pool)
    this.#forget(lease)
  }

  /** Ends the lease also where the facade does not know the address any more. */
  endAnyhow(held: HeldLease): void {
    try {
      this.end(held)
    } catch (error) {
      if (!(error instanceof IPAMError)) throw error
      this.#log.warn({ address: held.lease.ip, pod: held.lease.owner, error }, 'An address was held by its lease alone')
      this.#forget(held.lease)
    }
  }

  /**
   * Makes everything so far durable, and makes sure that the leases that are about to be answered are still in force.
   *
   * @param taken leases that end if they cannot be answered
   * @param before leases that stay then
   * @throws JournalWriteError. @throws DaemonError LEASE_ENDED
   */
  async save(taken: readonly HeldLease[] = [], before: readonly HeldLease[] = []): Promise<void> {
    try {
      await this.#journal.durable()
      const ended = [...before, ...taken].find((held) => !this.#table.holds(held))
      if (ended === undefined) return
      const { ip, owner, pool } = ended.lease
      throw new DaemonError('LEASE_ENDED', `IP ${ip} was given back meanwhile (owner ${owner}, pool ${pool})`)
    } catch (error) {
      for (const held of taken) if (this.#table.holds(held)) this.endAnyhow(held)
      throw error
    }
  }

  /** Makes a lease last. @throws JournalWriteError; it still expires then */
  async keep(expiring: HeldLease): Promise<void> {
    const { expiration: _, ...lease } = expiring.lease
    const kept = this.#put({ lease, result: expiring.result })
    this.#expirations.cancel(expiring.lease)
    try {
      await this.save()
    } catch (error) {
      if (this.#table.holds(kept)) {
        this.#put(expiring)
        this.#expirations.arm(expiring.lease)
      }
      throw error
    }
  }

  /** No lease ends by itself any more in this process. */
  stop(): void {
    this.#expirations.stop()
  }

  #put(held: HeldLease): HeldLease {
    this.#table.set(held)
    this.#journal.append({ op: 'hold', lease: held.lease })
    return held
  }

  #forget(lease: Lease): void {
    this.#expirations.cancel(lease)
    this.#table.delete(lease.ip, lease.pool)
    this.#journal.append({ op: 'free', ip: lease.ip, pool: lease.pool })
    this.#onFreed()
  }

  #expire(lease: Lease): void {
    const held = this.#table.get(lease.ip, lease.pool)
    if (held?.lease !== lease) return
    this.endAnyhow(held)
    this.#log.warn({ address: lease.ip, pod: lease.owner }, 'Released an address: nobody said in time that it is used')
    this.save().catch((error: unknown) => {
      this.#log.warn({ address: lease.ip, error }, 'An expiry is not saved yet')
    })
  }

  #registered({ ip, owner, pool }: Lease, onRefused: (error: IPAMError) => void): AllocationResult | undefined {
    try {
      return this.#ipam.allocateIPWithoutSyncUpstream(ip, owner, pool)
    } catch (error) {
      if (!(error instanceof IPAMError)) throw error
      onRefused(error)
      return undefined
    }
  }
}

export function resultsOf({ ipv4, ipv6 }: AllocationPair): readonly AllocationResult[] {
  return [ipv4, ipv6].filter((result) => result !== undefined)
}

function poolOf({ ipPoolName }: AllocationResult): string {
  return poolOrDefault(ipPoolName)
}
