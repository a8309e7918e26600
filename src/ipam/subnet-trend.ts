/** Free addresses of a subnet at one moment. */
export interface FreeSample {
  /** Monotonic ms. */
  readonly atMs: number
  readonly freeIPs: number
}

/** How long a trend looks back (ms): long enough for a roll-out, short enough to follow its end. A choice. */
export const TREND_WINDOW_MS = 900_000
/** Samples closer than this are one (ms). With the window it bounds what is kept: 90 of each subnet. */
export const SAMPLE_INTERVAL_MS = 10_000
/** Less than this says nothing yet (ms). */
const SHORTEST_TREND_MS = 60_000

/** The samples with a newer one, those outside of the window left out; unchanged when the last one is too young. */
export function withSample(samples: readonly FreeSample[], sample: FreeSample): readonly FreeSample[] {
  const last = samples.at(-1)
  if (last !== undefined && sample.atMs - last.atMs < SAMPLE_INTERVAL_MS) return samples
  return [...samples.filter(({ atMs }) => sample.atMs - atMs <= TREND_WINDOW_MS), sample]
}

/**
 * When a subnet has no free address left, if it goes on as in the window: the least-squares line through the samples.
 *
 * @param samples oldest first
 * @returns ms from the last sample; undefined while too little is known, or while it does not get emptier
 */
export function timeToEmptyMs(samples: readonly FreeSample[]): number | undefined {
  const first = samples[0]
  const last = samples.at(-1)
  if (first === undefined || last === undefined || last.atMs - first.atMs < SHORTEST_TREND_MS) return undefined
  if (last.freeIPs === 0) return 0
  const meanMs = samples.reduce((sum, { atMs }) => sum + atMs, 0) / samples.length
  const meanIPs = samples.reduce((sum, { freeIPs }) => sum + freeIPs, 0) / samples.length
  let covariance = 0
  let variance = 0
  for (const { atMs, freeIPs } of samples) {
    covariance += (atMs - meanMs) * (freeIPs - meanIPs)
    variance += (atMs - meanMs) ** 2
  }
  const perMs = covariance / variance
  return perMs < 0 ? last.freeIPs / -perMs : undefined
}
