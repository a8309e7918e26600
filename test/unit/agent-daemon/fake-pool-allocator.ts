import type { AllocationResult, Allocator, AllocatorDump, PoolUsage } from '../../../src/agent/allocator.ts'
import { IPAMError, IPNotAvailableInPoolError } from '../../../src/agent/errors.ts'

/** An allocator of named pools whose addresses a test adds and takes away, as an operator would. */
export class FakePoolAllocator implements Allocator {
  readonly isPooled = true
  readonly pools = new Map<string, Set<string>>()
  readonly held = new Map<string, Set<string>>()
  isRestored = false

  constructor(pools: Readonly<Record<string, readonly string[]>>) {
    for (const [pool, addresses] of Object.entries(pools)) this.pools.set(pool, new Set(addresses))
  }

  allocate(ip: string, owner: string, pool: string): AllocationResult {
    if (!this.#pool(pool, owner).has(ip)) throw new IPNotAvailableInPoolError(ip, { owner, pool })
    const held = this.#held(pool)
    if (held.has(ip)) throw new IPAMError('IP_IN_USE', `IP ${ip} is in use`, { ip, owner, pool })
    held.add(ip)
    return { ip, ipPoolName: pool, gatewayIP: '10.0.0.1', primaryMAC: '02:00:00:00:00:01' }
  }

  allocateWithoutSyncUpstream(ip: string, owner: string, pool: string): AllocationResult {
    return this.allocate(ip, owner, pool)
  }

  allocateNext(owner: string, pool: string): AllocationResult {
    const ip = [...this.#pool(pool, owner)].find((one) => !this.#held(pool).has(one))
    if (ip === undefined) throw new IPAMError('NO_MORE_IPS', 'no more IPs available', { owner, pool })
    return this.allocate(ip, owner, pool)
  }

  allocateNextWithoutSyncUpstream(owner: string, pool: string): AllocationResult {
    return this.allocateNext(owner, pool)
  }

  release(ip: string, pool: string): void {
    if (!this.#held(pool).delete(ip)) throw new IPAMError('IP_NOT_ALLOCATED', `IP ${ip} is not allocated`, { ip, pool })
  }

  dump(): AllocatorDump {
    return { allocated: this.held, status: 'fake' }
  }

  capacity(): bigint {
    return 0n
  }

  usage(): readonly PoolUsage[] {
    return []
  }

  restoreFinished(): void {
    this.isRestored = true
  }

  #pool(pool: string, owner: string): Set<string> {
    const addresses = this.pools.get(pool)
    if (addresses === undefined) throw new IPAMError('POOL_NOT_READY', 'pool not ready', { owner, pool })
    return addresses
  }

  #held(pool: string): Set<string> {
    const held = this.held.get(pool) ?? new Set()
    this.held.set(pool, held)
    return held
  }
}
