import type { EC2ClientConfig } from '@aws-sdk/client-ec2'
import { createAPIBudget } from '../budget/api-budget.ts'
import type { AdaptiveAPIBudget } from '../budget/api-budget.ts'
import type { Config } from '../config/config.ts'
import type { AllocationImplementation, CloudCallMetrics, Logger } from '../ipam/contracts.ts'
import { ConfigError } from '../ipam/errors.ts'
import type { Tags } from '../ipam/types.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { InstanceMetadata } from './controller-metadata.ts'

/** Where the calls go and who signs them; all of it absent: the SDK's own ways. */
export interface AWSAccess {
  readonly credentials?: NonNullable<EC2ClientConfig['credentials']>
  /** Answers in process; absent: over HTTP. */
  readonly requestHandler?: NonNullable<EC2ClientConfig['requestHandler']>
}

export interface CloudDependencies {
  readonly config: Config
  readonly access: AWSAccess
  readonly metadata: InstanceMetadata
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics: CloudCallMetrics
  readonly signal: AbortSignal
}

/** A cloud, ready for use by a leader. */
export interface Cloud {
  readonly budget: AdaptiveAPIBudget
  /** @param signal ends the provider's work in the background */
  createProvider(signal: AbortSignal): AllocationImplementation
  close(): void
}

/**
 * The AWS account that the configuration means. The SDK is imported here: it costs a quarter of a second and 91 MB.
 *
 * @throws ConfigError when the region is neither configured nor known to the metadata service
 */
export async function openAWS(dependencies: CloudDependencies): Promise<Cloud> {
  const { config, access, clock, random, log, metrics } = dependencies
  const [region, vpcID] = await Promise.all([findRegion(dependencies), findVPC(dependencies)])
  const { createAWSProvider, createEC2Client, EC2_BUCKETS, isThrottled } = await import('../../providers/aws/index.ts')
  const client = createEC2Client({
    region,
    ...(config.aws.ec2APIEndpoint !== '' && { endpoint: config.aws.ec2APIEndpoint }),
    ...access,
  })
  const budget = createAPIBudget({
    table: EC2_BUCKETS,
    clock,
    random,
    isThrottled,
    onWait: (action, seconds) => metrics.observeRateLimit(action, seconds),
    ...(config.limitIPAMAPI !== undefined && { globalLimit: config.limitIPAMAPI }),
  })
  log.info(
    { cloud: 'aws', region, virtualNetworkID: vpcID, endpoint: config.aws.ec2APIEndpoint },
    'Opened the cloud account',
  )
  return {
    budget,
    createProvider: (signal) =>
      createAWSProvider(
        {
          vpcID,
          subnetIDsFilter: config.subnetIDsFilter,
          subnetTagsFilter: config.subnetTagsFilter,
          instanceTagsFilter: config.instanceTagsFilter,
          eniTags: interfaceTags(config),
          prefixDelegation: config.aws.enablePrefixDelegation,
          usePrimaryAddress: config.aws.usePrimaryAddress,
          maxResultsPerCall: config.aws.maxResultsPerCall,
          countsOnlyFirstNetworkCard: config.ipamProfile === 'latest',
        },
        { client, budget, clock, random, log, metrics, signal },
      ),
    close: () => client.destroy(),
  }
}

async function findRegion({ config, metadata, signal }: CloudDependencies): Promise<string> {
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
async function findVPC({ config, metadata, log, signal }: CloudDependencies): Promise<string> {
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

/**
 * Tags of new interfaces: `--eni-tags`, and over them those by which leftover interfaces are found.
 *
 * @source cilium operator/cmd/aws; the automatic set of garbage-collection tags, pkg/aws/ipam/eni_gc.go
 */
export function interfaceTags({ aws, clusterName }: Pick<Config, 'aws' | 'clusterName'>): Tags {
  if (aws.eniGCIntervalMs === 0) return aws.eniTags
  const automatic = { 'io.cilium/cilium-managed': 'true', 'io.cilium/cluster-name': clusterName }
  return { ...aws.eniTags, ...(Object.keys(aws.eniGCTags).length > 0 ? aws.eniGCTags : automatic) }
}

function messageOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : ''
  return `${error instanceof Error ? error.message : String(error)}${cause}`
}
