import type { Registry } from 'prom-client'
import type { CloudCallMetrics, MetricsAPI } from '../ipam/contracts.ts'
import type { IPAMProfile } from '../ipam/types.ts'

/** The word for the cloud's API in the names of its metrics: `cilium_operator_<api>_api_duration_seconds`. */
export type CloudAPIName = 'ec2' | 'azure' | 'alibabacloud'

/** Delay of the event loop since the last reading (ms). */
export interface EventLoopDelay {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

/** One bucket of the API budget as it stands; the shape of the budget's own `buckets()`. */
export interface BucketLevel {
  readonly bucket: string
  readonly tokens: number
  readonly refillPerSecond: number
  readonly waiting: Readonly<Record<string, number>>
}

export interface ControllerMetrics {
  /** 1 while this process leads, else 0. `berth_leader`. */
  setLeader(isLeader: boolean): void
  /** 1 while another writer of the same fields was seen. `berth_second_writer`. */
  setSecondWriter(isPresent: boolean): void
  /** Read at every scrape. `berth_budget_tokens`, `berth_budget_rate`, `berth_budget_waiting_calls`. */
  watchBudget(buckets: () => readonly BucketLevel[]): void
  /** Read at every scrape. `berth_event_loop_delay_seconds{quantile}`. */
  watchEventLoop(read: () => EventLoopDelay): void
}

export interface MetricsOptions {
  /** False: every operation does nothing and the registry stays empty. */
  readonly enabled: boolean
  readonly profile: IPAMProfile
  readonly api: CloudAPIName
}

export interface Metrics {
  readonly registry: Registry
  readonly core: MetricsAPI
  readonly cloud: CloudCallMetrics
  readonly controller: ControllerMetrics
}

export function createMetrics(_options: MetricsOptions): Metrics {
  throw new Error('not built yet')
}
