import { Counter, Gauge, Histogram } from 'prom-client'
import type { Registry } from 'prom-client'
import type { CloudCallMetrics, MetricsAPI, TriggerObserver } from '../ipam/contracts.ts'
import type { IPAMProfile } from '../ipam/types.ts'
import { IPAM_PREFIX, histogramBuckets } from './histogram-buckets.ts'
import type { CloudAPIName, TriggerName } from './histogram-buckets.ts'

/** Declares metrics in one registry; names are full, or get the prefix of the reference's IPAM. */
class Declarations {
  readonly #registers: Registry[]
  readonly #buckets: Readonly<Record<string, readonly number[]>>

  constructor(registry: Registry, profile: IPAMProfile) {
    this.#registers = [registry]
    this.#buckets = histogramBuckets(profile)
  }

  counter<L extends string = never>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
    return new Counter({ name: IPAM_PREFIX + name, help, labelNames, registers: this.#registers })
  }

  gauge<L extends string = never>(name: string, help: string, labelNames: readonly L[] = []): Gauge<L> {
    return new Gauge({ name: IPAM_PREFIX + name, help, labelNames, registers: this.#registers })
  }

  /** @param name the full name: its buckets are looked up by it */
  histogram<L extends string = never>(name: string, help: string, labelNames: readonly L[] = []): Histogram<L> {
    const buckets = [...(this.#buckets[name] ?? [])]
    return new Histogram({ name, help, labelNames, buckets, registers: this.#registers })
  }

  trigger(name: TriggerName, what: string): TriggerObserver {
    const queued = this.counter(`${name}_queued_total`, `requests for ${what}`)
    const folds = this.gauge(`${name}_folds`, `requests folded into the last ${what}`)
    const duration = this.histogram(`${IPAM_PREFIX}${name}_duration_seconds`, `time that ${what} takes`)
    const latency = this.histogram(`${IPAM_PREFIX}${name}_latency_seconds`, `first request to start of ${what}`)
    return {
      queueEvent: () => queued.inc(),
      postRun(runSeconds, latencySeconds, foldCount) {
        duration.observe(runSeconds)
        latency.observe(latencySeconds)
        folds.set(foldCount)
      },
    }
  }
}

/**
 * The reference's IPAM metrics, with its names, labels and buckets.
 *
 * `ips` and `available_interfaces` exist until 1.19, `background_sync_duration_seconds` from 1.17 on; where the profile has no
 * such metric its operation does nothing.
 *
 * @source cilium pkg/ipam/metrics/metrics.go
 */
export function createIPAMMetrics(registry: Registry, profile: IPAMProfile): MetricsAPI {
  const declare = new Declarations(registry, profile)
  const hasSums = profile !== 'latest'
  const hasBackgroundSync = profile !== '1.14'

  const available = declare.gauge('available_ips', 'capacity of the node', ['target_node'])
  const used = declare.gauge('used_ips', 'addresses in use on the node', ['target_node'])
  const needed = declare.gauge('needed_ips', 'addresses that the node lacks', ['target_node'])
  const ips = hasSums ? declare.gauge('ips', 'addresses of all nodes', ['type']) : undefined
  const availableInterfaces = hasSums
    ? declare.gauge('available_interfaces', 'interfaces with addresses available')
    : undefined
  const candidates = declare.gauge('interface_candidates', 'attached interfaces with addresses available')
  const slots = declare.gauge('empty_interface_slots', 'interfaces that could still be attached')
  const nodes = declare.gauge('nodes', 'nodes by category', ['category'])
  const perSubnet = declare.gauge('available_ips_per_subnet', 'addresses available in the subnet', [
    'subnet_id',
    'availability_zone',
  ])
  const resyncs = declare.counter('resync_total', 'resyncs of the fleet')
  const allocated = declare.counter('ip_allocation_ops', 'addresses allocated', ['subnet_id'])
  const released = declare.counter('ip_release_ops', 'addresses released', ['subnet_id'])
  const created = declare.counter('interface_creation_ops', 'interfaces created', ['subnet_id'])
  const attemptLabels = ['type', 'status', 'subnet_id'] as const
  const allocation = declare.histogram(
    `${IPAM_PREFIX}allocation_duration_seconds`,
    'time of an attempt to allocate',
    attemptLabels,
  )
  const release = declare.histogram(
    `${IPAM_PREFIX}release_duration_seconds`,
    'time of an attempt to release',
    attemptLabels,
  )
  const backgroundSync = hasBackgroundSync
    ? declare.histogram(`${IPAM_PREFIX}background_sync_duration_seconds`, 'time of a full sync', ['status'])
    : undefined
  const maintainer = declare.trigger('deficit_resolver', 'a run of the pool maintainer')
  const k8sSync = declare.trigger('k8s_sync', 'a write to Kubernetes')
  const resync = declare.trigger('resync', 'a resync of the fleet')
  const oldestNeed = new Gauge({
    name: 'berth_oldest_unserved_need_seconds',
    help: 'age of the oldest need for addresses that is not served yet; 0 = none',
    registers: [registry],
  })
  const missing = new Gauge({
    name: 'berth_missing_instances',
    help: 'nodes whose instance the cloud does not show although the node is alive',
    registers: [registry],
  })

  /** A subnet's series carries its zone; to remove it the zone must be known. */
  const zones = new Map<string, string>()
  const deleteSubnet = (subnetID: string): void => {
    const zone = zones.get(subnetID)
    if (zone === undefined) return
    zones.delete(subnetID)
    perSubnet.remove({ subnet_id: subnetID, availability_zone: zone })
  }

  return {
    allocationAttempt: (type, status, subnetID, seconds) =>
      allocation.observe({ type, status, subnet_id: subnetID }, seconds),
    releaseAttempt: (type, status, subnetID, seconds) =>
      release.observe({ type, status, subnet_id: subnetID }, seconds),
    incInterfaceAllocation: (subnetID) => created.inc({ subnet_id: subnetID }),
    addIPAllocation: (subnetID, count) => allocated.inc({ subnet_id: subnetID }, count),
    addIPRelease: (subnetID, count) => released.inc({ subnet_id: subnetID }, count),
    setAllocatedIPs: (type, count) => ips?.set({ type }, count),
    setAvailableInterfaces: (count) => availableInterfaces?.set(count),
    setInterfaceCandidates: (count) => candidates.set(count),
    setEmptyInterfaceSlots: (count) => slots.set(count),
    setAvailableIPsPerSubnet(subnetID, availabilityZone, count) {
      if (zones.get(subnetID) !== availabilityZone) deleteSubnet(subnetID)
      zones.set(subnetID, availabilityZone)
      perSubnet.set({ subnet_id: subnetID, availability_zone: availabilityZone }, count)
    },
    deleteSubnet,
    setNodes: (category, count) => nodes.set({ category }, count),
    incResyncCount: () => resyncs.inc(),
    observeBackgroundSync: (status, seconds) => backgroundSync?.observe({ status }, seconds),
    setIPAvailable: (node, capacity) => available.set({ target_node: node }, capacity),
    setIPUsed: (node, count) => used.set({ target_node: node }, count),
    setIPNeeded: (node, count) => needed.set({ target_node: node }, count),
    deleteNode(node) {
      for (const gauge of [available, used, needed]) gauge.remove({ target_node: node })
    },
    poolMaintainerTrigger: () => maintainer,
    k8sSyncTrigger: () => k8sSync,
    resyncTrigger: () => resync,
    setOldestUnservedNeed: (seconds) => oldestNeed.set(seconds),
    setMissingInstances: (count) => missing.set(count),
  }
}

/** @source cilium pkg/api/metrics/metrics.go */
export function createCloudCallMetrics(registry: Registry, profile: IPAMProfile, api: CloudAPIName): CloudCallMetrics {
  const declare = new Declarations(registry, profile)
  const duration = declare.histogram(
    `cilium_operator_${api}_api_duration_seconds`,
    `time of a call of the ${api} API`,
    ['operation', 'response_code'],
  )
  const rateLimit = declare.histogram(
    `cilium_operator_${api}_api_rate_limit_duration_seconds`,
    `time that a call of the ${api} API waited for a token`,
    ['operation'],
  )
  return {
    observeAPICall: (operation, responseCode, seconds) =>
      duration.observe({ operation, response_code: responseCode }, seconds),
    observeRateLimit: (operation, seconds) => rateLimit.observe({ operation }, seconds),
  }
}
