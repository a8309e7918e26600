import type { IPAMProfile } from '../ipam/types.ts'

/** The words for the clouds' APIs in the names of their metrics: `cilium_operator_<api>_api_duration_seconds`. */
export const CLOUD_API_NAMES = ['ec2', 'azure', 'alibabacloud'] as const
export type CloudAPIName = (typeof CLOUD_API_NAMES)[number]

/** The triggers that have metrics; `deficit_resolver` is the historical name of the pool maintainer. */
export const TRIGGER_NAMES = ['deficit_resolver', 'k8s_sync', 'resync'] as const
export type TriggerName = (typeof TRIGGER_NAMES)[number]

/** Prefix of all metrics of the reference's IPAM. */
export const IPAM_PREFIX = 'cilium_operator_ipam_'

/**
 * 0, 0.25, 0.5, then every second up to a minute. The leading 0 comes from the way the reference builds the list.
 *
 * @source cilium pkg/ipam/metrics/metrics.go, merge of ExponentialBuckets and LinearBuckets
 */
const ATTEMPT_SECONDS: readonly number[] = [0, 0.25, 0.5, ...Array.from({ length: 60 }, (_, index) => index + 1)]

/** @source cilium pkg/metrics/metrics.go, bounds of trigger metrics */
const TRIGGER_SECONDS: readonly number[] = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
]

/** @source prometheus/client_golang prometheus/histogram.go, DefBuckets */
const DEFAULT_SECONDS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/**
 * Upper bounds of the buckets of every histogram, by the full name of the metric (seconds, ascending, without +Inf).
 *
 * @param profile the API durations became finer with 1.18
 */
export function histogramBuckets(profile: IPAMProfile): Readonly<Record<string, readonly number[]>> {
  const apiSeconds = profile === '1.14' ? DEFAULT_SECONDS : TRIGGER_SECONDS
  return {
    [`${IPAM_PREFIX}allocation_duration_seconds`]: ATTEMPT_SECONDS,
    [`${IPAM_PREFIX}release_duration_seconds`]: ATTEMPT_SECONDS,
    [`${IPAM_PREFIX}background_sync_duration_seconds`]: ATTEMPT_SECONDS,
    ...Object.fromEntries(
      TRIGGER_NAMES.flatMap((trigger) => [
        [`${IPAM_PREFIX}${trigger}_duration_seconds`, TRIGGER_SECONDS],
        [`${IPAM_PREFIX}${trigger}_latency_seconds`, TRIGGER_SECONDS],
      ]),
    ),
    ...Object.fromEntries(
      CLOUD_API_NAMES.flatMap((api) => [
        [`cilium_operator_${api}_api_duration_seconds`, apiSeconds],
        [`cilium_operator_${api}_api_rate_limit_duration_seconds`, DEFAULT_SECONDS],
      ]),
    ),
  }
}
