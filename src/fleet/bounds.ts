/** A token bucket of the cloud: what it holds when full (count), and what it gains (per second). */
export interface BucketRate {
  readonly size: number
  readonly refillPerSecond: number
}

/**
 * The shortest time in which so many nodes can get their first addresses over several paths, each of them one bucket: a node needs one
 * token of any of them. What a cloud call takes by itself is not counted.
 *
 * @param nodes (count)
 * @param paths the scarcest bucket of each path; one path without refill counts with what it holds
 * @returns seconds; Infinity when the buckets never gain what is missing
 */
export function lowerBoundSeconds(nodes: number, paths: readonly BucketRate[]): number {
  const missing = nodes - paths.reduce((sum, { size }) => sum + size, 0)
  if (missing <= 0) return 0
  return missing / paths.reduce((sum, { refillPerSecond }) => sum + refillPerSecond, 0)
}

/** The same buckets when others take this share of what they gain. Full ones hold as much. */
export function slowed(paths: readonly BucketRate[], share: number): readonly BucketRate[] {
  return paths.map(({ size, refillPerSecond }) => ({ size, refillPerSecond: refillPerSecond * (1 - share) }))
}

/**
 * Assigning to the first interface, and creating with attaching, whose scarcer bucket is that of attaching.
 *
 * @source AWS documentation, Amazon EC2 Developer Guide, Request throttling for the Amazon EC2 API
 */
export const FIRST_ADDRESS_PATHS: readonly BucketRate[] = [
  { size: 100, refillPerSecond: 5 },
  { size: 50, refillPerSecond: 5 },
]
