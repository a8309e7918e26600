import type { IPAMProfile, Tags } from '../ipam/types.ts'

/** The modes that `--ipam` knows; a build may serve fewer. */
export const IPAM_MODES = ['eni', 'azure', 'alibabacloud', 'cluster-pool', 'multi-pool', 'kubernetes'] as const
export type IPAMMode = (typeof IPAM_MODES)[number]

export const CONFIG_LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type ConfigLogLevel = (typeof CONFIG_LOG_LEVELS)[number]

/** Static limits of an instance type; `ipv4` counts the primary address. */
export interface InstanceLimit {
  readonly adapters: number
  readonly ipv4: number
  readonly ipv6: number
}

export interface AWSConfig {
  readonly releaseExcessIPs: boolean
  readonly enablePrefixDelegation: boolean
  /** Where a subnet has no free block, its siblings are asked before single addresses are used. */
  readonly prefixSiblingSubnets: boolean
  readonly usePrimaryAddress: boolean
  /** Interfaces of these types are not managed. */
  readonly excludedInterfaceTypes: readonly string[]
  /** Interfaces of other network cards are not managed. */
  readonly isFirstNetworkCardOnly: boolean
  /** Interface slots of a Nitro instance that are left to its volumes (count). */
  readonly reservedAttachmentSlots: number
  readonly eniTags: Tags
  readonly eniGCTags: Tags
  /** 0: off. */
  readonly eniGCIntervalMs: number
  /** With scheme; empty: the SDK's own choice. */
  readonly ec2APIEndpoint: string
  /** Items of a page (count); 0: automatic. */
  readonly maxResultsPerCall: number
  readonly instanceLimitMapping: ReadonlyMap<string, InstanceLimit>
  /** Empty: asked of the metadata service. */
  readonly region: string
  /** Empty: asked of the metadata service. */
  readonly vpcID: string
}

export interface AzureConfig {
  /** Empty: asked of the metadata service, and so are the next two. */
  readonly subscriptionID: string
  readonly resourceGroup: string
  /** The cloud by the name of the metadata service: `AzurePublicCloud`, … */
  readonly environment: string
  /** With scheme; empty: that of the cloud. */
  readonly resourceManagerEndpoint: string
  /** Client ID; empty: whatever identity there is. */
  readonly userAssignedIdentityID: string
  readonly usePrimaryAddress: boolean
  readonly releaseExcessIPs: boolean
  readonly enablePrefixes: boolean
}

export interface AlibabaCloudConfig {
  readonly vpcID: string
  readonly releaseExcessIPs: boolean
}

/** The modes in which nodes get CIDRs of the cluster's own. */
export interface PoolsConfig {
  readonly enableIPv4: boolean
  readonly enableIPv6: boolean
  /** As written; whether they make sense is looked at where they are used. */
  readonly clusterPoolIPv4CIDRs: readonly string[]
  readonly clusterPoolIPv4MaskSize: number
  readonly clusterPoolIPv6CIDRs: readonly string[]
  readonly clusterPoolIPv6MaskSize: number
  /** Pool → `ipv4-cidrs:…;ipv4-mask-size:…`. */
  readonly autoCreateCiliumPodIPPools: Readonly<Record<string, string>>
}

export interface KubernetesConfig {
  /** Empty: in-cluster, else the usual places. */
  readonly kubeconfigPath: string
  /** Empty: as the kubeconfig says. */
  readonly apiServer: string
  /** Of the Lease. Empty: the pod's, else the context's, else `kube-system`. */
  readonly namespace: string
  /** Requests per second. */
  readonly qps: number
  readonly burst: number
  readonly leaseDurationMs: number
  readonly renewDeadlineMs: number
  readonly retryPeriodMs: number
}

/** Tokens of one bucket of the cloud. */
export interface BucketConfig {
  /** Most tokens it holds (count). */
  readonly size: number
  readonly refillPerSecond: number
}

export interface BudgetConfig {
  /** Holds a password, as a rule: never shown. Empty: the budget is this process's own. */
  readonly redisURL: string
  /** Buckets that are not as documented, by name. */
  readonly table: Readonly<Record<string, BucketConfig>>
  /** Part of every bucket that is left to others, in [0, 1). */
  readonly reserveShare: number
}

/** What is written on Kubernetes nodes, for schedulers and autoscalers. Keys; empty: not at all. */
export interface NodeHintsConfig {
  /** Annotation: pods that can have an address on the node (count). */
  readonly capacityAnnotation: string
  /** Taint that goes with the first addresses. */
  readonly startupTaint: string
}

export interface TelemetryConfig {
  readonly enableMetrics: boolean
  /** `host:port`; empty host: all addresses; port 0: any free one. */
  readonly serveAddress: string
  readonly logLevel: ConfigLogLevel
}

/**
 * Everything an operator can set, parsed once and frozen. Inside there is no environment, no optional option and no default.
 * Names follow the flags; `src/config/schema.ts` documents each.
 */
export interface Config {
  readonly ipam: IPAMMode
  readonly ipamProfile: IPAMProfile
  readonly parallelAllocWorkers: number
  /** Undefined: no cap over all actions, the budget of each bucket decides. */
  readonly limitIPAMAPI: { readonly qps: number; readonly burst: number } | undefined
  /** Count per minute; 0: none at all. */
  readonly destructiveCallsPerMinute: number
  /** Nothing is released, detached or deleted. May change while the controller runs. */
  readonly pauseDestructive: boolean
  /** Path; empty: the audit log is part of the log. */
  readonly auditLog: string
  /** Nothing is written and nothing called that changes anything. */
  readonly dryRun: boolean
  readonly excessIPReleaseDelayMs: number
  /** 0: off. */
  readonly nodesGCIntervalMs: number
  readonly nodeHints: NodeHintsConfig
  readonly clusterName: string
  readonly instanceTagsFilter: Tags
  readonly subnetIDsFilter: readonly string[]
  readonly subnetTagsFilter: Tags
  readonly budget: BudgetConfig
  readonly aws: AWSConfig
  readonly azure: AzureConfig
  readonly alibabaCloud: AlibabaCloudConfig
  readonly pools: PoolsConfig
  readonly kubernetes: KubernetesConfig
  readonly telemetry: TelemetryConfig
  /** How long work in flight may take after the stop signal (ms). */
  readonly shutdownGracePeriodMs: number
}
