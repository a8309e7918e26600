import type { Tags } from '../../src/ipam/types.ts'

/**
 * An attached elastic network interface as the inventory holds it. Replaced, never edited.
 *
 * @source cilium pkg/aws/eni/types/types.go, ENI; AWS documentation, EC2 API, NetworkInterface
 */
export interface ENI {
  readonly id: string
  /** Primary private IPv4 address. Empty only while a just created interface could not be read. */
  readonly ip: string
  /** The interface's own IPv6 address; empty when none. */
  readonly ipv6: string
  readonly mac: string
  readonly description: string
  /** Device index of the attachment. Unique only within its network card. */
  readonly number: number
  readonly networkCardIndex: number
  /** `interface`, `efa`, `trunk`, …; empty when restored from a node's status, which does not carry it. */
  readonly interfaceType: string
  /** Empty when unattached, or when restored from a node's status, which does not carry it. */
  readonly attachmentID: string
  readonly subnet: { readonly id: string; readonly cidr: string }
  readonly vpc: { readonly id: string; readonly primaryCIDR: string; readonly cidrs: readonly string[] }
  /** Every private IPv4 address in the cloud's order, the primary included, then every address of every prefix. */
  readonly addresses: readonly string[]
  /** Delegated /28 blocks (CIDR text). */
  readonly prefixes: readonly string[]
  /** Delegated IPv6 /80 blocks (CIDR text). */
  readonly ipv6Prefixes: readonly string[]
  /** Group IDs. */
  readonly securityGroups: readonly string[]
  readonly tags: Tags
  /** Public address associated with the interface; empty when none. */
  readonly publicIP: string
}

/**
 * What `spec.eni` of a resource asks for. Absent optional booleans and an absent `firstInterfaceIndex` differ from false and 0.
 *
 * @source cilium pkg/aws/eni/types/types.go, ENISpec
 */
export interface ENISpec {
  readonly instanceType: string
  /** Interfaces with a smaller device index are not managed. */
  readonly firstInterfaceIndex: number | undefined
  readonly securityGroups: readonly string[]
  readonly securityGroupTags: Tags
  readonly subnetIDs: readonly string[]
  readonly subnetTags: Tags
  /** Subnet of the interface that the instance was launched with. */
  readonly nodeSubnetID: string
  readonly vpcID: string
  readonly availabilityZone: string
  readonly excludeInterfaceTags: Tags
  /** Types of interfaces that are not managed. Of the operator: no resource has it. */
  readonly excludedInterfaceTypes: readonly string[]
  /** Absent in the resource means true. */
  readonly isDeletedOnTermination: boolean
  readonly usesPrimaryAddress: boolean
  readonly isPrefixDelegationDisabled: boolean
}

/** A filter of a listing: any of `values` matches. */
export interface EC2Filter {
  readonly name: string
  readonly values: readonly string[]
}

/**
 * The provider's switches, all set.
 *
 * @source cilium operator flags; see `docs/compatibility.md`
 */
export interface AWSProviderConfig {
  /** The cluster's VPC; empty when unknown, then nothing is filtered by VPC. */
  readonly vpcID: string
  /** `--subnet-ids-filter`. */
  readonly subnetIDsFilter: readonly string[]
  /** `--subnet-tags-filter`. */
  readonly subnetTagsFilter: Tags
  /** `--instance-tags-filter`. */
  readonly instanceTagsFilter: Tags
  /** `--eni-tags`, with the garbage-collection tags merged over them. */
  readonly eniTags: Tags
  /** `--aws-enable-prefix-delegation`. */
  readonly prefixDelegation: boolean
  /**
   * Choose single addresses beside those that are taken, so that whole /28 blocks stay free for prefixes
   * (docs/decisions/0021-dense-addresses.md). False: EC2 chooses, as for the reference.
   */
  readonly choosesAddresses: boolean
  /** `--aws-prefix-sibling-subnets`: where a subnet has no free block, ask its siblings before single addresses are used. */
  readonly triesSiblingSubnets: boolean
  /** `--aws-use-primary-address`: as if every node had `spec.eni.use-primary-address`. */
  readonly usePrimaryAddress: boolean
  /** `--aws-max-results-per-call`: items a page (count); 0 = unpaged until the cloud refuses it. */
  readonly maxResultsPerCall: number
  /**
   * Count the interface slots of network card 0 only, the one card that interfaces are attached to. The reference adds up
   * all cards, and then tries for ever to fill slots that do not exist.
   */
  readonly countsOnlyFirstNetworkCard: boolean
  /** `--aws-exclude-interface-types`: interfaces of these types are left to others. */
  readonly excludedInterfaceTypes: readonly string[]
  /** `--aws-first-network-card-only`: interfaces of other network cards are as if they were not there. */
  readonly isFirstCardOnly: boolean
  /** `--aws-reserved-attachment-slots`: interface slots of a Nitro instance that are left to its volumes (count). */
  readonly reservedAttachmentSlots: number
  /** `--aws-instance-limit-mapping`: counts by instance type that hold whatever EC2 says; `ipv4` counts the primary address. */
  readonly instanceLimitMapping: ReadonlyMap<
    string,
    { readonly adapters: number; readonly ipv4: number; readonly ipv6: number }
  >
  /** Of interfaces that carry these tags and hang on nothing; undefined: they stay. `eniTags` has the tags too. */
  readonly garbageCollection: { readonly tags: Tags; readonly intervalMs: number } | undefined
}
