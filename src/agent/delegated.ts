import type { AllocationResult, Allocator, AllocatorDump, PoolUsage } from './allocator.ts'
import type { IPAMErrorDetails } from './errors.ts'
import { IPAMError } from './errors.ts'
import type { Family } from './family.ts'
import type { Pool } from './pool.ts'

/**
 * Stands where another CNI IPAM plug-in hands out the addresses: refuses everything, holds nothing.
 *
 * @source cilium pkg/ipam/noop_allocator.go
 */
export class DelegatedAllocator implements Allocator {
  readonly isPooled = false
  readonly #family: Family

  constructor(family: Family) {
    this.#family = family
  }

  allocate(ip: string, owner: string, pool: Pool): AllocationResult {
    throw this.#refusal({ ip, owner, pool })
  }

  allocateWithoutSyncUpstream(ip: string, owner: string, pool: Pool): AllocationResult {
    throw this.#refusal({ ip, owner, pool })
  }

  allocateNext(owner: string, pool: Pool): AllocationResult {
    throw this.#refusal({ owner, pool })
  }

  allocateNextWithoutSyncUpstream(owner: string, pool: Pool): AllocationResult {
    throw this.#refusal({ owner, pool })
  }

  release(ip: string, pool: Pool): void {
    throw this.#refusal({ ip, pool })
  }

  dump(): AllocatorDump {
    return { allocated: null, status: 'delegated to plugin' }
  }

  capacity(): bigint {
    return 0n
  }

  usage(): readonly PoolUsage[] {
    return []
  }

  restoreFinished(): void {
    // Nothing was held.
  }

  #refusal(details: IPAMErrorDetails): IPAMError {
    return new IPAMError('NOT_SUPPORTED', 'operation not supported: IPAM is delegated to a CNI plug-in', {
      ...details,
      family: this.#family,
    })
  }
}
