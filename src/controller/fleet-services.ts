import type { TriggerObserver } from '../ipam/contracts.ts'
import type { DestroyPermit } from '../ipam/plan-maintenance.ts'
import type { KeyedQueue } from '../runtime/keyed-queue.ts'
import type { TimerQueue } from '../runtime/timer.ts'
import type { RateLimitedWarning } from '../telemetry/rate-limited-warning.ts'
import type { DestructiveLimiter } from './destructive-limiter.ts'
import type { Node } from './node.ts'
import type { NodeManagerOptions } from './options.ts'
import type { OwnField } from './second-writer.ts'

/** What the nodes of a fleet share. None of it waits for a cloud call. */
export interface FleetServices extends NodeManagerOptions {
  readonly timers: TimerQueue
  /** Starts maintenance passes, the most urgent first, without a bound on how many are under way. */
  readonly passes: KeyedQueue<object>
  /** Writes to the API server: a bounded number at once, so that what waits is computed late and on new versions. */
  readonly writes: KeyedQueue<object>
  readonly limiter: DestructiveLimiter
  /** For what would be said with every pass, or every version of a resource. */
  readonly warnings: RateLimitedWarning
  readonly observers: {
    readonly poolMaintainer: TriggerObserver
    readonly k8sSync: TriggerObserver
    readonly instanceSync: TriggerObserver
  }
  nodeCount(): number
  /** No further step is begun in the cloud: not prepared yet, another writer, stopping. */
  isHeld(): boolean
  /** No resource is written: not prepared yet, another writer. What is done already is still said while stopping. */
  isSilent(): boolean
  /** The cluster-wide switch: nothing is given back now. */
  isPaused(): boolean
  /** Whether `callCount` calls that give something back may be made now. */
  destroyPermit(nowMs: number, callCount: number): DestroyPermit
  /** While the first full sync is under way nodes wait for it instead of reading by themselves: until when at most (ms). */
  missingReadsFromMs(): number
  /** A node's numbers changed. */
  nodeChanged(node: Node): void
  /** Somebody else writes this field. */
  contested(node: string, field: OwnField): void
}
