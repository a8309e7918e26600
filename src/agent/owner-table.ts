import type { FamilyDump } from './ipam.ts'
import type { Pool } from './pool.ts'
import { POOL_DEFAULT } from './pool.ts'

/** Who holds which address: pool → canonical address → owner. */
export class OwnerTable {
  readonly #pools = new Map<Pool, Map<string, string>>()

  get(ip: string, pool: Pool): string | undefined {
    return this.#pools.get(pool)?.get(ip)
  }

  set(ip: string, pool: Pool, owner: string): void {
    const ofPool = this.#pools.get(pool)
    if (ofPool === undefined) this.#pools.set(pool, new Map([[ip, owner]]))
    else ofPool.set(ip, owner)
  }

  /** @returns the owner there was */
  delete(ip: string, pool: Pool): string | undefined {
    const ofPool = this.#pools.get(pool)
    const owner = ofPool?.get(ip)
    ofPool?.delete(ip)
    return owner
  }

  /** Every address of an owner in these pools, in the order in which it got them. */
  addressesOf(owner: string, pools: readonly Pool[]): readonly { readonly ip: string; readonly pool: Pool }[] {
    return pools.flatMap((pool) =>
      [...(this.#pools.get(pool) ?? [])].filter(([, holder]) => holder === owner).map(([ip]) => ({ ip, pool })),
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
    return new Map(entries.sort(([left], [right]) => (left < right ? -1 : 1)))
  }

  /** `pool/address` → owner, sorted. */
  entries(): readonly (readonly [key: string, owner: string])[] {
    return [...this.#pools]
      .flatMap(([pool, ofPool]) => [...ofPool].map(([ip, owner]) => [`${pool}/${ip}`, owner] as const))
      .sort(([left], [right]) => (left < right ? -1 : 1))
  }
}
