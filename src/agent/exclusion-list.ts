import { cidrHas, formatCIDR, parseAddress, parseCIDR } from '../ipam/ip-range.ts'
import type { CIDR } from '../ipam/ip-range.ts'
import type { ExcludedAddresses } from './allocator.ts'
import { IPAMError } from './errors.ts'

/** A network that nobody gets an address of, and who said so. Cilium 1.6 pkg/ipam/types.go, IPNetWithOwner. */
export interface OwnedNetwork {
  readonly cidr: CIDR
  readonly owner: string
}

/**
 * Addresses and networks of one pool that must not be handed out. They need not be in the pool: it may grow over them later.
 *
 * @source cilium 1.6 pkg/ipam/types.go, IPBlacklist; 1.14 pkg/ipam/ipam.go, excludedIPs
 */
export class ExclusionList implements ExcludedAddresses {
  /** Canonical address → owner. */
  readonly #addresses = new Map<string, string>()
  /** In the order in which they came, repeats included. */
  readonly #networks: OwnedNetwork[] = []

  get size(): number {
    return this.#addresses.size + this.#networks.length
  }

  /** @param ip canonical text */
  exclude(ip: string, owner: string): void {
    this.#addresses.set(ip, owner)
  }

  /** @throws IPAMError CIDR_PARSE */
  excludeNetwork(text: string, owner: string): void {
    const cidr = parseCIDR(text)
    if (cidr === undefined) throw new IPAMError('CIDR_PARSE', `invalid CIDR ${JSON.stringify(text)}`, { owner })
    this.#networks.push({ cidr, owner })
  }

  ownerOf(ip: string): string | undefined {
    const owner = this.#addresses.get(ip)
    if (owner !== undefined || this.#networks.length === 0) return owner
    const address = parseAddress(ip)
    if (address === undefined) return undefined
    return this.#networks.find(({ cidr }) => cidrHas(cidr, address))?.owner
  }

  /** Everything excluded with its owner, for debugging: addresses, then networks (texts). */
  entries(): readonly (readonly [what: string, owner: string])[] {
    return [...this.#addresses, ...this.#networks.map(({ cidr, owner }): [string, string] => [formatCIDR(cidr), owner])]
  }
}
