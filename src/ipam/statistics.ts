import { assertNever } from '../runtime/assert.ts'
import { isIPAddress } from './ip-range.ts'
import type { ResourceDemand } from './resource-demand.ts'
import type { InterfaceStats, IPAMProfile, Statistics } from './types.ts'
import { usageOf } from './usage.ts'
import { calculateExcessIPs, calculateNeededIPs, effectiveMaxAllocate, effectivePreAllocate } from './watermarks.ts'

export const EMPTY_STATISTICS: Statistics = {
  ipv4: {
    usedIPs: 0,
    availableIPs: 0,
    neededIPs: 0,
    excessIPs: 0,
    capacity: 0,
    remainingInterfaces: 0,
    interfaceCandidates: 0,
  },
  ipv6: { availablePrefixes: 0, neededPrefixes: 0 },
  emptyInterfaceSlots: 0,
  assignedStaticIP: '',
}

export interface StatisticsInput {
  readonly resource: ResourceDemand
  /** How many addresses of the last per-node refresh are open to pods (count); their map will do. */
  readonly available: { readonly size: number }
  readonly interfaceStats: InterfaceStats
  /** `NodeOperations.getMaximumAllocatableIPv4()` (count); 0 = unknown or unlimited. */
  readonly instanceMax: number
  /** The static address of the last statistics or of an allocation since; empty when none. */
  readonly rememberedStaticIP: string
  /** `PrefixOperations.getUsedIPWithPrefixes` of a prefix-delegated node (count). Only profiles up to 1.18 read it. */
  readonly usedIPsWithPrefixes?: number | undefined
  readonly profile: IPAMProfile
}

/**
 * The numbers of one node after a refresh that succeeded.
 *
 * @source cilium pkg/ipam/node.go, recalculate
 */
export function calculateStatistics(input: StatisticsInput): Statistics {
  const { resource, interfaceStats, profile } = input
  const { minAllocate, maxAboveWatermark, ...ipam } = resource.spec.ipam
  const availableIPs = input.available.size
  const preAllocate = effectivePreAllocate(ipam.preAllocate)
  const { maxAllocate } = effectiveMaxAllocate(ipam.maxAllocate, input.instanceMax)
  const availableIPv6Prefixes = interfaceStats.nodeIPv6Prefixes
  const usage = usageOf(resource, { preAllocate, availableIPv6Prefixes, profile })
  return {
    ipv4: {
      usedIPs: usage.usedIPs,
      availableIPs,
      neededIPs: calculateNeededIPs({ availableIPs, usedIPs: usage.usedIPs, preAllocate, minAllocate, maxAllocate }),
      excessIPs: calculateExcessIPs({
        availableIPs,
        usedIPs: countsTouchedPrefixes(profile) ? (input.usedIPsWithPrefixes ?? usage.usedIPs) : usage.usedIPs,
        preAllocate,
        minAllocate,
        maxAboveWatermark,
        profile,
      }),
      capacity: interfaceStats.nodeCapacity,
      remainingInterfaces: interfaceStats.remainingAvailableInterfaceCount,
      interfaceCandidates: interfaceStats.interfaceCandidates,
    },
    ipv6: { availablePrefixes: availableIPv6Prefixes, neededPrefixes: usage.neededIPv6Prefixes },
    emptyInterfaceSlots: interfaceStats.emptyInterfaceSlots,
    assignedStaticIP: staticIPOf(input),
  }
}

/** Whether two nodes' numbers are the same. */
export function sameStatistics(left: Statistics, right: Statistics): boolean {
  return (
    left.ipv4.usedIPs === right.ipv4.usedIPs &&
    left.ipv4.availableIPs === right.ipv4.availableIPs &&
    left.ipv4.neededIPs === right.ipv4.neededIPs &&
    left.ipv4.excessIPs === right.ipv4.excessIPs &&
    left.ipv4.capacity === right.ipv4.capacity &&
    left.ipv4.remainingInterfaces === right.ipv4.remainingInterfaces &&
    left.ipv4.interfaceCandidates === right.ipv4.interfaceCandidates &&
    left.ipv6.availablePrefixes === right.ipv6.availablePrefixes &&
    left.ipv6.neededPrefixes === right.ipv6.neededPrefixes &&
    left.emptyInterfaceSlots === right.emptyInterfaceSlots &&
    left.assignedStaticIP === right.assignedStaticIP
  )
}

/** Whether the excess formula counts a touched prefix as a whole: up to 1.18. From 1.19 on the provider finds free prefixes. */
export function countsTouchedPrefixes(profile: IPAMProfile): boolean {
  return profile === '1.14' || profile === '1.18'
}

/**
 * A refresh failed (the instance or its limits are not known): nothing is needed and nothing is too much, the rest keeps its
 * last value.
 *
 * @source cilium pkg/ipam/node.go, recalculate
 */
export function statisticsAfterFailedRefresh(last: Statistics): Statistics {
  return { ...last, ipv4: { ...last.ipv4, neededIPs: 0, excessIPs: 0 } }
}

/** The cloud's word first; the newest profile then trusts its memory, and after a restart the resource. 1.14 has no static IP. */
function staticIPOf(input: StatisticsInput): string {
  const fromCloud = input.interfaceStats.assignedStaticIP
  switch (input.profile) {
    case 'latest':
      return fromCloud || input.rememberedStaticIP || input.resource.status.assignedStaticIP
    case '1.19':
    case '1.18':
      return fromCloud
    case '1.14':
      return ''
    default:
      return assertNever(input.profile)
  }
}

/**
 * Whether a node that asks for a static IP (`spec.ipam.static-ip-tags`) still has to get it. The newest profile takes only an IP
 * address for an answer: older versions stored the ID of an Azure resource there.
 *
 * @source cilium pkg/ipam/node.go, allocationNeeded (1.20 and later)
 */
export function staticIPNeedsResolution(assignedStaticIP: string, profile: IPAMProfile): boolean {
  if (assignedStaticIP === '') return true
  return profile === 'latest' && !isIPAddress(assignedStaticIP)
}
