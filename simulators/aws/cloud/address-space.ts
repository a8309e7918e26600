import { randomInteger } from '../../kit/random.ts'
import type { Random } from '../../kit/random.ts'
import { PREFIX_SIZE, blockSize } from '../../kit/ipv4.ts'
import type { IPv4Block } from '../../kit/ipv4.ts'

/** How single addresses are chosen: scattered over the subnet as the service does, or the lowest free one, for reproducible tests. */
export type AddressChoice = 'random' | 'lowest'

/** The first four addresses and the last are never handed out. @source Amazon VPC User Guide, subnet CIDR blocks */
const RESERVED_AT_START = 4
/** Random probes before the exact search takes over: a subnet at 15/16 still answers two of three times. */
const RANDOM_PROBES = 16
const WORD_BITS = 32
/** Aligned blocks of 16 addresses in one word of the bitmap (count). */
const BLOCKS_PER_WORD = WORD_BITS / PREFIX_SIZE
const BLOCK_MASK = 0xffff

/** What a range that is kept back from the service's own choice is for. */
export type ReservationType = 'prefix' | 'explicit'

/**
 * The IPv4 addresses of one subnet: which are taken, which are kept back, how many are free, and where a whole aligned /28 is free.
 *
 * A bitmap with a counter for each /28, so that taking and giving back cost O(1) and both searches cost at most one walk over the
 * counters. Callers decide who holds an address; this class only knows that somebody does. Addresses kept back (CIDR reservations) are
 * not free and never of the service's choice, but for whole blocks in those kept back for prefixes; by name they can be taken.
 */
export class AddressSpace {
  readonly block: IPv4Block
  readonly #taken: Uint32Array
  /** Addresses of each /28 that are taken or kept back (count, 0 to 16). */
  readonly #fill: Uint8Array
  /** Addresses kept back; undefined while there never were any. */
  #kept: Uint32Array | undefined
  #prefixRanges: readonly IPv4Block[] = []
  #free: number
  /** No /28 below this one has a free address; none below the other is wholly free. */
  #lowestWithRoom = 0
  #lowestEmpty = 0

  /** @param block /16 to /28 */
  constructor(block: IPv4Block) {
    this.block = block
    const size = blockSize(block)
    this.#taken = new Uint32Array(Math.ceil(size / WORD_BITS))
    this.#fill = new Uint8Array(size / PREFIX_SIZE)
    this.#free = size
    for (let offset = 0; offset < RESERVED_AT_START; offset++) this.#mark(offset)
    this.#mark(size - 1)
  }

  /** Addresses neither taken nor kept back (count); what a listing shows as `availableIpAddressCount`. */
  get free(): number {
    return this.#free
  }

  contains(address: number): boolean {
    return address >= this.block.base && address < this.block.base + blockSize(this.block)
  }

  /** Whether the service keeps this address for itself. */
  isReserved(address: number): boolean {
    const offset = address - this.block.base
    return offset < RESERVED_AT_START || offset === blockSize(this.block) - 1
  }

  isTaken(address: number): boolean {
    return isSet(this.#taken, address - this.block.base)
  }

  /** Whether the service keeps this address from its own choice. */
  isKeptBack(address: number): boolean {
    return this.#kept !== undefined && isSet(this.#kept, address - this.block.base)
  }

  /** Whether nothing of the aligned /28 starting here is taken. Blocks that hold a reserved address never are free. */
  isBlockFree(first: number): boolean {
    return blockBits(this.#taken, (first - this.block.base) / PREFIX_SIZE) === 0
  }

  /** Whether nothing of it is taken or kept back. */
  isBlockOpen(first: number): boolean {
    return this.#fill[(first - this.block.base) / PREFIX_SIZE] === 0
  }

  /** Keeps a range back, whatever of it is taken already. Ranges do not overlap. */
  keepBack(range: IPv4Block, type: ReservationType): void {
    this.#kept ??= new Uint32Array(this.#taken.length)
    this.#forEachOffset(range, (offset) => {
      setBit(this.#kept, offset, true)
      if (!isSet(this.#taken, offset)) this.#count(offset, 1)
    })
    if (type === 'prefix') this.#prefixRanges = [...this.#prefixRanges, range]
  }

  /** Opens a range again; what is taken of it stays taken. */
  giveOpen(range: IPv4Block): void {
    this.#forEachOffset(range, (offset) => {
      setBit(this.#kept, offset, false)
      if (!isSet(this.#taken, offset)) this.#count(offset, -1)
    })
    this.#prefixRanges = this.#prefixRanges.filter(({ base }) => base !== range.base)
  }

  /** Takes one named address. @returns false when it is taken or reserved */
  take(address: number): boolean {
    if (this.isTaken(address)) return false
    this.#mark(address - this.block.base)
    return true
  }

  /** Takes a named aligned /28. @returns false when any of its addresses is taken */
  takeBlock(first: number): boolean {
    if (!this.isBlockFree(first)) return false
    this.#setBlock((first - this.block.base) / PREFIX_SIZE, true)
    return true
  }

  /** Takes one free address. @returns undefined when there is none */
  takeAny(choice: AddressChoice, random: Random): number | undefined {
    if (this.#free === 0) return undefined
    const offset = choice === 'random' ? this.#randomFree(random) : this.#firstFreeOf(this.#blockWithRoom())
    this.#mark(offset)
    return this.block.base + offset
  }

  /**
   * Takes the lowest wholly free /28 of those kept back for prefixes, else of the others.
   *
   * @returns its first address, or undefined when there is none
   */
  takeAnyBlock(): number | undefined {
    const index = this.#reservedBlocks().next().value ?? this.#lowestOpenBlock()
    if (index === undefined) return undefined
    this.#setBlock(index, true)
    return this.block.base + index * PREFIX_SIZE
  }

  release(address: number): void {
    const offset = address - this.block.base
    setBit(this.#taken, offset, false)
    if (this.#isKept(offset)) return
    this.#count(offset, -1)
  }

  releaseBlock(first: number): void {
    this.#setBlock((first - this.block.base) / PREFIX_SIZE, false)
  }

  /** Wholly free /28 blocks that a prefix could get (count): what no API of the service tells. */
  countFreeBlocks(): number {
    return this.#fill.reduce((count, fill) => count + (fill === 0 ? 1 : 0), this.countReservedBlocks())
  }

  /** Of those, the blocks kept back for prefixes (count). */
  countReservedBlocks(): number {
    return this.#prefixRanges.length === 0 ? 0 : [...this.#reservedBlocks()].length
  }

  #mark(offset: number): void {
    setBit(this.#taken, offset, true)
    if (!this.#isKept(offset)) this.#count(offset, 1)
  }

  #isKept(offset: number): boolean {
    return this.#kept !== undefined && isSet(this.#kept, offset)
  }

  /** One address more, or less, that the service cannot choose. */
  #count(offset: number, difference: 1 | -1): void {
    const index = Math.floor(offset / PREFIX_SIZE)
    const fill = (this.#fill[index] ?? 0) + difference
    this.#fill[index] = fill
    this.#free -= difference
    if (difference > 0) return
    this.#lowestWithRoom = Math.min(this.#lowestWithRoom, index)
    if (fill === 0) this.#lowestEmpty = Math.min(this.#lowestEmpty, index)
  }

  #setBlock(index: number, taken: boolean): void {
    const word = Math.floor(index / BLOCKS_PER_WORD)
    const mask = BLOCK_MASK << ((index % BLOCKS_PER_WORD) * PREFIX_SIZE)
    const old = this.#taken[word] ?? 0
    this.#taken[word] = taken ? old | mask : old & ~mask
    // Those kept back are counted already, and stay so.
    const kept = this.#kept === undefined ? 0 : bitCount(blockBits(this.#kept, index))
    this.#fill[index] = taken ? PREFIX_SIZE : kept
    this.#free += (taken ? -1 : 1) * (PREFIX_SIZE - kept)
    if (taken) return
    this.#lowestWithRoom = Math.min(this.#lowestWithRoom, index)
    if (kept === 0) this.#lowestEmpty = Math.min(this.#lowestEmpty, index)
  }

  #lowestOpenBlock(): number | undefined {
    const index = this.#fill.indexOf(0, this.#lowestEmpty)
    this.#lowestEmpty = index < 0 ? this.#fill.length : index
    return index < 0 ? undefined : index
  }

  /** Wholly free blocks of the ranges kept back for prefixes, by index. */
  *#reservedBlocks(): Generator<number, undefined> {
    for (const range of this.#prefixRanges) {
      const first = (range.base - this.block.base) / PREFIX_SIZE
      for (let index = first; index < first + blockSize(range) / PREFIX_SIZE; index++) {
        if (blockBits(this.#taken, index) === 0) yield index
      }
    }
    return undefined
  }

  #forEachOffset(range: IPv4Block, visit: (offset: number) => void): void {
    const first = range.base - this.block.base
    for (let offset = first; offset < first + blockSize(range); offset++) visit(offset)
  }

  /** Every free address is equally likely: first by probing, in a full subnet by counting. */
  #randomFree(random: Random): number {
    const size = blockSize(this.block)
    for (let probe = 0; probe < RANDOM_PROBES; probe++) {
      const offset = randomInteger(random, size)
      if (this.#isOpen(offset)) return offset
    }
    let rank = randomInteger(random, this.#free)
    let index = 0
    for (; ; index++) {
      const room = PREFIX_SIZE - (this.#fill[index] ?? 0)
      if (rank < room) break
      rank -= room
    }
    for (let offset = index * PREFIX_SIZE; ; offset++) {
      if (!this.#isOpen(offset)) continue
      if (rank === 0) return offset
      rank--
    }
  }

  #blockWithRoom(): number {
    while (this.#fill[this.#lowestWithRoom] === PREFIX_SIZE) this.#lowestWithRoom++
    return this.#lowestWithRoom
  }

  #firstFreeOf(index: number): number {
    let offset = index * PREFIX_SIZE
    while (!this.#isOpen(offset)) offset++
    return offset
  }

  #isOpen(offset: number): boolean {
    return !isSet(this.#taken, offset) && !this.#isKept(offset)
  }
}

function isSet(bitmap: Uint32Array, offset: number): boolean {
  return ((bitmap[Math.floor(offset / WORD_BITS)] ?? 0) & (1 << (offset % WORD_BITS))) !== 0
}

function setBit(bitmap: Uint32Array | undefined, offset: number, value: boolean): void {
  if (bitmap === undefined) return
  const word = Math.floor(offset / WORD_BITS)
  const mask = 1 << (offset % WORD_BITS)
  bitmap[word] = value ? (bitmap[word] ?? 0) | mask : (bitmap[word] ?? 0) & ~mask
}

/** The sixteen bits of an aligned /28. */
function blockBits(bitmap: Uint32Array, index: number): number {
  return ((bitmap[Math.floor(index / BLOCKS_PER_WORD)] ?? 0) >>> ((index % BLOCKS_PER_WORD) * PREFIX_SIZE)) & BLOCK_MASK
}

function bitCount(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++
  return count
}
