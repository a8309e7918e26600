import type { PodCIDRPool } from './pod-cidr-pool.ts'

export type PodCIDRStatus = 'released' | 'depleted' | 'in-use'

/** Free addresses below which another CIDR is asked for (count). Cilium pkg/option, PodCIDRAllocationThreshold. */
export const DEFAULT_ALLOCATION_THRESHOLD = 8
/** Free addresses that must stay when an unused CIDR is given back (count). Cilium pkg/option, PodCIDRReleaseThreshold. */
export const DEFAULT_RELEASE_THRESHOLD = 16

export interface PodCIDRThresholds {
  /** Counts of addresses; 0 and less mean the default. */
  readonly allocation: number
  readonly release: number
}

/**
 * What a node of cluster-pool-v2beta says of its CIDRs in `status.ipam.pod-cidrs`; those that it says `released` of are given back by
 * this.
 *
 * @returns CIDR text → status
 * @source cilium 1.14 pkg/ipam/podcidr.go, podCIDRPool.status
 */
export function podCIDRStatus(pool: PodCIDRPool, thresholds: PodCIDRThresholds): ReadonlyMap<string, PodCIDRStatus> {
  const allocation = thresholds.allocation > 0 ? thresholds.allocation : DEFAULT_ALLOCATION_THRESHOLD
  const release = thresholds.release > 0 ? thresholds.release : DEFAULT_RELEASE_THRESHOLD
  const status = new Map<string, PodCIDRStatus>(pool.releasedCIDRs().map((text) => [text, 'released']))
  const ranges = pool.ranges()
  let free = pool.free
  if (free < allocation) {
    for (const { range } of ranges) status.set(range.text, 'depleted')
    return status
  }
  const gone = new Set<string>()
  for (const { range, isRemoved } of ranges.toReversed()) {
    if (range.used > 0) {
      status.set(range.text, range.free === 0 ? 'depleted' : 'in-use')
      continue
    }
    const isSpare = isRemoved || free - range.free >= release
    status.set(range.text, isSpare ? 'released' : 'in-use')
    if (!isSpare) continue
    gone.add(range.text)
    if (!isRemoved) free -= range.free
  }
  pool.giveBack(gone)
  return status
}
