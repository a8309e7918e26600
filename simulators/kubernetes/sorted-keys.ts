/**
 * Keys in ascending order, held in blocks so that an insertion moves at most one block and a page of a list costs its page
 * alone, however many keys there are.
 */

const MAX_BLOCK_LENGTH = 512

export class SortedKeys {
  readonly #blocks: string[][] = []

  /** Inserts `key`; it must not be there yet. */
  add(key: string): void {
    const index = Math.max(0, this.#blockOf(key))
    const block = this.#blocks[index]
    if (block === undefined) {
      this.#blocks.push([key])
      return
    }
    block.splice(lowerBound(block, key), 0, key)
    if (block.length > MAX_BLOCK_LENGTH) this.#blocks.splice(index + 1, 0, block.splice(block.length >> 1))
  }

  delete(key: string): void {
    const index = this.#blockOf(key)
    const block = this.#blocks[index]
    if (block === undefined) return
    const at = lowerBound(block, key)
    if (block[at] !== key) return
    block.splice(at, 1)
    if (block.length === 0) this.#blocks.splice(index, 1)
  }

  /** The keys that are at or after `start`, in order. The keys must not change meanwhile. */
  *from(start: string): Generator<string> {
    const first = Math.max(0, this.#blockOf(start))
    for (let index = first; index < this.#blocks.length; index += 1) {
      const block = this.#blocks[index] ?? []
      for (let at = index === first ? lowerBound(block, start) : 0; at < block.length; at += 1)
        yield block[at] as string
    }
  }

  /** The last block whose first key is not after `key`; -1 when all are. */
  #blockOf(key: string): number {
    let low = 0
    let high = this.#blocks.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#blocks[middle]?.[0] as string) <= key) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}

/** The first position whose key is not before `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((keys[middle] as string) < key) low = middle + 1
    else high = middle
  }
  return low
}
