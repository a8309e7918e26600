import type { CiliumNode, IPAMSpec, ReleaseStatus } from '../../src/ipam/cilium-node.ts'
import type { AllocationIP, AllocationMap, JSONObject } from '../../src/ipam/types.ts'

export interface ResourceOptions {
  readonly name?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly instanceID?: string
  readonly ipam?: Partial<IPAMSpec>
  /** Addresses in use; a number makes so many placeholders that are on no interface. */
  readonly used?: number | readonly string[] | AllocationMap
  readonly releaseIPs?: Readonly<Record<string, ReleaseStatus>>
  readonly eni?: JSONObject
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferenceCount?: number
  readonly isBeingDeleted?: boolean
  readonly operatorError?: string
  readonly assignedStaticIP?: string
}

/** A CiliumNode with everything absent that the options do not give. */
export function ciliumNode(options: ResourceOptions = {}): CiliumNode {
  const { name = 'node-1', eni } = options
  return {
    name,
    uid: options.uid ?? `uid-${name}`,
    resourceVersion: options.resourceVersion ?? '1',
    ownerReferenceCount: options.ownerReferenceCount ?? 0,
    annotations: options.annotations ?? {},
    isBeingDeleted: options.isBeingDeleted ?? false,
    spec: {
      instanceID: options.instanceID ?? `i-${name}`,
      ipam: {
        requested: [],
        allocated: [],
        preAllocate: 0,
        minAllocate: 0,
        maxAllocate: 0,
        maxAboveWatermark: 0,
        staticIPTags: {},
        ...options.ipam,
      },
    },
    status: {
      used: usedMap(options.used ?? 0),
      releaseIPs: new Map(Object.entries(options.releaseIPs ?? {})),
      assignedStaticIP: options.assignedStaticIP ?? '',
      operatorError: options.operatorError ?? '',
      ...(eni !== undefined && { eni }),
    },
  }
}

/** The `used` map of a resource. */
export function usedMap(used: number | readonly string[] | AllocationMap): AllocationMap {
  if (typeof used === 'number') return usedMap(Array.from({ length: used }, (_, index) => `192.0.2.${index}`))
  if (used instanceof Map) return used as AllocationMap
  return new Map([...(used as readonly string[])].map((address) => [address, { owner: 'default/pod' }]))
}

/** Addresses of one interface as a pool. */
export function poolOf(interfaceID: string, addresses: readonly string[]): AllocationMap {
  return new Map<string, AllocationIP>(addresses.map((address) => [address, { resource: interfaceID }]))
}
