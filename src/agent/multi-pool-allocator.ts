import type { AllocationResult, Allocator, AllocatorDump, ExcludedAddresses, PoolUsage } from './allocator.ts'
import type { Family } from './family.ts'
import type { MultiPoolManager } from './multi-pool.ts'
import type { Pool } from './pool.ts'

/**
 * One family's view of the node's pools.
 *
 * @source cilium pkg/ipam/multipool_allocator.go
 */
export class MultiPoolAllocator implements Allocator {
  readonly isPooled = true
  readonly #family: Family
  readonly #manager: MultiPoolManager

  constructor(family: Family, manager: MultiPoolManager) {
    this.#family = family
    this.#manager = manager
  }

  allocate(ip: string, owner: string, pool: Pool): AllocationResult {
    return this.#manager.allocate(ip, owner, pool, this.#family, { needsSync: true })
  }

  allocateWithoutSyncUpstream(ip: string, owner: string, pool: Pool): AllocationResult {
    return this.#manager.allocate(ip, owner, pool, this.#family, { needsSync: false })
  }

  allocateNext(owner: string, pool: Pool, excluded?: ExcludedAddresses): AllocationResult {
    return this.#manager.allocateNext(owner, pool, this.#family, { needsSync: true, excluded })
  }

  allocateNextWithoutSyncUpstream(owner: string, pool: Pool, excluded?: ExcludedAddresses): AllocationResult {
    return this.#manager.allocateNext(owner, pool, this.#family, { needsSync: false, excluded })
  }

  release(ip: string, pool: Pool): void {
    this.#manager.release(ip, pool, this.#family)
  }

  dump(): AllocatorDump {
    return this.#manager.dump(this.#family)
  }

  capacity(): bigint {
    return this.#manager.capacity(this.#family)
  }

  usage(): readonly PoolUsage[] {
    return this.#manager.usage(this.#family)
  }

  restoreFinished(): void {
    this.#manager.restoreFinished(this.#family)
  }

  expectDemand(owner: string, pool: Pool): void {
    this.#manager.expectDemand(owner, pool, this.#family)
  }
}
