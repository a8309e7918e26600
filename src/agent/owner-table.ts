import { ChurnMap } from './churn-map.ts'
import type { FamilyDump } from './ipam-types.ts'
import type { Pool } from './pool.ts'
import { POOL_DEFAULT } from './pool.ts'

/** Who holds which address: pool → canonical address → owner. */
export class OwnerTable {
  readonly #pools = new Map<Pool, ChurnMap<string>>()

  get(ip: string, pool: Pool): string | undefined {
    return this.#pools.get(pool)?.get(ip)
  }

  set(ip: string, pool: Pool, owner: string): void {
    let ofPool = this.#pools.get(pool)
    if (ofPool === undefined) {
      ofPool = new ChurnMap()
      this.#pools.set(pool, ofPool)
    }
    ofPool.set(ip, owner)
  }

  /** @returns the owner there was */
  delete(ip: string, pool: Pool): string | undefined {
    const ofPool = this.#pools.get(pool)
    const owner = ofPool?.delete(ip)
    if (ofPool?.size === 0 && pool !== POOL_DEFAULT) this.#pools.delete(pool)
    return owner
  }

  /** Every address of an owner in these pools, sorted. */
  addressesOf(owner: string, pools: readonly Pool[]): readonly { readonly ip: string; readonly pool: Pool }[] {
    return pools.flatMap((pool) =>
      [...(this.#pools.get(pool)?.entries() ?? [])]
        .filter(([, holder]) => holder === owner)
        .map(([ip]) => ({ ip, pool }))
        .sort((left, right) => (left.ip < right.ip ? -1 : 1)),
    )
  }

  /** What an allocator holds, with the owners known here. */
  named(allocated: ReadonlyMap<Pool, ReadonlySet<string>> | null): FamilyDump | null {
    if (allocated === null) return null
    const entries = [...allocated].flatMap(([pool, addresses]) =>
      [...addresses].map((ip): [string, string] => [
        pool === POOL_DEFAULT ? ip : `${pool}/${ip}`,
        this.get(ip, pool) ?? '',
      ]),
    )
    return new Map(entries.sort(byKey))
  }

  /** `pool/address` → owner, sorted. */
  entries(): readonly (readonly [key: string, owner: string])[] {
    return [...this.#pools]
      .flatMap(([pool, ofPool]) =>
        [...ofPool.entries()].map(([ip, owner]): [string, string] => [`${pool}/${ip}`, owner]),
      )
      .sort(byKey)
  }
}

function byKey([left]: readonly [string, string], [right]: readonly [string, string]): number {
  return left < right ? -1 : 1
}
