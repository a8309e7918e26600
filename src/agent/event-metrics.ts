import type { Family } from './family.ts'

/**
 * What the facade counts: the reference's `cilium_ipam_events_total` and `cilium_ipam_capacity`. Everything else that a dashboard
 * needs (allocated, cooling, pending by family and pool) is read at scrape time from `IPAM.usage`.
 *
 * @source cilium pkg/metrics/metrics.go, IPAMEvent and IPAMCapacity
 */
export interface IPAMEventMetrics {
  /** A successful allocation or release; roll-backs and expiries are releases, failures and skipped addresses are nothing. */
  countEvent(action: 'allocate' | 'release', family: Family): void
  /** @param capacity addresses of all pools of the family (count) */
  setCapacity(family: Family, capacity: bigint): void
}

export const NO_EVENT_METRICS: IPAMEventMetrics = { countEvent: () => undefined, setCapacity: () => undefined }
