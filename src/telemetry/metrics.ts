import { Registry } from 'prom-client'
import type { CloudCallMetrics, MetricsAPI, TriggerObserver } from '../ipam/contracts.ts'
import type { IPAMProfile } from '../ipam/types.ts'
import { createControllerMetrics } from './controller-metrics.ts'
import type { ControllerMetrics } from './controller-metrics.ts'
import type { CloudAPIName } from './histogram-buckets.ts'
import { createCloudCallMetrics, createIPAMMetrics } from './ipam-metrics.ts'

export interface MetricsOptions {
  /** False: every operation does nothing and the registry stays empty. */
  readonly enabled: boolean
  /** Which of the reference's metrics there are (`ips`, `available_interfaces` until 1.19). */
  readonly profile: IPAMProfile
  readonly api: CloudAPIName
}

export interface Metrics {
  /** What `/metrics` shows. */
  readonly registry: Registry
  readonly core: MetricsAPI
  readonly cloud: CloudCallMetrics
  readonly controller: ControllerMetrics
}

/** All metrics of one process, in a registry of their own. */
export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry()
  if (!options.enabled) return { registry, ...disabledMetrics }
  return {
    registry,
    core: createIPAMMetrics(registry, options.profile),
    cloud: createCloudCallMetrics(registry, options.profile, options.api),
    controller: createControllerMetrics(registry),
  }
}

const nothing = (): void => undefined
const disabledTrigger: TriggerObserver = { queueEvent: nothing, postRun: nothing }

const disabledMetrics: Omit<Metrics, 'registry'> = {
  core: {
    allocationAttempt: nothing,
    releaseAttempt: nothing,
    incInterfaceAllocation: nothing,
    addIPAllocation: nothing,
    addIPRelease: nothing,
    setAllocatedIPs: nothing,
    setAvailableInterfaces: nothing,
    setInterfaceCandidates: nothing,
    setEmptyInterfaceSlots: nothing,
    setAvailableIPsPerSubnet: nothing,
    deleteSubnet: nothing,
    setNodes: nothing,
    incResyncCount: nothing,
    observeBackgroundSync: nothing,
    setIPAvailable: nothing,
    setIPUsed: nothing,
    setIPNeeded: nothing,
    deleteNode: nothing,
    poolMaintainerTrigger: () => disabledTrigger,
    k8sSyncTrigger: () => disabledTrigger,
    resyncTrigger: () => disabledTrigger,
    setOldestUnservedNeed: nothing,
    setMissingInstances: nothing,
  },
  cloud: { observeAPICall: nothing, observeRateLimit: nothing },
  controller: {
    setLeader: nothing,
    setSecondWriter: nothing,
    setDestructivePaused: nothing,
    incDestructiveCall: nothing,
    watchBudget: nothing,
    watchWaiting: nothing,
    setPodCapacity: nothing,
    deletePodCapacity: nothing,
    watchEventLoop: nothing,
  },
}
