import type { IPAMProfile } from '../../src/ipam/types.ts'

/** A configuration of an interface: a single address, or a /28 block. */
export interface IPConfiguration {
  /** Name within the interface; empty when restored from a node's status, which does not carry it. */
  readonly name: string
  /** The address, or the first one of the block (canonical IPv4 or IPv6 text). */
  readonly ip: string
  /** The block in CIDR text; empty for a single address. */
  readonly prefix: string
  /** Provisioning state, lower case; `succeeded` = usable, empty when Azure does not say. */
  readonly state: string
}

/**
 * A network interface of a machine as the inventory holds it. Replaced, never edited.
 *
 * @source cilium pkg/azure/types/types.go, AzureInterface
 */
export interface NIC {
  /** ARM ID as Azure spells it. */
  readonly id: string
  readonly name: string
  /** With `:` between the bytes, letter case as Azure has it; empty until the machine has run. */
  readonly mac: string
  /** Primary address; empty while there is none. */
  readonly ip: string
  /** Whether Azure calls it the machine's first interface. */
  readonly isPrimary: boolean
  /** The one subnet of the interface; `id` as Azure spells it, `cidr` empty while the subnet is not known. */
  readonly subnet: { readonly id: string; readonly cidr: string }
  /** ID of the security group; empty when none. */
  readonly securityGroup: string
  /** Every configuration but the primary one that has an address, in Azure's order. */
  readonly configurations: readonly IPConfiguration[]
  /** Provisioning state of the primary configuration, as above. */
  readonly primaryState: string
  /** Configurations that Azure has not given an address yet: they take a slot (count). */
  readonly pendingCount: number
}

/**
 * What `spec.azure` of a resource asks for.
 *
 * @source cilium pkg/azure/types/types.go, AzureSpec
 */
export interface AzureSpec {
  /** Only the interface with exactly this name gets addresses; empty: every one. */
  readonly interfaceName: string
}

/**
 * The provider's switches, all set.
 *
 * @source cilium operator flags; see `docs/compatibility.md`
 */
export interface AzureProviderConfig {
  readonly subscriptionID: string
  /** The group whose scale sets, machines and interfaces are managed; on AKS the node resource group. */
  readonly resourceGroup: string
  /** `--azure-use-primary-address`: pods may use the primary address of each interface. */
  readonly usePrimaryAddress: boolean
  /** `--azure-release-excess-ips`: without it nothing is ever given back. */
  readonly releaseExcessIPs: boolean
  /** `--azure-enable-prefixes`: /28 blocks in place of single addresses, where Azure has them. */
  readonly prefixes: boolean
  /** `--subnet-ids-filter`: new addresses come from these subnets only (ARM IDs, any letter case); empty: from any. */
  readonly subnetIDsFilter: readonly string[]
  /** Whose arithmetic to follow. */
  readonly profile: IPAMProfile
  /** Between two looks at a long-running operation, where Azure does not say (ms). */
  readonly pollIntervalMs: number
  /** A long-running operation that takes longer is taken for lost (ms). */
  readonly operationTimeoutMs: number
}

/** What the options leave open. Poll interval: the one of Azure's SDK for Go; Compute writes take up to a few minutes. */
export const DEFAULT_AZURE_TIMES: Pick<AzureProviderConfig, 'pollIntervalMs' | 'operationTimeoutMs'> = {
  pollIntervalMs: 10_000,
  operationTimeoutMs: 10 * 60_000,
}
