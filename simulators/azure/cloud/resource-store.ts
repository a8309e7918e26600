import type { Resource } from './types.ts'

/** The resources of one kind: by key, and in order of creation, so that a page costs what it holds. */
export class ResourceStore<T extends Resource> {
  readonly #byKey = new Map<string, T>()
  #ordered: T[] = []

  get size(): number {
    return this.#byKey.size
  }

  /** In order of creation. */
  get items(): readonly T[] {
    return this.#ordered
  }

  /** @param key the ID lower-cased */
  get(key: string): T | undefined {
    return this.#byKey.get(key)
  }

  add(item: T): void {
    this.#byKey.set(item.key, item)
    this.#ordered.push(item)
  }

  /** Costs a walk over the others: machines go rarely. */
  deleteAll(gone: ReadonlySet<T>): void {
    if (gone.size === 0) return
    for (const item of gone) this.#byKey.delete(item.key)
    this.#ordered = this.#ordered.filter((item) => !gone.has(item))
  }
}
