import type { BucketTable } from '../../src/budget/bucket-table.ts'
import type { BucketCharge } from '../../src/budget/contracts.ts'
import type { BucketRate } from '../../src/budget/token-bucket.ts'

const MINUTE_SECONDS = 60
const FIVE_MINUTES_SECONDS = 300

/** @param refill tokens a minute. @param size tokens */
function perMinute(refill: number, size: number): BucketRate {
  return { size, refillPerSecond: refill / MINUTE_SECONDS }
}

/** @param count calls in five minutes */
function perFiveMinutes(count: number): BucketRate {
  return { size: count, refillPerSecond: count / FIVE_MINUTES_SECONDS }
}

/**
 * Policies of the Compute provider that our calls fall under, by names of our own: the buckets of the subscription, and of each
 * single resource.
 *
 * @source Azure documentation, Virtual Machines, Compute throttling limits
 */
const COMPUTE_POLICIES = {
  GetVMScaleSetVM: { subscription: perMinute(2000, 6000), resource: perMinute(12, 36) },
  UpdateVMScaleSetVM: { subscription: perMinute(500, 1500), resource: perMinute(4, 12) },
  HighCostGetVMScaleSet: { subscription: perMinute(360, 1080), resource: perMinute(10, 30) },
  LowCostGetVM: { subscription: perMinute(8000, 24_000), resource: perMinute(12, 36) },
  GetOperation: { subscription: perMinute(5000, 15_000), resource: perMinute(15, 45) },
} as const satisfies Readonly<Record<string, { readonly subscription: BucketRate; readonly resource: BucketRate }>>

export type ComputePolicy = keyof typeof COMPUTE_POLICIES

/** The bucket that each resource has of its own (`resource-pace.ts`). */
export function resourceRate(policy: ComputePolicy): BucketRate {
  return COMPUTE_POLICIES[policy].resource
}

/** What Resource Manager counts a call as. */
export type CallKind = 'reads' | 'writes'

/** The bucket of Resource Manager for one identity and kind of call. */
export function subscriptionBucket(kind: CallKind): string {
  return `subscription-${kind}`
}

export function networkBucket(kind: CallKind): string {
  return `Microsoft.Network/${kind}`
}

export function computeBucket(policy: ComputePolicy): string {
  return `Microsoft.Compute/${policy}`
}

/**
 * The request buckets of one subscription, region and identity as documented. Those of all identities together are fifteen times
 * as wide: what their headers tell is taken for these.
 *
 * @source Azure documentation, Resource Manager, throttling; Virtual Machines, Compute throttling limits; Network, service limits
 */
export const AZURE_BUCKETS: BucketTable = {
  refill: 'continuous',
  buckets: {
    [subscriptionBucket('reads')]: { size: 250, refillPerSecond: 25 },
    [subscriptionBucket('writes')]: { size: 200, refillPerSecond: 10 },
    [networkBucket('reads')]: perFiveMinutes(10_000),
    [networkBucket('writes')]: perFiveMinutes(1000),
    [computeBucket('GetVMScaleSetVM')]: COMPUTE_POLICIES.GetVMScaleSetVM.subscription,
    [computeBucket('UpdateVMScaleSetVM')]: COMPUTE_POLICIES.UpdateVMScaleSetVM.subscription,
    [computeBucket('HighCostGetVMScaleSet')]: COMPUTE_POLICIES.HighCostGetVMScaleSet.subscription,
    [computeBucket('LowCostGetVM')]: COMPUTE_POLICIES.LowCostGetVM.subscription,
    [computeBucket('GetOperation')]: COMPUTE_POLICIES.GetOperation.subscription,
  },
  families: {},
  // Nothing else is called; a guess as narrow as the narrowest policy of a subscription.
  fallback: perMinute(300, 900),
}

/** A kind of call: what it counts as, and for Compute under which policy. */
export type OperationShape =
  | { readonly kind: CallKind; readonly provider: 'Microsoft.Network' }
  | {
      readonly kind: CallKind
      readonly provider: 'Microsoft.Compute'
      readonly policy: ComputePolicy
      /** Whether each resource has a bucket beside that of the subscription. */
      readonly isPerResource: boolean
    }

const NETWORK_READ = { kind: 'reads', provider: 'Microsoft.Network' } as const

/**
 * Every operation that the provider calls, by the name that labels it in the metrics. `deploy/azure` allows exactly these.
 *
 * @source cilium pkg/azure/api; the polls are ours
 */
export const AZURE_OPERATIONS = {
  'VirtualMachineScaleSets.List': {
    kind: 'reads',
    provider: 'Microsoft.Compute',
    policy: 'HighCostGetVMScaleSet',
    isPerResource: false,
  },
  'VirtualMachineScaleSetVMs.Get': {
    kind: 'reads',
    provider: 'Microsoft.Compute',
    policy: 'GetVMScaleSetVM',
    isPerResource: true,
  },
  'VirtualMachineScaleSetVMs.Update': {
    kind: 'writes',
    provider: 'Microsoft.Compute',
    policy: 'UpdateVMScaleSetVM',
    isPerResource: true,
  },
  'VirtualMachines.Get': { kind: 'reads', provider: 'Microsoft.Compute', policy: 'LowCostGetVM', isPerResource: true },
  'Operations.GetCompute': {
    kind: 'reads',
    provider: 'Microsoft.Compute',
    policy: 'GetOperation',
    isPerResource: true,
  },
  'Operations.GetNetwork': NETWORK_READ,
  'Interfaces.ListVirtualMachineScaleSetNetworkInterfaces': NETWORK_READ,
  'Interfaces.ListVirtualMachineScaleSetVMNetworkInterfaces': NETWORK_READ,
  'Interfaces.List': NETWORK_READ,
  'Interfaces.Get': NETWORK_READ,
  'Interfaces.CreateOrUpdate': { kind: 'writes', provider: 'Microsoft.Network' },
  'Subnets.Get': NETWORK_READ,
  'VirtualNetworks.ListUsage': NETWORK_READ,
  'PublicIPPrefixes.List': NETWORK_READ,
  'PublicIPAddresses.Get': NETWORK_READ,
  'PublicIPAddresses.ListVirtualMachineScaleSetVMPublicIPAddresses': NETWORK_READ,
} as const satisfies Readonly<Record<string, OperationShape>>

export type AzureOperation = keyof typeof AZURE_OPERATIONS

/** What one call draws of the subscription's buckets. */
export function bucketsOf(operation: AzureOperation): readonly BucketCharge[] {
  const shape: OperationShape = AZURE_OPERATIONS[operation]
  return [
    { bucket: subscriptionBucket(shape.kind), cost: 1 },
    { bucket: providerBucket(shape), cost: 1 },
  ]
}

/** The bucket of the provider that serves the call. */
export function providerBucket(shape: OperationShape): string {
  return shape.provider === 'Microsoft.Network' ? networkBucket(shape.kind) : computeBucket(shape.policy)
}
