import type { AddressSpace, ReservationType } from './address-space.ts'
import type { Delayed } from './delayed.ts'
import type { IPv4Block } from '../../kit/ipv4.ts'

/** Tags of a resource, by key. */
export type Tags = Map<string, string>

/** Resource types of `DescribeTags` and `TagSpecification`. */
export type ResourceType =
  | 'vpc'
  | 'subnet'
  | 'subnet-cidr-reservation'
  | 'security-group'
  | 'route-table'
  | 'instance'
  | 'network-interface'
  | 'elastic-ip'

interface ResourceBase {
  readonly id: string
  /** Place in the order of creation: listings and pages follow it. */
  readonly ordinal: number
  readonly tags: Tags
}

export interface VPC extends ResourceBase {
  readonly resourceType: 'vpc'
  /** The primary block comes first. */
  readonly blocks: { readonly associationID: string; readonly block: IPv4Block }[]
  readonly isDefault: boolean
}

export interface Subnet extends ResourceBase {
  readonly resourceType: 'subnet'
  readonly vpc: VPC
  readonly availabilityZone: string
  readonly space: AddressSpace
  /** Whose each single address is; addresses of prefixes are found through their interface. */
  readonly holders: Map<number, NetworkInterface>
  /** Free addresses as listings still show them. */
  readonly seenFree: Delayed<number>
  readonly ipv6: SubnetIPv6 | undefined
  readonly isDefaultForZone: boolean
}

/** The /64 of a dual-stack subnet. Its lower half is for delegated /80 prefixes, its upper half for single addresses. */
export interface SubnetIPv6 {
  readonly associationID: string
  /** The first four groups: `2600:1f13:a:b`. */
  readonly groups: string
  /** Taken /80 prefixes, by their fifth group. */
  readonly prefixes: Set<number>
  readonly addresses: Set<string>
}

/** A range of a subnet that the service keeps from its own choice. */
export interface CIDRReservation extends ResourceBase {
  readonly resourceType: 'subnet-cidr-reservation'
  readonly subnet: Subnet
  readonly range: IPv4Block
  readonly type: ReservationType
  readonly description: string
}

export interface SecurityGroup extends ResourceBase {
  readonly resourceType: 'security-group'
  readonly vpc: VPC
  readonly name: string
  readonly description: string
}

export interface RouteTable extends ResourceBase {
  readonly resourceType: 'route-table'
  readonly vpc: VPC
  /** The association of the main table has no subnet. */
  readonly associations: { readonly id: string; readonly subnet: Subnet | undefined }[]
}

/** Where an instance is in its life; times are of the simulator's clock, in milliseconds. */
export type InstancePhase =
  | { readonly name: 'launching'; readonly runningAtMs: number }
  /** Stopped from then on. */
  | { readonly name: 'stopping'; readonly stoppedAtMs: number }
  | { readonly name: 'terminating'; readonly terminatedAtMs: number }

export interface Instance extends ResourceBase {
  readonly resourceType: 'instance'
  readonly reservationID: string
  readonly instanceType: string
  readonly imageID: string
  readonly subnet: Subnet
  readonly launchTime: Date
  /** From when listings show it. */
  readonly visibleAtMs: number
  phase: InstancePhase
  /** Every interface attached, attaching or detaching, in order of attachment. */
  readonly interfaces: NetworkInterface[]
}

export interface Attachment {
  readonly id: string
  readonly instance: Instance
  readonly deviceIndex: number
  readonly networkCardIndex: number
  readonly attachTime: Date
  readonly attachedAtMs: number
  deleteOnTermination: boolean
  /** Set once a detach was accepted: when it will be done. */
  detachedAtMs: number | undefined
}

export type InterfaceType = 'interface' | 'efa' | 'efa-only' | 'trunk'

/** What an interface carries; replaced as a whole when it changes, so that older views stay as they were. */
export interface InterfaceAddresses {
  /** Private IPv4 addresses, the primary first; empty for `efa-only`. */
  readonly ipv4: readonly number[]
  /** First addresses of the delegated /28 prefixes. */
  readonly ipv4Prefixes: readonly number[]
  readonly ipv6: readonly string[]
  /** `2600:1f13:a:b:c::/80` */
  readonly ipv6Prefixes: readonly string[]
}

export interface NetworkInterface extends ResourceBase {
  readonly resourceType: 'network-interface'
  readonly subnet: Subnet
  readonly interfaceType: InterfaceType
  readonly macAddress: string
  readonly groups: SecurityGroup[]
  description: string
  sourceDestCheck: boolean
  addresses: InterfaceAddresses
  /** Addresses as listings still show them. */
  readonly seenAddresses: Delayed<InterfaceAddresses>
  attachment: Attachment | undefined
  /** At most one for each private address. */
  elasticIPs: readonly ElasticIP[]
  /** From when listings show it, and when its status turns from `pending` to `available`. */
  readonly visibleAtMs: number
  readonly availableAtMs: number
  /** Set when it is deleted: until when listings may still show it. */
  goneAtMs: number | undefined
}

export interface ElasticIP extends ResourceBase {
  readonly resourceType: 'elastic-ip'
  readonly publicIP: string
  association: { readonly id: string; readonly iface: NetworkInterface; readonly address: number } | undefined
}

export type Resource =
  | VPC
  | Subnet
  | CIDRReservation
  | SecurityGroup
  | RouteTable
  | Instance
  | NetworkInterface
  | ElasticIP
