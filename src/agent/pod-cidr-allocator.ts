import type { AllocationResult, Allocator, AllocatorDump, ExcludedAddresses, PoolUsage } from './allocator.ts'
import type { IPAMErrorDetails } from './errors.ts'
import type { Family } from './family.ts'
import type { PodCIDRPool } from './pod-cidr-pool.ts'
import type { PodCIDRWatcher } from './pod-cidr-watcher.ts'
import type { Pool } from './pool.ts'
import { POOL_DEFAULT } from './pool.ts'

/** One family's view of the watcher. @source cilium 1.14 pkg/ipam/clusterpool.go, clusterPoolAllocator */
export class PodCIDRAllocator implements Allocator {
  readonly isPooled = false
  readonly #family: Family
  readonly #watcher: PodCIDRWatcher
  readonly #pool: PodCIDRPool

  constructor(family: Family, watcher: PodCIDRWatcher, pool: PodCIDRPool) {
    this.#family = family
    this.#watcher = watcher
    this.#pool = pool
  }

  allocate(ip: string, owner: string, _pool: Pool): AllocationResult {
    this.#pool.allocate(ip, this.#details(owner), false)
    this.#watcher.requestSync()
    return { ip, ipPoolName: POOL_DEFAULT }
  }

  allocateWithoutSyncUpstream(ip: string, owner: string, _pool: Pool): AllocationResult {
    this.#pool.allocate(ip, this.#details(owner), true)
    return { ip, ipPoolName: POOL_DEFAULT }
  }

  allocateNext(owner: string, pool: Pool, excluded?: ExcludedAddresses): AllocationResult {
    const result = this.allocateNextWithoutSyncUpstream(owner, pool, excluded)
    this.#watcher.requestSync()
    return result
  }

  allocateNextWithoutSyncUpstream(owner: string, _pool: Pool, excluded?: ExcludedAddresses): AllocationResult {
    return { ip: this.#pool.allocateNext(this.#details(owner), excluded), ipPoolName: POOL_DEFAULT }
  }

  release(ip: string, _pool: Pool): void {
    this.#pool.release(ip)
    this.#watcher.requestSync()
  }

  dump(): AllocatorDump {
    const { addresses, used, free, podCIDRs } = this.#pool.dump()
    return {
      allocated: new Map([[POOL_DEFAULT, addresses]]),
      // The reference prints the free count where others print the total.
      status: `${used}/${free} allocated from ${podCIDRs} pod CIDRs`,
    }
  }

  capacity(): bigint {
    return BigInt(this.#pool.capacity)
  }

  usage(): readonly PoolUsage[] {
    const { used, cooling } = this.#pool
    return [
      { family: this.#family, pool: POOL_DEFAULT, capacity: this.capacity(), allocated: used, cooling, pending: 0 },
    ]
  }

  restoreFinished(): void {
    this.#watcher.restoreFinished()
  }

  #details(owner: string): IPAMErrorDetails {
    return { owner, pool: POOL_DEFAULT, family: this.#family }
  }
}
