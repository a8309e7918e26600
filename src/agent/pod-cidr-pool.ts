import type { Logger } from '../ipam/contracts.ts'
import type { CIDR } from '../ipam/ip-range.ts'
import { cidrsOverlap, formatCIDR, parseCIDR } from '../ipam/ip-range.ts'
import type { AddressRangeOptions } from './address-range.ts'
import { AddressRange, claimFrom, heldBackClause } from './address-range.ts'
import type { ExcludedAddresses } from './allocator.ts'
import type { IPAMErrorDetails } from './errors.ts'
import { IPAMError } from './errors.ts'
import type { Family } from './family.ts'
import type { UnreachableRoutes } from './node-writer.ts'

export interface PodCIDRPoolOptions {
  readonly family: Family
  readonly range: AddressRangeOptions
  readonly log: Logger
  /** Absent: unreachable routes are not enabled. */
  readonly unreachableRoutes?: UnreachableRoutes | undefined
}

/** What a pool holds (counts of addresses, of CIDRs). */
export interface PodCIDRPoolDump {
  /** Canonical texts. */
  readonly addresses: ReadonlySet<string>
  readonly used: number
  /** Of CIDRs that are still listed. */
  readonly free: number
  readonly podCIDRs: number
}

/**
 * What may become of a CIDR that was given back and is still listed: it is another's by now; it is taken up at once, since nobody was told
 * yet; or it is asked for, and used once the resource says that it is ours.
 */
export type Reclaim = 'no' | 'at-once' | 'once-confirmed'

/** Options of a range that belong to its pool, not to the node. */
export type RangeEdges = Pick<AddressRangeOptions, 'allowFirstIP' | 'allowLastIP'>

/**
 * Several pod CIDRs of one family that others add and take away. Two things may be wrong with a CIDR: it was taken away while in use
 * (`removed`: it serves its holders and nobody else), or we gave it back (`released`: it may be listed until the other side has
 * noticed, and must not be taken up again meanwhile).
 *
 * @source cilium pkg/ipam/podcidr.go and pkg/ipam/multipool.go, podCIDRPool
 */
export class PodCIDRPool {
  readonly #options: PodCIDRPoolOptions
  /** In the order in which they were listed, which is the order of use. */
  #ranges: readonly AddressRange[] = []
  /** CIDR texts. */
  readonly #removed = new Set<string>()
  readonly #released = new Map<string, CIDR>()
  /** CIDRs that are asked for: they count as ours and serve nobody yet. */
  readonly #unconfirmed = new Set<string>()
  #edges: RangeEdges = {}

  constructor(options: PodCIDRPoolOptions) {
    this.#options = options
  }

  /** CIDRs that were given back before a restart and may still be listed. Unparsable texts are ignored. */
  seedReleased(texts: Iterable<string>): void {
    for (const text of texts) {
      const cidr = parseCIDR(text)
      if (cidr?.family === this.#options.family) this.#released.set(formatCIDR(cidr), cidr)
    }
  }

  /** The CIDRs that the node is to use now, in order of use; those of the other family are not looked at. */
  update(texts: readonly string[], edges: RangeEdges = {}): void {
    const { log } = this.#options
    this.#edges = edges
    const listed = this.#parse(texts)
    this.#forgetReleased(listed)
    this.#forgetRoutes()
    const hadRanges = this.#ranges.length > 0
    const kept = this.#ranges.filter((range) => this.#keep(range, listed))
    this.#ranges = kept
    const known = new Set(kept.map(({ text }) => text))
    for (const [text, cidr] of listed)
      if (!known.has(text) && !this.#released.has(text)) this.#ranges = [...this.#ranges, ...this.#adopt(cidr)]
    for (const text of this.#unconfirmed) if (!listed.has(text)) this.#unconfirmed.delete(text)
    if (hadRanges && this.#ranges.length === 0) log.warn({ family: this.#options.family }, 'The last pod CIDR is gone')
  }

  /** These CIDRs are ours, as the resource says. @param texts canonical */
  confirm(texts: ReadonlySet<string>): void {
    for (const text of this.#unconfirmed) if (texts.has(text)) this.#unconfirmed.delete(text)
  }

  /** Unused CIDRs but these serve nobody before the resource says that they are ours. @param texts canonical */
  confirmOnly(texts: ReadonlySet<string>): void {
    for (const { text, used } of this.#ranges) if (used === 0 && !texts.has(text)) this.#unconfirmed.add(text)
  }

  /** The pool is not listed at all: what was given back has been noticed, what is held is left alone. */
  unlisted(): void {
    this.#forgetReleased(new Map())
  }

  /** @param details of the request, for the error. @throws IPAMError NOT_IN_ANY_POD_CIDR, and the range's */
  allocate(ip: string, details: IPAMErrorDetails, ignoresCooldown: boolean): void {
    const range = this.#ranges.find((candidate) => candidate.contains(ip))
    if (range === undefined)
      throw new IPAMError('NOT_IN_ANY_POD_CIDR', `IP ${ip} is not in any pod CIDR`, { ...details, ip })
    claimFrom(range, ip, details, ignoresCooldown)
  }

  /** @returns canonical text. @throws IPAMError POD_CIDRS_EXHAUSTED */
  allocateNext(details: IPAMErrorDetails, excluded?: ExcludedAddresses): string {
    for (const range of this.#ranges) {
      if (this.#removed.has(range.text) || this.#unconfirmed.has(range.text)) continue
      const ip = range.claimNext(excluded)
      if (ip !== undefined) return ip
    }
    throw new IPAMError(
      'POD_CIDRS_EXHAUSTED',
      `all pod CIDR ranges are exhausted${heldBackClause(this.#ranges)}`,
      details,
    )
  }

  /** An address that is not held, or in no pod CIDR, is no failure. */
  release(ip: string): void {
    for (const range of this.#ranges) if (range.release(ip)) return
  }

  get hasAvailableIPs(): boolean {
    return this.#current().some((range) => !this.#unconfirmed.has(range.text) && range.hasAvailable)
  }

  /** Addresses of pods (count). */
  get used(): number {
    return sum(this.#ranges, (range) => range.used)
  }

  /** Free addresses of CIDRs that are still listed (count). */
  get free(): number {
    return sum(this.#current(), (range) => range.free)
  }

  get cooling(): number {
    return sum(this.#ranges, (range) => range.cooling)
  }

  /** Addresses of all CIDRs, used or not (count). */
  get capacity(): number {
    return sum(this.#ranges, (range) => range.count)
  }

  /** Nothing is held, and nothing given back is still listed. */
  get isEmpty(): boolean {
    return this.#ranges.length === 0 && this.#released.size === 0
  }

  dump(): PodCIDRPoolDump {
    return {
      addresses: new Set(this.#ranges.flatMap((range) => [...range.addresses()])),
      used: this.used,
      free: this.free,
      podCIDRs: this.#ranges.length,
    }
  }

  /** Texts of the CIDRs that are held, sorted as texts. */
  inUseCIDRs(): readonly string[] {
    return this.#ranges.map(({ text }) => text).sort()
  }

  /** CIDRs that were given back and are still listed, sorted as texts. */
  releasedCIDRs(): readonly string[] {
    return [...this.#released.keys()].sort()
  }

  /**
   * Gives back unused CIDRs, the last listed first, as long as `freeNeeded` addresses stay free. Where fewer are free, CIDRs that
   * were given back and are still listed are taken up again, the lowest first.
   *
   * @param freeNeeded addresses (count)
   * @param reclaimOf what may become of a CIDR that was given back; absent: none is taken up
   * @source cilium pkg/ipam/multipool.go, releaseExcessCIDRsMultiPool
   */
  releaseExcess(freeNeeded: number, reclaimOf?: (cidr: string) => Reclaim): void {
    if (reclaimOf !== undefined) this.#reclaim(freeNeeded, reclaimOf)
    let free = this.free
    const gone = new Set<AddressRange>()
    for (const range of this.#ranges.toReversed()) {
      if (range.used > 0) continue
      if (!this.#removed.has(range.text)) {
        // An address that is held back keeps its CIDR: another node must not hand it out before its time.
        if (range.cooling > 0 || free - range.free < freeNeeded) continue
        free -= range.free
      }
      gone.add(range)
    }
    this.#giveBack(gone)
  }

  /** The ranges in order of use, each with what is wrong with it; for the status of cluster-pool-v2beta. */
  ranges(): readonly { readonly range: AddressRange; readonly isRemoved: boolean }[] {
    return this.#ranges.map((range) => ({ range, isRemoved: this.#removed.has(range.text) }))
  }

  /** Gives these CIDRs back, whatever is free. They must be unused. */
  giveBack(texts: ReadonlySet<string>): void {
    this.#giveBack(new Set(this.#ranges.filter(({ text }) => texts.has(text))))
  }

  #forgetReleased(listed: ReadonlyMap<string, CIDR>): void {
    for (const text of this.#released.keys()) if (!listed.has(text)) this.#released.delete(text)
  }

  #giveBack(gone: ReadonlySet<AddressRange>): void {
    if (gone.size === 0) return
    this.#ranges = this.#ranges.filter((range) => !gone.has(range))
    for (const { text, cidr } of gone) {
      this.#removed.delete(text)
      this.#unconfirmed.delete(text)
      this.#released.set(text, cidr)
      this.#options.log.debug({ cidr: text }, 'Released pod CIDR')
    }
  }

  #reclaim(freeNeeded: number, reclaimOf: (cidr: string) => Reclaim): void {
    const candidates = [...this.#released.values()]
      .filter((cidr) => reclaimOf(formatCIDR(cidr)) !== 'no')
      .sort(byNetwork)
    for (const cidr of candidates) {
      if (this.free >= freeNeeded) return
      if (this.#ranges.some((range) => cidrsOverlap(range.cidr, cidr))) continue
      const [range] = this.#usableRange(cidr)
      if (range === undefined) continue
      this.#released.delete(range.text)
      this.#ranges = [...this.#ranges, range]
      if (reclaimOf(range.text) === 'once-confirmed') this.#unconfirmed.add(range.text)
      this.#options.log.debug({ cidr: range.text }, 'Took a released pod CIDR up again')
    }
  }

  #parse(texts: readonly string[]): Map<string, CIDR> {
    const { family, log } = this.#options
    const listed = new Map<string, CIDR>()
    for (const text of texts) {
      const cidr = parseCIDR(text)
      if (cidr === undefined) log.error({ cidr: text }, 'Ignored an invalid pod CIDR')
      else if (cidr.family === family) {
        const canonical = formatCIDR(cidr)
        if (listed.has(canonical)) log.error({ cidr: text }, 'Ignored a repeated pod CIDR')
        listed.set(canonical, cidr)
      }
    }
    return listed
  }

  #keep(range: AddressRange, listed: ReadonlyMap<string, CIDR>): boolean {
    if (listed.has(range.text)) {
      this.#removed.delete(range.text)
      return true
    }
    if (range.used === 0) {
      this.#removed.delete(range.text)
      return false
    }
    if (!this.#removed.has(range.text))
      this.#options.log.error({ cidr: range.text, usedIPs: range.used }, 'A pod CIDR was removed while it is in use')
    this.#removed.add(range.text)
    return true
  }

  /**
   * A CIDR without a usable address is of no use: it is given back at once. One that shares addresses with another, say with one
   * that was removed and is in use still, would give them twice: it is left alone.
   */
  #adopt(cidr: CIDR): readonly AddressRange[] {
    const other = this.#ranges.find((range) => cidrsOverlap(range.cidr, cidr))
    if (other !== undefined) {
      this.#options.log.error({ cidrs: [formatCIDR(cidr), other.text] }, 'Ignored a pod CIDR that overlaps another one')
      return []
    }
    const ranges = this.#usableRange(cidr)
    if (ranges.length === 0) {
      this.#options.log.error({ cidr: formatCIDR(cidr) }, 'A pod CIDR without usable addresses is given back')
      this.#released.set(formatCIDR(cidr), cidr)
    }
    return ranges
  }

  #usableRange(cidr: CIDR): readonly AddressRange[] {
    const range = new AddressRange(cidr, { ...this.#options.range, ...this.#edges })
    return range.count === 0 ? [] : [range]
  }

  #current(): readonly AddressRange[] {
    return this.#ranges.filter((range) => !this.#removed.has(range.text))
  }

  #forgetRoutes(): void {
    const { unreachableRoutes, log } = this.#options
    if (unreachableRoutes === undefined) return
    for (const cidr of this.#released.keys()) {
      unreachableRoutes
        .deleteUnreachable(cidr)
        .catch((error: unknown) => log.warn({ cidr, error }, 'Unable to delete unreachable routes'))
    }
  }
}

function sum(ranges: readonly AddressRange[], numberOf: (range: AddressRange) => number): number {
  return ranges.reduce((total, range) => total + numberOf(range), 0)
}

function byNetwork(left: CIDR, right: CIDR): number {
  return left.network < right.network ? -1 : 1
}
