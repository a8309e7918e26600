import type { IdleReason, MaintenanceStep } from '../ipam/plan-maintenance.ts'
import type { CallPriority } from '../runtime/call-priority.ts'
import type { Node } from './node.ts'

/** A step that is being performed. */
export interface StepUnderWay {
  readonly step: MaintenanceStep
  /** When it began (monotonic ms). */
  readonly sinceMs: number
  /** How urgent its calls are by now. */
  readonly priority: CallPriority
  /** What its calls wait under in the API budget. */
  readonly signal: AbortSignal
}

/** How far the resource is behind what is known of the node. */
export interface WriteWork {
  /** Something is not written yet. */
  readonly isPending: boolean
  /** Works out how many writes of other nodes go before it (count); undefined when it does not wait for its turn. */
  ahead(): number | undefined
  /** Failed writes in a row (count), and when the next one is tried (monotonic ms). */
  readonly failureCount: number
  readonly retryAtMs: number | undefined
  /** Why the last one failed; empty when it did not. */
  readonly message: string
}

/** What the worker of a node is at, besides the node's state: for who asks why it waits. */
export interface NodeWork {
  /** How the last pass ended. */
  readonly lastPass: IdleReason
  /** A pass is due or under way. */
  readonly isPassPending: boolean
  readonly step: StepUnderWay | undefined
  readonly write: WriteWork
}

/** Told of every change of every node, at once: it takes note, and works when somebody asks. */
export interface NodeObserver {
  changed(node: Node): void
  /** The node is not managed any more. */
  gone(node: Node): void
}
