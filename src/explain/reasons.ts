import { addresses, duration, ordinal, perSecond } from './durations.ts'

/** What each reason needs to be said, by its code. Durations are ms from the moment of the explanation. */
export interface ReasonDetails {
  // A pod.
  'pod-waits': { readonly pod: string; readonly node: string }
  'pod-has-address': { readonly pod: string; readonly address: string }
  'pod-on-host-network': { readonly pod: string }
  'pod-not-scheduled': { readonly pod: string; readonly message: string }
  'pod-finished': { readonly pod: string; readonly phase: string }
  'pod-unknown': { readonly pod: string }
  // A node, and the way by which it will be served.
  'node-short': {
    readonly node: string
    readonly neededIPs: number
    readonly availableIPs: number
    readonly usedIPs: number
    readonly because: 'pods' | 'minimum' | 'buffer'
  }
  'ipv6-prefix-wanted': { readonly node: string }
  'uses-interface': { readonly interfaceID: string; readonly poolID: string; readonly count: number }
  'new-interface': { readonly count: number; readonly because: 'no-room' | 'sooner' }
  'no-free-block': { readonly poolID: string }
  // What it waits for, and ends by itself.
  'waits-for-quota': {
    readonly action: string
    readonly bucket: string
    readonly ahead: number
    readonly refillPerSecond: number
    readonly priority: string
  }
  'quota-paused': { readonly bucket: string; readonly pausedMs: number }
  'call-sent': { readonly action: string; readonly sinceMs: number }
  'pass-due': { readonly node: string }
  'reads-instance': { readonly instanceID: string }
  'instance-missing': { readonly instanceID: string; readonly retryMs: number }
  'limits-unknown': { readonly instanceType: string }
  'cloud-unavailable': Refusal
  'call-throttled': Refusal
  'call-failed': Refusal
  'write-pending': { readonly node: string }
  'agent-hands-out': { readonly node: string; readonly unusedIPs: number }
  'controller-starting': { readonly what: string }
  'controller-stopping': { readonly node: string }
  // What stops it until somebody acts.
  'instance-stopped': { readonly instanceID: string; readonly retryMs: number }
  'subnet-full': { readonly poolID: string }
  'no-subnet': { readonly node: string }
  'at-capacity': { readonly node: string; readonly availableIPs: number; readonly capacity: number }
  'at-max-allocate': { readonly node: string; readonly maxAllocate: number }
  'call-denied': Refusal
  'cloud-limit': Refusal
  'call-invalid': Refusal
  'write-failing': { readonly message: string; readonly attempt: number; readonly retryMs: number }
  defect: { readonly node: string; readonly retryMs: number }
  'no-instance-id': { readonly node: string }
  'resource-malformed': { readonly node: string; readonly faults: string }
  'not-managed': { readonly node: string }
  'second-writer': { readonly node: string; readonly field: string }
  'controller-standby': { readonly node: string }
  // Nothing waits.
  settled: { readonly node: string; readonly availableIPs: number; readonly usedIPs: number }
  'release-deferred': { readonly node: string; readonly excessIPs: number; readonly retryMs: number | undefined }
  'release-paused': { readonly node: string; readonly excessIPs: number }
  // A subnet.
  'subnet-has-room': {
    readonly poolID: string
    readonly freeIPs: number
    readonly freeBlocks: number | undefined
    readonly emptyMs: number | undefined
  }
  'subnet-without-blocks': { readonly poolID: string; readonly freeIPs: number }
  'subnet-unknown': { readonly poolID: string; readonly known: string }
  // A bucket of the API budget.
  'bucket-free': {
    readonly bucket: string
    readonly tokens: number
    readonly size: number
    readonly refillPerSecond: number
  }
  'bucket-queued': {
    readonly bucket: string
    readonly waiting: number
    readonly refillPerSecond: number
    readonly emptyMs: number
  }
  'bucket-slowed': { readonly bucket: string; readonly refillPerSecond: number; readonly fullPerSecond: number }
  'bucket-unknown': { readonly bucket: string; readonly known: string }
}

/** A call that failed, and when its step is tried again. */
export interface Refusal {
  /** One line of the cloud's own words. */
  readonly message: string
  /** Failed passes in a row (count). */
  readonly attempt: number
  readonly retryMs: number
}

export type ReasonCode = keyof ReasonDetails
export type Reason = { readonly [C in ReasonCode]: { readonly code: C } & ReasonDetails[C] }[ReasonCode]

/**
 * - `context`: says what is wanted and how it will come; the cause stands behind it
 * - `passes`: ends by itself
 * - `stops`: nothing happens until somebody acts
 * - `nothing`: nothing waits
 */
export type ReasonEffect = 'context' | 'passes' | 'stops' | 'nothing'

export interface ReasonEntry<C extends ReasonCode = ReasonCode> {
  readonly effect: ReasonEffect
  readonly says: (details: ReasonDetails[C]) => string
  /** What a person can do; empty where there is nothing to do. */
  readonly todo: string
  /** The file under docs/runbooks that has a section of this code. */
  readonly runbook: Runbook
}

export type Runbook = 'waiting-nodes.md' | 'waiting-pods.md' | 'waiting-subnets.md' | 'waiting-quota.md'

const WAIT = ''

/** Every reason that an explanation can give. Closed: a test drives a fleet into each of them. */
export const REASONS: { readonly [C in ReasonCode]: ReasonEntry<C> } = {
  'pod-waits': {
    effect: 'context',
    says: ({ pod, node }) => `pod ${pod} is on node ${node} and has no address yet`,
    todo: WAIT,
    runbook: 'waiting-pods.md',
  },
  'pod-has-address': {
    effect: 'nothing',
    says: ({ pod, address }) => `pod ${pod} has the address ${address}`,
    todo: 'It waits for something else: kubectl describe pod',
    runbook: 'waiting-pods.md',
  },
  'pod-on-host-network': {
    effect: 'nothing',
    says: ({ pod }) => `pod ${pod} uses its host's network and needs no address`,
    todo: 'It waits for something else: kubectl describe pod',
    runbook: 'waiting-pods.md',
  },
  'pod-not-scheduled': {
    effect: 'stops',
    says: ({ pod, message }) =>
      `pod ${pod} is on no node yet: addresses are given by nodes${message === '' ? '' : ` (scheduler: ${message})`}`,
    todo: 'See why the scheduler finds no node: kubectl describe pod',
    runbook: 'waiting-pods.md',
  },
  'pod-finished': {
    effect: 'nothing',
    says: ({ pod, phase }) => `pod ${pod} has ended (${phase}) and needs no address any more`,
    todo: WAIT,
    runbook: 'waiting-pods.md',
  },
  'pod-unknown': {
    effect: 'stops',
    says: ({ pod }) => `there is no pod ${pod}`,
    todo: 'Give the name as NAMESPACE/POD; without a namespace it is looked for in default',
    runbook: 'waiting-pods.md',
  },
  'node-short': {
    effect: 'context',
    says: ({ node, neededIPs, availableIPs, usedIPs, because }) =>
      `${node} is short of ${addresses(neededIPs)}: ${availableIPs} attached, ${usedIPs} in use or asked for, ${
        { pods: 'pods wait', minimum: 'its minimum is not reached', buffer: 'its buffer is not full' }[because]
      }`,
    todo: WAIT,
    runbook: 'waiting-nodes.md',
  },
  'ipv6-prefix-wanted': {
    effect: 'context',
    says: ({ node }) => `${node} asks for an IPv6 prefix`,
    todo: WAIT,
    runbook: 'waiting-nodes.md',
  },
  'uses-interface': {
    effect: 'context',
    says: ({ interfaceID, poolID, count }) =>
      `${addresses(count)} come from interface ${interfaceID}${poolID === '' ? '' : ` in ${poolID}`}`,
    todo: WAIT,
    runbook: 'waiting-nodes.md',
  },
  'new-interface': {
    effect: 'context',
    says: ({ count, because }) =>
      `a new interface brings up to ${addresses(count)}: ${
        because === 'no-room' ? 'no attached one has room' : 'its quota serves the node sooner than that of assigning'
      }`,
    todo: WAIT,
    runbook: 'waiting-nodes.md',
  },
  'no-free-block': {
    effect: 'context',
    says: ({ poolID }) => `${poolID} has no free /28 block: single addresses are used until it has one`,
    todo: 'Give the nodes a subnet with room, or reserve blocks for prefixes in this one',
    runbook: 'waiting-subnets.md',
  },
  'waits-for-quota': {
    effect: 'passes',
    says: ({ action, bucket, ahead, refillPerSecond, priority }) =>
      `${action} is ${ordinal(ahead + 1)} in line for its quota${
        bucket === action ? '' : ` (${bucket})`
      } at ${perSecond(refillPerSecond)}, class ${priority}`,
    todo: 'Wait; where this is usual, ask the cloud for a higher limit and tell --budget-table',
    runbook: 'waiting-quota.md',
  },
  'quota-paused': {
    effect: 'passes',
    says: ({ bucket, pausedMs }) =>
      `the cloud refused calls of ${bucket} for their rate: the next one goes in ${duration(pausedMs)}`,
    todo: 'Look for others who use the same account; give controllers of one account a common budget (--budget-redis)',
    runbook: 'waiting-quota.md',
  },
  'call-sent': {
    effect: 'passes',
    says: ({ action, sinceMs }) => `${action} was sent ${duration(sinceMs)} ago and is not answered yet`,
    todo: 'Wait; a call without answer is given up after a minute and its effect is read again',
    runbook: 'waiting-nodes.md',
  },
  'pass-due': {
    effect: 'passes',
    says: ({ node }) => `${node} is looked at next`,
    todo: WAIT,
    runbook: 'waiting-nodes.md',
  },
  'reads-instance': {
    effect: 'passes',
    says: ({ instanceID }) => `the interfaces of ${instanceID} are being read from the cloud`,
    todo: WAIT,
    runbook: 'waiting-nodes.md',
  },
  'instance-missing': {
    effect: 'passes',
    says: ({ instanceID, retryMs }) =>
      `the cloud does not show instance ${instanceID}: it is read again in ${duration(retryMs)}`,
    todo: 'If the machine runs: check region, VPC and the filters of instances and subnets; if it is gone: delete the node',
    runbook: 'waiting-nodes.md',
  },
  'limits-unknown': {
    effect: 'passes',
    says: ({ instanceType }) =>
      `the limits of instance type '${instanceType}' are not known, the cloud is asked for them`,
    todo: 'If it stays: check spec.eni.instance-type, and the permission to describe instance types',
    runbook: 'waiting-nodes.md',
  },
  'cloud-unavailable': {
    effect: 'passes',
    says: (refusal) => `the cloud did not answer as it should ${tried(refusal)}`,
    todo: "Look at the cloud's status page and at the network between controller and API",
    runbook: 'waiting-nodes.md',
  },
  'call-throttled': {
    effect: 'passes',
    says: (refusal) => `the cloud refuses this node's calls for their rate ${tried(refusal)}`,
    todo: 'Look for others who use the same account; give controllers of one account a common budget (--budget-redis)',
    runbook: 'waiting-quota.md',
  },
  'call-failed': {
    effect: 'passes',
    says: (refusal) => `the last step failed ${tried(refusal)}`,
    todo: 'If it stays: the message is the cloud’s own; look it up, and at the log of the controller',
    runbook: 'waiting-nodes.md',
  },
  'write-pending': {
    effect: 'passes',
    says: ({ node }) => `what ${node} has is being written to its CiliumNode`,
    todo: WAIT,
    runbook: 'waiting-nodes.md',
  },
  'agent-hands-out': {
    effect: 'passes',
    says: ({ node, unusedIPs }) =>
      unusedIPs > 0
        ? `the CiliumNode of ${node} offers ${addresses(unusedIPs)} that are not in use: its agent hands them out`
        : `the agent of ${node} has not asked for more addresses yet`,
    todo: 'If it stays: look at the Cilium agent of that node',
    runbook: 'waiting-pods.md',
  },
  'controller-starting': {
    effect: 'passes',
    says: ({ what }) => `the controller has only just started: ${what}`,
    todo: 'If it stays: look at its log for what it cannot reach',
    runbook: 'waiting-nodes.md',
  },
  'controller-stopping': {
    effect: 'passes',
    says: ({ node }) => `this replica is stopping; another one takes ${node} over within seconds`,
    todo: WAIT,
    runbook: 'waiting-nodes.md',
  },
  'instance-stopped': {
    effect: 'stops',
    says: ({ instanceID, retryMs }) =>
      `the cloud says that instance ${instanceID} does not run: it is tried again in ${duration(retryMs)}`,
    todo: 'Start the machine, or delete the node',
    runbook: 'waiting-nodes.md',
  },
  'subnet-full': {
    effect: 'stops',
    says: ({ poolID }) => `${poolID} has no free address`,
    todo: 'Free addresses in it, or give the nodes another subnet (subnet tags or IDs of their spec)',
    runbook: 'waiting-subnets.md',
  },
  'no-subnet': {
    effect: 'stops',
    says: ({ node }) => `no subnet that ${node} may use has a free address`,
    todo: 'Check zone, tags and filters of the subnets; add one, or free addresses',
    runbook: 'waiting-subnets.md',
  },
  'at-capacity': {
    effect: 'stops',
    says: ({ node, availableIPs, capacity }) =>
      `${node} is at capacity: every interface is full and no further one can be attached (${availableIPs} of ${capacity} addresses)`,
    todo: 'Use a larger instance type or prefix delegation, or let fewer pods onto the node (maxPods of its kubelet)',
    runbook: 'waiting-nodes.md',
  },
  'at-max-allocate': {
    effect: 'stops',
    says: ({ node, maxAllocate }) => `${node} has the ${addresses(maxAllocate)} that its max-allocate lets it have`,
    todo: 'Raise spec.ipam.max-allocate of its CiliumNode, or let fewer pods onto the node',
    runbook: 'waiting-nodes.md',
  },
  'call-denied': {
    effect: 'stops',
    says: (refusal) => `the cloud does not permit the call ${tried(refusal)}`,
    todo: 'Give the controller the policy of deploy/ for its cloud, and check its credentials',
    runbook: 'waiting-nodes.md',
  },
  'cloud-limit': {
    effect: 'stops',
    says: (refusal) => `a limit of the account or of the instance is reached ${tried(refusal)}`,
    todo: 'Ask the cloud to raise the limit that the message names, or use less',
    runbook: 'waiting-nodes.md',
  },
  'call-invalid': {
    effect: 'stops',
    says: (refusal) => `the cloud calls the request wrong ${tried(refusal)}`,
    todo: 'Check what the spec of the CiliumNode names: subnets, security groups, tags',
    runbook: 'waiting-nodes.md',
  },
  'write-failing': {
    effect: 'stops',
    says: ({ message, attempt, retryMs }) =>
      `its CiliumNode cannot be written: ${message} (attempt ${attempt}, the next one in ${duration(retryMs)})`,
    todo: 'Check that the API server is reachable and that the controller has the rules of deploy/kubernetes/rbac.yaml',
    runbook: 'waiting-nodes.md',
  },
  defect: {
    effect: 'stops',
    says: ({ node, retryMs }) => `the work for ${node} failed by a defect; it is tried again in ${duration(retryMs)}`,
    todo: 'Report it with the line of the log that says so',
    runbook: 'waiting-nodes.md',
  },
  'no-instance-id': {
    effect: 'stops',
    says: ({ node }) =>
      `the CiliumNode of ${node} names no instance: nothing is done until its agent sets spec.instance-id`,
    todo: 'Look at the Cilium agent of that node',
    runbook: 'waiting-nodes.md',
  },
  'resource-malformed': {
    effect: 'stops',
    says: ({ node, faults }) => `the CiliumNode of ${node} cannot be read: ${faults}`,
    todo: 'Mend what the message names; the node is left alone until then',
    runbook: 'waiting-nodes.md',
  },
  'not-managed': {
    effect: 'stops',
    says: ({ node }) => `no CiliumNode ${node} is managed here`,
    todo: 'Check the name, that its agent created the resource, and that it is not annotated ipam.cilium.io/ignore',
    runbook: 'waiting-nodes.md',
  },
  'second-writer': {
    effect: 'stops',
    says: ({ node, field }) =>
      `another controller writes ${field} of CiliumNode ${node}: this one writes nothing any more`,
    todo: 'Stop the IPAM of the other one, then restart this controller',
    runbook: 'waiting-nodes.md',
  },
  'controller-standby': {
    effect: 'stops',
    says: ({ node }) => `this replica stands by: another one leads and knows ${node}`,
    todo: 'Ask the holder of the Lease berth-controller: kubectl -n kube-system get lease berth-controller',
    runbook: 'waiting-nodes.md',
  },
  settled: {
    effect: 'nothing',
    says: ({ node, availableIPs, usedIPs }) =>
      `${node} has what it needs: ${addresses(availableIPs)} attached, ${usedIPs} in use`,
    todo: WAIT,
    runbook: 'waiting-nodes.md',
  },
  'release-deferred': {
    effect: 'nothing',
    says: ({ node, excessIPs, retryMs }) =>
      `${node} could give ${addresses(excessIPs)} back: that waits for a proof or for its turn${
        retryMs === undefined ? '' : `, and is tried again in ${duration(retryMs)}`
      }`,
    todo: 'Where it should be faster: --destructive-calls-per-minute',
    runbook: 'waiting-nodes.md',
  },
  'release-paused': {
    effect: 'nothing',
    says: ({ node, excessIPs }) => `${node} could give ${addresses(excessIPs)} back: that is paused`,
    todo: 'Where it should go on: take away the annotation of its CiliumNode, or the switch of the cluster (--pause-destructive)',
    runbook: 'waiting-nodes.md',
  },
  'subnet-has-room': {
    effect: 'nothing',
    says: ({ poolID, freeIPs, freeBlocks, emptyMs }) =>
      [
        `${poolID} has ${addresses(freeIPs)} free`,
        freeBlocks === undefined ? '' : `${freeBlocks} whole /28 blocks among them`,
        emptyMs === undefined ? '' : `at the present rate it is empty in ${duration(emptyMs)}`,
      ]
        .filter((part) => part !== '')
        .join(', '),
    todo: WAIT,
    runbook: 'waiting-subnets.md',
  },
  'subnet-without-blocks': {
    effect: 'stops',
    says: ({ poolID, freeIPs }) =>
      `${poolID} has ${addresses(freeIPs)} free, but no whole /28 block: nodes with prefixes get single addresses`,
    todo: 'Move what sits in it one by one (load balancers, endpoints), or reserve blocks for prefixes',
    runbook: 'waiting-subnets.md',
  },
  'subnet-unknown': {
    effect: 'stops',
    says: ({ poolID, known }) => `subnet ${poolID} is not among those that the controller may use: ${known}`,
    todo: 'Check the ID, and the filters of subnets',
    runbook: 'waiting-subnets.md',
  },
  'bucket-free': {
    effect: 'nothing',
    says: ({ bucket, tokens, size, refillPerSecond }) =>
      `${bucket} has ${Math.floor(tokens)} of ${size} tokens and gains ${perSecond(refillPerSecond)}: nothing waits for it`,
    todo: WAIT,
    runbook: 'waiting-quota.md',
  },
  'bucket-queued': {
    effect: 'passes',
    says: ({ bucket, waiting, refillPerSecond, emptyMs }) =>
      `${waiting === 1 ? '1 call waits' : `${waiting} calls wait`} for ${bucket} at ${perSecond(refillPerSecond)}: the last one goes in about ${duration(emptyMs)}`,
    todo: 'Wait; where this is usual, ask the cloud for a higher limit and tell --budget-table',
    runbook: 'waiting-quota.md',
  },
  'bucket-slowed': {
    effect: 'context',
    says: ({ bucket, refillPerSecond, fullPerSecond }) =>
      `after refusals ${bucket} is used at ${perSecond(refillPerSecond)} in place of ${perSecond(fullPerSecond)}`,
    todo: 'Look for others who use the same account; give controllers of one account a common budget (--budget-redis)',
    runbook: 'waiting-quota.md',
  },
  'bucket-unknown': {
    effect: 'stops',
    says: ({ bucket, known }) => `no call has used a bucket ${bucket} yet; these were used: ${known}`,
    todo: 'Buckets have the names of the cloud’s actions',
    runbook: 'waiting-quota.md',
  },
}

export const REASON_CODES = Object.keys(REASONS) as readonly ReasonCode[]

/** What a reason says, with its details. */
export function textOf(reason: Reason): string {
  const { says } = REASONS[reason.code] as ReasonEntry
  return (says as (details: Reason) => string)(reason)
}

/** `docs/runbooks/waiting-nodes.md#at-capacity` */
export function runbookOf(code: ReasonCode): string {
  return `docs/runbooks/${REASONS[code].runbook}#${code}`
}

function tried({ message, attempt, retryMs }: Refusal): string {
  return `(attempt ${attempt}: ${message}); the next try is in ${duration(retryMs)}`
}
