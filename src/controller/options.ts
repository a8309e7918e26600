import type { AllocationImplementation, Logger, MetricsAPI } from '../ipam/contracts.ts'
import type { IPAMProfile } from '../ipam/types.ts'
import type { CallPriority } from '../runtime/call-priority.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { CiliumNodeGetterUpdater } from './api-server.ts'
import type { NodeObserver } from './node-work.ts'

/** What of the configuration the controller reads. All of it given: defaults are the configuration's business. */
export interface ControllerConfig {
  /** Nodes walked at once in a resync (count); below 1 counts as 1. */
  readonly parallelAllocWorkers: number
  readonly releaseExcessIPs: boolean
  /** How long an address must be excess before it is released (ms). */
  readonly excessIPReleaseDelayMs: number
  readonly prefixDelegation: boolean
  readonly profile: IPAMProfile
  /** Calls that give addresses or interfaces back, in the whole fleet (count per minute); 0 = none at all. */
  readonly destructiveCallsPerMinute: number
}

export interface NodeManagerOptions {
  readonly implementation: AllocationImplementation
  readonly apiServer: CiliumNodeGetterUpdater
  readonly metrics: MetricsAPI
  readonly log: Logger
  readonly clock: Clock
  readonly random: Random
  readonly config: ControllerConfig
  /** Pods that are scheduled on the node and wait for an address (count); undefined while pods are not known. */
  readonly pendingPods?: (nodeName: string) => number | undefined
  /** Ranks the calls that wait for the cloud's quota under this signal anew: their node has become more urgent. */
  readonly rerank?: (signal: AbortSignal, priority: CallPriority) => void
  /** What the calls under this signal wait for, where it is the cloud's quota: the bucket, and for how long (ms, an estimate). */
  readonly quotaWait?: (signal: AbortSignal) => { readonly bucket: string; readonly waitMs: number } | undefined
  readonly observer?: NodeObserver
  /** Nothing is written anyway, as in a dry run: that others write the same fields is no reason to stop. */
  readonly toleratesOtherWriters?: boolean
  /** Somebody else writes our fields, and nothing is written from now on. Called once. */
  readonly onSecondWriter?: () => void
}
