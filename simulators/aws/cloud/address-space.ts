import { randomInteger } from '../../kit/random.ts'
import type { Random } from '../../kit/random.ts'
import { PREFIX_SIZE, blockSize } from './ipv4.ts'
import type { IPv4Block } from './ipv4.ts'

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

/**
 * The IPv4 addresses of one subnet: which are taken, how many are free, and where a whole aligned /28 is free.
 *
 * A bitmap with a counter for each /28, so that taking and giving back cost O(1) and both searches cost at most one walk over the
 * counters. Callers decide who holds an address; this class only knows that somebody does.
 */
export class AddressSpace {
  readonly block: IPv4Block
  readonly #taken: Uint32Array
  /** Taken addresses of each /28 (count, 0 to 16). */
  readonly #fill: Uint8Array
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

  /** Free addresses (count); what a listing shows as `availableIpAddressCount`. */
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
    const offset = address - this.block.base
    return ((this.#taken[Math.floor(offset / WORD_BITS)] ?? 0) & (1 << (offset % WORD_BITS))) !== 0
  }

  /** Whether the aligned /28 starting here is wholly free. Blocks that hold a reserved address never are. */
  isBlockFree(first: number): boolean {
    return this.#fill[(first - this.block.base) / PREFIX_SIZE] === 0
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

  /** Takes the lowest wholly free /28. @returns its first address, or undefined when there is none */
  takeAnyBlock(): number | undefined {
    const index = this.#fill.indexOf(0, this.#lowestEmpty)
    this.#lowestEmpty = index < 0 ? this.#fill.length : index
    if (index < 0) return undefined
    this.#setBlock(index, true)
    return this.block.base + index * PREFIX_SIZE
  }

  release(address: number): void {
    const offset = address - this.block.base
    const blockIndex = Math.floor(offset / PREFIX_SIZE)
    const word = Math.floor(offset / WORD_BITS)
    this.#taken[word] = (this.#taken[word] ?? 0) & ~(1 << (offset % WORD_BITS))
    this.#fill[blockIndex] = (this.#fill[blockIndex] ?? 0) - 1
    this.#free++
    this.#lowestWithRoom = Math.min(this.#lowestWithRoom, blockIndex)
    if (this.#fill[blockIndex] === 0) this.#lowestEmpty = Math.min(this.#lowestEmpty, blockIndex)
  }

  releaseBlock(first: number): void {
    this.#setBlock((first - this.block.base) / PREFIX_SIZE, false)
  }

  /** Wholly free /28 blocks (count): what no API of the service tells. */
  countFreeBlocks(): number {
    return this.#fill.reduce((count, fill) => count + (fill === 0 ? 1 : 0), 0)
  }

  #mark(offset: number): void {
    const word = Math.floor(offset / WORD_BITS)
    const blockIndex = Math.floor(offset / PREFIX_SIZE)
    this.#taken[word] = (this.#taken[word] ?? 0) | (1 << (offset % WORD_BITS))
    this.#fill[blockIndex] = (this.#fill[blockIndex] ?? 0) + 1
    this.#free--
  }

  #setBlock(index: number, taken: boolean): void {
    const word = Math.floor(index / BLOCKS_PER_WORD)
    const mask = BLOCK_MASK << ((index % BLOCKS_PER_WORD) * PREFIX_SIZE)
    const old = this.#taken[word] ?? 0
    this.#taken[word] = taken ? old | mask : old & ~mask
    this.#fill[index] = taken ? PREFIX_SIZE : 0
    this.#free += taken ? -PREFIX_SIZE : PREFIX_SIZE
    if (!taken) {
      this.#lowestWithRoom = Math.min(this.#lowestWithRoom, index)
      this.#lowestEmpty = Math.min(this.#lowestEmpty, index)
    }
  }

  /** Every free address is equally likely: first by probing, in a full subnet by counting. */
  #randomFree(random: Random): number {
    const size = blockSize(this.block)
    for (let probe = 0; probe < RANDOM_PROBES; probe++) {
      const offset = randomInteger(random, size)
      if (!this.isTaken(this.block.base + offset)) return offset
    }
    let rank = randomInteger(random, this.#free)
    let index = 0
    for (; ; index++) {
      const room = PREFIX_SIZE - (this.#fill[index] ?? 0)
      if (rank < room) break
      rank -= room
    }
    for (let offset = index * PREFIX_SIZE; ; offset++) {
      if (this.isTaken(this.block.base + offset)) continue
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
    while (this.isTaken(this.block.base + offset)) offset++
    return offset
  }
}
