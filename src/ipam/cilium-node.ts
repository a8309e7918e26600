import type { AllocationMap, JSONObject, Tags } from './types.ts'

/**
 * The states of the release handshake of one address, as `status.ipam.release-ips` carries them.
 *
 * @source cilium pkg/ipam/option/option.go, IPAMMarkForRelease and following
 */
export const RELEASE_STATUSES = ['marked-for-release', 'ready-for-release', 'do-not-release', 'released'] as const
export type ReleaseStatus = (typeof RELEASE_STATUSES)[number]

/** The pool that a multi-pool agent uses for cloud addresses. */
export const DEFAULT_POOL = 'default'

/** A multi-pool agent's demand: in use plus pre-allocate (counts of addresses). */
export interface PoolRequest {
  readonly pool: string
  readonly ipv4Addrs: number
  readonly ipv6Addrs: number
}

/** What a multi-pool agent has taken over, per pool (CIDR texts). */
export interface PoolAllocation {
  readonly pool: string
  readonly cidrs: readonly string[]
}

export interface IPAMSpec {
  /** Addresses open to pods. Absent and empty differ: an agent waits for the first, and releases on the second. */
  readonly pool?: AllocationMap
  readonly requested: readonly PoolRequest[]
  readonly allocated: readonly PoolAllocation[]
  /** 0 when absent, as in the resource. */
  readonly preAllocate: number
  readonly minAllocate: number
  readonly maxAllocate: number
  readonly maxAboveWatermark: number
  readonly staticIPTags: Tags
}

export interface CiliumNodeSpec {
  /** The virtual machine behind the node; empty when the resource does not say. */
  readonly instanceID: string
  readonly ipam: IPAMSpec
  /** Sections that only their provider reads, as JSON. */
  readonly eni?: JSONObject
  readonly azure?: JSONObject
  readonly alibabaCloud?: JSONObject
}

export interface CiliumNodeStatus {
  readonly used: AllocationMap
  readonly releaseIPs: ReadonlyMap<string, ReleaseStatus>
  readonly assignedStaticIP: string
  /** `status.ipam.operator-status.error`: what the node waits for, empty when fine. */
  readonly operatorError: string
  readonly eni?: JSONObject
  readonly azure?: JSONObject
  readonly alibabaCloud?: JSONObject
}

/**
 * One node's resource in the form the controller works with: decoded once at the rim, never mutated.
 * Only what the controller reads is kept; fields of others stay in the API server.
 *
 * @source cilium pkg/k8s/apis/cilium.io/v2/types.go, CiliumNode
 */
export interface CiliumNode {
  /** The Kubernetes node's name, and the resource's. */
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
  /** Owner references (count): a resource with one is collected by Kubernetes itself. */
  readonly ownerReferenceCount: number
  /** Only annotations that IPAM reads: `ipam.cilium.io/*`, `cilium.io/*` and `ipam.berth.io/*`. */
  readonly annotations: Readonly<Record<string, string>>
  readonly isBeingDeleted: boolean
  readonly spec: CiliumNodeSpec
  readonly status: CiliumNodeStatus
}

/**
 * The fields a controller owns, wanted at one moment. A path that is absent here is left alone; `null` removes it.
 * `src/kubernetes/cilium-node.ts` turns the difference to the seen resource into merge patches.
 */
export interface OwnedStatus {
  /**
   * The provider's inventory: the key names the section below `status`, the value replaces it as a whole.
   * Absent: the inventory is not known now (failed refresh, missing instance); what the resource says stays.
   */
  readonly provider?: ProviderStatus
  /** Replaced as a whole; `null` removes the map (multi-pool nodes). */
  readonly releaseIPs: ReadonlyMap<string, ReleaseStatus> | null
  /** Absent: unknown, leave alone. */
  readonly assignedStaticIP?: string
  /** Empty: fine; removes the field. */
  readonly operatorError: string
}

export interface OwnedSpec {
  /** Replaced as a whole; `null` removes the map (multi-pool nodes). */
  readonly pool: AllocationMap | null
  /** Written once, where the resource says 0. */
  readonly preAllocate?: number
}

/** The provider's section of the status in wire form, e.g. `{ section: 'eni', value: { enis: { 'eni-1': … } } }`. */
export interface ProviderStatus {
  readonly section: 'eni' | 'azure' | 'alibaba-cloud'
  readonly value: JSONObject
}
