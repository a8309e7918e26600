import type { AdaptiveAPIBudget } from '../budget/api-budget.ts'
import type { Config, IPAMMode } from '../config/config.ts'
import type { AllocationImplementation, CloudCallMetrics, Logger } from '../ipam/contracts.ts'
import type { DestructionGuard } from '../ipam/destruction.ts'
import { assert } from '../runtime/assert.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { CloudAPIName } from '../telemetry/histogram-buckets.ts'
import { openAWS } from './controller-aws.ts'
import type { AWSAccess } from './controller-aws.ts'
import { openAzure } from './controller-azure.ts'
import type { AzureAccess } from './controller-azure.ts'
import type { InstanceMetadata } from './controller-metadata.ts'
import type { DryRun } from './dry-run.ts'

export interface CloudDependencies {
  readonly config: Config
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics: CloudCallMetrics
  /** Stands in front of every call that gives something back; absent: nobody asks. */
  readonly guard?: DestructionGuard
  /** Nothing is called that changes anything; what would be is noted here. */
  readonly dryRun?: DryRun
  readonly signal: AbortSignal
}

/** How each cloud is reached. */
export interface CloudAccesses {
  /** Of AWS. */
  readonly metadata: InstanceMetadata
  readonly aws?: AWSAccess
  readonly azure?: AzureAccess
}

/** A cloud, ready for use by a leader. */
export interface Cloud {
  readonly budget: AdaptiveAPIBudget
  /** As `--budget-table`, while running. @throws ConfigError for a bucket that the cloud does not have: nothing has changed then */
  setBudgetTable(table: Config['budget']['table']): void
  /** What the cloud's own options say about all nodes. */
  readonly nodeSettings: { readonly releaseExcessIPs: boolean; readonly prefixDelegation: boolean }
  /** @param signal ends the provider's work in the background */
  createProvider(signal: AbortSignal): AllocationImplementation
  close(): void
}

/** What is said of a cloud before it is opened. */
interface ServedCloud {
  /** The word for its API in the names of metrics. */
  readonly api: CloudAPIName
  /** What an operator can look at when it cannot be used: the identity is refused; anything else. */
  readonly advice: { readonly denied: string; readonly other: string }
}

/** The modes that have a cloud, as far as this build serves them. */
export const SERVED_CLOUDS: Readonly<Partial<Record<IPAMMode, ServedCloud>>> = {
  eni: {
    api: 'ec2',
    advice: {
      denied:
        'Check the credentials (AWS_ACCESS_KEY_ID, or the role of the pod) and that they have the policy of deploy/aws',
      other: 'Check the region, the endpoint (--ec2-api-endpoint) and the network',
    },
  },
  azure: {
    api: 'azure',
    advice: {
      denied:
        'Check the identity (AZURE_CLIENT_ID, workload identity, or --azure-user-assigned-identity-id) and that it has the role of deploy/azure on the resource group and the network',
      other:
        'Check the subscription, the resource group, the endpoint (--azure-resource-manager-endpoint) and the network',
    },
  },
}

/** The cloud that the configuration means. @throws ConfigError, StartError */
export function openCloud(dependencies: CloudDependencies & CloudAccesses): Promise<Cloud> {
  const { metadata, aws = {}, azure = {}, ...shared } = dependencies
  if (shared.config.ipam === 'azure') return openAzure({ ...shared, access: azure })
  assert(shared.config.ipam === 'eni', `--ipam ${shared.config.ipam} has no cloud`)
  return openAWS({ ...shared, access: aws, metadata })
}
