import { OrderedIndex } from './ordered-index.ts'
import type { Ordered } from './ordered-index.ts'

/** The resources of one kind: by id, and in order of creation. */
export class ResourceStore<T extends Ordered & { readonly id: string }> {
  readonly #byID = new Map<string, T>()
  readonly #ordered = new OrderedIndex<T>()

  get size(): number {
    return this.#byID.size
  }

  get(id: string): T | undefined {
    return this.#byID.get(id)
  }

  get ordered(): OrderedIndex<T> {
    return this.#ordered
  }

  add(item: T): void {
    this.#byID.set(item.id, item)
    this.#ordered.add(item)
  }

  delete(item: T): void {
    this.#byID.delete(item.id)
    this.#ordered.delete(item)
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.#byID.values()
  }
}
