import type { EC2Client } from '@aws-sdk/client-ec2'
import type { APIBudget } from '../../src/budget/contracts.ts'
import type { AllocationImplementation, CloudCallMetrics, Logger } from '../../src/ipam/contracts.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { Random } from '../../src/runtime/random.ts'
import type { AWSProviderConfig } from './types.ts'

export type { AWSProviderConfig } from './types.ts'
export { EC2_ACTIONS, EC2_BUCKETS } from './buckets.ts'

export interface AWSProviderDependencies {
  /** A client with `maxAttempts: 1`: see `createEC2Client`. */
  readonly client: Pick<EC2Client, 'send'>
  readonly budget: APIBudget
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics: CloudCallMetrics
  /** Ends work in the background; absent: it ends when it is done or has failed for good. */
  readonly signal?: AbortSignal
}

export interface AWSProvider extends AllocationImplementation {
  /** Instances of live nodes that the newest full sync did not show (count). */
  readonly missingInstanceCount: number
}

/** The AWS provider: elastic network interfaces, their secondary addresses and their delegated prefixes. */
export function createAWSProvider(config: AWSProviderConfig, deps: AWSProviderDependencies): AWSProvider {
  void config
  void deps
  throw new Error('not implemented')
}
