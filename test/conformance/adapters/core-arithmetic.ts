import { callDelaysMs } from '../../../src/budget/token-bucket.ts'
import type { CiliumNode, PoolRequest } from '../../../src/ipam/cilium-node.ts'
import { DEFAULT_POOL } from '../../../src/ipam/cilium-node.ts'
import { staticIPNeedsResolution } from '../../../src/ipam/statistics.ts'
import type { AllocationMap, JSONObject } from '../../../src/ipam/types.ts'
import { poolRequested, usageOf, usedIPsWithPrefixes } from '../../../src/ipam/usage.ts'
import {
  calculateExcessIPs,
  calculateNeededIPs,
  countPendingPods,
  effectiveMaxAllocate,
  effectivePreAllocate,
  orderByWatermark,
  signedNeed,
  surge,
} from '../../../src/ipam/watermarks.ts'
import {
  clusterSizeDependentInterval,
  maintenanceBackoff,
  maintenanceBackoffBounds,
} from '../../../src/runtime/backoff.ts'
import { histogramBuckets } from '../../../src/telemetry/histogram-buckets.ts'
import type { AdapterContext, AdapterFunction, AdapterRegistry } from '../adapter.ts'

const MS_PER_SECOND = 1000
/** The files round to six digits after the point. */
const ROUNDED = { tolerance: { relative: 1e-6 } }

/** Reads a case's input as the shape that its kind has by definition of the file format. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller names its kind's shape, once
export function adapt<Input>(run: (input: Input, context: AdapterContext) => unknown): AdapterFunction {
  return (input: JSONObject, context) => run(input as unknown as Input, context)
}

interface Watermarks {
  readonly available: number
  readonly used: number
  readonly preAllocate: number
  readonly minAllocate: number
  readonly maxAllocate: number
  readonly maxAboveWatermark: number
}

interface WatermarkOrderInput {
  readonly nodes: readonly { readonly name: string; readonly needed: number; readonly excess: number }[]
  readonly releaseExcess: boolean
}

/** Sorts names within each run of equal values; the runs stay where they are. */
function sortRunsOfEquals(names: readonly string[], valueByName: ReadonlyMap<string, number>): string[][] {
  const runs: string[][] = []
  for (const [index, name] of names.entries()) {
    const previous = index === 0 ? undefined : valueByName.get(names[index - 1] ?? '')
    if (index > 0 && previous === valueByName.get(name)) runs.at(-1)?.push(name)
    else runs.push([name])
  }
  return runs.map((run) => run.sort())
}

function usedMap(count: number): AllocationMap {
  return new Map(Array.from({ length: count }, (_, index) => [`10.0.${Math.floor(index / 256)}.${index % 256}`, {}]))
}

/** The parts of a resource that usage depends on. */
function resourceWith(requested: readonly PoolRequest[], usedCount: number): CiliumNode {
  return {
    name: 'node',
    uid: '',
    resourceVersion: '1',
    ownerReferenceCount: 0,
    annotations: {},
    isBeingDeleted: false,
    spec: {
      instanceID: 'i-1',
      ipam: {
        requested,
        allocated: [],
        preAllocate: 0,
        minAllocate: 0,
        maxAllocate: 0,
        maxAboveWatermark: 0,
        staticIPTags: {},
      },
    },
    status: { used: usedMap(usedCount), releaseIPs: new Map(), assignedStaticIP: '', operatorError: '' },
  }
}

export const arithmeticAdapters: AdapterRegistry = {
  needed_ips: adapt<Watermarks>(({ available, used, ...watermarks }) => ({
    needed: calculateNeededIPs({ availableIPs: available, usedIPs: used, ...watermarks }),
  })),

  excess_ips: adapt<Watermarks>(({ available, used, ...watermarks }, { profile }) => ({
    excess: calculateExcessIPs({ availableIPs: available, usedIPs: used, ...watermarks, profile }),
  })),

  used_with_prefixes: adapt<{
    readonly prefixesByInterface: Readonly<Record<string, readonly string[]>>
    readonly used: Readonly<Record<string, string>>
  }>(({ prefixesByInterface, used }) => ({
    used: usedIPsWithPrefixes(
      new Map(Object.entries(prefixesByInterface)),
      new Map(Object.entries(used).map(([address, resource]) => [address, { resource }])),
    ),
  })),

  signed_need: adapt<{ readonly needed: number; readonly excess: number; readonly releaseExcess: boolean }>(
    (input) => ({
      value: signedNeed({ neededIPs: input.needed, excessIPs: input.excess, releaseEnabled: input.releaseExcess }),
    }),
  ),

  watermark_order: {
    run: adapt<WatermarkOrderInput>(({ nodes, releaseExcess }) => ({
      order: orderByWatermark(
        nodes.map(({ name, needed, excess }) => ({ name, neededIPs: needed, excessIPs: excess })),
        releaseExcess,
      ).map(({ name }) => name),
    })),
    // Nodes of equal value may come in any order.
    canonical: (value, input) => {
      const { nodes, releaseExcess: releaseEnabled } = input as unknown as WatermarkOrderInput
      const needByName = new Map(
        nodes.map(({ name, needed, excess }) => [
          name,
          signedNeed({ neededIPs: needed, excessIPs: excess, releaseEnabled }),
        ]),
      )
      const { order } = value as { readonly order: readonly string[] }
      return { order: sortRunsOfEquals(order, needByName) }
    },
  },

  effective_pre_allocate: adapt<{ readonly spec: number }>(({ spec }) => ({ effective: effectivePreAllocate(spec) })),

  effective_max_allocate: adapt<{ readonly spec: number; readonly instanceMax: number }>(({ spec, instanceMax }) => {
    const { maxAllocate, warning } = effectiveMaxAllocate(spec, instanceMax)
    return { effective: maxAllocate, warning: warning !== undefined }
  }),

  surge: adapt<{ readonly needed: number; readonly maxAboveWatermark: number; readonly pendingPods: number | null }>(
    ({ needed, maxAboveWatermark, pendingPods }) => {
      const asked = surge({ neededIPs: needed, maxAboveWatermark, pendingPods: pendingPods ?? undefined })
      return { surge: asked.surgeIPs, maxIPsToAllocate: asked.maxIPsToAllocate }
    },
  ),

  pending_pods: adapt<{
    readonly node: string
    readonly pods: readonly { readonly nodeName: string; readonly phase: string; readonly hostNetwork: boolean }[]
  }>(({ node, pods }, { profile }) => ({ count: countPendingPods(node, pods, profile) })),

  cluster_interval: {
    run: adapt<{ readonly baseSeconds: number; readonly nodes: number }>(({ baseSeconds, nodes }) => ({
      seconds: clusterSizeDependentInterval(baseSeconds * MS_PER_SECOND, nodes) / MS_PER_SECOND,
    })),
    comparison: ROUNDED,
  },

  maintenance_backoff: {
    run: adapt<{ readonly attempt: number; readonly nodes: number }>(({ attempt, nodes }) => {
      const input = { attempt, nodeCount: nodes }
      const bounds = maintenanceBackoffBounds(input)
      // The wait itself is drawn between the bounds: at either end of the draw it is the bound.
      const drawn = (value: number): number =>
        maintenanceBackoff({ ...input, random: { next: () => value } }) / MS_PER_SECOND
      if (Math.abs(drawn(0) * MS_PER_SECOND - bounds.minMs) > 1e-6)
        throw new Error('the shortest draw is not the bound')
      return { minSeconds: drawn(0), maxSeconds: drawn(1) }
    }),
    comparison: ROUNDED,
  },

  static_ip_needs_resolution: adapt<{ readonly assigned: string | null }>(({ assigned }, { profile }) => ({
    needed: staticIPNeedsResolution(assigned ?? '', profile),
  })),

  pool_requested: adapt<{
    readonly requested: readonly {
      readonly pool: string
      readonly needed?: { readonly 'ipv4-addrs'?: number; readonly 'ipv6-addrs'?: number }
    }[]
  }>(({ requested }) => {
    const demand = poolRequested(
      requested.map(({ pool, needed }) => ({
        pool,
        ipv4Addrs: needed?.['ipv4-addrs'] ?? 0,
        ipv6Addrs: needed?.['ipv6-addrs'] ?? 0,
      })),
    )
    return { ipv4: demand?.ipv4 ?? 0, ipv6: demand?.ipv6 ?? 0, found: demand !== undefined }
  }),

  usage_source: adapt<{
    readonly requestedIPv4: number | null
    readonly requestedIPv6: number | null
    readonly statusUsed: number
    readonly preAllocate: number
    readonly availableIPv6Prefixes: number
  }>(({ requestedIPv4, requestedIPv6, statusUsed, preAllocate, availableIPv6Prefixes }, { profile }) => {
    const requested =
      requestedIPv4 === null ? [] : [{ pool: DEFAULT_POOL, ipv4Addrs: requestedIPv4, ipv6Addrs: requestedIPv6 ?? 0 }]
    const usage = usageOf(resourceWith(requested, statusUsed), { preAllocate, availableIPv6Prefixes, profile })
    return {
      multiPool: usage.generation === 'multi-pool',
      used: usage.usedIPs,
      neededIPv6Prefixes: usage.neededIPv6Prefixes,
    }
  }),

  histogram_buckets: adapt<{ readonly metric: string }>(({ metric }, { profile }) => ({
    buckets: histogramBuckets(profile)[metric],
  })),

  api_rate_limit: {
    run: adapt<{ readonly qps: number; readonly burst: number; readonly callsAt: readonly number[] }>(
      ({ qps, burst, callsAt }) => {
        const callsAtMs = callsAt.map((seconds) => seconds * MS_PER_SECOND)
        const delaysMs = callDelaysMs({ size: burst, refillPerSecond: qps }, callsAtMs)
        return { delays: delaysMs.map((delayMs) => delayMs / MS_PER_SECOND) }
      },
    ),
    comparison: { tolerance: { absolute: 1e-6 } },
  },
}
