import { globMatcher } from '../kit/glob.ts'
import { TokenBucket } from '../kit/rate-limit.ts'
import type { Charge, ThrottleTable } from '../kit/rate-limit.ts'
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

/** A bucket without enough tokens. */
export interface Refusal {
  readonly bucket: string
  /** Whole seconds until it has one again, at least 1. */
  readonly retryAfterSeconds: number
}

/** Buckets kept before full ones are forgotten (count): one for each resource that is called. */
const MAX_BUCKETS = 50_000
/** What is told when a bucket is never refilled. */
const LONG_SECONDS = 300
const SECOND_MS = 1000

/** The buckets of one subscription and region, with what Resource Manager tells of them. A name without a line is not limited. */
export class ARMThrottle {
  readonly table: ThrottleTable
  readonly #startMs: number
  readonly #buckets = new Map<string, TokenBucket | undefined>()
  readonly #rules: readonly (ThrottleTable['rules'][number] & { matches(name: string): boolean })[]
  readonly #neighbours: readonly (ThrottleTable['neighbours'][number] & { matches(name: string): boolean })[]

  /** @param table the limits; undefined limits nothing */
  constructor(table: ThrottleTable | undefined, nowMs: number) {
    this.table = table ?? { refill: 'continuous', rules: [], neighbours: [] }
    this.#startMs = nowMs
    this.#rules = this.table.rules.map((rule) => ({ ...rule, matches: globMatcher(rule.bucket) }))
    this.#neighbours = this.table.neighbours.map((one) => ({ ...one, matches: globMatcher(one.bucket) }))
  }

  /** Takes all charges, or none when one bucket has too little. @returns that bucket */
  take(charges: readonly Charge[], nowMs: number): Refusal | undefined {
    for (const { bucket, cost } of charges) {
      const found = this.#bucket(bucket, nowMs)
      if (found === undefined) continue
      const tokens = found.available(nowMs)
      if (tokens + 1e-9 >= cost) continue
      const { refillPerSecond } = found
      const seconds = refillPerSecond > 0 ? Math.ceil((cost - tokens) / refillPerSecond) : LONG_SECONDS
      return { bucket, retryAfterSeconds: Math.max(1, seconds) }
    }
    for (const { bucket, cost } of charges) this.#bucket(bucket, nowMs)?.take(cost, nowMs)
    return undefined
  }

  /** The headers of every answer: what is left in the buckets of the call. */
  headers(charges: readonly Charge[], nowMs: number): Readonly<Record<string, string>> {
    const headers: Record<string, string> = {}
    const ofCompute: string[] = []
    for (const { bucket } of charges) {
      const found = this.#bucket(bucket, nowMs)
      if (found === undefined) continue
      const left = Math.floor(found.available(nowMs))
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

  /** Buckets used so far with their tokens, by name. */
  levels(nowMs: number): Readonly<Record<string, { readonly tokens: number; readonly size: number }>> {
    const levels: Record<string, { tokens: number; size: number }> = {}
    for (const [name, bucket] of [...this.#buckets].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (bucket !== undefined) levels[name] = { tokens: bucket.available(nowMs), size: bucket.size }
    }
    return levels
  }

  #bucket(name: string, nowMs: number): TokenBucket | undefined {
    if (this.#buckets.has(name)) return this.#buckets.get(name)
    if (this.#buckets.size >= MAX_BUCKETS) this.#forgetFull(nowMs)
    const rule = this.#rules.find((one) => one.matches(name))
    const share = this.#neighbours.find((one) => one.matches(name))?.share ?? 0
    const made =
      rule === undefined
        ? undefined
        : new TokenBucket(
            { size: rule.size, refillPerSecond: rule.refillPerSecond * (1 - share) },
            this.#startMs,
            this.table.refill,
          )
    this.#buckets.set(name, made)
    return made
  }

  /** A full bucket is as good as a new one. */
  #forgetFull(nowMs: number): void {
    for (const [name, bucket] of this.#buckets) {
      if (bucket === undefined || bucket.available(nowMs) >= bucket.size) this.#buckets.delete(name)
    }
  }
}

/** The answer to a refused call, in the form of who refuses: Resource Manager, Compute or Network. */
export function throttled({ bucket, retryAfterSeconds }: Refusal, subscription: string, now: Date): ARMError {
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
