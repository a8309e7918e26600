import type { JSONObject } from '../json.ts'
import type { OwnResource } from './own-resource.ts'

/** How an agent reads its addresses from the resource: up to Cilium 1.19, or from 1.20 on. */
export type AgentGeneration = 'pool' | 'multi-pool'

/** An address in a pod's hands. */
export interface Holding {
  readonly address: string
  /** `namespace/name` of the pod. */
  readonly owner: string
  /** The interface that carried the address when it was handed out. */
  readonly interfaceID: string
  /** Clock of the agent (ms). */
  readonly sinceMs: number
}

/** What must be written, as a merge patch without metadata. */
export interface PendingWrite {
  readonly subresource: 'status' | undefined
  readonly patch: JSONObject
}

/**
 * The books of one node's agent: which addresses there are, who holds which, and what the resource ought to say. No I/O.
 * Addresses stay held until their pod is gone, whatever the resource says meanwhile.
 */
export interface AgentIPAM {
  readonly generation: AgentGeneration
  /** Takes over a new version of the resource. @returns false when it is inconsistent and ignored as a whole */
  takeOver(resource: OwnResource): boolean
  /** @returns undefined when no address is free */
  allocate(owner: string, nowMs: number): Holding | undefined
  /** @returns false when the owner holds none */
  release(owner: string): boolean
  /** Pods that asked and got nothing (count); part of the demand of a multi-pool agent. */
  setWaiting(count: number): void
  /** What the server does not know yet; undefined when it knows all, or no resource has been seen. */
  pendingWrite(): PendingWrite | undefined
  /**
   * Whether the agent's own fields in `seen` are as in `written`, the last version that this agent wrote.
   * Otherwise another writer has overwritten them.
   */
  sameOwnFields(seen: OwnResource, written: OwnResource): boolean
  holding(owner: string): Holding | undefined
  holdings(): Iterable<Holding>
  /** Addresses that pods hold (count). */
  readonly heldCount: number
  /** Addresses open to pods, held ones included (count). */
  readonly availableCount: number
  /** These addresses. */
  openAddresses(): readonly string[]
}
