import type { PendingCall } from '../budget/contracts.ts'
import type { NodeWork } from '../controller/node-work.ts'
import type { PaceOperations } from '../ipam/contracts.ts'
import type { NodeState } from '../ipam/node-state.ts'
import type { AllocationAction } from '../ipam/types.ts'
import type { CallPriority } from '../runtime/call-priority.ts'

/** What holds for all nodes. */
export type ControllerFacts =
  | { readonly kind: 'standby' }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'starting'; readonly what: string }
  | { readonly kind: 'contested'; readonly node: string; readonly field: string }
  | { readonly kind: 'serving' }

/** A node as its worker knows it. Functions are work that only a full explanation needs. */
export interface ManagedNode {
  readonly state: NodeState
  readonly work: NodeWork
  readonly instanceID: string
  /** `spec.ipam` (counts). */
  readonly minAllocate: number
  readonly maxAllocate: number
  readonly preAllocate: number
  /** Nothing of the node is given back, by annotation or by the switch of the cluster. */
  readonly isPaused: boolean
  /** Pods on the node that wait for an address (count); undefined while not known. */
  readonly pendingPods: number | undefined
  /** Calls of the step under way, oldest first. */
  readonly calls: () => readonly PendingCall[]
  /** What the provider would do next; undefined where nothing is needed or it cannot say. */
  readonly allocation: () => AllocationAction | undefined
  readonly priority: () => CallPriority
  readonly pace: PaceOperations | undefined
}

/** Everything that the explanation of a node depends on, gathered at one moment. */
export interface NodeFacts {
  readonly name: string
  /** Monotonic ms. */
  readonly nowMs: number
  readonly controller: ControllerFacts
  /** What is wrong with the newest version of the resource; undefined when it can be read. */
  readonly faults: string | undefined
  /** Undefined: not managed. */
  readonly node: ManagedNode | undefined
  /** How long an answered call of an action takes (ms); undefined before the first. */
  readonly durationMs: (action: string) => number | undefined
  /** How long until so many CiliumNodes are written, as fast as the API server may be asked (ms). */
  readonly writesMs: (count: number) => number
  /** CiliumNodes whose write opens addresses and waits, and all that are being written (count). */
  readonly urgentWriteCount: number
  /** Whether the subnet is known to have no free /28 block. */
  readonly lacksBlocks: (poolID: string) => boolean
  readonly prefixDelegation: boolean
}
