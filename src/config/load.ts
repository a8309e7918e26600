import { ConfigError } from '../ipam/errors.ts'
import { assert } from '../runtime/assert.ts'
import { readBudgetTable } from './budget-table.ts'
import type { Config, InstanceLimit } from './config.ts'
import { nearestName } from './nearest-name.ts'
import type { OptionName, ParsedOptions } from './schema.ts'
import { configSchema, OPTION_NAMES } from './schema.ts'
import type { Setting, Source } from './sources.ts'
import { readConfigDir, readConfigFile, readEnvironment, readFlags } from './sources.ts'
import type { RawValue } from './values.ts'

export interface LoadedConfig {
  readonly config: Config
  /** Files and directories that it was read from, and those that options name and that are read with it. */
  readonly paths: readonly string[]
  /** One line each, for the log: what was accepted and has no effect. */
  readonly warnings: readonly string[]
}

/** @source Cilium's defaults, used when only one of the two is given */
const DEFAULT_LIMIT = { qps: 4, burst: 20 }

/** A name of the shared directory that is this near to one of ours is a typo, not another program's (edits). */
const LARGEST_TYPO = 2

/**
 * Reads every source into one frozen object. Flags win over the environment, that over the config directory, that over the file.
 *
 * @param args without the program and the command
 * @throws ConfigError with every fault of every source
 */
export function loadConfig(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): LoadedConfig {
  const flags = readFlags(args)
  const variables = readEnvironment(environment)
  const configDir = flags.places.configDir ?? variables.places.configDir
  const configFile = flags.places.configFile ?? variables.places.configFile
  const sources = [
    flags.source,
    variables.source,
    ...(configDir === undefined ? [] : [readConfigDir(configDir)]),
    ...(configFile === undefined ? [] : [readConfigFile(configFile)]),
  ]
  const settings = merged(sources)
  const faults = sources.flatMap((source) => source.faults)
  const config = toConfig(parseOptions(settings, faults), faults)
  if (faults.length > 0) throw new ConfigError(faults)
  const named = [configDir, configFile, settings.get('budget-table')?.value]
  const paths = named.filter((path): path is string => typeof path === 'string' && path !== '')
  return { config: deepFreeze(config), warnings: warningsOf(sources), paths }
}

function merged(sources: readonly Source[]): ReadonlyMap<OptionName, Setting> {
  const settings = new Map<OptionName, Setting>()
  for (const source of sources) {
    for (const [name, setting] of source.settings) if (!settings.has(name)) settings.set(name, setting)
  }
  return settings
}

/** Options with a fault are read as if they were not set, so that faults between the others are found too. */
function parseOptions(settings: ReadonlyMap<OptionName, Setting>, faults: string[]): ParsedOptions {
  const raw: Record<string, RawValue> = {}
  for (const [name, { value }] of settings) raw[name] = value
  const result = configSchema.safeParse(raw)
  if (result.success) return result.data
  for (const issue of result.error.issues) {
    const name = OPTION_NAMES.find((known) => known === issue.path[0])
    assert(name !== undefined, 'only known options are parsed')
    faults.push(`${settings.get(name)?.origin ?? name}: ${issue.message}`)
    delete raw[name]
  }
  return configSchema.parse(raw)
}

/** Options by flag → the parts that their readers take. Faults between options are added to `faults`. */
function toConfig(options: ParsedOptions, faults: string[]): Config {
  const qps = options['limit-ipam-api-qps']
  const burst = options['limit-ipam-api-burst']
  const isLimited = qps !== undefined || burst !== undefined
  const leaseDurationMs = options['leader-election-lease-duration']
  const renewDeadlineMs = options['leader-election-renew-deadline']
  const retryPeriodMs = options['leader-election-retry-period']
  if (!(0 < retryPeriodMs && retryPeriodMs < renewDeadlineMs && renewDeadlineMs < leaseDurationMs)) {
    faults.push(
      'leader election: --leader-election-retry-period must be above 0, below --leader-election-renew-deadline, and that below --leader-election-lease-duration',
    )
  }
  return {
    ipam: options.ipam,
    ipamProfile: options['ipam-profile'],
    parallelAllocWorkers: options['parallel-alloc-workers'],
    limitIPAMAPI: isLimited ? { qps: qps ?? DEFAULT_LIMIT.qps, burst: burst ?? DEFAULT_LIMIT.burst } : undefined,
    destructiveCallsPerMinute: options['destructive-calls-per-minute'],
    pauseDestructive: options['pause-destructive'],
    auditLog: options['audit-log'],
    dryRun: options['dry-run'],
    excessIPReleaseDelayMs: options['excess-ip-release-delay'],
    nodesGCIntervalMs: options['nodes-gc-interval'],
    nodeHints: {
      capacityAnnotation: options['node-capacity-annotation'],
      startupTaint: options['startup-taint'],
    },
    clusterName: options['cluster-name'],
    instanceTagsFilter: options['instance-tags-filter'],
    subnetIDsFilter: options['subnet-ids-filter'],
    subnetTagsFilter: options['subnet-tags-filter'],
    budget: {
      redisURL: options['budget-redis'],
      table: readBudgetTable(options['budget-table'], faults),
      reserveShare: options['budget-reserve-share'],
    },
    aws: {
      releaseExcessIPs: options['aws-release-excess-ips'],
      enablePrefixDelegation: options['aws-enable-prefix-delegation'],
      prefixSiblingSubnets: options['aws-prefix-sibling-subnets'],
      usePrimaryAddress: options['aws-use-primary-address'],
      excludedInterfaceTypes: options['aws-exclude-interface-types'],
      isFirstNetworkCardOnly: options['aws-first-network-card-only'],
      reservedAttachmentSlots: options['aws-reserved-attachment-slots'],
      eniTags: options['eni-tags'],
      eniGCTags: options['eni-gc-tags'],
      eniGCIntervalMs: options['eni-gc-interval'],
      ec2APIEndpoint: options['ec2-api-endpoint'],
      maxResultsPerCall: options['aws-max-results-per-call'],
      instanceLimitMapping: instanceLimits(options['aws-instance-limit-mapping'], faults),
      region: options['aws-region'],
      vpcID: options['aws-vpc-id'],
    },
    azure: {
      subscriptionID: options['azure-subscription-id'],
      resourceGroup: options['azure-resource-group'],
      environment: options['azure-environment'],
      resourceManagerEndpoint: options['azure-resource-manager-endpoint'],
      userAssignedIdentityID: options['azure-user-assigned-identity-id'],
      usePrimaryAddress: options['azure-use-primary-address'],
      releaseExcessIPs: options['azure-release-excess-ips'],
      enablePrefixes: options['azure-enable-prefixes'],
    },
    alibabaCloud: {
      vpcID: options['alibaba-cloud-vpc-id'],
      releaseExcessIPs: options['alibaba-cloud-release-excess-ips'],
    },
    pools: {
      enableIPv4: options['enable-ipv4'],
      enableIPv6: options['enable-ipv6'],
      clusterPoolIPv4CIDRs: options['cluster-pool-ipv4-cidr'],
      clusterPoolIPv4MaskSize: options['cluster-pool-ipv4-mask-size'],
      clusterPoolIPv6CIDRs: options['cluster-pool-ipv6-cidr'],
      clusterPoolIPv6MaskSize: options['cluster-pool-ipv6-mask-size'],
      autoCreateCiliumPodIPPools: options['auto-create-cilium-pod-ip-pools'],
    },
    kubernetes: {
      kubeconfigPath: options.kubeconfig,
      apiServer: options['k8s-api-server'],
      namespace: options['k8s-namespace'],
      qps: options['operator-k8s-client-qps'],
      burst: options['operator-k8s-client-burst'],
      leaseDurationMs,
      renewDeadlineMs,
      retryPeriodMs,
    },
    telemetry: {
      enableMetrics: options['enable-metrics'],
      serveAddress: options['operator-prometheus-serve-addr'],
      logLevel: options.debug ? 'debug' : options['log-level'],
    },
    shutdownGracePeriodMs: options['shutdown-grace-period'],
  }
}

/** `m5.large=3,10,10` → limits. @source cilium pkg/aws/types, aws-instance-limit-mapping */
function instanceLimits(
  entries: Readonly<Record<string, string>>,
  faults: string[],
): ReadonlyMap<string, InstanceLimit> {
  const limits = new Map<string, InstanceLimit>()
  for (const [type, written] of Object.entries(entries)) {
    const match = /^\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*$/.exec(written)
    if (match === null) {
      faults.push(`--aws-instance-limit-mapping: expected ${type}=adapters,ipv4,ipv6, found '${written}'`)
    } else {
      limits.set(type, { adapters: Number(match[1]), ipv4: Number(match[2]), ipv6: Number(match[3]) })
    }
  }
  return limits
}

function warningsOf(sources: readonly Source[]): readonly string[] {
  const warnings: string[] = []
  const otherDuties = [...new Set(sources.flatMap((source) => source.otherDuties))].sort()
  if (otherDuties.length > 0) {
    warnings.push(
      `these options belong to other duties of the Cilium operator and have no effect here: ${otherDuties.join(', ')}`,
    )
  }
  // A shared directory may well hold what we do not know, but a typo in it would otherwise go unseen.
  for (const stranger of sources.flatMap((source) => source.strangers)) {
    const meant = nearestName(stranger, OPTION_NAMES, LARGEST_TYPO)
    if (meant !== undefined) {
      warnings.push(`'${stranger}' in the config directory is unknown and has no effect; did you mean ${meant}?`)
    }
  }
  return warnings
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !(value instanceof Map)) {
    for (const member of Object.values(value)) deepFreeze(member)
    Object.freeze(value)
  }
  return value
}
