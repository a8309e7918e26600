import type { PoolAllocation, PoolRequest } from '../ipam/cilium-node.ts'
import type { CIDR } from '../ipam/ip-range.ts'
import { cidrsOverlap, formatCIDR, hostBits } from '../ipam/ip-range.ts'
import type { CIDRSet, Family } from './cidr-set.ts'
import { familyName, newCIDRSets, parsePoolCIDR } from './cidr-set.ts'
import { collect, PoolError, throwJoined } from './errors.ts'
import { HeldCIDRs } from './held-cidrs.ts'
import type { PoolSpec } from './pool-spec.ts'

interface PoolFamily {
  readonly sets: readonly CIDRSet[]
  readonly maskSize: number
}

interface PoolState extends Readonly<Partial<Record<Family, PoolFamily>>> {
  readonly edges: PoolEdges
}

/** Whether pods may use the first and the last address of a node's CIDR. */
export interface PoolEdges {
  readonly allowFirstIP: boolean
  readonly allowLastIP: boolean
}

/** How much of one family of a pool is handed out (counts of node CIDRs). */
export interface PoolUsage {
  readonly pool: string
  readonly family: Family
  readonly size: number
  readonly used: number
}

const NO_EDGES: PoolEdges = { allowFirstIP: false, allowLastIP: false }

const FAMILIES: readonly Family[] = ['ipv4', 'ipv6']

/**
 * Gives nodes CIDRs of named pools, as many as they ask for, and takes back what they list no more.
 *
 * CIDRs whose pool, or part of it, went away while a node holds them become that node's orphans: still its own, given to nobody
 * else, and of the pool again as soon as one of that name covers them. The reference up to 1.18 forgets their holders.
 *
 * @source cilium pkg/ipam/allocator/multipool/pool_allocator.go, PoolAllocator
 */
export class MultiPoolAllocator {
  readonly #families: readonly Family[]
  readonly #pools = new Map<string, PoolState>()
  readonly #held = new HeldCIDRs()
  readonly #orphans = new HeldCIDRs()
  readonly #keepsOrphans: boolean
  #isReady = false
  #givenBack = 0

  /**
   * @param families enabled ones
   * @param options `keepsOrphans: false` follows the reference up to 1.18, where CIDRs of a pool that went away can be given twice
   */
  constructor(families: readonly Family[], options: { readonly keepsOrphans: boolean } = { keepsOrphans: true }) {
    this.#families = families
    this.#keepsOrphans = options.keepsOrphans
  }

  /** CIDRs that nodes have given back since the start (count): when it grows, who waits for one may be served. */
  get givenBack(): number {
    return this.#givenBack
  }

  /** Sorted by pool, IPv4 first. */
  usage(): readonly PoolUsage[] {
    const pools = [...this.#pools].sort(([left], [right]) => (left < right ? -1 : 1))
    return pools.flatMap(([pool, state]) =>
      FAMILIES.flatMap((family) => {
        const sets = state[family]?.sets ?? []
        if (sets.length === 0) return []
        const sum = (countOf: (set: CIDRSet) => number): number => sets.reduce((total, set) => total + countOf(set), 0)
        return [{ pool, family, size: sum(({ size }) => size), used: sum(({ usedCount }) => usedCount) }]
      }),
    )
  }

  /** Undefined when there is no such pool. */
  edgesOf(pool: string): PoolEdges | undefined {
    return this.#pools.get(pool)?.edges
  }

  /**
   * Adds a pool, or changes the CIDRs of one.
   *
   * @throws PoolError POOL_MASK_IMMUTABLE, CIDR_COLLISION with another pool, and those of CIDR sets; nothing has changed then
   */
  upsertPool(name: string, spec: PoolSpec): void {
    const before = this.#pools.get(name)
    const { allowFirstIP = false, allowLastIP = false } = spec
    const after: { edges: PoolEdges } & Partial<Record<Family, PoolFamily>> = { edges: { allowFirstIP, allowLastIP } }
    for (const family of FAMILIES) {
      const wanted = spec[family]
      const known = before?.[family]
      if (known !== undefined && wanted !== undefined && known.maskSize !== wanted.maskSize)
        throw new PoolError('POOL_MASK_IMMUTABLE', `cannot change ${familyName(family)} mask size of pool ${name}`)
      if (wanted === undefined) continue
      after[family] = { maskSize: wanted.maskSize, sets: mergedSets(family, known?.sets ?? [], wanted) }
      this.#refuseCollisions(name, family, after[family].sets)
    }
    this.#pools.set(name, after)
    this.#orphan(name)
    this.#adopt(name)
  }

  /** @throws PoolError POOL_NONEXISTENT */
  deletePool(name: string): void {
    if (!this.#pools.delete(name)) throw new PoolError('POOL_NONEXISTENT', `pool ${name} does not exist`)
    this.#orphan(name)
  }

  /** All nodes were seen: new CIDRs may be handed out. */
  restoreFinished(): void {
    this.#isReady = true
  }

  /**
   * Brings what a node holds in line with what it lists and asks for.
   *
   * @throws PoolError, AggregatePoolError: each refusal stands for itself and has not stopped the others
   */
  allocateToNode(node: string, requested: readonly PoolRequest[], allocated: readonly PoolAllocation[]): void {
    const errors: PoolError[] = []
    const listed = new HeldCIDRs()
    for (const { pool, cidrs } of allocated)
      for (const text of cidrs)
        collect(errors, () => {
          const cidr = parseListed(text, pool)
          listed.add(node, pool, cidr)
          this.#occupy(node, pool, cidr)
        })
    for (const { pool, cidr } of [...this.#held.ofNode(node), ...this.#orphans.ofNode(node)])
      if (!listed.has(node, pool, cidr)) this.#giveBack(node, pool, cidr)
    if (this.#isReady)
      for (const request of requested)
        for (const family of this.#families) collect(errors, () => this.#serve(node, request, family))
    else
      errors.push(new PoolError('ALLOCATOR_NOT_READY', `unable to serve node ${node}: the allocator is not ready yet`))
    throwJoined(errors)
  }

  /** Sorted by pool; CIDRs of a pool: IPv4 sorted as text, then IPv6. Orphans belong. */
  allocatedPools(node: string): readonly PoolAllocation[] {
    const byPool = new Map<string, CIDR[]>()
    for (const { pool, cidr } of [...this.#held.ofNode(node), ...this.#orphans.ofNode(node)])
      byPool.set(pool, [...(byPool.get(pool) ?? []), cidr])
    return [...byPool]
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([pool, cidrs]) => ({
        pool,
        cidrs: FAMILIES.flatMap((family) =>
          cidrs
            .filter((cidr) => cidr.family === family)
            .map(formatCIDR)
            .sort(),
        ),
      }))
  }

  /** The node is gone: everything goes back. @throws PoolError POOL_NONEXISTENT for CIDRs of pools that are gone, which are dropped all the same */
  releaseNode(node: string): void {
    const errors: PoolError[] = []
    for (const { pool, cidr } of [...this.#held.ofNode(node), ...this.#orphans.ofNode(node)]) {
      this.#giveBack(node, pool, cidr)
      if (!this.#pools.has(pool))
        errors.push(
          new PoolError('POOL_NONEXISTENT', `pool ${pool} of CIDR ${formatCIDR(cidr)} of node ${node} does not exist`),
        )
    }
    throwJoined(errors)
  }

  /** Takes a CIDR that a node lists. */
  #occupy(node: string, pool: string, cidr: CIDR): void {
    if (this.#held.has(node, pool, cidr)) return
    const text = formatCIDR(cidr)
    const holder = this.#orphans.holderOf(cidr)
    if (holder !== undefined && holder !== node)
      throw new PoolError('CIDR_ALREADY_ALLOCATED', `CIDR ${text} of pool ${pool} is already allocated`)
    const state = this.#pools.get(pool)
    if (state === undefined) {
      this.#keepAsOrphan(node, pool, cidr)
      throw new PoolError(
        'POOL_NONEXISTENT',
        `cannot allocate CIDR ${text} to node ${node}: pool ${pool} does not exist`,
      )
    }
    const set = state[cidr.family]?.sets.find((candidate) => candidate.inRange(cidr))
    // Not covered, and known as this node's: its pool has shrunk.
    if (set === undefined && this.#orphans.has(node, pool, cidr)) return
    if (set === undefined) {
      this.#keepAsOrphan(node, pool, cidr)
      throw new PoolError('CIDR_NOT_IN_POOL', `CIDR ${text} of node ${node} is not in pool ${pool}`)
    }
    if (set.isFull) throw new PoolError('POOL_EMPTY', `cannot take CIDR ${text}: pool empty: ${pool}`)
    if (set.isTouched(cidr))
      throw new PoolError('CIDR_ALREADY_ALLOCATED', `CIDR ${text} of pool ${pool} is already allocated`)
    set.occupy(cidr)
    this.#held.add(node, pool, cidr)
  }

  /** After a restart of the operator: the pool may have gone, or shrunk, while it was down. */
  #keepAsOrphan(node: string, pool: string, cidr: CIDR): void {
    if (!this.#keepsOrphans) return
    const others = this.#held.holderOf(cidr)
    if (others === undefined || others === node) this.#orphans.add(node, pool, cidr)
  }

  /** Two pools that share addresses would give them to two nodes. */
  #refuseCollisions(name: string, family: Family, sets: readonly CIDRSet[]): void {
    for (const [other, state] of this.#pools) {
      if (other === name) continue
      for (const { cidr, text } of sets) {
        const taken = state[family]?.sets.find((set) => cidrsOverlap(set.cidr, cidr))
        if (taken !== undefined)
          throw new PoolError(
            'CIDR_COLLISION',
            `CIDR ${text} of pool ${name} collides with ${taken.text} of pool ${other}`,
          )
      }
    }
  }

  #serve(node: string, { pool, ipv4Addrs, ipv6Addrs }: PoolRequest, family: Family): void {
    const edges = this.edgesOf(pool) ?? NO_EDGES
    let missing = BigInt(family === 'ipv4' ? ipv4Addrs : ipv6Addrs)
    for (const entry of [...this.#held.ofNode(node), ...this.#orphans.ofNode(node)])
      if (entry.pool === pool && entry.cidr.family === family) missing -= usableAddresses(entry.cidr, edges)
    while (missing > 0n) {
      const cidr = this.#next(node, pool, family)
      this.#held.add(node, pool, cidr)
      missing -= usableAddresses(cidr, edges)
    }
  }

  #next(node: string, pool: string, family: Family): CIDR {
    const state = this.#pools.get(pool)
    const context = `unable to allocate from pool ${pool} (${family}) for node ${node}`
    if (state === undefined) throw new PoolError('POOL_NONEXISTENT', `${context}: pool does not exist`)
    for (const set of state[family]?.sets ?? []) {
      const cidr = this.#nextOf(set)
      if (cidr !== undefined) return cidr
    }
    throw new PoolError('POOL_EMPTY', `${context}: pool empty`)
  }

  /** The next block that is no part of somebody's orphan. */
  #nextOf(set: CIDRSet): CIDR | undefined {
    const passedOver: CIDR[] = []
    let found: CIDR | undefined
    while (found === undefined && !set.isFull) {
      const cidr = set.allocateNext()
      if (this.#orphans.holderOf(cidr) === undefined) found = cidr
      else passedOver.push(cidr)
    }
    for (const cidr of passedOver) set.release(cidr)
    return found
  }

  #giveBack(node: string, pool: string, cidr: CIDR): void {
    if (this.#held.has(node, pool, cidr)) this.#setOf(pool, cidr)?.release(cidr)
    this.#held.delete(node, pool, cidr)
    this.#orphans.delete(node, pool, cidr)
    this.#givenBack += 1
  }

  #setOf(pool: string, cidr: CIDR): CIDRSet | undefined {
    return this.#pools.get(pool)?.[cidr.family]?.sets.find((set) => set.inRange(cidr))
  }

  /** What nodes hold of a pool stays theirs: in a set that has replaced another one, or as orphans where no set covers it any more. */
  #orphan(pool: string): void {
    if (!this.#keepsOrphans) return
    for (const { node, cidr } of this.#held.ofPool(pool)) {
      const set = this.#setOf(pool, cidr)
      if (set !== undefined && set.cidr.prefixLength <= cidr.prefixLength) {
        set.occupy(cidr)
        continue
      }
      this.#held.delete(node, pool, cidr)
      this.#orphans.add(node, pool, cidr)
    }
  }

  /** Orphans that a pool of their name covers again. */
  #adopt(pool: string): void {
    for (const { node, cidr } of this.#orphans.ofPool(pool)) {
      const set = this.#setOf(pool, cidr)
      if (set === undefined || set.isTouched(cidr)) continue
      set.occupy(cidr)
      this.#orphans.delete(node, pool, cidr)
      this.#held.add(node, pool, cidr)
    }
  }
}

/** Sets of CIDRs that stay are kept as they are, new ones come after them. */
function mergedSets(
  family: Family,
  known: readonly CIDRSet[],
  { cidrs, maskSize }: { readonly cidrs: readonly string[]; readonly maskSize: number },
): readonly CIDRSet[] {
  const wanted = newCIDRSets(family, cidrs, maskSize)
  const kept = known.filter((set) => wanted.some(({ text }) => text === set.text))
  return [...kept, ...wanted.filter((set) => !kept.some(({ text }) => text === set.text))]
}

/** The first and the last address are not usable unless the pool says so, or there are no more than two addresses. */
function usableAddresses(cidr: CIDR, { allowFirstIP, allowLastIP }: PoolEdges): bigint {
  const size = 1n << BigInt(hostBits(cidr))
  return size > 2n ? size - (allowFirstIP ? 0n : 1n) - (allowLastIP ? 0n : 1n) : size
}

function parseListed(text: string, pool: string): CIDR {
  try {
    return parsePoolCIDR(text)
  } catch (error) {
    throw new PoolError('CIDR_PARSE', `invalid CIDR ${JSON.stringify(text)} of pool ${pool}`, error)
  }
}
