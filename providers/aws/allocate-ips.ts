import type { AllocateIPsOutcome, Logger } from '../../src/ipam/contracts.ts'
import { CloudAPIError } from '../../src/ipam/errors.ts'
import { PREFIX_SIZE, prefixCeil } from '../../src/ipam/ip-range.ts'
import type { AllocationAction } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { EC2API } from './api.ts'
import type { AddressReservation } from './dense-addresses.ts'
import { isChoiceRefused } from './errors.ts'
import { fallbackCount, isPrefixDelegated, wouldBePrefixDelegated, type NodeFacts } from './plan.ts'
import type { PrefixSupply } from './prefix-supply.ts'
import { isOwnRefusal, noRoom } from './subnet-room.ts'
import type { Claim } from './subnet-room.ts'
import type { ENI } from './types.ts'

/** What a call put on an interface, as EC2 answered. */
export interface AssignedAddresses {
  readonly addresses?: readonly string[]
  readonly prefixes?: readonly string[]
  readonly ipv6Prefixes?: readonly string[]
}

export interface AllocationDependencies {
  readonly api: Pick<EC2API, 'assignIPv4Prefixes' | 'assignIPv6Prefix' | 'assignPrivateIPAddresses'>
  readonly log: Logger
  /** The node's name, for the log. */
  readonly node: string
  readonly prefixSupply: PrefixSupply
  /** An interface as the inventory has it now. */
  readonly interfaceNow: (interfaceID: string) => ENI | undefined
  readonly onAssigned: (interfaceID: string, assigned: AssignedAddresses) => void
  /** The subnet refused so many single addresses (count). */
  readonly onSubnetExhausted: (subnetID: string, refusedCount: number) => void
  /** So many addresses of a subnet, or as many as are left, for a call that is about to be made; undefined: none is left. */
  readonly claimAddresses: (subnetID: string, count: number) => Claim | undefined
  /** Addresses beside those that are taken already; undefined: EC2 chooses. */
  readonly reserveAddresses: (subnetID: string, count: number) => AddressReservation | undefined
}

/**
 * Fills the chosen interface and no other: one IPv6 prefix where wanted, then /28 blocks on a prefix node, and single addresses
 * otherwise or where the subnet has no free block.
 *
 * A node that had to fall back to single addresses tries a block again once its subnet may have one: with a prefix on each
 * interface it counts as delegated again. (For the reference it never comes back before it is drained, cilium/cilium#46644.)
 *
 * @source cilium pkg/aws/ipam/node.go, AllocateIPs
 */
export async function allocateIPs(
  facts: NodeFacts,
  action: AllocationAction,
  deps: AllocationDependencies,
  context: CallContext,
): Promise<AllocateIPsOutcome> {
  const { interfaceID } = action
  const wanted = action.ipv4.availableForAllocation
  try {
    if (action.ipv6.maxPrefixesToAllocate > 0)
      deps.onAssigned(interfaceID, { ipv6Prefixes: await deps.api.assignIPv6Prefix(interfaceID, context) })
    if (wanted <= 0) return { kind: 'allocated', addressCount: 0 }
    if (!isPrefixDelegated(facts) && !returnsToPrefixes(facts, interfaceID, deps))
      return await assignAddresses(interfaceID, wanted, deps, context)
    const addressCount = await assignPrefixes(interfaceID, wanted, deps, context)
    if (addressCount !== undefined) return { kind: 'allocated', addressCount }
    return await assignAddresses(interfaceID, freeSlots(facts, interfaceID, wanted), deps, context)
  } catch (error) {
    if (!(error instanceof CloudAPIError)) throw error
    return { kind: 'failed', error, isInstanceRunning: error.reason !== 'instanceNotRunning' }
  }
}

function returnsToPrefixes(facts: NodeFacts, interfaceID: string, deps: AllocationDependencies): boolean {
  const eni = deps.interfaceNow(interfaceID)
  if (eni === undefined || !wouldBePrefixDelegated(facts) || freeSlots(facts, interfaceID, 1) === 0) return false
  return deps.prefixSupply.mayTry(eni.subnet.id)
}

/** Single addresses that fit, at most `wanted` (count). */
function freeSlots({ interfaces, limits, spec }: NodeFacts, interfaceID: string, wanted: number): number {
  const eni = interfaces.find(({ id }) => id === interfaceID)
  return eni === undefined || limits === undefined ? 0 : fallbackCount(eni, wanted, limits, spec.usesPrimaryAddress)
}

/** Makes a call with addresses of the interface's subnet that no other call counts on meanwhile. @throws CloudAPIError */
async function withClaim<T>(
  interfaceID: string,
  count: number,
  deps: AllocationDependencies,
  call: (claim: Claim, subnetID: string) => Promise<T>,
): Promise<T> {
  const subnetID = deps.interfaceNow(interfaceID)?.subnet.id ?? ''
  const claim = deps.claimAddresses(subnetID, count)
  if (claim === undefined) throw noRoom(subnetID, 'AssignPrivateIpAddresses')
  try {
    return await call(claim, subnetID)
  } finally {
    claim.end()
  }
}

/** @returns addresses of the new prefixes (count), or undefined when the subnet has no free block. @throws CloudAPIError */
async function assignPrefixes(
  interfaceID: string,
  wanted: number,
  deps: AllocationDependencies,
  context: CallContext,
): Promise<number | undefined> {
  return withClaim(interfaceID, prefixCeil(wanted) * PREFIX_SIZE, deps, async (claim, subnetID) => {
    const count = Math.floor(claim.count / PREFIX_SIZE)
    try {
      // Fewer addresses than a block has: EC2 would refuse.
      const prefixes =
        count === 0 ? undefined : await deps.api.assignIPv4Prefixes(interfaceID, count, context, claim.admit)
      if (prefixes !== undefined) {
        deps.onAssigned(interfaceID, { prefixes })
        return prefixes.length * PREFIX_SIZE
      }
    } catch (error) {
      if (!(error instanceof CloudAPIError) || error.reason !== 'prefixExhausted') throw error
    }
    deps.log.warn({ node: deps.node, interfaceID }, 'No free prefix in the subnet, using addresses')
    deps.prefixSupply.refused(subnetID)
    return undefined
  })
}

/**
 * @param count 0 = no slot is left for single addresses: a failure, so that an interface is created instead
 * @throws CloudAPIError
 */
async function assignAddresses(
  interfaceID: string,
  count: number,
  deps: AllocationDependencies,
  context: CallContext,
): Promise<AllocateIPsOutcome> {
  if (count <= 0) {
    const error = new CloudAPIError(`Cannot assign addresses to ${interfaceID}: no free prefix and no slot is left`, {
      kind: 'exhausted',
      reason: 'prefixExhausted',
      code: 'InsufficientCidrBlocks',
      action: 'AssignPrivateIpAddresses',
    })
    return { kind: 'failed', error, isInstanceRunning: true }
  }
  return withClaim(interfaceID, count, deps, async (claim, subnetID) => {
    const before = new Set(deps.interfaceNow(interfaceID)?.addresses)
    try {
      const assigned =
        (await assignDense(interfaceID, claim, deps, context)) ?? (await assignAny(interfaceID, claim, deps, context))
      return { kind: 'allocated', addressCount: assigned.filter((address) => !before.has(address)).length }
    } catch (error) {
      if (error instanceof CloudAPIError && error.kind === 'exhausted' && !isOwnRefusal(error))
        deps.onSubnetExhausted(subnetID, claim.count)
      throw error
    }
  })
}

/** Beside addresses that are taken already. @returns undefined when there is no such choice, or EC2 refuses it */
async function assignDense(
  interfaceID: string,
  { count, admit }: Claim,
  deps: AllocationDependencies,
  context: CallContext,
): Promise<readonly string[] | undefined> {
  const reservation = deps.reserveAddresses(deps.interfaceNow(interfaceID)?.subnet.id ?? '', count)
  if (reservation === undefined) return undefined
  try {
    const addresses = await deps.api.assignPrivateIPAddresses(interfaceID, reservation.addresses, context, admit)
    deps.onAssigned(interfaceID, { addresses })
    reservation.end()
    return addresses
  } catch (error) {
    if (!isChoiceRefused(error)) {
      reservation.end()
      throw error
    }
    reservation.refused()
    return undefined
  }
}

/** Wherever EC2 likes. */
async function assignAny(
  interfaceID: string,
  { count, admit }: Claim,
  deps: AllocationDependencies,
  context: CallContext,
): Promise<readonly string[]> {
  const addresses = await deps.api.assignPrivateIPAddresses(interfaceID, count, context, admit)
  deps.onAssigned(interfaceID, { addresses })
  return addresses
}
