import type { AllocationResult } from './allocator.ts'
import { LeaseBook, resultsOf } from './daemon-book.ts'
import type { LeaseBookOptions, RestoreReport } from './daemon-book.ts'
import { DaemonError } from './daemon-errors.ts'
import type { HeldLease, LeaseTable } from './daemon-leases.ts'
import { AddressWaiters } from './daemon-waiting.ts'
import { AggregateIPAMError, IPAMError, unknownFamilyError } from './errors.ts'
import { canonicalIP, FAMILIES, isFamily } from './family.ts'
import type { Family } from './family.ts'
import type { AllocationPair, IPAMDump } from './ipam-types.ts'
import type { IPAM } from './ipam.ts'
import type { Lease } from './journal-record.ts'
import { POOL_DEFAULT, poolOrDefault } from './pool.ts'

export type DaemonCoreOptions = Omit<LeaseBookOptions, 'onFreed'>

/** A request for any address. */
export interface AllocateRequest {
  /** Empty or absent: every enabled family. In any case of letters. */
  readonly family?: string
  readonly owner: string
  /** Empty or absent: the default pool. */
  readonly pool?: string
  /** `network/containerID/ifname`: a repeat of the request gets what the first one got. */
  readonly attachment?: string
  /** Until the lease ends unless `keep` is called (ms); 0 or absent: it does not end. */
  readonly expirationMs?: number
  /** How long to wait for an address when there is none (ms); 0 or absent: not at all. */
  readonly waitMs?: number
  /** Aborted when nobody waits for the answer any more. */
  readonly signal?: AbortSignal
}

const NEVER = new AbortController().signal

/**
 * The agent of one node without its sockets: requests in, addresses out. Adds to the facade what outlives a process and a lost
 * answer: leases in a journal, attachments whose repeated requests get the same addresses, expirations that go on over a restart.
 *
 * Decisions are synchronous and booked in memory first; a call resolves only when everything it saw and did is durable. A repeat of
 * a call that failed, or whose answer was lost, is always safe. Errors are `IPAMError`, `DaemonError` and `JournalWriteError`.
 */
export class DaemonCore {
  readonly #ipam: IPAM
  readonly #table: LeaseTable
  readonly #book: LeaseBook
  readonly #waiters: AddressWaiters
  /** Owners of the agent's own addresses. */
  readonly #reserved = new Set<string>()
  #state: 'restoring' | 'open' | 'stopping' = 'restoring'

  constructor(options: DaemonCoreOptions) {
    this.#ipam = options.ipam
    this.#table = options.table
    this.#waiters = new AddressWaiters(options.clock)
    this.#book = new LeaseBook({ ...options, onFreed: () => this.#waiters.notify() })
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Addresses held (count), unbacked ones included. */
  get leaseCount(): number {
    return this.#table.size
  }

  /** Leases whose address is not in the node's pool (count). */
  get unbackedCount(): number {
    return this.#table.unbackedCount
  }

  /** Requests that wait for an address (count). */
  get waitingCount(): number {
    return this.#waiters.waiting
  }

  /** Registers what was held before the restart. Once, before everything else. */
  restore(leases: readonly Lease[]): RestoreReport {
    return this.#book.restore(leases)
  }

  /**
   * Takes one address of each enabled family for the agent itself; what a name held before a restart it keeps, where it still can.
   * May be repeated.
   *
   * @throws IPAMError the allocator's; nothing is held for this name then that was not held before
   * @source cilium daemon/cmd/ipam.go, allocateDatapathIPs and allocateHealthIPs
   */
  reserve(name: string): AllocationPair {
    this.#reserved.add(name)
    const own = this.#ownLeases(name)
    for (const held of own) if (held.result === undefined) this.#book.end(held)
    const missing = this.#enabledFamilies().filter((family) => !own.some((held) => isOf(held, family)))
    const taken: HeldLease[] = []
    try {
      for (const family of missing) {
        const request = { family, owner: name }
        const pair = this.#book.takeNext(() => ({
          [family]: this.#ipam.allocateNextFamilyWithoutSyncUpstream(request),
        }))
        for (const result of resultsOf(pair)) taken.push(this.#book.hold(result, { owner: name }))
      }
    } catch (error) {
      for (const held of taken) this.#book.endAnyhow(held)
      throw error
    }
    return this.reserved(name)
  }

  /** The agent's own addresses of this name. */
  reserved(name: string): AllocationPair {
    return pairOf(this.#ownLeases(name))
  }

  /** Never hands this address out; who holds it keeps it. @throws IPAMError INVALID_IP */
  exclude(ip: string, owner: string): void {
    this.#ipam.excludeIP(ip, owner)
  }

  /** Everything of before the restart is registered: serves requests from now on. @throws JournalWriteError */
  async open(): Promise<void> {
    await this.#book.save()
    if (this.#state !== 'restoring') return
    this.#ipam.restoreFinished()
    this.#state = 'open'
  }

  /** Takes no more requests and lets go of those that wait. Leases stay. */
  stop(): void {
    this.#state = 'stopping'
    this.#book.stop()
    this.#waiters.notify()
  }

  /** The node's addresses may have changed. To be called in the same turn, before anybody else can ask for one. */
  addressesChanged(): void {
    this.#book.backUnbacked()
    this.#waiters.notify()
  }

  /**
   * An address of every family that is asked for and enabled.
   *
   * @throws IPAMError FAMILY_UNKNOWN, ALLOCATOR_UNAVAILABLE (no family that is asked for is enabled), and the allocator's
   * @throws DaemonError NOT_READY, STOPPING, LEASE_ENDED, LEASE_UNBACKED
   * @throws JournalWriteError nothing is held then
   */
  async allocate(request: AllocateRequest): Promise<AllocationPair> {
    const { waitMs = 0, signal = NEVER } = request
    const families = this.#familiesOf(request)
    const attempt = () => this.#allocate(request, families)
    const { before, taken } = await this.#waiters.untilAvailable(attempt, waitMs, signal)
    await this.#book.save(taken, before)
    return pairOf([...before, ...taken])
  }

  /** Exactly this address. @throws as `allocate`, and IPAMError INVALID_IP, IP_EXCLUDED, IP_IN_USE, the allocator's */
  async allocateIP(ip: string, owner: string, pool?: string): Promise<AllocationResult> {
    this.#requireOpen()
    const { ip: address, pool: named } = this.#placeOf(ip, pool)
    const before = this.#table.get(address, named)
    if (before !== undefined && before.result === undefined) {
      const text = `IP ${address} is held by ${before.lease.owner}`
      throw new IPAMError('IP_IN_USE', text, { ip: address, owner, pool: named })
    }
    const result = this.#ipam.allocateIP(address, owner, named)
    await this.#book.save([this.#book.hold(result, { owner })])
    return result
  }

  /**
   * Gives an address back, or all addresses of an owner in the pool.
   *
   * @param arg an address or an owner's name, tried in this order
   * @throws IPAMError INVALID_IP_OR_OWNER, the allocator's; AggregateIPAMError. @throws DaemonError ADDRESS_ATTACHED, ADDRESS_RESERVED
   * @throws JournalWriteError the address is free, and may be held again after a restart: repeat the call
   */
  async release(arg: string, pool?: string): Promise<void> {
    this.#requireOpen()
    if (isAddress(arg)) this.#releaseAddress(arg, pool)
    else this.#releaseOwner(arg, pool)
    await this.#book.save()
  }

  /**
   * The requester uses the address: its lease does not end by itself any more.
   *
   * @throws IPAMError INVALID_IP, TIMER_NOT_FOUND, TIMER_UUID_MISMATCH; then nothing changes. @throws JournalWriteError likewise
   */
  async keep(ip: string, uuid: string, pool?: string): Promise<void> {
    this.#requireOpen()
    const { ip: address, pool: named } = this.#placeOf(ip, pool)
    const held = this.#table.get(address, named)
    const about = { ip: address, owner: held?.lease.owner, pool: named }
    if (held?.lease.expiration === undefined) {
      throw new IPAMError('TIMER_NOT_FOUND', 'no expiration timer registered', about)
    }
    if (held.lease.expiration.uuid !== uuid) {
      throw new IPAMError('TIMER_UUID_MISMATCH', `the expiration timer has another UUID than ${uuid}`, about)
    }
    await this.#book.keep(held)
  }

  /** What an attachment holds. @throws DaemonError NOT_READY, ATTACHMENT_UNKNOWN */
  async attachment(attachment: string): Promise<AllocationPair> {
    this.#requireOpen()
    const held = this.#table.ofAttachment(attachment)
    if (held.length === 0) throw new DaemonError('ATTACHMENT_UNKNOWN', `No address is held for ${attachment}`)
    await this.#book.save([], held)
    return pairOf(held)
  }

  /** The attachment is gone: gives back what it held, if anything. @throws DaemonError NOT_READY. @throws JournalWriteError: repeat */
  async releaseAttachment(attachment: string): Promise<void> {
    this.#requireOpen()
    for (const held of this.#table.ofAttachment(attachment)) this.#book.endAnyhow(held)
    await this.#book.save()
  }

  /**
   * Gives back what attachments of a network hold that its runtime does not know any more.
   *
   * @param valid `network/containerID/ifname` of those that it knows
   * @returns attachments that ended (count)
   */
  async releaseOthers(network: string, valid: ReadonlySet<string>): Promise<number> {
    this.#requireOpen()
    const gone = this.#table.attachmentsWith(`${network}/`).filter((attachment) => !valid.has(attachment))
    for (const held of gone.flatMap((attachment) => this.#table.ofAttachment(attachment))) this.#book.endAnyhow(held)
    await this.#book.save()
    return gone.length
  }

  /** Who holds what. */
  dump(): IPAMDump & { readonly unbacked: readonly Lease[] } {
    return { ...this.#ipam.dump(), unbacked: this.#table.unbacked().map(({ lease }) => lease) }
  }

  #allocate(
    request: AllocateRequest,
    families: readonly Family[],
  ): { before: readonly HeldLease[]; taken: HeldLease[] } {
    this.#requireOpen()
    const { owner, attachment } = request
    const before = attachment === undefined ? [] : this.#table.ofAttachment(attachment)
    const unbacked = before.find(({ result }) => result === undefined)
    if (unbacked !== undefined) {
      const text = `${attachment} holds ${unbacked.lease.ip}, which is not in the node's pool any more`
      throw new DaemonError('LEASE_UNBACKED', text)
    }
    const missing = families.filter((family) => !before.some((held) => isOf(held, family)))
    const [first] = missing
    if (first === undefined) return { before, taken: [] }
    const next = { family: missing.length > 1 ? '' : first, owner, pool: poolOrDefault(request.pool) }
    const pair = this.#book.takeNext(() => this.#ipam.allocateNext(next))
    return { before, taken: resultsOf(pair).map((result) => this.#book.hold(result, request)) }
  }

  /** @throws IPAMError FAMILY_UNKNOWN, ALLOCATOR_UNAVAILABLE */
  #familiesOf({ family: written = '', owner, pool }: AllocateRequest): readonly Family[] {
    const family = written.toLowerCase()
    if (family !== '' && !isFamily(family)) throw unknownFamilyError(written, { owner, pool })
    const families = this.#enabledFamilies().filter((enabled) => family === '' || enabled === family)
    if (families.length > 0) return families
    const text = family === '' ? 'no address family is enabled' : `${family} allocator not available`
    throw new IPAMError('ALLOCATOR_UNAVAILABLE', text, { owner, pool })
  }

  #enabledFamilies(): readonly Family[] {
    const { ipv4Allocator, ipv6Allocator } = this.#ipam
    return FAMILIES.filter((family) => (family === 'ipv4' ? ipv4Allocator : ipv6Allocator) !== undefined)
  }

  /** Without pools everything is of the default one, whatever a request names. @throws IPAMError INVALID_IP */
  #placeOf(text: string, requested: string | undefined): { readonly ip: string; readonly pool: string } {
    const { ip, family } = canonicalIP(text)
    return { ip, pool: this.#poolOf(family, requested) }
  }

  #poolOf(family: Family, requested: string | undefined): string {
    const allocator = family === 'ipv4' ? this.#ipam.ipv4Allocator : this.#ipam.ipv6Allocator
    return allocator?.isPooled === true ? poolOrDefault(requested) : POOL_DEFAULT
  }

  #releaseAddress(text: string, requested: string | undefined): void {
    const { ip, pool } = this.#placeOf(text, requested)
    const held = this.#table.get(ip, pool)
    // What no lease holds is the allocator's to judge: some refuse, some do not mind.
    if (held === undefined) this.#ipam.releaseIP(ip, pool)
    else this.#endUnlessInUse(held)
  }

  #releaseOwner(owner: string, requested: string | undefined): void {
    const leases = this.#table
      .ofOwner(owner)
      .filter(({ lease }) => lease.pool === this.#poolOf(canonicalIP(lease.ip).family, requested))
    if (leases.length === 0) {
      const text = `neither an IP address nor a known owner: ${JSON.stringify(owner)}`
      throw new IPAMError('INVALID_IP_OR_OWNER', text, { owner, pool: poolOrDefault(requested) })
    }
    const errors: IPAMError[] = []
    for (const held of leases) {
      try {
        this.#endUnlessInUse(held)
      } catch (error) {
        if (!(error instanceof IPAMError)) throw error
        errors.push(error)
      }
    }
    const [only] = errors
    if (only !== undefined) throw errors.length === 1 ? only : new AggregateIPAMError(errors)
  }

  /** @source cilium daemon/cmd/ipam.go: an address that an endpoint uses is not released */
  #endUnlessInUse(held: HeldLease): void {
    const { ip, owner, pool, attachment } = held.lease
    const about = `(owner ${owner}, pool ${pool})`
    if (attachment !== undefined) {
      throw new DaemonError('ADDRESS_ATTACHED', `IP ${ip} is in use by attachment ${attachment} ${about}`)
    }
    if (this.#reserved.has(owner)) throw new DaemonError('ADDRESS_RESERVED', `IP ${ip} is the agent's own ${about}`)
    this.#book.end(held)
  }

  #ownLeases(name: string): readonly HeldLease[] {
    return this.#table.ofOwner(name).filter(({ lease }) => lease.attachment === undefined)
  }

  #requireOpen(): void {
    if (this.#state === 'open') return
    if (this.#state === 'stopping') throw new DaemonError('STOPPING', 'The agent is stopping')
    throw new DaemonError('NOT_READY', 'The agent has not registered the addresses of before its start yet')
  }
}

function isOf({ lease, result }: HeldLease, family: Family): boolean {
  return result !== undefined && canonicalIP(lease.ip).family === family
}

/** Of each family the first, with the token of its lease. */
function pairOf(leases: readonly HeldLease[]): AllocationPair {
  const find = (family: Family): AllocationResult | undefined => {
    const held = leases.find((one) => isOf(one, family))
    const uuid = held?.lease.expiration?.uuid
    if (held?.result === undefined || uuid === undefined) return held?.result
    return { ...held.result, expirationUUID: uuid }
  }
  const ipv4 = find('ipv4')
  const ipv6 = find('ipv6')
  return { ...(ipv4 !== undefined && { ipv4 }), ...(ipv6 !== undefined && { ipv6 }) }
}

function isAddress(text: string): boolean {
  try {
    canonicalIP(text)
    return true
  } catch (error) {
    if (error instanceof IPAMError) return false
    throw error
  }
}
