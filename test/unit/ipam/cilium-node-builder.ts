import type { CiliumNode, CiliumNodeStatus, IPAMSpec } from '../../../src/ipam/cilium-node.ts'

/** A resource in which nothing is set but what the test gives. */
export function ciliumNode(
  parts: { readonly ipam?: Partial<IPAMSpec>; readonly status?: Partial<CiliumNodeStatus> } = {},
): CiliumNode {
  return {
    name: 'node-1',
    uid: 'uid-1',
    resourceVersion: '1',
    ownerReferenceCount: 1,
    annotations: {},
    isBeingDeleted: false,
    spec: {
      instanceID: 'i-1',
      ipam: {
        requested: [],
        allocated: [],
        preAllocate: 0,
        minAllocate: 0,
        maxAllocate: 0,
        maxAboveWatermark: 0,
        staticIPTags: {},
        ...parts.ipam,
      },
    },
    status: { used: new Map(), releaseIPs: new Map(), assignedStaticIP: '', operatorError: '', ...parts.status },
  }
}
