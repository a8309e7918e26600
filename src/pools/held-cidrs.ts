import type { CIDR } from '../ipam/ip-range.ts'
import { cidrsOverlap, formatCIDR } from '../ipam/ip-range.ts'

export interface HeldCIDR {
  readonly node: string
  readonly pool: string
  readonly cidr: CIDR
}

/** Which node holds which CIDR of which pool. */
export class HeldCIDRs {
  /** Node → `pool CIDR` → entry. */
  readonly #nodes = new Map<string, Map<string, HeldCIDR>>()

  add(node: string, pool: string, cidr: CIDR): void {
    const entries = this.#nodes.get(node) ?? new Map<string, HeldCIDR>()
    entries.set(keyOf(pool, cidr), { node, pool, cidr })
    this.#nodes.set(node, entries)
  }

  has(node: string, pool: string, cidr: CIDR): boolean {
    return this.#nodes.get(node)?.has(keyOf(pool, cidr)) === true
  }

  delete(node: string, pool: string, cidr: CIDR): void {
    const entries = this.#nodes.get(node)
    entries?.delete(keyOf(pool, cidr))
    if (entries?.size === 0) this.#nodes.delete(node)
  }

  /** A copy: entries may be removed while it is walked. */
  ofNode(node: string): readonly HeldCIDR[] {
    return [...(this.#nodes.get(node)?.values() ?? [])]
  }

  /** A copy, over all nodes. */
  ofPool(pool: string): readonly HeldCIDR[] {
    return [...this.#nodes.values()].flatMap((entries) => [...entries.values()].filter((entry) => entry.pool === pool))
  }

  /** A node that holds a CIDR which shares an address with this one. */
  holderOf(cidr: CIDR): string | undefined {
    for (const entries of this.#nodes.values())
      for (const entry of entries.values()) if (cidrsOverlap(entry.cidr, cidr)) return entry.node
    return undefined
  }
}

function keyOf(pool: string, cidr: CIDR): string {
  return `${pool} ${formatCIDR(cidr)}`
}
