import type { CIDR } from '../ipam/ip-range.ts'
import { cidrsOverlap, formatCIDR, hostBits, parseAddress, parseCIDR } from '../ipam/ip-range.ts'
import { Bitmap } from '../runtime/bitmap.ts'
import { PoolError } from './errors.ts'

export type Family = CIDR['family']

/** How much longer than its cluster CIDR the mask of an IPv6 block may be (bits). Cilium pkg/ipam/cidrset, clusterSubnetMaxDiff. */
const MAX_IPV6_DEPTH = 16

const ADDRESS_BITS: Readonly<Record<Family, number>> = { ipv4: 32, ipv6: 128 }

/** Places of blocks, both included. */
interface BlockRange {
  readonly first: number
  readonly last: number
}

/**
 * A cluster CIDR cut into blocks of one size, each of which is handed out once.
 *
 * "Next" goes round: it starts behind the block it gave last, so that one that was released is not reused at once.
 *
 * @source cilium pkg/ipam/cidrset/cidr_set.go, which is Kubernetes' pkg/controller/nodeipam/ipam/cidrset
 */
export class CIDRSet {
  readonly cidr: CIDR
  readonly maskSize: number
  /** Canonical text of the cluster CIDR. */
  readonly text: string
  readonly #used: Bitmap
  /** Host bits of a block. */
  readonly #shift: bigint
  #candidate = 0

  /**
   * @param maskSize prefix length of a block
   * @throws PoolError SUBNET_MASK_INVALID, CIDR_SET_SUBNET_TOO_BIG. The reference takes a mask that is shorter than the prefix for
   *   a set that is always full.
   */
  constructor(cidr: CIDR, maskSize: number) {
    const bits = ADDRESS_BITS[cidr.family]
    const text = formatCIDR(cidr)
    const depth = maskSize - cidr.prefixLength
    if (!Number.isInteger(maskSize) || maskSize > bits || depth < 0)
      throw new PoolError('SUBNET_MASK_INVALID', `mask size ${maskSize} is not possible in ${text}`)
    if (cidr.family === 'ipv6' && depth > MAX_IPV6_DEPTH)
      throw new PoolError(
        'CIDR_SET_SUBNET_TOO_BIG',
        `mask size ${maskSize} is more than ${MAX_IPV6_DEPTH} bits longer than ${text}`,
      )
    this.cidr = cidr
    this.maskSize = maskSize
    this.text = text
    this.#used = new Bitmap(2 ** depth)
    this.#shift = BigInt(bits - maskSize)
  }

  /** Blocks in all (count). */
  get size(): number {
    return this.#used.size
  }

  /** Blocks that are handed out (count). */
  get usedCount(): number {
    return this.#used.count
  }

  get isFull(): boolean {
    return this.#used.count === this.#used.size
  }

  /** @throws PoolError CIDR_SET_EXHAUSTED */
  allocateNext(): CIDR {
    const index = this.#used.nextClear(this.#candidate)
    if (index === -1)
      throw new PoolError('CIDR_SET_EXHAUSTED', `no free CIDR of size /${this.maskSize} in ${this.text}`)
    this.#used.set(index)
    this.#candidate = (index + 1) % this.#used.size
    return this.blockAt(index)
  }

  /** Takes every block that the CIDR touches; those that are taken stay so. @throws PoolError CIDR_OUT_OF_RANGE */
  occupy(cidr: CIDR): void {
    const { first, last } = this.#blocksOf(cidr)
    for (let index = first; index <= last; index++) this.#used.set(index)
  }

  /** Frees every block that the CIDR touches; those that are free stay so. @throws PoolError CIDR_OUT_OF_RANGE */
  release(cidr: CIDR): void {
    const { first, last } = this.#blocksOf(cidr)
    for (let index = first; index <= last; index++) this.#used.clear(index)
  }

  /** Whether every block that the CIDR touches is taken. @throws PoolError CIDR_OUT_OF_RANGE */
  isAllocated(cidr: CIDR): boolean {
    const { first, last } = this.#blocksOf(cidr)
    for (let index = first; index <= last; index++) if (!this.#used.has(index)) return false
    return true
  }

  /** Whether any block that the CIDR touches is taken. @throws PoolError CIDR_OUT_OF_RANGE */
  isTouched(cidr: CIDR): boolean {
    const { first, last } = this.#blocksOf(cidr)
    for (let index = first; index <= last; index++) if (this.#used.has(index)) return true
    return false
  }

  /** Whether the CIDR and the cluster CIDR share an address. */
  inRange(cidr: CIDR): boolean {
    return cidrsOverlap(this.cidr, cidr)
  }

  /** @param index 0 to the number of blocks - 1. @throws PoolError CIDR_OUT_OF_RANGE */
  blockAt(index: number): CIDR {
    if (!Number.isInteger(index) || index < 0 || index >= this.#used.size)
      throw new PoolError('CIDR_OUT_OF_RANGE', `${this.text} has no block ${index}`)
    const network = BigInt(this.cidr.network) + (BigInt(index) << this.#shift)
    return this.cidr.family === 'ipv4'
      ? { family: 'ipv4', network: Number(network), prefixLength: this.maskSize }
      : { family: 'ipv6', network, prefixLength: this.maskSize }
  }

  /** Place of the block that an address is in. @throws PoolError CIDR_OUT_OF_RANGE */
  indexOf(ip: string): number {
    const address = parseAddress(ip)
    const distance = address?.family === this.cidr.family ? BigInt(address.value) - BigInt(this.cidr.network) : -1n
    const index = distance < 0n ? -1 : Number(distance >> this.#shift)
    if (index < 0 || index >= this.#used.size)
      throw new PoolError('CIDR_OUT_OF_RANGE', `${ip} is out of the range of ${this.text}`)
    return index
  }

  /** Places of taken blocks, ascending. */
  usedIndices(): Iterable<number> {
    return this.#used.indices()
  }

  #blocksOf(cidr: CIDR): BlockRange {
    if (!this.inRange(cidr))
      throw new PoolError('CIDR_OUT_OF_RANGE', `${formatCIDR(cidr)} is out of the range of ${this.text}`)
    if (cidr.prefixLength <= this.cidr.prefixLength) return { first: 0, last: this.#used.size - 1 }
    const start = BigInt(cidr.network) - BigInt(this.cidr.network)
    const end = start + (1n << BigInt(hostBits(cidr))) - 1n
    return { first: Number(start >> this.#shift), last: Number(end >> this.#shift) }
  }
}

/** @throws PoolError CIDR_PARSE, CIDR_FAMILY */
export function parseCIDROf(family: Family, text: string): CIDR {
  const cidr = parsePoolCIDR(text)
  if (cidr.family !== family) throw new PoolError('CIDR_FAMILY', `${text} is not an ${familyName(family)} CIDR`)
  return cidr
}

/** @throws PoolError CIDR_PARSE */
export function parsePoolCIDR(text: string): CIDR {
  const cidr = parseCIDR(text)
  if (cidr === undefined) throw new PoolError('CIDR_PARSE', `invalid CIDR ${JSON.stringify(text)}`)
  return cidr
}

/**
 * The cluster CIDRs of one family, each cut into blocks. They must not overlap.
 *
 * @throws PoolError CIDR_PARSE, CIDR_FAMILY, CIDR_COLLISION, and those of a set
 * @source cilium pkg/ipam/allocator/clusterpool/cidralloc, NewCIDRSets
 */
export function newCIDRSets(family: Family, texts: readonly string[], maskSize: number): readonly CIDRSet[] {
  const sets: CIDRSet[] = []
  for (const text of texts) {
    const cidr = parseCIDROf(family, text)
    const other = sets.find((set) => set.inRange(cidr))
    if (other !== undefined)
      throw new PoolError('CIDR_COLLISION', `CIDR ${formatCIDR(cidr)} collides with ${other.text}`)
    sets.push(new CIDRSet(cidr, maskSize))
  }
  return sets
}

export function familyName(family: Family): string {
  return family === 'ipv4' ? 'IPv4' : 'IPv6'
}
