/** An entry of a map of addresses: `resource` is the interface ID, `owner` (namespace/pod) is filled only in the `used` map. */
export interface AllocationIP {
  readonly owner?: string
  readonly resource?: string
}

/**
 * Canonical address text → entry.
 *
 * @source cilium pkg/ipam/types/types.go, AllocationMap
 */
export type AllocationMap = ReadonlyMap<string, AllocationIP>

export type Tags = Readonly<Record<string, string>>

/** A value as JSON carries it. Sections of a resource that only their provider understands travel in this form. */
export type JSONValue = string | number | boolean | null | readonly JSONValue[] | JSONObject
export interface JSONObject {
  readonly [key: string]: JSONValue | undefined
}

/**
 * What could be allocated on a node now: the provider's answer, completed by the core and handed back to the provider.
 *
 * @source cilium pkg/ipam/node.go, AllocationAction
 */
export interface AllocationAction {
  /** The interface to allocate on; empty when none has room, or when the provider has no such notion. */
  readonly interfaceID: string
  /** The subnet of that interface, or the provider's single pool; empty when unspecified. Labels metrics. */
  readonly poolID: string
  readonly ipv4: {
    /** Free addresses on that interface, limited by its subnet (count). The core lowers it to `maxIPsToAllocate`. */
    readonly availableForAllocation: number
    /** need + max-above-watermark + surge (count). Written by the core. */
    readonly maxIPsToAllocate: number
    /** Attached interfaces that still have room (count of interfaces). */
    readonly interfaceCandidates: number
    /**
     * Subnets without a free address that keep candidates from being selected. A candidate in a subnet that the provider may not use is not
     * told of: room elsewhere does not help it. Absent: the provider does not say.
     */
    readonly emptyPoolIDs?: readonly string[]
  }
  readonly ipv6: {
    /** IPv6 prefixes wanted (count, 0 or 1). Written by the core. */
    readonly maxPrefixesToAllocate: number
  }
  /** Interfaces that could still be attached (count of interfaces). */
  readonly emptyInterfaceSlots: number
}

/**
 * What could be given back, all of one interface.
 *
 * @source cilium pkg/ipam/node.go, ReleaseAction
 */
export interface ReleaseAction {
  readonly interfaceID: string
  readonly poolID: string
  /** Single addresses, and every address of `ipPrefixesToRelease` (canonical text). */
  readonly ipsToRelease: readonly string[]
  /** Whole delegated prefixes (CIDR text). */
  readonly ipPrefixesToRelease: readonly string[]
  /** Multi-pool release only: /32 for a single address, /28 for a delegated prefix (CIDR text). */
  readonly cidrsToRelease: readonly string[]
}

/**
 * The numbers of one node.
 *
 * @source cilium pkg/ipam/node.go, Statistics
 */
export interface Statistics {
  readonly ipv4: {
    readonly usedIPs: number
    /** Attached and open to pods, used or not. */
    readonly availableIPs: number
    readonly neededIPs: number
    readonly excessIPs: number
    /** Upper bound of pod addresses for this instance, whatever the use. */
    readonly capacity: number
    /** Attached interfaces with room plus slots for new ones. */
    readonly remainingInterfaces: number
    readonly interfaceCandidates: number
  }
  readonly ipv6: {
    readonly availablePrefixes: number
    readonly neededPrefixes: number
  }
  readonly emptyInterfaceSlots: number
  /** Public address bound to the node; empty when none. */
  readonly assignedStaticIP: string
}

/**
 * The provider's per-node refresh, apart from the addresses.
 *
 * `interfaceCandidates` and `emptyInterfaceSlots` are ours: the reference leaves those gauges at 0.
 *
 * @source cilium pkg/ipam/stats/stats.go, InterfaceStats
 */
export interface InterfaceStats {
  readonly nodeCapacity: number
  readonly remainingAvailableInterfaceCount: number
  readonly interfaceCandidates: number
  readonly emptyInterfaceSlots: number
  /** Delegated IPv6 prefixes on the node (count). */
  readonly nodeIPv6Prefixes: number
  /** Public address of the node as the cloud reports it; empty when none. */
  readonly assignedStaticIP: string
}

/**
 * Network limits of an instance type. `ipv4` counts the primary address.
 *
 * @source cilium pkg/ipam/types/types.go, Limits
 */
export interface Limits {
  /** Network interfaces of one instance (count). */
  readonly adapters: number
  /** IPv4 slots of one interface, primary included (count). */
  readonly ipv4: number
  readonly ipv6: number
  /** `nitro`, `xen` or empty. */
  readonly hypervisorType: string
  readonly isBareMetal: boolean
}

export interface Subnet {
  readonly id: string
  readonly name: string
  readonly cidr: string
  readonly availabilityZone: string
  readonly virtualNetworkID: string
  /** Free IPv4 addresses (count). */
  readonly availableAddresses: number
  readonly tags: Tags
  readonly ipv6CIDR?: string
  readonly availableIPv6Addresses?: number
}

export interface VirtualNetwork {
  readonly id: string
  readonly primaryCIDR: string
  /** Further CIDRs, in the cloud's order. */
  readonly cidrs: readonly string[]
}

export interface RouteTable {
  readonly id: string
  readonly virtualNetworkID: string
  /** Explicitly associated subnets. */
  readonly subnetIDs: ReadonlySet<string>
}

export interface SecurityGroup {
  readonly id: string
  readonly virtualNetworkID: string
  readonly tags: Tags
}

export interface PoolQuota {
  readonly availabilityZone: string
  readonly availableIPs: number
  readonly availableIPv6s: number
  /** Addresses that instances could have in all (count); absent where the provider does not say. */
  readonly totalIPs?: number
  /** Whole /28 blocks of which nothing is known to be taken (count); absent where prefixes are not used, or not known yet. */
  readonly freeBlocks?: number
}

/** Subnet ID → its free addresses. */
export type PoolQuotaMap = ReadonlyMap<string, PoolQuota>

/** Whose arithmetic to follow; `latest` unless an older operator is to be imitated (docs/compatibility.md). */
export const IPAM_PROFILES = ['latest', '1.19', '1.18', '1.14'] as const
export type IPAMProfile = (typeof IPAM_PROFILES)[number]
