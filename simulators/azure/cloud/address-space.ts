import { randomInteger } from '../../kit/random.ts'
import type { Random } from '../../kit/random.ts'
import { PREFIX_SIZE, blockSize } from '../../kit/ipv4.ts'
import type { IPv4Block } from '../../kit/ipv4.ts'

/** How dynamic addresses are chosen: the lowest free one, as observed of the service, or scattered. */
export type AddressChoice = 'lowest' | 'random'

/** @source Azure Virtual Network documentation: network address, gateway and two for DNS; and the last address */
const RESERVED_AT_START = 4
const RESERVED_AT_END = 1
export const RESERVED_COUNT = RESERVED_AT_START + RESERVED_AT_END
const RANDOM_PROBES = 16

/**
 * The IPv4 addresses of one subnet: which are taken, how many are free, and where a whole aligned /28 is free.
 *
 * One byte an address and a counter for each /28, with the lowest counter that may have room remembered, so that taking and giving
 * back cost O(1) and both searches at most one walk over the counters. Who holds an address is known to the callers only.
 */
export class AddressSpace {
  readonly block: IPv4Block
  readonly #size: number
  readonly #taken: Uint8Array
  readonly #fill: Uint8Array
  #free: number
  #lowestWithRoom = 0
  #lowestEmpty = 0

  /** @param block /8 to /29 */
  constructor(block: IPv4Block) {
    this.block = block
    this.#size = blockSize(block)
    this.#taken = new Uint8Array(this.#size)
    this.#fill = new Uint8Array(Math.ceil(this.#size / PREFIX_SIZE))
    this.#free = this.#size
    for (let offset = 0; offset < RESERVED_AT_START; offset++) this.#mark(offset)
    this.#mark(this.#size - 1)
  }

  /** Free addresses (count), reserved ones not among them. */
  get free(): number {
    return this.#free
  }

  /** Addresses that can be handed out at all (count). */
  get capacity(): number {
    return this.#size - RESERVED_COUNT
  }

  contains(address: number): boolean {
    return address >= this.block.base && address < this.block.base + this.#size
  }

  /** Whether the service keeps this address for itself. */
  isReserved(address: number): boolean {
    const offset = address - this.block.base
    return offset < RESERVED_AT_START || offset >= this.#size - RESERVED_AT_END
  }

  isTaken(address: number): boolean {
    return this.#taken[address - this.block.base] === 1
  }

  /** Takes one named address of the subnet. @returns false when it is taken or reserved */
  take(address: number): boolean {
    if (this.isTaken(address)) return false
    this.#mark(address - this.block.base)
    return true
  }

  /** Takes the /28 that starts here. @returns false when any of its addresses is taken or reserved */
  takeBlock(first: number): boolean {
    const index = (first - this.block.base) / PREFIX_SIZE
    if (this.#size < PREFIX_SIZE || !Number.isInteger(index) || this.#fill[index] !== 0) return false
    for (let at = 0; at < PREFIX_SIZE; at++) this.#mark(index * PREFIX_SIZE + at)
    return true
  }

  /** Takes one free address. @returns undefined when there is none */
  takeAny(choice: AddressChoice, random: Random): number | undefined {
    if (this.#free === 0) return undefined
    const offset = choice === 'random' ? this.#scattered(random) : this.#lowest()
    this.#mark(offset)
    return this.block.base + offset
  }

  /** Takes the lowest wholly free /28. @returns its first address, or undefined when there is none */
  takeAnyBlock(): number | undefined {
    if (this.#size < PREFIX_SIZE) return undefined
    const index = this.#fill.indexOf(0, this.#lowestEmpty)
    this.#lowestEmpty = index < 0 ? this.#fill.length : index
    if (index < 0) return undefined
    const first = this.block.base + index * PREFIX_SIZE
    this.takeBlock(first)
    return first
  }

  /** Gives `count` addresses back, from `first` on. */
  release(first: number, count = 1): void {
    for (let offset = first - this.block.base; offset < first - this.block.base + count; offset++) {
      if (this.#taken[offset] !== 1) continue
      const index = Math.floor(offset / PREFIX_SIZE)
      this.#taken[offset] = 0
      this.#fill[index] = (this.#fill[index] ?? 0) - 1
      this.#free++
      this.#lowestWithRoom = Math.min(this.#lowestWithRoom, index)
      if (this.#fill[index] === 0) this.#lowestEmpty = Math.min(this.#lowestEmpty, index)
    }
  }

  /** First addresses of the wholly free /28 blocks, ascending. */
  freeBlocks(): readonly number[] {
    const firsts: number[] = []
    if (this.#size < PREFIX_SIZE) return firsts
    this.#fill.forEach((fill, index) => {
      if (fill === 0) firsts.push(this.block.base + index * PREFIX_SIZE)
    })
    return firsts
  }

  #mark(offset: number): void {
    const index = Math.floor(offset / PREFIX_SIZE)
    this.#taken[offset] = 1
    this.#fill[index] = (this.#fill[index] ?? 0) + 1
    this.#free--
  }

  #lowest(): number {
    const room = Math.min(PREFIX_SIZE, this.#size)
    while (this.#fill[this.#lowestWithRoom] === room) this.#lowestWithRoom++
    return this.#taken.indexOf(0, this.#lowestWithRoom * PREFIX_SIZE)
  }

  #scattered(random: Random): number {
    for (let probe = 0; probe < RANDOM_PROBES; probe++) {
      const offset = randomInteger(random, this.#size)
      if (this.#taken[offset] === 0) return offset
    }
    const from = this.#taken.indexOf(0, randomInteger(random, this.#size))
    return from >= 0 ? from : this.#lowest()
  }
}
