import type { Charge, Refusal, Throttle, ThrottleTable } from '../kit/rate-limit.ts'
import { ARMError } from './errors.ts'

const MINUTE_SECONDS = 60
const FIVE_MINUTES_SECONDS = 300

/**
 * Policies of the Compute provider: `{tokens a minute, size}` of each resource's bucket and of the subscription's; undefined where
 * there is none.
 *
 * @source Azure Virtual Machines documentation, throttling limits for API requests; names of policies assumed
 */
const COMPUTE_POLICIES = {
  GetVMScaleSetVM: { resource: [12, 36], subscription: [2000, 6000] },
  UpdateVMScaleSetVM: { resource: [4, 12], subscription: [500, 1500] },
  LowCostGetVMScaleSet: { resource: [12, 36], subscription: [800, 2400] },
  HighCostGetVMScaleSet: { resource: [10, 30], subscription: [360, 1080] },
  LowCostGetVM: { resource: [12, 36], subscription: [8000, 24_000] },
  HighCostGetVM: { resource: undefined, subscription: [300, 900] },
  GetOperation: { resource: [15, 45], subscription: [5000, 15_000] },
} as const

export type ComputePolicy = keyof typeof COMPUTE_POLICIES

/** What a call does, as Resource Manager counts. */
export type CallKind = 'reads' | 'writes' | 'deletes'

const ANY = '/*'

/**
 * Buckets: `subscription-reads/<principal>`, `subscription-global-reads`, `Microsoft.Network/reads`, `Microsoft.Network/writes` and for
 * Compute `Microsoft.Compute/<policy>/subscription` and `Microsoft.Compute/<policy>/resource/<key>`; all of one region.
 *
 * @source Azure Resource Manager documentation, throttling (token buckets); Azure Network documentation, throttling (per 5 minutes)
 */
export const DOCUMENTED_THROTTLE: ThrottleTable = {
  refill: 'continuous',
  neighbours: [],
  rules: [
    { bucket: `subscription-reads${ANY}`, size: 250, refillPerSecond: 25 },
    { bucket: `subscription-writes${ANY}`, size: 200, refillPerSecond: 10 },
    { bucket: `subscription-deletes${ANY}`, size: 200, refillPerSecond: 10 },
    { bucket: 'subscription-global-reads', size: 15 * 250, refillPerSecond: 15 * 25 },
    { bucket: 'subscription-global-writes', size: 15 * 200, refillPerSecond: 15 * 10 },
    { bucket: 'subscription-global-deletes', size: 15 * 200, refillPerSecond: 15 * 10 },
    { bucket: 'Microsoft.Network/reads', size: 10_000, refillPerSecond: 10_000 / FIVE_MINUTES_SECONDS },
    { bucket: 'Microsoft.Network/writes', size: 1000, refillPerSecond: 1000 / FIVE_MINUTES_SECONDS },
    ...Object.entries(COMPUTE_POLICIES).flatMap(([policy, { resource, subscription }]) => [
      {
        bucket: `Microsoft.Compute/${policy}/subscription`,
        size: subscription[1],
        refillPerSecond: subscription[0] / MINUTE_SECONDS,
      },
      ...(resource === undefined
        ? []
        : [
            {
              bucket: `Microsoft.Compute/${policy}/resource${ANY}`,
              size: resource[1],
              refillPerSecond: resource[0] / MINUTE_SECONDS,
            },
          ]),
    ]),
  ],
}

/** What decides which buckets a call draws on. */
export interface CallShape {
  readonly kind: CallKind
  readonly provider: 'Microsoft.Network' | 'Microsoft.Compute'
  /** Of Compute; undefined for what is counted by the subscription's buckets alone. */
  readonly policy: ComputePolicy | undefined
  /** Whose bucket of the policy; undefined for a list of the subscription or group. */
  readonly resourceKey: string | undefined
  readonly principal: string
}

/** The buckets that a call draws one token from, in the order in which they are looked at. */
export function chargesFor({ kind, provider, policy, resourceKey, principal }: CallShape): readonly Charge[] {
  const names = [`subscription-${kind}/${principal}`, `subscription-global-${kind}`]
  if (provider === 'Microsoft.Network') names.push(`Microsoft.Network/${kind === 'reads' ? 'reads' : 'writes'}`)
  else if (policy !== undefined) {
    names.push(`Microsoft.Compute/${policy}/subscription`)
    if (resourceKey !== undefined) names.push(`Microsoft.Compute/${policy}/resource/${resourceKey}`)
  }
  return names.map((bucket) => ({ bucket, cost: 1 }))
}

/** What is told when a bucket is never refilled (seconds). */
const LONG_SECONDS = 300
const SECOND_MS = 1000

/** The headers of every answer: what is left in the buckets of the call. */
export function remainingHeaders(
  throttle: Throttle,
  charges: readonly Charge[],
  nowMs: number,
): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {}
  const ofCompute: string[] = []
  for (const { bucket } of charges) {
    const tokens = throttle.tokens(bucket, nowMs)
    if (tokens === undefined) continue
    const left = Math.floor(tokens)
    const [name = '', policy = '', scope = ''] = bucket.split('/')
    if (name.startsWith('subscription-')) headers[`x-ms-ratelimit-remaining-${name}`] = `${left}`
    else if (name === 'Microsoft.Compute') {
      ofCompute.push(`${name}/${policy}${scope === 'resource' ? 'ResourceMaximum' : 'SubscriptionMaximum'};${left}`)
    }
  }
  if (ofCompute.length > 0) {
    headers['x-ms-ratelimit-remaining-resource'] = ofCompute.join(',')
    headers['x-ms-request-charge'] = '1'
  }
  return headers
}

/** The answer to a refused call, in the form of who refuses: Resource Manager, Compute or Network. */
export function throttled(refusal: Refusal, subscription: string, now: Date): ARMError {
  const { bucket, retryAfterSeconds = LONG_SECONDS } = refusal
  const headers = { 'retry-after': `${retryAfterSeconds}` }
  const [name = '', policy = ''] = bucket.split('/')
  if (name === 'Microsoft.Compute') {
    const window = { startTime: new Date(now.getTime() - MINUTE_SECONDS * SECOND_MS), endTime: now }
    const facts = { operationGroup: policy, ...window, allowedRequestCount: 0, measuredRequestCount: 1 }
    return new ARMError(
      'OperationNotAllowed',
      429,
      'The server rejected the request because too many requests have been received for this subscription.',
      {
        details: [{ code: 'TooManyRequests', target: policy, message: JSON.stringify(facts) }],
        headers,
        bare: true,
        throttled: true,
      },
    )
  }
  if (name === 'Microsoft.Network') {
    return new ARMError('TooManyRequests', 429, `Too many ${policy} have been received for this subscription.`, {
      headers,
      throttled: true,
    })
  }
  const kind = name.slice(name.lastIndexOf('-') + 1).replace(/s$/, '')
  const message = `Number of '${kind}' requests for subscription '${subscription}' actor '${policy}' exceeded. Please try again after '${retryAfterSeconds}' seconds.`
  return new ARMError('SubscriptionRequestsThrottled', 429, message, { headers, throttled: true })
}
