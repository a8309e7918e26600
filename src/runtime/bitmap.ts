/** Bits of a word. */
const WORD_BITS = 32

/**
 * A fixed number of bits with a fast "next clear one". Above the bits lie summaries, one bit for each full word below, so that a
 * search looks at no more than two words a level however full the bitmap is. 65,536 bits take 8 KiB, and 264 bytes of summaries.
 *
 * Indices are integers from 0 to `size - 1`; the caller sees to that.
 */
export class Bitmap {
  readonly size: number
  /** Level 0 holds the bits; a bit of level n + 1 is set when its word of level n is full. Bits beyond the size are set. */
  readonly #levels: Uint32Array[] = []
  #count = 0

  constructor(size: number) {
    this.size = size
    for (let bits = size; ; bits = Math.ceil(bits / WORD_BITS)) {
      const words = new Uint32Array(Math.max(1, Math.ceil(bits / WORD_BITS)))
      const spare = words.length * WORD_BITS - bits
      if (spare === WORD_BITS) words[words.length - 1] = 0xffffffff
      else if (spare > 0) words[words.length - 1] = (0xffffffff << (WORD_BITS - spare)) >>> 0
      this.#levels.push(words)
      if (words.length === 1) return
    }
  }

  /** Set bits (count). */
  get count(): number {
    return this.#count
  }

  /** Memory of the bits and their summaries (bytes). */
  get sizeBytes(): number {
    return this.#levels.reduce((sum, words) => sum + words.byteLength, 0)
  }

  has(index: number): boolean {
    return ((this.#level(0)[index >>> 5] as number) & (1 << (index & 31))) !== 0
  }

  /** @returns whether the bit was clear */
  set(index: number): boolean {
    const words = this.#level(0)
    const place = index >>> 5
    const before = words[place] as number
    const bit = 1 << (index & 31)
    if ((before & bit) !== 0) return false
    words[place] = before | bit
    this.#count += 1
    if ((before | bit) === -1) this.#markFull(place)
    return true
  }

  /** @returns whether the bit was set */
  clear(index: number): boolean {
    const words = this.#level(0)
    const place = index >>> 5
    const before = words[place] as number
    const bit = 1 << (index & 31)
    if ((before & bit) === 0) return false
    words[place] = before & ~bit
    this.#count -= 1
    if (before === 0xffffffff) this.#markNotFull(place)
    return true
  }

  /** The first clear bit at or after `from`, then from the start on; -1 when every bit is set. */
  nextClear(from: number): number {
    if (this.#count === this.size) return -1
    const found = this.#search(0, from)
    return found === -1 && from > 0 ? this.#search(0, 0) : found
  }

  /** Indices of the set bits, ascending. */
  *indices(): Generator<number> {
    const words = this.#level(0)
    for (let place = 0; place < words.length; place++) {
      let rest = words[place] as number
      while (rest !== 0) {
        const index = place * WORD_BITS + lowestBit(rest)
        if (index >= this.size) return
        yield index
        rest &= rest - 1
      }
    }
  }

  /** A copy that goes its own way. */
  clone(): Bitmap {
    const copy = new Bitmap(this.size)
    for (const [level, words] of this.#levels.entries()) copy.#level(level).set(words)
    copy.#count = this.#count
    return copy
  }

  #search(level: number, from: number): number {
    const words = this.#level(level)
    const place = from >>> 5
    if (place >= words.length) return -1
    const free = ~(words[place] as number) & (-1 << (from & 31))
    if (free !== 0) return place * WORD_BITS + lowestBit(free)
    if (words.length === 1) return -1
    const next = this.#search(level + 1, place + 1)
    return next === -1 ? -1 : next * WORD_BITS + lowestBit(~(words[next] as number))
  }

  #markFull(place: number): void {
    for (let level = 1, index = place; level < this.#levels.length; level++) {
      const words = this.#level(level)
      const word = (words[index >>> 5] as number) | (1 << (index & 31))
      words[index >>> 5] = word
      if (word !== -1) return
      index >>>= 5
    }
  }

  #markNotFull(place: number): void {
    for (let level = 1, index = place; level < this.#levels.length; level++) {
      const words = this.#level(level)
      const before = words[index >>> 5] as number
      words[index >>> 5] = before & ~(1 << (index & 31))
      if (before !== 0xffffffff) return
      index >>>= 5
    }
  }

  #level(level: number): Uint32Array {
    return this.#levels[level] as Uint32Array
  }
}

/** Place of the lowest set bit of a word that is not 0. */
function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word)
}
