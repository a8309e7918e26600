import type { Family } from './family.ts'
import type { Pool } from './pool.ts'

/**
 * An address, and what a CNI plug-in needs to route it. Host-scope and pod-CIDR allocators fill only `ip` and the pool.
 *
 * @source cilium pkg/ipam/types.go, AllocationResult
 */
export interface AllocationResult {
  /** Canonical text. */
  readonly ip: string
  /** The pool that the address came from. */
  readonly ipPoolName?: Pool
  /** CIDRs that are reachable directly through the interface. */
  readonly cidrs?: readonly string[]
  /** MAC of the interface that carries the address. Until 1.6 `Master`. */
  readonly primaryMAC?: string
  readonly gatewayIP?: string
  /** Token of the running expiration; only after an allocation with expiration. */
  readonly expirationUUID?: string
  /** Decimal text. */
  readonly interfaceNumber?: string
}

/** The addresses of one pool that "next" must never hand out: the facade's exclusions. */
export interface ExcludedAddresses {
  /** Excluded addresses and networks (count); 0 lets an allocator skip every question. */
  readonly size: number
  /** @param ip canonical text. @returns who excluded it, undefined when nobody did */
  ownerOf(ip: string): string | undefined
}

/** What an allocator holds. `allocated` is null where another program holds the addresses. */
export interface AllocatorDump {
  /** Pool → canonical addresses. */
  readonly allocated: ReadonlyMap<Pool, ReadonlySet<string>> | null
  /** One line. */
  readonly status: string
}

/** The numbers of one pool of one family (counts of addresses). */
export interface PoolUsage {
  readonly family: Family
  readonly pool: Pool
  readonly capacity: bigint
  readonly allocated: number
  /** Free, but held back after their release. */
  readonly cooling: number
  /** Owners that asked in vain and may ask again. */
  readonly pending: number
}

/**
 * Hands out addresses of one family. Everything is synchronous: between the check and the booking nothing else runs. Addresses are
 * canonical texts on both sides.
 *
 * @source cilium pkg/ipam/types.go, Allocator
 */
export interface Allocator {
  /** False: there is one pool, the default one, and the pool argument is ignored. */
  readonly isPooled: boolean
  /** Reserves exactly this address. @throws IPAMError */
  allocate(ip: string, owner: string, pool: Pool): AllocationResult
  /** The same without a write to the API server: for what is re-registered after a restart, and the agent's own addresses. */
  allocateWithoutSyncUpstream(ip: string, owner: string, pool: Pool): AllocationResult
  /** Reserves any address that is free and not excluded. @throws IPAMError */
  allocateNext(owner: string, pool: Pool, excluded?: ExcludedAddresses): AllocationResult
  allocateNextWithoutSyncUpstream(owner: string, pool: Pool, excluded?: ExcludedAddresses): AllocationResult
  /**
   * Gives an address back. Host-scope and pod-CIDR allocators take an unknown address without complaint.
   *
   * @throws IPAMError IP_NOT_ALLOCATED (CRD), POOL_UNKNOWN (multi-pool), NOT_SUPPORTED (delegated)
   */
  release(ip: string, pool: Pool): void
  dump(): AllocatorDump
  /** Size of all pools, not the free part (count of addresses). */
  capacity(): bigint
  usage(): readonly PoolUsage[]
  /**
   * Every endpoint of before the restart is registered again: from now on addresses may be released and reported upstream.
   * Idempotent.
   */
  restoreFinished(): void
  /**
   * Somebody will want an address here soon: an owner whose other family failed, or is short. Only where demand is reported.
   */
  expectDemand?(owner: string, pool: Pool): void
}
