/** Longest pauses of the controller after failures in a row, written apart from its own code: the first one, and the longest (ms). */
export interface BackoffLimits {
  readonly firstMs: number
  readonly longestMs: number
}

const SECOND_MS = 1_000
const NODE_LONGEST_MS = 300 * SECOND_MS

/**
 * Of a node whose maintenance fails: up to 2 s after the first failure, 4 s after the second, all of it stretched by the size of the
 * cluster.
 *
 * @source cilium pkg/backoff/backoff.go, Exponential.Duration; pkg/ipam/node_manager.go for its parameters
 */
export function nodeBackoff(nodeCount: number): BackoffLimits {
  const stretch = Math.max(1, Math.log1p(nodeCount))
  return { firstMs: 2 * SECOND_MS * stretch, longestMs: NODE_LONGEST_MS }
}

/** Of a write of a node's resource. @source src/controller/publisher.ts, with jitter */
export const WRITE_BACKOFF: BackoffLimits = { firstMs: 4 * SECOND_MS, longestMs: 60 * SECOND_MS }

/** Of lists and watches. @source client-go tools/cache/reflector.go, NewReflectorWithOptions */
export const WATCH_BACKOFF: BackoffLimits = { firstMs: 1.6 * SECOND_MS, longestMs: 30 * SECOND_MS }

/** After a conflict a write is tried again (ms). */
export const CONFLICT_MS = 5 * SECOND_MS

/**
 * After a refusal for the rate: the longest pause of a bucket, and one more for a second refusal after it (ms). What the bucket is
 * assumed to gain is less for longer, which matters to those who wait for it.
 *
 * @source docs/decisions/0005-api-budget.md
 */
export const REFUSAL_MS = 90 * SECOND_MS

/**
 * Before a call whose answer was lost is made again, listings have to show whether it had an effect, and they may be late (ms). On top
 * of the pause of its node.
 *
 * @source providers/aws/interface-change.ts, VISIBILITY_MS
 */
export const LOST_ANSWER_MS = 10 * SECOND_MS
