import type { Charge, ThrottleTable } from '../kit/rate-limit.ts'
import type { Form } from './wire/form.ts'

/** Bucket of the listings below when they are called with neither a filter nor paging. */
const UNFILTERED = ':unfiltered'
/** Bucket of the actions that are also limited by how many instances they touch. */
const RESOURCES = ':resources'

/** @source Amazon EC2 API Reference, API request throttling: "unfiltered and unpaginated non-mutating actions" */
const UNFILTERED_ACTIONS: ReadonlySet<string> = new Set([
  'DescribeInstances',
  'DescribeInstanceStatus',
  'DescribeNetworkInterfaces',
  'DescribeSecurityGroups',
  'DescribeSnapshots',
  'DescribeSpotInstanceRequests',
  'DescribeVolumes',
])

/**
 * The buckets of a new account, by account and region: each action has one of its own; the first line that matches counts.
 *
 * @source Amazon EC2 API Reference, API request throttling, bucket sizes and refill rates
 */
export const DOCUMENTED_THROTTLE: ThrottleTable = {
  refill: 'stepwise',
  neighbours: [],
  rules: [
    { bucket: `RunInstances${RESOURCES}`, size: 1000, refillPerSecond: 2 },
    { bucket: `StartInstances${RESOURCES}`, size: 1000, refillPerSecond: 2 },
    { bucket: `StopInstances${RESOURCES}`, size: 1000, refillPerSecond: 20 },
    { bucket: `TerminateInstances${RESOURCES}`, size: 1000, refillPerSecond: 20 },
    { bucket: `*${UNFILTERED}`, size: 50, refillPerSecond: 10 },
    { bucket: 'CreateNetworkInterface', size: 100, refillPerSecond: 5 },
    { bucket: 'DeleteNetworkInterface', size: 100, refillPerSecond: 5 },
    { bucket: 'ModifyNetworkInterfaceAttribute', size: 100, refillPerSecond: 5 },
    { bucket: 'AssignPrivateIpAddresses', size: 100, refillPerSecond: 5 },
    { bucket: 'UnassignPrivateIpAddresses', size: 100, refillPerSecond: 5 },
    { bucket: 'AssignIpv6Addresses', size: 100, refillPerSecond: 5 },
    { bucket: 'CreateTags', size: 100, refillPerSecond: 10 },
    { bucket: 'DeleteTags', size: 100, refillPerSecond: 10 },
    { bucket: 'RunInstances', size: 5, refillPerSecond: 2 },
    { bucket: 'StartInstances', size: 5, refillPerSecond: 2 },
    { bucket: 'TerminateInstances', size: 100, refillPerSecond: 5 },
    { bucket: 'Describe*', size: 100, refillPerSecond: 20 },
    { bucket: 'Get*', size: 100, refillPerSecond: 20 },
    { bucket: 'List*', size: 100, refillPerSecond: 20 },
    { bucket: 'Search*', size: 100, refillPerSecond: 20 },
    { bucket: '*', size: 50, refillPerSecond: 5 },
  ],
}

/** What decides which buckets a call draws on. */
export interface CallShape {
  readonly action: string
  /** Has at least one filter. */
  readonly filtered: boolean
  /** Asks for a page size or a further page. */
  readonly paged: boolean
  /** Instances that it makes or changes (count), where that is limited too. */
  readonly resourceCount: number
}

/** The buckets that a call draws on, each with its cost. */
export function chargesFor({ action, filtered, paged, resourceCount }: CallShape): readonly Charge[] {
  const isUnfiltered = !filtered && !paged && UNFILTERED_ACTIONS.has(action)
  const request = { bucket: isUnfiltered ? `${action}${UNFILTERED}` : action, cost: 1 }
  return resourceCount > 0 ? [request, { bucket: `${action}${RESOURCES}`, cost: resourceCount }] : [request]
}

/** Reads the shape of a call off its parameters, before they are validated: refusing must be cheap. */
export function shapeOf(action: string, form: Form): CallShape {
  return {
    action,
    filtered: hasFilter(form),
    paged: form.has('MaxResults') || form.has('NextToken'),
    resourceCount: resourceCountOf(action, form),
  }
}

function hasFilter(form: Form): boolean {
  for (const name of form.keys()) if (name.startsWith('Filter.')) return true
  return false
}

function resourceCountOf(action: string, form: Form): number {
  switch (action) {
    case 'RunInstances':
      return Math.max(1, Math.trunc(Number(form.get('MaxCount'))) || 1)
    case 'StartInstances':
    case 'StopInstances':
    case 'TerminateInstances':
      return [...form.keys()].filter((name) => name.startsWith('InstanceId.')).length
    default:
      return 0
  }
}
