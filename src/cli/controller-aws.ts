import type { EC2ClientConfig } from '@aws-sdk/client-ec2'
import type { Config } from '../config/config.ts'
import type { Logger } from '../ipam/contracts.ts'
import { ConfigError } from '../ipam/errors.ts'
import type { Tags } from '../ipam/types.ts'
import { awsAgents, closeAgents } from './aws-network.ts'
import { openBudget, withoutSharing } from './controller-budget.ts'
import type { Cloud, CloudDependencies } from './controller-cloud.ts'
import type { InstanceMetadata } from './controller-metadata.ts'
import { StartError } from './controller-start-error.ts'

/** The name of a cluster that was given none. @source cilium pkg/defaults, ClusterName */
const DEFAULT_CLUSTER_NAME = 'default'

/** Where the calls go and who signs them; all of it absent: the SDK's own ways. */
export interface AWSAccess {
  readonly credentials?: NonNullable<EC2ClientConfig['credentials']>
  /** Answers in process; absent: over HTTP. */
  readonly requestHandler?: NonNullable<EC2ClientConfig['requestHandler']>
  /** For proxies and certificate authorities; absent: none of either. */
  readonly environment?: Readonly<Record<string, string | undefined>>
}

export interface AWSDependencies extends CloudDependencies {
  readonly access: AWSAccess
  readonly metadata: InstanceMetadata
}

/**
 * The AWS account that the configuration means. The SDK is imported here: it costs a quarter of a second and 91 MB.
 *
 * @throws ConfigError when the region is neither configured nor known to the metadata service
 */
export async function openAWS(dependencies: AWSDependencies): Promise<Cloud> {
  const { config, access, clock, random, log, metrics } = dependencies
  const [region, vpcID, instanceID] = await Promise.all([
    findRegion(dependencies),
    findVPC(dependencies),
    findInstance(dependencies),
  ])
  const { createAWSProvider, createEC2Client, dryRunClient, EC2_BUCKETS, isThrottled, readEKSClusterName } =
    await import('../../providers/aws/index.ts')
  const { environment = {}, ...wire } = access
  const agents = awsAgents(environment)
  const client = createEC2Client({
    region,
    ...(config.aws.ec2APIEndpoint !== '' && { endpoint: config.aws.ec2APIEndpoint }),
    ...wire,
    ...(agents !== undefined && { agents }),
  })
  const { guard, dryRun } = dependencies
  const opened = await openBudget({
    table: EC2_BUCKETS,
    // The tokens of calls that are not made are nobody's.
    config: dryRun === undefined ? config : withoutSharing(config),
    clock,
    random,
    log,
    isThrottled,
    onWait: (action, seconds) => metrics.observeRateLimit(action, seconds),
    accountName: async () => `aws/${await findAccount(client.config.credentials, log)}/${region}`,
  })
  const { budget } = opened
  const clusterName = await findClusterName(dependencies, instanceID, (id) =>
    readEKSClusterName(id, { client, budget, clock, log, metrics }, dependencies.signal),
  ).catch((error: unknown) => {
    opened.close()
    throw error
  })
  const garbageCollection = leftoverCollection(config, clusterName)
  log.info(
    { cloud: 'aws', region, virtualNetworkID: vpcID, endpoint: config.aws.ec2APIEndpoint },
    'Opened the cloud account',
  )
  return {
    budget,
    setBudgetTable: (table) => opened.setTable(table),
    nodeSettings: {
      releaseExcessIPs: config.aws.releaseExcessIPs,
      prefixDelegation: config.aws.enablePrefixDelegation,
    },
    createProvider: (signal) =>
      createAWSProvider(
        {
          vpcID,
          subnetIDsFilter: config.subnetIDsFilter,
          subnetTagsFilter: config.subnetTagsFilter,
          instanceTagsFilter: config.instanceTagsFilter,
          eniTags: { ...ownershipTags(clusterName), ...config.aws.eniTags, ...garbageCollection?.tags },
          prefixDelegation: config.aws.enablePrefixDelegation,
          // Where nobody gets prefixes no block has to stay whole.
          choosesAddresses: config.aws.enablePrefixDelegation && config.ipamProfile === 'latest',
          triesSiblingSubnets: config.aws.prefixSiblingSubnets,
          usePrimaryAddress: config.aws.usePrimaryAddress,
          maxResultsPerCall: config.aws.maxResultsPerCall,
          countsOnlyFirstNetworkCard: config.ipamProfile === 'latest',
          excludedInterfaceTypes: config.aws.excludedInterfaceTypes,
          isFirstCardOnly: config.aws.isFirstNetworkCardOnly,
          reservedAttachmentSlots: config.aws.reservedAttachmentSlots,
          instanceLimitMapping: config.aws.instanceLimitMapping,
          garbageCollection,
        },
        {
          client: dryRun === undefined ? client : dryRunClient(client, dryRun),
          budget,
          clock,
          random,
          log,
          metrics,
          ...(guard !== undefined && { guard }),
          signal,
        },
      ),
    close: () => {
      opened.close()
      client.destroy()
      closeAgents(agents)
    },
  }
}

/**
 * Whose buckets they are: what the credentials say, as those of a role or of an instance do.
 *
 * @throws StartError when there are no credentials
 */
async function findAccount(
  credentials: () => Promise<{ readonly accountId?: string | undefined }>,
  log: Logger,
): Promise<string> {
  let accountID: string | undefined
  try {
    accountID = (await credentials()).accountId
  } catch (error) {
    throw new StartError(`There are no AWS credentials: ${messageOf(error)}`, { cause: error })
  }
  if (accountID !== undefined && accountID !== '') return accountID
  log.warn(
    { option: '--budget-redis' },
    'The AWS credentials do not name their account: controllers of other accounts must not use this Redis. AWS_ACCOUNT_ID can name it',
  )
  return 'unnamed'
}

async function findRegion({ config, metadata, signal }: AWSDependencies): Promise<string> {
  if (config.aws.region !== '') return config.aws.region
  try {
    return await metadata.region(signal)
  } catch (error) {
    signal.throwIfAborted()
    throw new ConfigError([
      `the AWS region is not known: set --aws-region or AWS_REGION (the metadata service was asked: ${messageOf(error)})`,
    ])
  }
}

/** Without it nothing is filtered by VPC, as in the reference. */
async function findVPC({ config, metadata, log, signal }: AWSDependencies): Promise<string> {
  if (config.aws.vpcID !== '') return config.aws.vpcID
  try {
    return await metadata.vpcID(signal)
  } catch (error) {
    signal.throwIfAborted()
    log.warn(
      { error, option: '--aws-vpc-id' },
      'The VPC is not known: the subnets and interfaces of all VPCs of the region are read',
    )
    return ''
  }
}

/** Needed only to learn the cluster's name. Undefined: not needed, or not known. */
async function findInstance({ config, metadata, log, signal }: AWSDependencies): Promise<string | undefined> {
  if (!needsClusterName(config)) return undefined
  try {
    return await metadata.instanceID(signal)
  } catch (error) {
    signal.throwIfAborted()
    log.debug({ error, option: '--cluster-name' }, 'The own instance is not known, EKS is not asked for the cluster')
    return undefined
  }
}

/** The configured name, else that by which EKS tagged the own instance, else `default`. */
async function findClusterName(
  { config, log, signal }: AWSDependencies,
  instanceID: string | undefined,
  readEKSName: (instanceID: string) => Promise<string>,
): Promise<string> {
  if (!needsClusterName(config)) return config.clusterName
  let name = ''
  try {
    if (instanceID !== undefined) name = await readEKSName(instanceID)
  } catch (error) {
    signal.throwIfAborted()
    log.warn({ error, instanceID }, 'Cannot read the tags of the own instance')
  }
  if (name !== '') return name
  log.warn(
    { option: '--cluster-name' },
    'The cluster has no name of its own: leftover interfaces of other clusters without name are deleted too',
  )
  return config.clusterName
}

/**
 * On every interface that is created, garbage collection or not: whose it is. The tags of the garbage collection are those of the
 * Cilium operator, so that either finds the leftovers of the other; this one tells the two apart.
 */
export function ownershipTags(clusterName: string): Tags {
  return { 'berth.io/cluster': clusterName }
}

/** Whether leftover interfaces are to be found by a name that nobody configured. */
function needsClusterName({ aws, clusterName }: Config): boolean {
  return clusterName === DEFAULT_CLUSTER_NAME && aws.eniGCIntervalMs > 0 && Object.keys(aws.eniGCTags).length === 0
}

/**
 * What leftover interfaces are found by and how often; undefined = they are not looked for.
 *
 * @source cilium operator/pkg/ipam/aws.go; the automatic set of tags, pkg/aws/ipam/eni_gc.go
 */
export function leftoverCollection(
  { aws }: Pick<Config, 'aws'>,
  clusterName: string,
): { readonly tags: Tags; readonly intervalMs: number } | undefined {
  const { eniGCIntervalMs: intervalMs, eniGCTags } = aws
  if (intervalMs === 0) return undefined
  const automatic = { 'io.cilium/cilium-managed': 'true', 'io.cilium/cluster-name': clusterName }
  return { tags: Object.keys(eniGCTags).length > 0 ? eniGCTags : automatic, intervalMs }
}

function messageOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : ''
  return `${error instanceof Error ? error.message : String(error)}${cause}`
}
