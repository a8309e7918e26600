import type { BucketTable } from '../../src/budget/bucket-table.ts'
import type { BucketCharge } from '../../src/budget/contracts.ts'
import type { BucketRate } from '../../src/budget/token-bucket.ts'

const MUTATING: BucketRate = { size: 100, refillPerSecond: 5 }
const OTHER_MUTATING: BucketRate = { size: 50, refillPerSecond: 5 }
const READ: BucketRate = { size: 100, refillPerSecond: 20 }
const UNFILTERED_READ: BucketRate = { size: 50, refillPerSecond: 10 }

/** The suffix of the bucket of a listing that names neither a filter, nor IDs, nor a page size. */
const UNFILTERED = ':unfiltered'

/**
 * The request buckets as documented, by bucket name: one per action, and a second one where an action has two rates.
 *
 * @source AWS documentation, Amazon EC2 Developer Guide, Request throttling for the Amazon EC2 API
 */
export const EC2_BUCKETS: BucketTable = {
  refill: 'stepwise',
  buckets: {
    CreateNetworkInterface: MUTATING,
    DeleteNetworkInterface: MUTATING,
    ModifyNetworkInterfaceAttribute: MUTATING,
    AssignPrivateIpAddresses: MUTATING,
    UnassignPrivateIpAddresses: MUTATING,
    AssignIpv6Addresses: MUTATING,
    AttachNetworkInterface: OTHER_MUTATING,
    AssociateAddress: OTHER_MUTATING,
    DescribeNetworkInterfaces: READ,
    [`DescribeNetworkInterfaces${UNFILTERED}`]: UNFILTERED_READ,
    DescribeInstances: READ,
    [`DescribeInstances${UNFILTERED}`]: UNFILTERED_READ,
    DescribeSecurityGroups: READ,
    [`DescribeSecurityGroups${UNFILTERED}`]: UNFILTERED_READ,
    GetSecurityGroupsForVpc: READ,
    DescribeSubnets: READ,
    DescribeVpcs: READ,
    DescribeRouteTables: READ,
    DescribeInstanceTypes: READ,
    DescribeAddresses: READ,
    DescribeTags: READ,
  },
  families: { Describe: READ, Get: READ },
  fallback: OTHER_MUTATING,
}

/** Every EC2 action that the provider can call; `deploy/aws/iam-policy.json` allows exactly these and CreateTags. */
export const EC2_ACTIONS = [
  'AssignIpv6Addresses',
  'AssignPrivateIpAddresses',
  'AssociateAddress',
  'AttachNetworkInterface',
  'CreateNetworkInterface',
  'DeleteNetworkInterface',
  'DescribeAddresses',
  'DescribeInstanceTypes',
  'DescribeInstances',
  'DescribeNetworkInterfaces',
  'DescribeRouteTables',
  'DescribeSecurityGroups',
  'DescribeSubnets',
  'DescribeTags',
  'DescribeVpcs',
  'GetSecurityGroupsForVpc',
  'ModifyNetworkInterfaceAttribute',
  'UnassignPrivateIpAddresses',
] as const
export type EC2Action = (typeof EC2_ACTIONS)[number]

/** Actions that give something back: each such call rests on a proof (docs/decisions/0010-proof-before-destroy.md). */
export const DESTRUCTIVE_ACTIONS: ReadonlySet<EC2Action> = new Set<EC2Action>([
  'DeleteNetworkInterface',
  'UnassignPrivateIpAddresses',
])

/** Actions with a smaller bucket for calls that are neither filtered nor paged. */
const TWO_RATES: ReadonlySet<EC2Action> = new Set([
  'DescribeInstances',
  'DescribeNetworkInterfaces',
  'DescribeSecurityGroups',
])

/** What one call draws. @param isFiltered whether it names a filter, IDs or a page size */
export function bucketsOf(action: EC2Action, isFiltered: boolean): readonly BucketCharge[] {
  return [{ bucket: isFiltered || !TWO_RATES.has(action) ? action : `${action}${UNFILTERED}`, cost: 1 }]
}
