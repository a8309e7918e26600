import type { JSONObject } from '../json.ts'
import { CIDRPool } from './cidr-pool.ts'
import type { AgentIPAM, Holding, PendingWrite } from './ipam.ts'
import { contains, parseIPv4, parseIPv4CIDR } from './ipv4.ts'
import type { IPv4CIDR } from './ipv4.ts'
import type { OwnResource, Pools } from './own-resource.ts'

/** The pool of cloud addresses. */
const POOL = 'default'
/** `ipam-multi-pool-pre-allocation`, whose default is `default=8` (count of addresses). */
export const DEFAULT_PRE_ALLOCATION = 8

/**
 * The allocator of agents from Cilium 1.20 on: CIDRs come from `status.eni.enis`, what was taken over and what is wanted goes to
 * `spec.ipam.pools`. A CIDR that is no longer wanted is dropped from `allocated`; the operator detaches it later.
 *
 * A pod that waits counts as demand as long as it waits; the real agent forgets one that stopped asking after 5 minutes.
 *
 * @source cilium pkg/ipam/multipool.go, multiPoolManager
 */
export class MultiPoolIPAM implements AgentIPAM {
  readonly generation = 'multi-pool'
  readonly #preAllocation: number
  readonly #pool = new CIDRPool()
  readonly #byOwner = new Map<string, Holding>()
  #resource: OwnResource | undefined
  #waiting = 0

  /** @param preAllocation free addresses to ask for beyond what is used, and the step of the demand (count) */
  constructor(preAllocation: number = DEFAULT_PRE_ALLOCATION) {
    this.#preAllocation = preAllocation
  }

  get heldCount(): number {
    return this.#byOwner.size
  }

  get availableCount(): number {
    return this.#pool.size
  }

  openAddresses(): readonly string[] {
    return this.#pool.addresses()
  }

  takeOver(resource: OwnResource): boolean {
    this.#resource = resource
    this.#pool.update(listedCIDRs(resource), new Set(resource.pools.allocated.flatMap(({ cidrs }) => cidrs)))
    return true
  }

  allocate(owner: string, nowMs: number): Holding | undefined {
    const next = this.#pool.allocateNext()
    if (next === undefined) return undefined
    const holding = { ...next, owner, sinceMs: nowMs }
    this.#byOwner.set(owner, holding)
    return holding
  }

  release(owner: string): boolean {
    const holding = this.#byOwner.get(owner)
    if (holding === undefined) return false
    this.#byOwner.delete(owner)
    this.#pool.release(holding.address)
    return true
  }

  setWaiting(count: number): void {
    this.#waiting = count
  }

  pendingWrite(): PendingWrite | undefined {
    const resource = this.#resource
    if (resource === undefined) return undefined
    const inUse = this.#byOwner.size
    const needed = demand(inUse + this.#waiting, this.#preAllocation)
    this.#pool.settle(Math.max(needed - inUse, 0))
    const wanted: Pools = {
      requested: needed === 0 ? [] : [{ pool: POOL, ipv4Addrs: needed }],
      allocated: this.#pool.cidrs.length === 0 ? [] : [{ pool: POOL, cidrs: this.#pool.cidrs }],
    }
    return samePools(resource.pools, wanted)
      ? undefined
      : { subresource: undefined, patch: { spec: { ipam: { pools: poolsBody(wanted) } } } }
  }

  sameOwnFields(seen: OwnResource, written: OwnResource): boolean {
    return samePools(seen.pools, written.pools)
  }

  holding(owner: string): Holding | undefined {
    return this.#byOwner.get(owner)
  }

  holdings(): Iterable<Holding> {
    return this.#byOwner.values()
  }
}

/**
 * How many addresses a pool asks for: the multiple of `preAllocation` that leaves at least `preAllocation` spare.
 *
 * @param count in use and waited for (count of addresses)
 * @source cilium pkg/ipam/multipool.go, neededIPCeil
 */
export function demand(count: number, preAllocation: number): number {
  return preAllocation === 0 ? count : Math.ceil(count / preAllocation) * preAllocation + preAllocation
}

/** Prefixes as they are, other addresses as /32, of the interfaces that the agent manages. */
function listedCIDRs(
  resource: OwnResource,
): ReadonlyMap<string, { readonly cidr: IPv4CIDR; readonly interfaceID: string }> {
  const listed = new Map<string, { cidr: IPv4CIDR; interfaceID: string }>()
  for (const eni of resource.interfaces.values()) {
    if (eni.number < resource.firstInterfaceIndex) continue
    const prefixes = eni.prefixes.map(parseIPv4CIDR).filter((cidr) => cidr !== undefined)
    for (const cidr of prefixes) listed.set(cidr.text, { cidr, interfaceID: eni.id })
    for (const address of eni.addresses) {
      const value = parseIPv4(address)
      if (value === undefined || prefixes.some((cidr) => contains(cidr, value))) continue
      if (address === eni.ip && !resource.usesPrimaryAddress) continue
      const text = `${address}/32`
      listed.set(text, { cidr: { text, first: value, size: 1 }, interfaceID: eni.id })
    }
  }
  return listed
}

function samePools(left: Pools, right: Pools): boolean {
  return JSON.stringify([left.requested, left.allocated]) === JSON.stringify([right.requested, right.allocated])
}

function poolsBody({ requested, allocated }: Pools): JSONObject {
  return {
    requested: requested.map(({ pool, ipv4Addrs }) => ({ pool, needed: { 'ipv4-addrs': ipv4Addrs } })),
    allocated: allocated.map(({ pool, cidrs }) => ({ pool, cidrs })),
  }
}
