import type { AllocationResult } from './allocator.ts'
import type { Pool } from './pool.ts'

/** What a request for any address names. */
export interface NextRequest {
  /** Empty or absent: every enabled family. */
  readonly family?: string
  readonly owner: string
  /** Absent: the default pool. */
  readonly pool?: Pool
}

export interface NextWithExpirationRequest extends NextRequest {
  /** Until the address goes back unless its token was shown (ms); 0: never. */
  readonly timeoutMs: number
}

/** An address for each family that was asked for and is enabled. */
export interface AllocationPair {
  readonly ipv4?: AllocationResult
  readonly ipv6?: AllocationResult
}

/** Address (of another pool than the default one: `pool/address`) → owner, empty when nobody said. Sorted. */
export type FamilyDump = ReadonlyMap<string, string>

/** A family that is disabled is absent, one whose addresses another program holds is null. */
export interface IPAMDump {
  readonly ipv4?: FamilyDump | null
  readonly ipv6?: FamilyDump | null
  /** One line; `Not running` when no family is enabled. */
  readonly status: string
}
