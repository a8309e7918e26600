/** A binary heap that can also remove from its middle: `push` and `delete` take O(log n), `peek` and `has` O(1). */
export class Heap<T> {
  readonly #isBefore: (a: T, b: T) => boolean
  readonly #items: T[] = []
  readonly #indexes = new Map<T, number>()

  /** @param isBefore a strict total order over what is pushed; must not change while an item is inside */
  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#isBefore = isBefore
  }

  get size(): number {
    return this.#items.length
  }

  /** The first item in order, undefined when empty. */
  peek(): T | undefined {
    return this.#items[0]
  }

  has(item: T): boolean {
    return this.#indexes.has(item)
  }

  /** All items, in no order. */
  values(): Iterable<T> {
    return this.#items.values()
  }

  push(item: T): void {
    this.#place(item, this.#items.length)
    this.#rise(item, this.#items.length - 1)
  }

  /** @returns whether it was inside */
  delete(item: T): boolean {
    const index = this.#indexes.get(item)
    if (index === undefined) return false
    this.#indexes.delete(item)
    const last = this.#items.pop()
    if (last !== undefined && last !== item) {
      this.#place(last, index)
      this.#rise(last, index)
      this.#sink(last)
    }
    return true
  }

  #place(item: T, index: number): void {
    this.#items[index] = item
    this.#indexes.set(item, index)
  }

  #rise(item: T, from: number): void {
    let index = from
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = this.#items[parentIndex]
      if (parent === undefined || !this.#isBefore(item, parent)) break
      this.#place(parent, index)
      index = parentIndex
    }
    this.#place(item, index)
  }

  #sink(item: T): void {
    let index = this.#indexes.get(item) ?? 0
    for (;;) {
      const left = this.#items[2 * index + 1]
      const right = this.#items[2 * index + 2]
      if (left === undefined) break
      const isRightFirst = right !== undefined && this.#isBefore(right, left)
      const child = isRightFirst ? right : left
      if (!this.#isBefore(child, item)) break
      this.#place(child, index)
      index = isRightFirst ? 2 * index + 2 : 2 * index + 1
    }
    this.#place(item, index)
  }
}
