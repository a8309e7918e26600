import type { CiliumNode, IPAMSpec } from './cilium-node.ts'

/**
 * What every look at a node reads of its resource. It is held as it is beside the packed rest (`seen-resource.ts`), so that a look
 * parses nothing. A `CiliumNode` has this form too.
 */
export interface ResourceDemand {
  readonly spec: {
    readonly ipam: Pick<
      IPAMSpec,
      'requested' | 'preAllocate' | 'minAllocate' | 'maxAllocate' | 'maxAboveWatermark' | 'staticIPTags'
    >
  }
  readonly status: {
    /** Addresses in use (count). */
    readonly used: { readonly size: number }
    readonly assignedStaticIP: string
  }
}

/** Takes nothing else of the resource along: what is left of it can be collected. */
export function demandOf({ spec, status }: CiliumNode): ResourceDemand {
  const { requested, preAllocate, minAllocate, maxAllocate, maxAboveWatermark, staticIPTags } = spec.ipam
  return {
    spec: { ipam: { requested, preAllocate, minAllocate, maxAllocate, maxAboveWatermark, staticIPTags } },
    status: { used: { size: status.used.size }, assignedStaticIP: status.assignedStaticIP },
  }
}
