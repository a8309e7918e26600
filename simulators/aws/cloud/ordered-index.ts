/** Anything that has a place in the order of creation. */
export interface Ordered {
  /** Grows with every resource made; never reused. */
  readonly ordinal: number
}

/** Holes are squeezed out when there are more than this many and they outnumber the items. */
const MIN_HOLES = 64

/**
 * Items in order of creation, with a cheap start anywhere in it: a page costs its items and a binary search, whatever lies before it.
 * Adding the newest and removing are cheap; adding an older item again moves those after it.
 */
export class OrderedIndex<T extends Ordered> {
  #ordinals: number[] = []
  /** A removed item leaves a hole, so that nothing moves. */
  #items: (T | undefined)[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  add(item: T): void {
    const last = this.#ordinals.at(-1)
    if (last === undefined || last < item.ordinal) {
      this.#ordinals.push(item.ordinal)
      this.#items.push(item)
      this.#size++
      return
    }
    const at = this.#position(item.ordinal)
    if (this.#ordinals[at] === item.ordinal) {
      if (this.#items[at] === undefined) this.#size++
      this.#items[at] = item
      return
    }
    this.#ordinals.splice(at, 0, item.ordinal)
    this.#items.splice(at, 0, item)
    this.#size++
  }

  delete(item: T): void {
    const at = this.#position(item.ordinal)
    if (this.#items[at] !== item) return
    this.#items[at] = undefined
    this.#size--
    const holes = this.#items.length - this.#size
    if (holes > MIN_HOLES && holes > this.#size) this.#squeeze()
  }

  /** Items after this ordinal (-1: all), in order. Items added or removed meanwhile may or may not be seen. */
  *after(ordinal: number): IterableIterator<T> {
    for (let at = this.#position(ordinal + 1); at < this.#items.length; at++) {
      const item = this.#items[at]
      if (item !== undefined) yield item
    }
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.after(-1)
  }

  /** The first place whose ordinal is not below the given one. */
  #position(ordinal: number): number {
    let low = 0
    let high = this.#ordinals.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#ordinals[middle] ?? 0) < ordinal) low = middle + 1
      else high = middle
    }
    return low
  }

  #squeeze(): void {
    this.#items = this.#items.filter((item) => item !== undefined)
    this.#ordinals = this.#items.map((item) => item?.ordinal ?? 0)
  }
}
