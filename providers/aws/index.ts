import { EC2Client, type EC2ClientConfig } from '@aws-sdk/client-ec2'
import { NodeHttpHandler, type NodeHttpHandlerOptions } from '@smithy/node-http-handler'
import type { APIBudget } from '../../src/budget/contracts.ts'
import type { AllocationImplementation, CloudCallMetrics, Logger } from '../../src/ipam/contracts.ts'
import type { DestructionGuard } from '../../src/ipam/destruction.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { Random } from '../../src/runtime/random.ts'
import type { FirstPageSizes } from './ec2-caller.ts'
import { AddressPaths } from './address-paths.ts'
import { EC2API } from './api.ts'
import { BackgroundWork } from './background.ts'
import { builtInLimits } from './built-in-limits.ts'
import { DenseAddresses } from './dense-addresses.ts'
import { ENIGarbageCollector } from './eni-gc.ts'
import { subnetFilters } from './filters.ts'
import { InfrastructureCache } from './infrastructure.ts'
import { InstancesManager } from './instances.ts'
import { LimitsTable } from './limits.ts'
import { AWSNode } from './node.ts'
import { PrefixSupply } from './prefix-supply.ts'
import type { AWSProviderConfig } from './types.ts'

export type { AWSProviderConfig } from './types.ts'
export { EC2_BUCKETS } from './buckets.ts'
export { dryRunClient } from './dry-run-client.ts'
export { isThrottled } from './errors.ts'

export interface AWSProviderDependencies {
  /** A client that does not repeat calls: see `createEC2Client`. */
  readonly client: Pick<EC2Client, 'send'>
  /** With `EC2_BUCKETS` as its table and `isThrottled` to tell refusals. */
  readonly budget: APIBudget
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics: CloudCallMetrics
  /** Stands in front of every call that gives something back; absent: nobody asks. */
  readonly guard?: DestructionGuard
  /** Ends work in the background and shared reads; absent: they end when they are done or have failed for good. */
  readonly signal?: AbortSignal
}

export interface AWSProvider extends AllocationImplementation {
  /** Instances of live nodes that the newest full sync did not show (count). */
  readonly missingInstanceCount: number
  /** Work in the background that is not done (count). */
  readonly pendingWorkCount: number
}

/** Longest wait for a connection and for an answer of EC2 (ms). The slowest call seen, a listing, took 35 s. */
const CONNECTION_TIMEOUT_MS = 5000
const REQUEST_TIMEOUT_MS = 60_000

/**
 * An EC2 client as the provider needs it: one attempt a call, as repeating is decided where the effect is known, and bounded waits.
 *
 * @param options.endpoint URL; absent: the region's own, or what `AWS_ENDPOINT_URL_EC2` says
 * @param options.requestHandler answers in process; absent: over HTTP
 * @param options.agents make the connections (proxy, certificate authorities); absent: the SDK's own
 */
export function createEC2Client(options: {
  readonly region: string
  readonly endpoint?: string
  readonly requestHandler?: NonNullable<EC2ClientConfig['requestHandler']>
  readonly agents?: NonNullable<Pick<NodeHttpHandlerOptions, 'httpAgent' | 'httpsAgent'>>
  readonly credentials?: NonNullable<EC2ClientConfig['credentials']>
}): EC2Client {
  return new EC2Client({
    region: options.region,
    maxAttempts: 1,
    requestHandler:
      options.requestHandler ??
      new NodeHttpHandler({
        connectionTimeout: CONNECTION_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        throwOnRequestTimeout: true,
        ...options.agents,
      }),
    ...(options.endpoint !== undefined && { endpoint: options.endpoint }),
    ...(options.credentials !== undefined && { credentials: options.credentials }),
  })
}

/** The tag by which EKS tells the cluster of an instance. @source AWS documentation, Amazon EKS User Guide, Tagging */
const EKS_CLUSTER_TAG = 'aws:eks:cluster-name'

/**
 * The cluster's name as EKS tagged the instance that we run on; empty when there is no such tag.
 *
 * @throws CloudAPIError; the signal's reason when aborted
 */
export function readEKSClusterName(
  instanceID: string,
  deps: Pick<AWSProviderDependencies, 'client' | 'budget' | 'clock' | 'log' | 'metrics'>,
  signal: AbortSignal,
): Promise<string> {
  const context: CallContext = { priority: 'background', reason: 'cluster-name', signal }
  return new EC2API(deps, 0).listings.describeInstanceTag(instanceID, EKS_CLUSTER_TAG, context)
}

/** Instance types are listed first; by the time of the interfaces the parser is warm but for their own fields. */
const FIRST_PAGE_SIZES: FirstPageSizes = {
  DescribeInstanceTypes: [10, 20, 40],
  DescribeNetworkInterfaces: [40, 110],
}

/**
 * The AWS provider: elastic network interfaces, their secondary addresses and their delegated prefixes.
 *
 * @source cilium pkg/aws/ipam
 */
export function createAWSProvider(config: AWSProviderConfig, deps: AWSProviderDependencies): AWSProvider {
  const { clock, random, log } = deps
  const signal = deps.signal ?? new AbortController().signal
  const api = new EC2API({ ...deps, firstPageSizes: FIRST_PAGE_SIZES }, config.maxResultsPerCall)
  const infrastructure = new InfrastructureCache(api.listings, config, clock)
  const dense = config.choosesAddresses ? new DenseAddresses() : undefined
  const instances = new InstancesManager(config, {
    listings: api.listings,
    infrastructure,
    clock,
    log,
    signal,
    ...(dense !== undefined && { dense }),
  })
  // The slots of a card whose interfaces are left alone are nobody's.
  const countsOnlyFirstCard = config.countsOnlyFirstNetworkCard || config.isFirstCardOnly
  const limits = new LimitsTable({
    read: (context) => api.listings.describeInstanceTypes(countsOnlyFirstCard, context),
    builtIn: builtInLimits(countsOnlyFirstCard),
    reservedSlots: config.reservedAttachmentSlots,
    mapping: config.instanceLimitMapping,
    clock,
    log,
    signal,
  })
  const background = new BackgroundWork({ clock, random, log, signal })
  const beingAttached = new Set<string>()
  const prefixSupply = new PrefixSupply(clock)
  const nodeDependencies = {
    config,
    api,
    instances,
    infrastructure,
    limits,
    background,
    dense,
    prefixSupply,
    paths: new AddressPaths(deps.budget),
    beingAttached,
    clock,
    random,
    log,
  }
  const { garbageCollection: gc } = config

  return {
    get missingInstanceCount() {
      return instances.missingInstanceCount
    },
    get pendingWorkCount() {
      return background.pendingCount
    },
    createNode: (resource) => new AWSNode(resource, nodeDependencies),
    getPoolQuota: () =>
      infrastructure.poolQuota((subnet) => (prefixSupply.isRefused(subnet.id) ? 0 : dense?.freeBlocks(subnet))),
    async prepare(context) {
      await Promise.all([limits.prepare(context), instances.prepare(context)])
    },
    resync: (context) => instances.resync(context),
    async instanceSync(instanceID, context) {
      const instanceType = instances.instanceTypeOf(instanceID)
      const isTypeUnknown = instanceType !== '' && limits.get(instanceType) === undefined
      const sync = instances.instanceSync(instanceID, context)
      if (!isTypeUnknown) return sync
      const [result, found] = await Promise.all([sync, limits.lookup(instanceType, context.signal)])
      return found === undefined ? result : { ...result, changedInstanceIDs: [instanceID] }
    },
    hasInstance: (instanceID) => instances.hasInstance(instanceID),
    deleteInstance: (instanceID) => instances.deleteInstance(instanceID),
    syncedAtMs: (instanceID) => instances.syncedAtMs(instanceID),
    settle: (settleSignal) => background.settle(settleSignal),
    ...(gc !== undefined && {
      leftovers: new ENIGarbageCollector({
        api,
        tags: gc.tags,
        intervalMs: gc.intervalMs,
        subnetFilters: subnetFilters(config.subnetTagsFilter, config.subnetIDsFilter),
        isBeingAttached: (interfaceID) => beingAttached.has(interfaceID),
        clock,
        log,
      }),
    }),
  }
}
