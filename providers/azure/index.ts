import type { AdaptiveAPIBudget } from '../../src/budget/api-budget.ts'
import type { AllocationImplementation, CloudCallMetrics, Logger } from '../../src/ipam/contracts.ts'
import type { DestructionGuard } from '../../src/ipam/destruction.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { Random } from '../../src/runtime/random.ts'
import { AzureAPI } from './api.ts'
import { ARMCaller } from './arm-caller.ts'
import type { ARMClient } from './client.ts'
import { DocumentWriter } from './document-writer.ts'
import { InstancesManager } from './instances.ts'
import { InterfaceWrites } from './interface-writes.ts'
import { AzureNode } from './node.ts'
import { OperationFollower } from './operation-follower.ts'
import { PrefixSupply } from './prefix-supply.ts'
import { instanceIDOf } from './resource-id.ts'
import { SubnetCache } from './subnet-cache.ts'
import { UnfinishedNames } from './unfinished-names.ts'
import type { AzureProviderConfig } from './types.ts'

export { AZURE_BUCKETS } from './buckets.ts'
export { createARMClient } from './client.ts'
export type { ARMClient, ARMClientOptions, AzureCredential } from './client.ts'
export { dryRunARMClient } from './dry-run-client.ts'
export { AZURE_ENVIRONMENT_NAMES, azureEnvironment } from './environments.ts'
export type { AzureEnvironment } from './environments.ts'
export { isThrottled } from './errors.ts'
export { DEFAULT_AZURE_TIMES } from './types.ts'
export type { AzureProviderConfig } from './types.ts'

export interface AzureProviderDependencies {
  /** See `createARMClient`: it must not repeat calls. */
  readonly client: ARMClient
  /** With `AZURE_BUCKETS` as its table and `isThrottled` to tell refusals. Learns what the rate headers tell. */
  readonly budget: Pick<AdaptiveAPIBudget, 'run' | 'observeRemaining'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics: CloudCallMetrics
  /** Stands in front of every write that gives something back; absent: nobody asks. */
  readonly guard?: DestructionGuard
  /** Ends shared reads and waiting; absent: they end when they are done or have failed for good. */
  readonly signal?: AbortSignal
}

export interface AzureProvider extends AllocationImplementation {
  /** Instances of live nodes that the newest full sync did not show (count). */
  readonly missingInstanceCount: number
  /** Writes to scale-set VMs and interfaces that are under way or wait for their turn (count). */
  readonly pendingWorkCount: number
}

/**
 * The Azure provider: secondary addresses of scale-set VMs, uniform and flexible, and of standalone machines.
 *
 * @source cilium pkg/azure/ipam
 */
export function createAzureProvider(config: AzureProviderConfig, deps: AzureProviderDependencies): AzureProvider {
  const { clock, random, log } = deps
  const signal = deps.signal ?? new AbortController().signal
  const api = new AzureAPI(new ARMCaller(deps), config)
  const { pollIntervalMs, operationTimeoutMs, profile, subnetIDsFilter } = config
  const follower = new OperationFollower({ api, clock, pollIntervalMs, operationTimeoutMs })
  const writer = new DocumentWriter({ api, follower, clock, random, log })
  const subnets = new SubnetCache({ api, profile, subnetIDsFilter, clock, log, signal })
  const unfinished = new UnfinishedNames()
  const instances = new InstancesManager({ api, subnets, unfinished, clock, log, signal })
  const writes = new InterfaceWrites({
    api,
    writer,
    instances,
    subnets,
    unfinished,
    clock,
    random,
    log,
    guard: deps.guard,
  })
  const prefixSupply = new PrefixSupply(clock)
  const nodeDependencies = { config, api, instances, subnets, writer, writes, prefixSupply, log }

  return {
    get missingInstanceCount() {
      return instances.missingInstanceCount
    },
    get pendingWorkCount() {
      return writer.pendingCount
    },
    createNode: (resource) => new AzureNode(resource, nodeDependencies),
    getPoolQuota: () => subnets.poolQuota(),
    async prepare(context) {
      // Which subnets are in use only the interfaces tell. What a start has to know is whether the account lets us in.
      await api.listScaleSets(context)
    },
    resync: (context) => instances.resync(context),
    async instanceSync(instanceID, context) {
      const { startedAtMs, changedInstanceIDs } = await instances.instanceSync(instanceIDOf(instanceID), context)
      // In the caller's own spelling.
      return { startedAtMs, changedInstanceIDs: changedInstanceIDs.length > 0 ? [instanceID] : [] }
    },
    hasInstance: (instanceID) => instances.hasInstance(instanceIDOf(instanceID)),
    deleteInstance: (instanceID) => instances.deleteInstance(instanceIDOf(instanceID)),
    syncedAtMs: (instanceID) => instances.syncedAtMs(instanceIDOf(instanceID)),
    // Every write is waited for by the node that asked for it.
    settle: async () => {},
  }
}
