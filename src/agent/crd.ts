import type { AllocationIP } from '../ipam/types.ts'
import type { AllocationResult, Allocator, AllocatorDump, ExcludedAddresses, PoolUsage } from './allocator.ts'
import { ChurnMap } from './churn-map.ts'
import type { CooldownOptions } from './cooldown.ts'
import { Cooldown } from './cooldown.ts'
import type { IPAMErrorDetails } from './errors.ts'
import { IPAMError, IPNotAvailableInPoolError } from './errors.ts'
import type { Family } from './family.ts'
import type { LocalNode } from './local-node.ts'
import type { NodeStore, StoreAllocator } from './node-store.ts'
import type { Pool } from './pool.ts'
import { POOL_DEFAULT } from './pool.ts'

/**
 * Hands out the addresses of one family that the node's own CiliumNode lists in `spec.ipam.pool`.
 *
 * "Next" takes the address that was released longest ago, those that nobody had yet first. The reference takes any, so that an
 * address may come back at once.
 *
 * @source cilium pkg/ipam/crd.go, crdAllocator
 */
export class CRDAllocator implements Allocator, StoreAllocator {
  readonly isPooled = false
  readonly family: Family
  readonly #store: NodeStore
  readonly #held = new ChurnMap<AllocationIP>()
  /** Free addresses that nobody has a claim to, in the order in which they are handed out: never held ones, then by release. */
  #fresh = new Set<string>()
  #returned = new Set<string>()
  /** `crd` mode: owner → keys of the entries that are reserved for it, sorted; a key need not be an address. */
  #reserved: ReadonlyMap<string, readonly string[]> = new Map()
  readonly #cooldown: Cooldown<string>
  #poolSize = 0

  constructor(family: Family, store: NodeStore, cooldown: CooldownOptions) {
    this.family = family
    this.#store = store
    this.#cooldown = new Cooldown(cooldown)
    store.addAllocator(this)
  }

  allocate(ip: string, owner: string, _pool: Pool): AllocationResult {
    const result = this.#allocate(ip, owner, true)
    this.#store.requestSync(`allocation of IP ${ip}`)
    return result
  }

  allocateWithoutSyncUpstream(ip: string, owner: string, _pool: Pool): AllocationResult {
    return this.#allocate(ip, owner, false)
  }

  allocateNext(owner: string, _pool: Pool, excluded?: ExcludedAddresses): AllocationResult {
    const result = this.#allocateNext(owner, excluded)
    this.#store.requestSync(`allocation of IP ${result.ip}`)
    return result
  }

  allocateNextWithoutSyncUpstream(owner: string, _pool: Pool, excluded?: ExcludedAddresses): AllocationResult {
    return this.#allocateNext(owner, excluded)
  }

  /** An address that left the pool while it was held is gone after this. @throws IPAMError IP_NOT_ALLOCATED */
  release(ip: string, _pool: Pool): void {
    if (this.#held.delete(ip) === undefined)
      throw new IPAMError('IP_NOT_ALLOCATED', `IP ${ip} is not allocated`, { ip, pool: POOL_DEFAULT })
    this.#cooldown.add(ip)
    if (this.#isOpen(ip)) this.#returned.add(ip)
    this.#store.requestSync(`release of IP ${ip}`)
  }

  dump(): AllocatorDump {
    return {
      allocated: new Map([[POOL_DEFAULT, new Set(this.#held.keys())]]),
      status: `${this.#held.size}/${this.#poolSize} allocated`,
    }
  }

  capacity(): bigint {
    return BigInt(this.#poolSize)
  }

  usage(): readonly PoolUsage[] {
    this.#cooldown.takeDue()
    return [
      {
        family: this.family,
        pool: POOL_DEFAULT,
        capacity: this.capacity(),
        allocated: this.#held.size,
        cooling: this.#cooldown.size,
        pending: 0,
      },
    ]
  }

  restoreFinished(): void {
    this.#store.restoreFinished()
  }

  held(): Iterable<readonly [ip: string, entry: AllocationIP]> {
    return this.#held.entries()
  }

  isHeld(ip: string): boolean {
    return this.#held.has(ip)
  }

  poolChanged(node: LocalNode | undefined): void {
    this.#poolSize = this.#store.poolSize(this.family)
    const open = new Set<string>()
    const reserved = new Map<string, string[]>()
    for (const [key, { family, owner = '' }] of node?.pool ?? []) {
      if (owner === '' && family === this.family && !this.#held.has(key)) open.add(key)
      // A key that is no address is of either family: whoever asks for it must learn of it.
      if (owner !== '' && (family === undefined || family === this.family))
        reserved.set(owner, [...(reserved.get(owner) ?? []), key])
    }
    for (const keys of reserved.values()) keys.sort()
    this.#reserved = reserved
    this.#returned = new Set([...this.#returned].filter((ip) => open.has(ip)))
    this.#fresh = new Set([...open].filter((ip) => !this.#returned.has(ip)))
  }

  #allocate(ip: string, owner: string, isNew: boolean): AllocationResult {
    const details: IPAMErrorDetails = { owner, pool: POOL_DEFAULT }
    if (this.#held.has(ip)) throw new IPAMError('IP_IN_USE', `IP ${ip} is already in use`, { ...details, ip })
    const pool = this.#nodeOf({ ...details, ip }).pool
    if (pool === undefined) throw new IPAMError('NO_IPS', 'no IPs are available in the own node', { ...details, ip })
    // A pod of before the restart has its address still, unless we gave it up: the mark alone will be answered with "do not release".
    const isGoing =
      isNew || this.#store.isRestored ? this.#store.isInReleaseHandshake(ip) : this.#store.isReleaseAgreed(ip)
    if (isGoing) throw new IPAMError('IP_IN_RELEASE_HANDSHAKE', `IP ${ip} is being released`, { ...details, ip })
    const entry = pool.get(ip)
    if (entry === undefined) throw new IPNotAvailableInPoolError(ip, details)
    if (isNew && this.#cooldown.has(ip))
      throw new IPAMError('IP_IN_COOLDOWN', `IP ${ip} was released a moment ago and is held back`, { ...details, ip })
    return this.#book(ip, entry, owner)
  }

  #allocateNext(owner: string, excluded: ExcludedAddresses | undefined): AllocationResult {
    const details: IPAMErrorDetails = { owner, pool: POOL_DEFAULT, family: this.family }
    const pool = this.#nodeOf(details).pool
    let failure: unknown
    for (const ip of this.#candidates(owner, details)) {
      const entry = pool?.get(ip)
      if (entry === undefined || this.#held.has(ip) || this.#store.isInReleaseHandshake(ip)) continue
      if (excluded !== undefined && excluded.ownerOf(ip) !== undefined) continue
      try {
        return this.#book(ip, entry, owner)
      } catch (error) {
        if (!(error instanceof IPAMError)) throw error
        // Its interface is not described yet; another address may do.
        failure ??= error
      }
    }
    if (failure !== undefined) throw failure
    const who = this.#store.mode === 'crd' ? 'whoever writes spec.ipam.pool must add some' : 'see the operator'
    throw new IPAMError('NO_MORE_IPS', `no more IPs available: ${who}${this.#withheldClause(excluded)}`, details)
  }

  /** Addresses to try, in order: those reserved for the owner, then the open ones whose cooldown is over. */
  *#candidates(owner: string, details: IPAMErrorDetails): Generator<string> {
    if (this.#store.mode === 'crd' && owner !== '') {
      const keys = this.#reserved.get(owner) ?? []
      const pool = this.#store.node?.pool
      const addresses = keys.filter((key) => pool?.get(key)?.family !== undefined)
      yield* addresses
      const [invalid] = keys.filter((key) => !addresses.includes(key))
      if (addresses.length === 0 && invalid !== undefined)
        throw new IPAMError('INVALID_CUSTOM_IP', `invalid custom IP ${invalid} for ${owner}`, {
          ...details,
          ip: invalid,
        })
    }
    yield* this.#fresh
    for (const ip of this.#returned) if (!this.#cooldown.has(ip)) yield ip
  }

  /** Nothing is booked when the result cannot be made. @throws IPAMError ENI_NOT_FOUND */
  #book(ip: string, { resource }: AllocationIP, owner: string): AllocationResult {
    const result = this.#resultOf(ip, resource ?? '', owner)
    this.#held.set(ip, { ...(owner !== '' && { owner }), ...(resource !== undefined && { resource }) })
    this.#cooldown.delete(ip)
    this.#fresh.delete(ip)
    this.#returned.delete(ip)
    return { ...result, ipPoolName: POOL_DEFAULT }
  }

  #resultOf(ip: string, resource: string, owner: string): AllocationResult {
    try {
      return this.#store.resultOf(ip, resource)
    } catch (error) {
      if (!(error instanceof IPAMError)) throw error
      throw new IPAMError(
        error.code,
        `failed to associate IP ${ip} inside CiliumNode: ${error.message}`,
        { ...error.details, owner, pool: POOL_DEFAULT },
        error,
      )
    }
  }

  /** Listed, of this family, and reserved for nobody. */
  #isOpen(ip: string): boolean {
    const entry = this.#store.node?.pool?.get(ip)
    return entry !== undefined && entry.family === this.family && entry.owner === undefined
  }

  #nodeOf(details: IPAMErrorDetails): LocalNode {
    const { node } = this.#store
    if (node !== undefined) return node
    throw new IPAMError('NODE_UNAVAILABLE', 'the CiliumNode of the own node is not available', details)
  }

  /** Why addresses that are free are not handed out; empty when there are none. */
  #withheldClause(excluded: ExcludedAddresses | undefined): string {
    const free = [...this.#fresh, ...this.#returned]
    const releasing = free.filter((ip) => this.#store.isInReleaseHandshake(ip)).length
    const cooling = free.filter((ip) => this.#cooldown.has(ip)).length
    const excludedCount = free.filter((ip) => excluded?.ownerOf(ip) !== undefined).length
    const parts = [
      ...(releasing > 0 ? [`${releasing} are being released`] : []),
      ...(cooling > 0 ? [`${cooling} are held back after their release`] : []),
      ...(excludedCount > 0 ? [`${excludedCount} are excluded`] : []),
    ]
    return parts.length === 0 ? '' : `; of ${this.#poolSize} in the pool ${parts.join(', ')}`
  }
}
