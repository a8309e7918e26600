import type { CreateInterfaceCondition, Logger } from '../../src/ipam/contracts.ts'
import type { Limits } from '../../src/ipam/types.ts'
import type { SafeCreationDependencies } from './create-once.ts'
import type { AddressReservation } from './dense-addresses.ts'
import type { Infrastructure } from './plan-placement.ts'
import type { Claim } from './subnet-room.ts'
import type { ENI, ENISpec } from './types.ts'

/** Everything about one node that a creation depends on, read at its start. */
export interface CreationFacts {
  readonly instanceID: string
  readonly spec: ENISpec
  readonly limits: Limits | undefined
  /** The node's view. */
  readonly interfaces: readonly ENI[]
  readonly prefixDelegation: boolean
  readonly infrastructure: Infrastructure
  /** Where a subnet has no free /28 block, its siblings are asked before single addresses are used. */
  readonly triesSiblingSubnets: boolean
  /** Tags of every created interface. */
  readonly tags: Readonly<Record<string, string>>
}

export interface CreationDependencies extends SafeCreationDependencies {
  readonly log: Logger
  /** The interface hangs on the instance: it belongs into the inventory. */
  readonly onAttached: (eni: ENI) => void
  /** The subnet refused so many single addresses (count). */
  readonly onSubnetExhausted: (subnetID: string, refusedCount: number) => void
  /** The subnet had no free /28 block. */
  readonly onPrefixesExhausted: (subnetID: string) => void
  /** Whether a node that fell back to single addresses tries prefixes again in this subnet. */
  readonly returnsToPrefixes: (subnetID: string) => boolean
  /** So many addresses of a subnet, or as many as are left, for a call that is about to be made; undefined: none is left. */
  readonly claimAddresses: (subnetID: string, count: number) => Claim | undefined
  /** Addresses beside those that are taken already; undefined: EC2 chooses. */
  readonly reserveAddresses: (subnetID: string, count: number) => AddressReservation | undefined
  /** Interfaces created and about to be attached, by ID: garbage collection keeps off them. */
  readonly beingAttached: Set<string>
  /** The attachment is asked for: from now on it waits for its own quota. */
  readonly onAttaching: () => void
  /** Reads the node's instance into the inventory. @throws CloudAPIError */
  readonly readInstance: () => Promise<void>
}

/** A step failed. Never leaves the creation. */
export class StepFailure extends Error {
  readonly condition: CreateInterfaceCondition
  readonly failure: Error

  constructor(condition: CreateInterfaceCondition, failure: Error) {
    super(failure.message)
    this.condition = condition
    this.failure = failure
  }
}
