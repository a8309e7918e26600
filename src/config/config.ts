import type { IPAMProfile, Tags } from '../ipam/types.ts'

/** The modes that `--ipam` knows; a build may serve fewer. */
export const IPAM_MODES = ['eni', 'azure', 'alibabacloud', 'cluster-pool', 'multi-pool', 'kubernetes'] as const
export type IPAMMode = (typeof IPAM_MODES)[number]

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Host and port to listen on. */
export interface ListenAddress {
  /** Empty: all addresses. */
  readonly host: string
  /** 0: any free port. */
  readonly port: number
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
  readonly destructiveCallsPerMinute: number
  readonly excessIPReleaseDelayMs: number
  readonly nodesGCIntervalMs: number
  readonly clusterName: string
  readonly instanceTagsFilter: Tags
  readonly subnetIDsFilter: readonly string[]
  readonly subnetTagsFilter: Tags
  readonly budgetRedisURL: string
  readonly aws: {
    readonly releaseExcessIPs: boolean
    readonly enablePrefixDelegation: boolean
    readonly usePrimaryAddress: boolean
    readonly eniTags: Tags
    readonly eniGCTags: Tags
    /** 0: off. */
    readonly eniGCIntervalMs: number
    /** With scheme; empty: the SDK's own choice. */
    readonly ec2APIEndpoint: string
    /** 0: automatic. */
    readonly maxResultsPerCall: number
    /** Instance type → static limits. */
    readonly instanceLimitMapping: ReadonlyMap<
      string,
      { readonly adapters: number; readonly ipv4: number; readonly ipv6: number }
    >
    /** Empty: asked of the metadata service. */
    readonly region: string
    /** Empty: asked of the metadata service. */
    readonly vpcID: string
  }
  readonly kubernetes: {
    /** Empty: in-cluster, else the usual places. */
    readonly kubeconfigPath: string
    /** Empty: as the kubeconfig says. */
    readonly apiServer: string
    /** Of the Lease. Empty: the pod's, else the kubeconfig context's, else `kube-system`. */
    readonly namespace: string
    readonly qps: number
    readonly burst: number
    readonly leaseDurationMs: number
    readonly renewDeadlineMs: number
    readonly retryPeriodMs: number
  }
  readonly telemetry: {
    readonly enableMetrics: boolean
    readonly serveAddress: ListenAddress
    readonly logLevel: LogLevel
  }
  /** How long work in flight may take after the stop signal (ms). */
  readonly shutdownGracePeriodMs: number
}
