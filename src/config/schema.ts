import { z } from 'zod'
import { IPAM_PROFILES } from '../ipam/types.ts'
import { CONFIG_LOG_LEVELS, IPAM_MODES } from './config.ts'
import {
  address,
  bool,
  choice,
  duration,
  endpoint,
  int,
  list,
  map,
  qualifiedName,
  rate,
  redisURL,
  seconds,
  share,
  text,
} from './values.ts'

/**
 * Every option, by its flag: type, default, unit and help. Names and defaults are Cilium's, except where the help says so.
 * `src/config/load.ts` turns the parsed form into `Config`.
 *
 * @source cilium operator/option/config.go and Documentation/cmdref/cilium-operator-*.md
 */
export const configSchema = z.strictObject({
  ipam: choice(IPAM_MODES).prefault('eni').describe('IPAM mode'),
  'ipam-profile': choice(IPAM_PROFILES)
    .prefault('latest')
    .describe('whose arithmetic to follow: that of the latest Cilium operator, or of an older one (own option)'),
  'parallel-alloc-workers': int(1).prefault('50').describe('nodes walked at once in a resync (count)'),
  'limit-ipam-api-qps': rate
    .optional()
    .describe(
      'calls per second of all cloud API actions together; unset: no such cap, each bucket has its own (Cilium: 4)',
    ),
  'limit-ipam-api-burst': int(1).optional().describe('burst of limit-ipam-api-qps (count; Cilium: 20)'),
  'destructive-calls-per-minute': int(0)
    .prefault('60')
    .describe(
      'calls that release, detach or delete, in the whole fleet (count per minute); 0 stops them all (own option)',
    ),
  'pause-destructive': bool
    .prefault('false')
    .describe(
      'nothing is released, detached or deleted while it is on; read again while running (SIGHUP, or a change of its file). The annotation ipam.berth.io/pause-destructive: "true" does the same for one CiliumNode (own option)',
    ),
  'audit-log': text
    .prefault('')
    .describe(
      'file for one JSON line before and after each call that releases, detaches or deletes, with the proof it rests on; unset: in the log (own option)',
    ),
  'dry-run': bool
    .prefault('false')
    .describe(
      'plan and count the calls, but write nothing and call nothing that changes anything; without leader election, so that it may run beside another controller. The report is served as /v1/dry-run and printed at the end (own option)',
    ),
  'excess-ip-release-delay': seconds
    .prefault('180')
    .describe('how long an address must be excess before it is released (seconds, or a duration)'),
  'nodes-gc-interval': duration
    .prefault('5m')
    .describe('garbage collection of CiliumNodes without a Kubernetes node; 0 switches it off'),
  'node-capacity-annotation': qualifiedName
    .prefault('')
    .describe(
      'annotation of Kubernetes nodes that says how many pods can have an address, such as ipam.berth.io/pod-capacity; unset: none (own option)',
    ),
  'startup-taint': qualifiedName
    .prefault('')
    .describe(
      'taint that is removed from a Kubernetes node once it has its first addresses, such as ipam.berth.io/no-addresses; unset: none (own option)',
    ),
  'cluster-name': text.prefault('default').describe('name of the cluster, for the tags of interfaces'),
  'instance-tags-filter': map.prefault('').describe('manage only instances with these tags'),
  'subnet-ids-filter': list.prefault('').describe('allocate only in these subnets'),
  'subnet-tags-filter': map.prefault('').describe('allocate only in subnets with these tags'),
  'budget-redis': redisURL
    .prefault('')
    .describe(
      'Redis through which controllers of one account and region share their API budget: redis[s]://[user:password@]host[:port][/db]; best given as BERTH_BUDGET_REDIS, since flags can be seen (own option)',
    ),
  'budget-table': text
    .prefault('')
    .describe(
      'YAML or JSON file of buckets that are not as documented: action: {size: N, refillPerSecond: N}; read again while running (own option)',
    ),
  'budget-reserve-share': share
    .prefault('0')
    .describe("part of every bucket that is left to the account's other users, from 0 to below 1 (own option)"),

  'aws-release-excess-ips': bool.prefault('false').describe('release excess addresses (AWS)'),
  'aws-enable-prefix-delegation': bool.prefault('false').describe('attach /28 prefixes in place of single addresses'),
  'aws-prefix-sibling-subnets': bool
    .prefault('false')
    .describe('where a subnet has no free /28, ask those it could be replaced by before single addresses (own option)'),
  'aws-use-primary-address': bool.prefault('false').describe("pods may use an interface's primary address"),
  'aws-exclude-interface-types': list
    .prefault('')
    .describe('leave interfaces of these types to others, such as efa,efa-only,trunk (own option)'),
  'aws-first-network-card-only': bool
    .prefault('false')
    .describe('leave interfaces of all network cards but the first to others (own option)'),
  'aws-reserved-attachment-slots': int(0)
    .prefault('0')
    .describe('interface slots of Nitro instances that are left to volumes, which share them (count; own option)'),
  'aws-instance-limit-mapping': map
    .prefault('')
    .describe('static limits of instance types: type=adapters,ipv4,ipv6 (until Cilium 1.17)'),
  'aws-max-results-per-call': int(0)
    .prefault('150')
    .describe('page size of EC2 listings (count); 0: unpaged until EC2 refuses that (Cilium: 0)'),
  'aws-region': text
    .prefault('')
    .describe('region of the cluster; also AWS_REGION; unset: asked of the metadata service (own option)'),
  'aws-vpc-id': text.prefault('').describe('VPC of the cluster; unset: asked of the metadata service (own option)'),
  'ec2-api-endpoint': endpoint.prefault('').describe('EC2 endpoint, host or URL; also AWS_ENDPOINT_URL_EC2'),
  'eni-tags': map.prefault('').describe('tags of interfaces that are created'),
  'eni-gc-tags': map.prefault('').describe('tags by which leftover interfaces are found; unset: a set of its own'),
  'eni-gc-interval': duration.prefault('5m').describe('garbage collection of leftover interfaces; 0 switches it off'),

  'azure-subscription-id': text
    .prefault('')
    .describe('also AZURE_SUBSCRIPTION_ID; unset: asked of the metadata service'),
  'azure-resource-group': text.prefault('').describe('also AZURE_RESOURCE_GROUP; unset: asked of the metadata service'),
  'azure-environment': text
    .prefault('')
    .describe(
      'cloud: AzurePublicCloud, AzureUSGovernmentCloud or AzureChinaCloud; also AZURE_ENVIRONMENT; unset: asked of the metadata service (own option)',
    ),
  'azure-resource-manager-endpoint': endpoint
    .prefault('')
    .describe(
      'URL of Azure Resource Manager; also AZURE_RESOURCE_MANAGER_ENDPOINT; unset: that of the cloud (own option)',
    ),
  'azure-user-assigned-identity-id': text
    .prefault('')
    .describe(
      'client ID of a managed identity, the only one then; also AZURE_USER_ASSIGNED_IDENTITY_ID; unset: environment, workload identity, managed identity',
    ),
  'azure-use-primary-address': bool.prefault('false').describe('also AZURE_USE_PRIMARY_ADDRESS'),
  'azure-release-excess-ips': bool.prefault('false').describe('release excess addresses (own option)'),
  'azure-enable-prefixes': bool
    .prefault('false')
    .describe('/28 prefixes in place of single addresses, where Azure has them (own option)'),
  'alibaba-cloud-vpc-id': text.prefault('').describe("VPC; unset: the controller's own"),
  'alibaba-cloud-release-excess-ips': bool.prefault('false').describe('release excess addresses (Alibaba Cloud)'),

  'enable-ipv4': bool.prefault('true').describe('give nodes IPv4 CIDRs (cluster-pool, multi-pool)'),
  'enable-ipv6': bool
    .prefault('false')
    .describe('give nodes IPv6 CIDRs (cluster-pool, multi-pool; Cilium: true, which its chart sets to false)'),
  'cluster-pool-ipv4-cidr': list
    .prefault('')
    .describe('IPv4 CIDRs that those of the nodes are cut from (cluster-pool)'),
  'cluster-pool-ipv4-mask-size': int(1).prefault('24').describe("prefix length of a node's IPv4 CIDR (cluster-pool)"),
  'cluster-pool-ipv6-cidr': list
    .prefault('')
    .describe('IPv6 CIDRs that those of the nodes are cut from (cluster-pool)'),
  'cluster-pool-ipv6-mask-size': int(1).prefault('112').describe("prefix length of a node's IPv6 CIDR (cluster-pool)"),
  'auto-create-cilium-pod-ip-pools': map
    .prefault('')
    .describe(
      'CiliumPodIPPools that are created at the start where there is none of that name: pool=ipv4-cidrs:CIDR,...;ipv4-mask-size:N (multi-pool)',
    ),

  kubeconfig: text
    .prefault('')
    .describe('kubeconfig file; unset: the service account of the pod, else KUBECONFIG, else ~/.kube/config'),
  'k8s-api-server': endpoint.prefault('').describe('URL of the API server, in place of that of the kubeconfig'),
  'k8s-namespace': text
    .prefault('')
    .describe("namespace of the controller's Lease; unset: the pod's own, else kube-system"),
  'operator-k8s-client-qps': rate.prefault('100').describe('requests per second to the API server'),
  'operator-k8s-client-burst': int(1).prefault('200').describe('burst of operator-k8s-client-qps (count)'),
  'leader-election-lease-duration': duration.prefault('15s').describe('how long a standby waits for a silent leader'),
  'leader-election-renew-deadline': duration.prefault('10s').describe('how long a leader goes on without renewal'),
  'leader-election-retry-period': duration.prefault('2s').describe('between two tries to get or renew the lease'),

  'enable-metrics': bool.prefault('true').describe('serve /metrics (Cilium: false)'),
  'operator-prometheus-serve-addr': address
    .prefault(':9963')
    .describe('where /healthz, /readyz, /metrics and /v1 are served'),
  'log-level': choice(CONFIG_LOG_LEVELS)
    .prefault('info')
    .describe('least severe log lines to write; read again while running (own option)'),
  debug: bool.prefault('false').describe('the same as --log-level debug'),
  'shutdown-grace-period': duration
    .prefault('20s')
    .describe('how long work in flight may take after SIGTERM; less than terminationGracePeriodSeconds (own option)'),
})

export type ParsedOptions = z.output<typeof configSchema>
export type OptionName = keyof typeof configSchema.shape

export const OPTION_NAMES = Object.keys(configSchema.shape) as readonly OptionName[]

/** Other spellings of an option, of older Cilium versions. */
export const OPTION_ALIASES: Readonly<Record<string, OptionName>> = {
  'k8s-kubeconfig-path': 'kubeconfig',
  'k8s-client-qps': 'operator-k8s-client-qps',
  'k8s-client-burst': 'operator-k8s-client-burst',
}

/** Variables that are read although they have neither prefix; a prefixed one wins, and so does an earlier one here. */
export const FOREIGN_VARIABLES: readonly (readonly [variable: string, option: OptionName])[] = [
  ['AWS_REGION', 'aws-region'],
  ['AWS_DEFAULT_REGION', 'aws-region'],
  ['AWS_ENDPOINT_URL_EC2', 'ec2-api-endpoint'],
  ['AWS_ENDPOINT_URL', 'ec2-api-endpoint'],
  ['AZURE_SUBSCRIPTION_ID', 'azure-subscription-id'],
  ['AZURE_RESOURCE_GROUP', 'azure-resource-group'],
  ['AZURE_ENVIRONMENT', 'azure-environment'],
  ['AZURE_RESOURCE_MANAGER_ENDPOINT', 'azure-resource-manager-endpoint'],
  ['AZURE_USER_ASSIGNED_IDENTITY_ID', 'azure-user-assigned-identity-id'],
  ['AZURE_USE_PRIMARY_ADDRESS', 'azure-use-primary-address'],
]

/** Options that take effect while the controller runs: their sources are read again by SIGHUP, and when a file of them changes. */
export const RELOADABLE_OPTIONS: readonly OptionName[] = ['budget-table', 'debug', 'log-level', 'pause-destructive']

export interface OptionDescription {
  readonly name: OptionName
  /** `duration`, `map`, or the allowed values. */
  readonly valueName: string
  readonly help: string
  /** As it would be written; undefined when there is none. */
  readonly defaultText: string | undefined
}

/** For the help, and for documents made of it. */
export function describeOptions(): readonly OptionDescription[] {
  return OPTION_NAMES.map((name) => {
    const schema = configSchema.shape[name]
    const { def } = schema as { def: { innerType: z.ZodType; defaultValue?: unknown } }
    const valueName = def.innerType.meta()?.['valueName']
    return {
      name,
      valueName: typeof valueName === 'string' ? valueName : 'string',
      help: schema.description ?? '',
      defaultText: typeof def.defaultValue === 'string' && def.defaultValue !== '' ? def.defaultValue : undefined,
    }
  })
}

/** Flags that stand alone: `--debug`. */
export const SWITCHES: ReadonlySet<string> = new Set(
  describeOptions()
    .filter(({ valueName }) => valueName === 'bool')
    .map(({ name }) => name),
)
