import {
  nodeCapacity as alibabaCapacity,
  maximumAllocatableIPv4 as alibabaMaximum,
} from '../../../providers/alibabacloud/plan.ts'
import { interfaceCapacity, maximumAllocatableIPv4, minimumAllocatableIPv4 } from '../../../providers/aws/plan.ts'
import { nodeCapacity as azureCapacity } from '../../../providers/azure/plan.ts'
import { prefixCeil } from '../../../src/ipam/ip-range.ts'
import { firstSubnetWithAvailableAddresses, tagsMatch } from '../../../src/ipam/subnets.ts'
import type { Limits } from '../../../src/ipam/types.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { adapt } from './core-arithmetic.ts'

/** Null limits stand for an instance type that is not known. */
interface LimitsInput {
  readonly adapters: number | null
  readonly ipv4: number | null
}

function limitsOf({ adapters, ipv4 }: LimitsInput): Limits | undefined {
  if (adapters === null || ipv4 === null) return undefined
  return { adapters, ipv4, ipv6: 0, hypervisorType: 'nitro', isBareMetal: false }
}

/** A count, or the list whose length it is. */
function countOf(value: number | readonly unknown[] | null | undefined): number {
  if (value === null || value === undefined) return 0
  return typeof value === 'number' ? value : value.length
}

export const capacityAdapters: AdapterRegistry = {
  tags_match: adapt<{
    readonly tags: Readonly<Record<string, string>> | null
    readonly required: Readonly<Record<string, string>> | null
  }>(({ tags, required }) => ({ match: tagsMatch(required ?? {}, tags ?? {}) })),

  subnet_pick: adapt<{
    readonly availableBySubnet: Readonly<Record<string, number>>
    readonly preferred: readonly string[] | null
  }>(({ availableBySubnet, preferred }) => {
    const subnets = new Map(
      Object.entries(availableBySubnet).map(([id, availableAddresses]) => [id, { availableAddresses }]),
    )
    const { poolID, availableAddresses } = firstSubnetWithAvailableAddresses(preferred ?? [], subnets)
    return { subnet: poolID, available: availableAddresses }
  }),

  prefix_ceil: adapt<{ readonly ips: number; readonly blockSize: number }>(({ ips, blockSize }) => ({
    blocks: prefixCeil(ips, blockSize),
  })),

  aws_capacity: adapt<{
    readonly adapters: number
    readonly ipv4: number
    readonly usePrimaryAddress: boolean
    readonly prefixDelegated: boolean
    readonly interfaces: readonly {
      readonly addresses: number | readonly string[]
      readonly prefixes?: number | readonly string[]
      readonly excluded?: boolean
    }[]
  }>(({ adapters, ipv4, usePrimaryAddress, prefixDelegated, interfaces }) => {
    const { capacity, remainingInterfaces } = interfaceCapacity({
      adapters,
      ipv4,
      usesPrimaryAddress: usePrimaryAddress,
      prefixDelegated,
      interfaces: interfaces.map((iface) => ({
        addressCount: countOf(iface.addresses),
        prefixCount: countOf(iface.prefixes),
        isExcluded: iface.excluded ?? false,
      })),
    })
    return { capacity, remainingInterfaces }
  }),

  aws_max_allocatable: adapt<
    LimitsInput & { readonly firstInterfaceIndex: number | null; readonly prefixDelegated: boolean }
  >((input) => ({
    max: maximumAllocatableIPv4({
      limits: limitsOf(input),
      firstInterfaceIndex: input.firstInterfaceIndex ?? undefined,
      prefixDelegated: input.prefixDelegated,
    }),
  })),

  aws_min_allocatable: adapt<LimitsInput & { readonly firstInterfaceIndex: number | null }>((input) => ({
    min: minimumAllocatableIPv4({
      limits: limitsOf(input),
      firstInterfaceIndex: input.firstInterfaceIndex ?? undefined,
    }),
  })),

  azure_capacity: adapt<{ readonly usePrimary: boolean; readonly nicsWithPrimary: number }>(
    ({ usePrimary, nicsWithPrimary }, { profile }) => ({
      capacity: azureCapacity({ usePrimaryAddress: usePrimary, nicsWithPrimary, profile }),
    }),
  ),

  alibaba_capacity: adapt<LimitsInput & { readonly primaryAddressesOnSecondaryInterfaces: number }>((input) => ({
    capacity: alibabaCapacity(limitsOf(input), input.primaryAddressesOnSecondaryInterfaces),
    maxAllocatable: alibabaMaximum(limitsOf(input)),
  })),
}
