import type { BucketView } from '../budget/api-budget.ts'
import { listOf } from './explain-subnet.ts'
import type { Explanation } from './explanation.ts'
import { explanationOf } from './explanation.ts'
import type { Reason } from './reasons.ts'

/** What a rate may differ by before it counts as slowed (share). */
const RATE_TOLERANCE = 0.01

/** How much of the cloud's quota an action has left, and who waits for it. @param buckets all that were used so far */
export function explainBudget(name: string, buckets: readonly BucketView[], at: Date): Explanation {
  const view = buckets.find(({ bucket }) => bucket === name)
  if (view === undefined) {
    const known = listOf(buckets.map(({ bucket }) => bucket))
    const reasons = [{ code: 'bucket-unknown', bucket: name, known }] as const
    return explanationOf({ kind: 'budget', name, reasons, estimateMs: undefined, at })
  }
  const { refillPerSecond, fullRefillPerSecond, pausedMs } = view
  const waiting = Object.values(view.waiting).reduce((sum, count) => sum + count, 0)
  const emptyMs = pausedMs + (Math.max(waiting - view.tokens, 0) / refillPerSecond) * 1000
  const isSlowed = refillPerSecond < fullRefillPerSecond * (1 - RATE_TOLERANCE)
  const slowed: readonly Reason[] = isSlowed
    ? [{ code: 'bucket-slowed', bucket: name, refillPerSecond, fullPerSecond: fullRefillPerSecond }]
    : []
  const cause = bucketCause(view, waiting, emptyMs)
  return explanationOf({
    kind: 'budget',
    name,
    reasons: [...slowed, cause],
    estimateMs: waiting === 0 ? undefined : emptyMs,
    at,
  })
}

function bucketCause(view: BucketView, waiting: number, emptyMs: number): Reason {
  const { bucket, tokens, size, refillPerSecond, pausedMs } = view
  if (pausedMs > 0) return { code: 'quota-paused', bucket, pausedMs }
  if (waiting > 0) return { code: 'bucket-queued', bucket, waiting, refillPerSecond, emptyMs }
  return { code: 'bucket-free', bucket, tokens, size, refillPerSecond }
}
