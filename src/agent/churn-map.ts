/** Tombstones that may outnumber the live entries before the map is built anew (count). */
const SPARE_TOMBSTONES = 4096

/**
 * A map for few keys that come and go among many that stay: an almost full pool.
 *
 * V8's Map leaves deleted entries in its hash chains until it grows, and it grows by its size: in a map of 65,000 addresses of
 * which 600 are taken and released, each chain of those 600 becomes hundreds of entries long and a `set` takes 14 µs. Here a
 * deleted key keeps its entry, which is found again when the key returns. The memory of keys that never return is bounded by
 * building the map anew.
 */
export class ChurnMap<V extends object | string> {
  #entries = new Map<string, V | undefined>()
  #size = 0

  /** Live entries (count). */
  get size(): number {
    return this.#size
  }

  get(key: string): V | undefined {
    return this.#entries.get(key)
  }

  has(key: string): boolean {
    return this.#entries.get(key) !== undefined
  }

  set(key: string, value: V): void {
    if (this.#entries.get(key) === undefined) this.#size += 1
    this.#entries.set(key, value)
  }

  /** @returns the value there was */
  delete(key: string): V | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.set(key, undefined)
    this.#size -= 1
    if (this.#entries.size > 2 * this.#size + SPARE_TOMBSTONES) this.#entries = new Map(this.entries())
    return value
  }

  /** Live entries, in no order that means anything. */
  *entries(): Generator<[key: string, value: V]> {
    for (const [key, value] of this.#entries) if (value !== undefined) yield [key, value]
  }

  *keys(): Generator<string> {
    for (const [key] of this.entries()) yield key
  }
}
