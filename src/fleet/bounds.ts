import { globMatcher } from '../../simulators/kit/glob.ts'
import type { ThrottleTable } from '../../simulators/kit/rate-limit.ts'

/** A token bucket of the cloud: what it holds when full (count), and what it gains (per second). */
export interface BucketRate {
  readonly size: number
  readonly refillPerSecond: number
}

/** Nodes that join at a moment, or buckets that change, or both. */
export interface BoundEvent {
  readonly atSeconds: number
  /** Nodes that join (count). */
  readonly nodes: number
  /** From now on, all of them full; absent: as before. */
  readonly buckets?: readonly BucketRate[]
}

/** A moment of the best possible course: so many nodes have been served. */
export interface CurvePoint {
  readonly atSeconds: number
  /** Count; a fraction between two events. */
  readonly served: number
}

/**
 * The shortest time in which so many nodes that join at once can be served when each takes one token of any of these buckets. What a
 * cloud call takes by itself is not counted.
 *
 * @param nodes (count)
 * @returns seconds; Infinity when the buckets never gain what is missing
 */
export function lowerBoundSeconds(nodes: number, buckets: readonly BucketRate[]): number {
  return servedCurve([{ atSeconds: 0, nodes, buckets }]).at(-1)?.atSeconds ?? 0
}

/**
 * How fast nodes can be served when each takes one token as soon as there is one.
 *
 * @param events in order of time; the first one has buckets
 * @returns the moments at which something changes, in order; the last one is that of the last node, Infinity when it is never served
 */
export function servedCurve(events: readonly BoundEvent[]): readonly CurvePoint[] {
  let size = 0
  let refill = 0
  let tokens = 0
  let waiting = 0
  let served = 0
  let nowSeconds = 0
  const curve: CurvePoint[] = []
  const serve = (count: number, atSeconds: number): void => {
    if (count <= 0) return
    waiting -= count
    served += count
    curve.push({ atSeconds, served })
  }
  const passUntil = (atSeconds: number): void => {
    // Buckets without limit gain nothing that anybody waits for.
    const gained = atSeconds > nowSeconds ? refill * (atSeconds - nowSeconds) : 0
    if (waiting === 0) tokens = Math.min(size, tokens + gained)
    else if (gained < waiting) serve(gained, atSeconds)
    else {
      tokens = Math.min(size, gained - waiting)
      serve(waiting, nowSeconds + waiting / refill)
      waiting = 0 // exactly
    }
    nowSeconds = Math.max(nowSeconds, atSeconds)
  }
  for (const { atSeconds, nodes, buckets } of events) {
    passUntil(atSeconds)
    if (buckets !== undefined) {
      size = tokens = buckets.reduce((sum, bucket) => sum + bucket.size, 0)
      refill = buckets.reduce((sum, bucket) => sum + bucket.refillPerSecond, 0)
    }
    waiting += nodes
    const atOnce = Math.min(waiting, tokens)
    tokens -= atOnce
    serve(atOnce, nowSeconds)
  }
  if (waiting > 0) serve(waiting, nowSeconds + waiting / refill)
  return curve
}

const UNLIMITED: BucketRate = { size: Number.POSITIVE_INFINITY, refillPerSecond: Number.POSITIVE_INFINITY }

/**
 * What the buckets of these names hold and gain, less what neighbours take.
 *
 * @param throttle undefined: nothing is limited
 */
export function ratesOf(throttle: ThrottleTable | undefined, names: readonly string[]): readonly BucketRate[] {
  return names.map((name) => {
    const rule = throttle?.rules.find(({ bucket }) => globMatcher(bucket)(name))
    if (rule === undefined) return UNLIMITED
    const share = throttle?.neighbours.find(({ bucket }) => globMatcher(bucket)(name))?.share ?? 0
    return { size: rule.size, refillPerSecond: rule.refillPerSecond * (1 - share) }
  })
}
