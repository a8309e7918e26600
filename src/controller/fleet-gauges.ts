import type { MetricsAPI } from '../ipam/contracts.ts'
import type { PoolQuotaMap, Statistics } from '../ipam/types.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Timer, TimerQueue } from '../runtime/timer.ts'
import type { NodeContribution } from './totals.ts'
import { TotalsKeeper } from './totals.ts'

/** The fleet's gauges are written at most so often (ms). */
const PUBLISH_INTERVAL_MS = 1_000

/** Keeps the gauges of the fleet, of its nodes and of its subnets. */
export class FleetGauges {
  readonly #metrics: MetricsAPI
  readonly #clock: Clock
  readonly #totals = new TotalsKeeper()
  /** Last statistics written per node: a gauge is set only when it changed. */
  readonly #written = new Map<string, Statistics>()
  readonly #timer: Timer
  #subnets: ReadonlySet<string> = new Set()
  #isPublishing = false

  constructor(metrics: MetricsAPI, clock: Clock, timers: TimerQueue) {
    this.#metrics = metrics
    this.#clock = clock
    this.#timer = timers.timer(() => this.publish())
  }

  /** Before the initial list is complete the sums would be those of a smaller fleet: nothing is published. */
  begin(): void {
    this.#isPublishing = true
    this.publish()
  }

  set(node: string, contribution: NodeContribution): void {
    this.#totals.set(node, contribution)
    const { statistics } = contribution
    const before = this.#written.get(node)
    if (before !== statistics) {
      this.#written.set(node, statistics)
      // The name is the reference's; the value is the capacity, as there.
      if (before?.ipv4.capacity !== statistics.ipv4.capacity)
        this.#metrics.setIPAvailable(node, statistics.ipv4.capacity)
      if (before?.ipv4.usedIPs !== statistics.ipv4.usedIPs) this.#metrics.setIPUsed(node, statistics.ipv4.usedIPs)
      if (before?.ipv4.neededIPs !== statistics.ipv4.neededIPs)
        this.#metrics.setIPNeeded(node, statistics.ipv4.neededIPs)
    }
    this.#schedule()
  }

  delete(node: string): void {
    this.#totals.delete(node)
    this.#written.delete(node)
    this.#metrics.deleteNode(node)
    this.#schedule()
  }

  /** Free addresses by subnet; a subnet that is gone loses its gauge. */
  setQuota(quota: PoolQuotaMap): void {
    for (const [subnetID, { availabilityZone, availableIPs }] of quota) {
      this.#metrics.setAvailableIPsPerSubnet(subnetID, availabilityZone, availableIPs)
    }
    for (const subnetID of this.#subnets) if (!quota.has(subnetID)) this.#metrics.deleteSubnet(subnetID)
    this.#subnets = new Set(quota.keys())
  }

  publish(): void {
    if (!this.#isPublishing) return
    const metrics = this.#metrics
    const { totals } = this.#totals
    metrics.setNodes('total', totals.nodes)
    metrics.setNodes('in-deficit', totals.inDeficit)
    metrics.setNodes('at-capacity', totals.atCapacity)
    metrics.setAllocatedIPs('used', totals.usedIPs)
    metrics.setAllocatedIPs('available', totals.unusedIPs)
    metrics.setAllocatedIPs('needed', totals.neededIPs)
    metrics.setAvailableInterfaces(totals.remainingInterfaces)
    metrics.setInterfaceCandidates(totals.interfaceCandidates)
    metrics.setEmptyInterfaceSlots(totals.emptyInterfaceSlots)
    metrics.setMissingInstances(totals.missingInstances)
    const oldestNeedMs = this.oldestNeedMs()
    metrics.setOldestUnservedNeed(oldestNeedMs / 1000)
    // An age grows without any event.
    if (oldestNeedMs > 0) this.#schedule()
  }

  oldestNeedMs(): number {
    return this.#totals.oldestNeedMs(this.#clock.now())
  }

  #schedule(): void {
    if (this.#isPublishing && this.#timer.dueMs === undefined)
      this.#timer.setAt(this.#clock.now() + PUBLISH_INTERVAL_MS)
  }
}
