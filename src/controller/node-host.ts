import type { InterfacesAndIPs, NodeOperations } from '../ipam/contracts.ts'
import type { NodeEvent, NodeState } from '../ipam/node-state.ts'
import type { IdleReason } from '../ipam/plan-maintenance.ts'
import type { ControllerConfig } from './options.ts'

/** A node as its maintenance pass and its publisher see it. State is read anew at every access: an await ends what was known. */
export interface NodeHost {
  readonly name: string
  readonly state: NodeState
  /** Undefined while the resource names no instance. */
  readonly operations: NodeOperations | undefined
  /** Aborted when the node is gone. */
  readonly signal: AbortSignal
  /** What holds for the node now: with its destructive calls paused, nothing is given back. */
  readonly config: ControllerConfig
  /** Nothing of the node is given back: its annotation says so, or the cluster-wide switch. */
  readonly isPaused: boolean
  /** Nothing may be done for the node now. */
  readonly isHeld: boolean
  /** The newest version of the resource cannot be read: it is not written either. */
  readonly isMalformed: boolean
  apply(event: NodeEvent): void
  /**
   * Looks at the provider's cache.
   *
   * @returns what it has of the node, undefined while the inventory is not known
   */
  recalculate(): InterfacesAndIPs | undefined
  /** Asks for a further pass where there is something to do. */
  evaluate(reason: string): boolean
  /** What a step has changed is written at once: the next one may wait long for its turn. */
  publish(reason: string): void
  /** The resource could not be written. */
  writeFailed(): void
  /** A pass is over. */
  passEnded(why: IdleReason): void
}
