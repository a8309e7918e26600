import type { ARMClient, ARMClientOptions, AzureCredential } from '../../providers/azure/index.ts'
import type { Config } from '../config/config.ts'
import { nearestName } from '../config/nearest-name.ts'
import { ConfigError } from '../ipam/errors.ts'
import { openBudget, withoutSharing } from './controller-budget.ts'
import type { Cloud, CloudDependencies } from './controller-cloud.ts'
import type { AzureMetadata } from './controller-metadata.ts'
import { StartError } from './controller-start-error.ts'
import { programVersion } from './version.ts'

/** Where the calls go and who vouches for us; all of it absent: the SDK's own ways, and no metadata service. */
export interface AzureAccess {
  /** Absent: an identity of `@azure/identity`. */
  readonly credential?: AzureCredential
  /** Answers in process; absent: over HTTP. */
  readonly httpClient?: NonNullable<ARMClientOptions['httpClient']>
  readonly metadata?: AzureMetadata
  /** Where tokens come from, as in `AZURE_AUTHORITY_HOST`; absent: that of the cloud. */
  readonly authorityHost?: string
}

export interface AzureDependencies extends CloudDependencies {
  readonly access: AzureAccess
}

/** What the metadata service tells, or the configuration. */
type AzureFacts = Readonly<Record<keyof AzureMetadata, string>>

/**
 * The Azure subscription that the configuration means. The SDK is imported here, and that of identities only when one is needed.
 *
 * @throws ConfigError for a cloud that is not known, and when subscription, group or cloud are neither configured nor known to the
 * metadata service
 */
export async function openAzure(dependencies: AzureDependencies): Promise<Cloud> {
  const { config, access, clock, random, log, metrics, guard, dryRun } = dependencies
  const { azure } = config
  const provider = await import('../../providers/azure/index.ts')
  const { AZURE_BUCKETS, AZURE_ENVIRONMENT_NAMES, DEFAULT_AZURE_TIMES, isThrottled } = provider
  const facts = await known({
    environment: findEnvironment(dependencies),
    subscriptionID: find(
      azure.subscriptionID,
      'subscription',
      '--azure-subscription-id',
      'subscriptionID',
      dependencies,
    ),
    resourceGroup: find(azure.resourceGroup, 'resource group', '--azure-resource-group', 'resourceGroup', dependencies),
  })
  const { subscriptionID, resourceGroup } = facts
  const environment = provider.azureEnvironment(facts.environment)
  if (environment === undefined) throw new ConfigError([unknownEnvironment(facts.environment, AZURE_ENVIRONMENT_NAMES)])
  const endpoint = azure.resourceManagerEndpoint === '' ? environment.endpoint : azure.resourceManagerEndpoint
  const client = checkedClient(provider.createARMClient, {
    endpoint,
    audience: environment.endpoint,
    credential: access.credential ?? (await identityOf(config, access.authorityHost ?? environment.authorityHost)),
    userAgent: `berth/${programVersion()}`,
    ...(access.httpClient !== undefined && { httpClient: access.httpClient }),
  })
  const opened = await openBudget({
    table: AZURE_BUCKETS,
    // The tokens of calls that are not made are nobody's.
    config: dryRun === undefined ? config : withoutSharing(config),
    clock,
    random,
    log,
    isThrottled,
    onWait: (action, seconds) => metrics.observeRateLimit(action, seconds),
    // Buckets are those of the subscription in the region of its cluster's resources; a group has one cluster.
    accountName: () => Promise.resolve(`azure/${subscriptionID}`),
  })
  warnOfFilters(dependencies)
  log.info({ cloud: 'azure', subscriptionID, resourceGroup, endpoint }, 'Opened the cloud account')
  return {
    budget: opened.budget,
    setBudgetTable: (table) => opened.setTable(table),
    nodeSettings: { releaseExcessIPs: azure.releaseExcessIPs, prefixDelegation: azure.enablePrefixes },
    createProvider: (signal) =>
      provider.createAzureProvider(
        {
          subscriptionID,
          resourceGroup,
          usePrimaryAddress: azure.usePrimaryAddress,
          releaseExcessIPs: azure.releaseExcessIPs,
          prefixes: azure.enablePrefixes,
          subnetIDsFilter: config.subnetIDsFilter,
          profile: config.ipamProfile,
          ...DEFAULT_AZURE_TIMES,
        },
        {
          client: dryRun === undefined ? client : provider.dryRunARMClient(client, dryRun),
          budget: opened.budget,
          clock,
          random,
          log,
          metrics,
          signal,
          ...(guard !== undefined && { guard }),
        },
      ),
    close: () => opened.close(),
  }
}

/** @throws ConfigError for an endpoint that no token may be sent to */
function checkedClient(create: (options: ARMClientOptions) => ARMClient, options: ARMClientOptions): ARMClient {
  try {
    return create(options)
  } catch (error) {
    throw new ConfigError([`--azure-resource-manager-endpoint: ${messageOf(error)}`])
  }
}

/** All of them, or one error with everything that is not known. */
async function known(wanted: Readonly<Record<keyof AzureMetadata, Promise<string>>>): Promise<AzureFacts> {
  const settled = await Promise.allSettled(Object.values(wanted))
  const failures = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []))
  const faults = failures.flatMap((error) => (error instanceof ConfigError ? error.faults : []))
  if (failures.length > 0 && faults.length === failures.length) throw new ConfigError(faults)
  const { environment, subscriptionID, resourceGroup } = wanted
  return {
    environment: await environment,
    subscriptionID: await subscriptionID,
    resourceGroup: await resourceGroup,
  }
}

/** With an endpoint of its own nothing else of the cloud is needed. */
function findEnvironment(dependencies: AzureDependencies): Promise<string> {
  const { environment, resourceManagerEndpoint } = dependencies.config.azure
  const configured = environment === '' && resourceManagerEndpoint !== '' ? 'AzurePublicCloud' : environment
  return find(configured, 'cloud', '--azure-environment', 'environment', dependencies)
}

async function find(
  configured: string,
  what: string,
  option: string,
  key: keyof AzureMetadata,
  { access: { metadata }, signal }: AzureDependencies,
): Promise<string> {
  if (configured !== '') return configured
  try {
    if (metadata === undefined) throw new Error('there is none')
    return await metadata[key](signal)
  } catch (error) {
    signal.throwIfAborted()
    throw new ConfigError([
      `the Azure ${what} is not known: set ${option} (the metadata service was asked: ${messageOf(error)})`,
    ])
  }
}

function unknownEnvironment(name: string, names: readonly string[]): string {
  const near = nearestName(name, names)
  return `--azure-environment ${name}: no such cloud; known are ${names.join(', ')}${near === undefined ? '' : `; did you mean ${near}?`}`
}

/**
 * A configured identity and nothing else; without one the SDK's chain: a service principal of the environment, workload identity, the
 * machine's managed identity, and what a developer is logged in with.
 *
 * @source cilium pkg/azure/api/api.go, constructAuthorizer
 */
async function identityOf({ azure }: Config, authorityHost: string): Promise<AzureCredential> {
  try {
    const { DefaultAzureCredential, ManagedIdentityCredential } = await import('@azure/identity')
    if (azure.userAssignedIdentityID !== '')
      return new ManagedIdentityCredential({ clientId: azure.userAssignedIdentityID })
    // Microsoft's list of authorities knows none of a private cloud's.
    const disableInstanceDiscovery = azure.resourceManagerEndpoint !== ''
    return new DefaultAzureCredential({ authorityHost, disableInstanceDiscovery })
  } catch (error) {
    throw new StartError(`There is no Azure identity: ${messageOf(error)}`, { cause: error })
  }
}

/** Filters that only other clouds have. */
function warnOfFilters({ config, log }: AzureDependencies): void {
  const filters = {
    '--instance-tags-filter': config.instanceTagsFilter,
    '--subnet-tags-filter': config.subnetTagsFilter,
  }
  for (const [option, tags] of Object.entries(filters))
    if (Object.keys(tags).length > 0) log.warn({ option }, 'The option has no effect on Azure')
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
