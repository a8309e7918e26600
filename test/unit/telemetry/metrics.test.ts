import { describe, expect, test } from 'vitest'
import type { MetricsAPI } from '../../../src/ipam/contracts.ts'
import { IPAM_PROFILES } from '../../../src/ipam/types.ts'
import { CLOUD_API_NAMES, histogramBuckets } from '../../../src/telemetry/histogram-buckets.ts'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import type { Metrics, MetricsOptions } from '../../../src/telemetry/metrics.ts'

const metricsOf = (options: Partial<MetricsOptions> = {}): Metrics =>
  createMetrics({ enabled: true, profile: 'latest', api: 'ec2', ...options })

/** The value of one series as `/metrics` shows it, undefined when there is none. */
async function value({ registry }: Metrics, series: string): Promise<number | undefined> {
  const lines = (await registry.metrics()).split('\n')
  const line = lines.find((one) => one.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

function callEverything(core: MetricsAPI): void {
  core.allocationAttempt('createInterfaceAndAllocateIP', 'success', 'subnet-1', 0.3)
  core.releaseAttempt('releaseIPPrefixes', 'failed', 'subnet-1', 1.5)
  core.incInterfaceAllocation('subnet-1')
  core.addIPAllocation('subnet-1', 16)
  core.addIPRelease('subnet-1', 4)
  core.setAllocatedIPs('used', 7)
  core.setAvailableInterfaces(5)
  core.setInterfaceCandidates(2)
  core.setEmptyInterfaceSlots(3)
  core.setAvailableIPsPerSubnet('subnet-1', 'eu-west-1a', 200)
  core.setNodes('in-deficit', 4)
  core.incResyncCount()
  core.observeBackgroundSync('success', 2.5)
  core.setIPAvailable('node-1', 110)
  core.setIPUsed('node-1', 12)
  core.setIPNeeded('node-1', 8)
  core.poolMaintainerTrigger().queueEvent('new pod')
  core.poolMaintainerTrigger().postRun(0.4, 0.01, 3)
  core.k8sSyncTrigger().postRun(0.1, 0.2, 1)
  core.resyncTrigger().queueEvent('pool maintainer')
  core.setOldestUnservedNeed(17)
  core.setMissingInstances(1)
}

describe('the metrics of the reference', () => {
  test.each([
    ['cilium_operator_ipam_available_ips{target_node="node-1"}', 110],
    ['cilium_operator_ipam_used_ips{target_node="node-1"}', 12],
    ['cilium_operator_ipam_needed_ips{target_node="node-1"}', 8],
    ['cilium_operator_ipam_interface_candidates', 2],
    ['cilium_operator_ipam_empty_interface_slots', 3],
    ['cilium_operator_ipam_nodes{category="in-deficit"}', 4],
    ['cilium_operator_ipam_available_ips_per_subnet{subnet_id="subnet-1",availability_zone="eu-west-1a"}', 200],
    ['cilium_operator_ipam_resync_total', 1],
    ['cilium_operator_ipam_ip_allocation_ops{subnet_id="subnet-1"}', 16],
    ['cilium_operator_ipam_ip_release_ops{subnet_id="subnet-1"}', 4],
    ['cilium_operator_ipam_interface_creation_ops{subnet_id="subnet-1"}', 1],
    [
      'cilium_operator_ipam_allocation_duration_seconds_bucket{le="0.5",type="createInterfaceAndAllocateIP",status="success",subnet_id="subnet-1"}',
      1,
    ],
    [
      'cilium_operator_ipam_allocation_duration_seconds_bucket{le="0.25",type="createInterfaceAndAllocateIP",status="success",subnet_id="subnet-1"}',
      0,
    ],
    [
      'cilium_operator_ipam_release_duration_seconds_sum{type="releaseIPPrefixes",status="failed",subnet_id="subnet-1"}',
      1.5,
    ],
    ['cilium_operator_ipam_background_sync_duration_seconds_count{status="success"}', 1],
    ['cilium_operator_ipam_deficit_resolver_queued_total', 1],
    ['cilium_operator_ipam_deficit_resolver_folds', 3],
    ['cilium_operator_ipam_deficit_resolver_duration_seconds_sum', 0.4],
    ['cilium_operator_ipam_deficit_resolver_latency_seconds_sum', 0.01],
    ['cilium_operator_ipam_k8s_sync_latency_seconds_sum', 0.2],
    ['cilium_operator_ipam_resync_queued_total', 1],
    ['berth_oldest_unserved_need_seconds', 17],
    ['berth_missing_instances', 1],
  ])('%s is %d', async (series, expected) => {
    const metrics = metricsOf()
    callEverything(metrics.core)
    expect(await value(metrics, series)).toBe(expected)
  })

  test.each(IPAM_PROFILES)('of profile %s are those that it had', async (profile) => {
    const metrics = metricsOf({ profile })
    callEverything(metrics.core)
    const until119 = profile === 'latest' ? undefined : 7
    expect(await value(metrics, 'cilium_operator_ipam_ips{type="used"}')).toBe(until119)
    expect(await value(metrics, 'cilium_operator_ipam_available_interfaces')).toBe(profile === 'latest' ? undefined : 5)
    expect(await value(metrics, 'cilium_operator_ipam_background_sync_duration_seconds_count{status="success"}')).toBe(
      profile === '1.14' ? undefined : 1,
    )
  })

  test('a node that is gone leaves no series', async () => {
    const metrics = metricsOf()
    callEverything(metrics.core)
    metrics.core.deleteNode('node-1')
    metrics.core.deleteNode('node-never-seen')
    expect(await metrics.registry.metrics()).not.toContain('node-1')
  })

  test('a subnet that is gone, or moved to another zone, leaves no series', async () => {
    const metrics = metricsOf()
    metrics.core.setAvailableIPsPerSubnet('subnet-1', '', 10)
    metrics.core.setAvailableIPsPerSubnet('subnet-1', 'eu-west-1b', 20)
    const text = await metrics.registry.metrics()
    expect(text.match(/available_ips_per_subnet\{/g)).toHaveLength(1)
    metrics.core.deleteSubnet('subnet-1')
    metrics.core.deleteSubnet('subnet-1')
    expect(await metrics.registry.metrics()).not.toContain('subnet-1')
  })

  test.each(CLOUD_API_NAMES)('calls of %s are under the name of their API', async (api) => {
    const metrics = metricsOf({ api })
    metrics.cloud.observeAPICall('AttachNetworkInterface', 'OK', 0.7)
    metrics.cloud.observeRateLimit('AttachNetworkInterface', 3)
    const operation = 'operation="AttachNetworkInterface"'
    const prefix = `cilium_operator_${api}_api`
    expect(await value(metrics, `${prefix}_duration_seconds_bucket{le="0.8",${operation},response_code="OK"}`)).toBe(1)
    expect(await value(metrics, `${prefix}_duration_seconds_bucket{le="0.6",${operation},response_code="OK"}`)).toBe(0)
    expect(await value(metrics, `${prefix}_rate_limit_duration_seconds_bucket{le="5",${operation}}`)).toBe(1)
  })
})

describe('histogramBuckets', () => {
  test('has a line for every histogram that is declared, and the registry uses it', async () => {
    for (const profile of IPAM_PROFILES)
      for (const api of CLOUD_API_NAMES) {
        const { registry } = metricsOf({ profile, api })
        const declared = (await registry.getMetricsAsJSON()).filter(({ type }) => String(type) === 'histogram')
        expect(declared.length).toBeGreaterThan(9)
        for (const { name } of declared) expect(histogramBuckets(profile)[name]?.length).toBeGreaterThan(10)
      }
  })

  test('of API calls became finer with 1.18', () => {
    const name = 'cilium_operator_ec2_api_duration_seconds'
    expect(histogramBuckets('1.14')[name]).toEqual([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
    expect(histogramBuckets('1.18')[name]?.at(-1)).toBe(60)
  })
})

describe('our own metrics', () => {
  test('show the leader and a second writer', async () => {
    const metrics = metricsOf()
    metrics.controller.setLeader(true)
    metrics.controller.setSecondWriter(true)
    expect(await value(metrics, 'berth_leader')).toBe(1)
    expect(await value(metrics, 'berth_second_writer')).toBe(1)
    metrics.controller.setLeader(false)
    expect(await value(metrics, 'berth_leader')).toBe(0)
  })

  test('read the budget at every scrape', async () => {
    const metrics = metricsOf()
    let calls = 3
    metrics.controller.watchBudget({
      buckets: () => [{ bucket: 'Assign', tokens: 42.5, refillPerSecond: 3.5, waiting: { 'pod-waiting': calls } }],
      ledger: () => [{ action: 'Assign', reason: 'resolve-deficit', calls, refused: 1, waitedMs: 1500 }],
    })
    const labels = '{action="Assign",reason="resolve-deficit"}'
    expect(await value(metrics, 'berth_budget_tokens{bucket="Assign"}')).toBe(42.5)
    expect(await value(metrics, 'berth_budget_refill_per_second{bucket="Assign"}')).toBe(3.5)
    expect(await value(metrics, 'berth_budget_waiting_calls{bucket="Assign",priority="pod-waiting"}')).toBe(3)
    expect(await value(metrics, `berth_cloud_calls_total${labels}`)).toBe(3)
    expect(await value(metrics, `berth_cloud_calls_refused_total${labels}`)).toBe(1)
    expect(await value(metrics, `berth_cloud_calls_waited_seconds_total${labels}`)).toBe(1.5)
    calls = 4
    expect(await value(metrics, `berth_cloud_calls_total${labels}`)).toBe(4)
  })

  test('read the event loop at every scrape', async () => {
    const metrics = metricsOf()
    metrics.controller.watchEventLoop(() => ({ p50Ms: 1, p99Ms: 20, p999Ms: 40, maxMs: 90 }))
    expect(await value(metrics, 'berth_event_loop_delay_seconds{quantile="0.999"}')).toBe(0.04)
    expect(await value(metrics, 'berth_event_loop_delay_seconds{quantile="1"}')).toBe(0.09)
  })

  test('show the process', async () => {
    const metrics = metricsOf()
    expect(await value(metrics, 'process_resident_memory_bytes')).toBeGreaterThan(10_000_000)
    expect(await value(metrics, 'process_cpu_seconds_total')).toBeGreaterThan(0)
  })
})

test('with metrics disabled every operation does nothing, and nothing is read', async () => {
  const metrics = metricsOf({ enabled: false })
  callEverything(metrics.core)
  metrics.cloud.observeAPICall('AttachNetworkInterface', 'OK', 0.7)
  metrics.controller.setLeader(true)
  metrics.controller.watchEventLoop(() => {
    throw new Error('read')
  })
  expect((await metrics.registry.metrics()).trim()).toBe('')
})

test('each process has a registry of its own', async () => {
  const [first, second] = [metricsOf(), metricsOf()]
  first.core.incResyncCount()
  expect(await value(second, 'cilium_operator_ipam_resync_total')).toBe(0)
})
