import type { CIDR } from '../ipam/ip-range.ts'
import { formatCIDR, parseAddress, parseIPv4 } from '../ipam/ip-range.ts'
import { Bitmap } from '../runtime/bitmap.ts'
import type { Random } from '../runtime/random.ts'
import type { ExcludedAddresses } from './allocator.ts'
import type { CooldownOptions } from './cooldown.ts'
import { Cooldown } from './cooldown.ts'
import type { IPAMErrorDetails } from './errors.ts'
import { IPAMError } from './errors.ts'
import type { RangeOptions } from './range-bounds.ts'
import { addressAt, rangeBounds, rangeSize } from './range-bounds.ts'

/** `random`: the next free address after a random one. `contiguous`: the lowest free one, for tests and who wants it. */
export type RangeStrategy = 'random' | 'contiguous'

export interface AddressRangeOptions extends RangeOptions, CooldownOptions {
  readonly random: Random
  readonly strategy?: RangeStrategy
}

/** What became of a request for a certain address. */
export type ClaimOutcome = 'claimed' | 'taken' | 'cooling' | 'outside'

/** The network and what is taken of it. */
export interface RangeSnapshot {
  /** Canonical text. */
  readonly cidr: string
  /** Canonical texts, ascending. */
  readonly addresses: readonly string[]
}

/**
 * The addresses of one network, one bit each.
 *
 * Two things hold an address back that is free: it was released a moment ago, or it is excluded. Such addresses are set in a
 * second bitmap, the one that "next" searches, which comes into being with the first of them. Exclusions are learned as the search
 * meets them, so that each costs its question once, also where a whole network is excluded.
 *
 * @source cilium pkg/ipam/service/ipallocator/allocator.go, Range, and pkg/ipam/service/allocator/bitmap.go
 */
export class AddressRange {
  readonly cidr: CIDR
  /** Canonical text. */
  readonly text: string
  /** Usable addresses (count). */
  readonly count: number
  /** The usable addresses and the network's own ones (count). */
  readonly rawSize: number
  readonly #firstOffset: number
  readonly #options: AddressRangeOptions
  readonly #allocated: Bitmap
  /** Allocated or held back. The same object as `#allocated` while nothing is held back. */
  #unavailable: Bitmap
  readonly #cooldown: Cooldown<number>
  /** Free addresses that the search found excluded. */
  readonly #excluded = new Set<number>()

  constructor(cidr: CIDR, options: AddressRangeOptions) {
    const { firstOffset, count } = rangeBounds(cidr, options)
    this.cidr = cidr
    this.text = formatCIDR(cidr)
    this.count = count
    this.rawSize = rangeSize(cidr)
    this.#firstOffset = firstOffset
    this.#options = options
    this.#allocated = new Bitmap(count)
    this.#unavailable = this.#allocated
    this.#cooldown = new Cooldown(options)
  }

  /** Allocated addresses (count). */
  get used(): number {
    return this.#allocated.count
  }

  /** Addresses that are not allocated, those held back included (count): used + free = count, always. */
  get free(): number {
    return this.count - this.#allocated.count
  }

  /** Free addresses that are held back after their release (count). */
  get cooling(): number {
    this.#endCooldowns()
    return this.#cooldown.size
  }

  /** Free addresses that "next" has found excluded (count). */
  get excluded(): number {
    return this.#excluded.size
  }

  /** Whether "next" would find an address; an exclusion it has not met yet may still be in its way. */
  get hasAvailable(): boolean {
    this.#endCooldowns()
    return this.#unavailable.count < this.count
  }

  /** Memory of the bitmaps (bytes). */
  get sizeBytes(): number {
    const isShared = this.#unavailable === this.#allocated
    return this.#allocated.sizeBytes + (isShared ? 0 : this.#unavailable.sizeBytes)
  }

  /**
   * Whether the range's network contains the address, usable or not. The whole network counts, also the part of a big IPv6 one
   * that has no usable addresses.
   */
  contains(ip: string): boolean {
    const { cidr } = this
    if (cidr.family === 'ipv4') {
      const value = parseIPv4(ip)
      return value !== undefined && value >= cidr.network && value < cidr.network + 2 ** (32 - cidr.prefixLength)
    }
    const address = parseAddress(ip)
    const bits = BigInt(128 - cidr.prefixLength)
    return address?.family === 'ipv6' && address.value >> bits === cidr.network >> bits
  }

  has(ip: string): boolean {
    const index = this.#indexOf(ip)
    return index !== -1 && this.#allocated.has(index)
  }

  /**
   * @param ip canonical text
   * @param ignoresCooldown for what is registered again: its holder never let go of it
   */
  claim(ip: string, ignoresCooldown = false): ClaimOutcome {
    const index = this.#indexOf(ip)
    if (index === -1) return 'outside'
    if (this.#allocated.has(index)) return 'taken'
    if (!ignoresCooldown && this.#cooldown.has(index)) return 'cooling'
    this.#cooldown.delete(index)
    this.#excluded.delete(index)
    this.#take(index)
    return 'claimed'
  }

  /** @returns canonical text; undefined when no address is free, cooled down and not excluded */
  claimNext(excluded?: ExcludedAddresses): string | undefined {
    this.#endCooldowns()
    const { strategy = 'random', random } = this.#options
    let index = this.#unavailable.nextClear(strategy === 'random' ? Math.floor(random.next() * this.count) : 0)
    while (index !== -1) {
      const ip = addressAt(this.cidr, this.#firstOffset + index)
      if (excluded === undefined || excluded.size === 0 || excluded.ownerOf(ip) === undefined) {
        this.#take(index)
        return ip
      }
      this.#excluded.add(index)
      this.#holdBack(index)
      index = this.#unavailable.nextClear(index)
    }
    return undefined
  }

  /** @returns whether it was allocated */
  release(ip: string): boolean {
    const index = this.#indexOf(ip)
    if (index === -1 || !this.#allocated.clear(index)) return false
    if (this.#cooldown.isEnabled) {
      this.#cooldown.add(index)
      this.#holdBack(index)
    } else if (this.#unavailable !== this.#allocated) this.#unavailable.clear(index)
    return true
  }

  /** Allocated addresses, canonical texts, ascending. */
  *addresses(): Generator<string> {
    for (const index of this.#allocated.indices()) yield addressAt(this.cidr, this.#firstOffset + index)
  }

  snapshot(): RangeSnapshot {
    return { cidr: this.text, addresses: [...this.addresses()] }
  }

  /** Replaces what is allocated. @throws IPAMError MISMATCHED_NETWORK, NOT_IN_RANGE; nothing has changed then */
  restore(snapshot: RangeSnapshot): void {
    if (snapshot.cidr !== this.text)
      throw new IPAMError('MISMATCHED_NETWORK', `cannot restore ${snapshot.cidr} into ${this.text}`, {
        cidr: this.text,
      })
    const outside = snapshot.addresses.find((ip) => this.#indexOf(ip) === -1)
    if (outside !== undefined) throw outsideError(outside, this.text, {})
    for (const ip of this.snapshot().addresses) this.release(ip)
    for (const ip of snapshot.addresses) this.claim(ip, true)
  }

  #take(index: number): void {
    this.#allocated.set(index)
    if (this.#unavailable !== this.#allocated) this.#unavailable.set(index)
  }

  /** The address is free, yet "next" must not find it. */
  #holdBack(index: number): void {
    if (this.#unavailable === this.#allocated) this.#unavailable = this.#allocated.clone()
    this.#unavailable.set(index)
  }

  /** An excluded address is found excluded again when its turn comes. */
  #endCooldowns(): void {
    for (const index of this.#cooldown.takeDue()) this.#unavailable.clear(index)
  }

  /** Place of an address among the usable ones; -1 when it is not one of them. */
  #indexOf(ip: string): number {
    const { cidr } = this
    let offset: number
    if (cidr.family === 'ipv4') {
      const value = parseIPv4(ip)
      if (value === undefined) return -1
      offset = value - cidr.network
    } else {
      const address = parseAddress(ip)
      if (address?.family !== 'ipv6') return -1
      const distance = address.value - cidr.network
      // 128-bit arithmetic to the end: addresses 2^64 apart are not the same.
      if (distance < 0n || distance >= BigInt(this.rawSize)) return -1
      offset = Number(distance)
    }
    const index = offset - this.#firstOffset
    return index >= 0 && index < this.count ? index : -1
  }
}

/**
 * Claims an address of a range for somebody.
 *
 * @throws IPAMError NOT_IN_RANGE, ALREADY_ALLOCATED, IP_IN_COOLDOWN
 */
export function claimFrom(range: AddressRange, ip: string, details: IPAMErrorDetails, ignoresCooldown: boolean): void {
  const outcome = range.claim(ip, ignoresCooldown)
  if (outcome === 'outside') throw outsideError(ip, range.text, details)
  if (outcome === 'taken')
    throw new IPAMError('ALREADY_ALLOCATED', 'provided IP is already allocated', { ...details, ip, cidr: range.text })
  if (outcome === 'cooling')
    throw new IPAMError('IP_IN_COOLDOWN', 'provided IP was released a moment ago and is held back', { ...details, ip })
}

/** What keeps the free addresses of ranges from being handed out, as a clause for an error; empty when nothing does. */
export function heldBackClause(ranges: readonly AddressRange[]): string {
  const total = ranges.reduce((sum, range) => sum + range.count, 0)
  const excluded = ranges.reduce((sum, range) => sum + range.excluded, 0)
  const cooling = ranges.reduce((sum, range) => sum + range.cooling, 0)
  const parts = [
    ...(excluded > 0 ? [`${excluded} of ${total} are excluded`] : []),
    ...(cooling > 0 ? [`${cooling} of ${total} are held back after their release`] : []),
  ]
  return parts.length === 0 ? '' : `; ${parts.join(', ')}`
}

export function outsideError(ip: string, cidrs: string, details: IPAMErrorDetails): IPAMError {
  return new IPAMError('NOT_IN_RANGE', `provided IP is not in the valid range ${cidrs}`, {
    ...details,
    ip,
    cidr: cidrs,
  })
}
