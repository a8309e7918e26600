import { formatCIDR, overlapping, parseCIDR } from '../ipam/ip-range.ts'
import type { AddressRangeOptions } from './address-range.ts'
import { AddressRange, claimFrom, heldBackClause, outsideError } from './address-range.ts'
import type { AllocationResult, Allocator, AllocatorDump, ExcludedAddresses, PoolUsage } from './allocator.ts'
import type { IPAMErrorDetails } from './errors.ts'
import { IPAMError } from './errors.ts'
import type { Family } from './family.ts'
import type { Pool } from './pool.ts'
import { POOL_DEFAULT } from './pool.ts'

/**
 * Hands out the addresses of networks that belong to this node alone. There are no pools, nothing is written upstream, and
 * nothing is waited for.
 *
 * @source cilium pkg/ipam/hostscope.go
 */
export class HostScopeAllocator implements Allocator {
  readonly isPooled = false
  readonly family: Family
  readonly #ranges: readonly AddressRange[]
  readonly #capacity: bigint

  /**
   * @param cidrs one or more networks of one family that do not overlap, served in this order
   * @throws IPAMError CIDR_PARSE, CIDR_FAMILY, CIDR_COLLISION
   */
  constructor(family: Family, cidrs: readonly string[], options: AddressRangeOptions) {
    this.family = family
    this.#ranges = cidrs.map((text) => {
      const cidr = parseCIDR(text)
      if (cidr === undefined) throw new IPAMError('CIDR_PARSE', `invalid allocation CIDR ${JSON.stringify(text)}`)
      if (cidr.family !== family)
        throw new IPAMError('CIDR_FAMILY', `allocation CIDR ${formatCIDR(cidr)} is not ${family}`, { family })
      return new AddressRange(cidr, options)
    })
    const overlap = overlapping(this.#ranges.map(({ cidr }) => cidr))
    if (overlap !== undefined)
      throw new IPAMError('CIDR_COLLISION', `allocation CIDRs share addresses: ${overlap.map(formatCIDR).join(', ')}`)
    this.#capacity = BigInt(this.#ranges.reduce((sum, range) => sum + range.count, 0))
  }

  allocate(ip: string, owner: string, _pool: Pool): AllocationResult {
    return this.#claim(ip, owner, false)
  }

  allocateWithoutSyncUpstream(ip: string, owner: string, _pool: Pool): AllocationResult {
    return this.#claim(ip, owner, true)
  }

  /** @throws IPAMError RANGE_FULL, saying how many free addresses are excluded or held back */
  allocateNext(owner: string, _pool: Pool, excluded?: ExcludedAddresses): AllocationResult {
    for (const range of this.#ranges) {
      const ip = range.claimNext(excluded)
      if (ip !== undefined) return { ip, ipPoolName: POOL_DEFAULT }
    }
    throw new IPAMError('RANGE_FULL', `range is full: ${this.#texts}${heldBackClause(this.#ranges)}`, {
      owner,
      pool: POOL_DEFAULT,
      family: this.family,
      cidr: this.#texts,
    })
  }

  allocateNextWithoutSyncUpstream(owner: string, pool: Pool, excluded?: ExcludedAddresses): AllocationResult {
    return this.allocateNext(owner, pool, excluded)
  }

  release(ip: string, _pool: Pool): void {
    for (const range of this.#ranges) if (range.release(ip)) return
  }

  dump(): AllocatorDump {
    const addresses = new Set(this.#ranges.flatMap((range) => [...range.addresses()]))
    const total = this.#ranges.reduce((sum, range) => sum + Math.max(range.rawSize - 2, 0), 0)
    return {
      allocated: new Map([[POOL_DEFAULT, addresses]]),
      // The reference counts network and broadcast address off whatever the options say.
      status: `${addresses.size}/${total} allocated from ${this.#texts}`,
    }
  }

  capacity(): bigint {
    return this.#capacity
  }

  usage(): readonly PoolUsage[] {
    const sum = (numberOf: (range: AddressRange) => number): number =>
      this.#ranges.reduce((total, range) => total + numberOf(range), 0)
    return [
      {
        family: this.family,
        pool: POOL_DEFAULT,
        capacity: this.#capacity,
        allocated: sum((range) => range.used),
        cooling: sum((range) => range.cooling),
        pending: 0,
      },
    ]
  }

  restoreFinished(): void {
    // Nothing depends on it: there is no upstream.
  }

  /** Memory of the bitmaps (bytes). */
  get sizeBytes(): number {
    return this.#ranges.reduce((sum, range) => sum + range.sizeBytes, 0)
  }

  #claim(ip: string, owner: string, ignoresCooldown: boolean): AllocationResult {
    const details: IPAMErrorDetails = { ip, owner, pool: POOL_DEFAULT }
    const range = this.#ranges.find((candidate) => candidate.contains(ip))
    if (range === undefined) throw outsideError(ip, this.#texts, details)
    claimFrom(range, ip, details, ignoresCooldown)
    return { ip, ipPoolName: POOL_DEFAULT }
  }

  get #texts(): string {
    return this.#ranges.map(({ text }) => text).join(', ')
  }
}
