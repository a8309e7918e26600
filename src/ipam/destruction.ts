import type { CallContext } from '../runtime/call-priority.ts'

/**
 * What a call that gives something back rests on (docs/decisions/0010-proof-before-destroy.md):
 *
 * - `agent-gave-up`: the node's agent gave the addresses up, and a read that started after its word shows them attached and unused
 * - `leftover`: two reads, one interval apart, show an interface of ours that hangs on nothing
 * - `own-creation`: this process created the interface and has not seen it attached; the cloud refuses to delete an attached one
 * - `node-gone`: the Kubernetes node of a CiliumNode has been gone for more than one interval
 */
export type DestructionBasis = 'agent-gave-up' | 'leftover' | 'own-creation' | 'node-gone'

export interface DestructionProof {
  readonly basis: DestructionBasis
  /** Start of the read, or moment of the answer, that showed it (monotonic ms). */
  readonly readStartedAtMs: number
  /** The agent's word, or when it was first found left over (monotonic ms). Never after the read. */
  readonly sinceMs: number
  /** What was seen, for people. */
  readonly seen: Readonly<Record<string, string | number>>
}

/** As `CallContext`, of a call that gives something back. A guarded provider does not send it without its proof. */
export interface DestructiveContext extends CallContext {
  readonly proof?: DestructionProof
}

/** What a call takes away, and from whom. What does not apply is absent. */
export interface DestructionSubject {
  /** Name of the CiliumNode. */
  readonly node?: string
  readonly instanceID?: string
  readonly interfaceID?: string
  readonly addresses?: readonly string[]
  readonly cidrs?: readonly string[]
}

export interface DestructiveCall {
  /** The cloud's action, or verb and resource of the Kubernetes API. */
  readonly action: string
  readonly reason: string
  readonly subject: DestructionSubject
  readonly proof: DestructionProof
}

/** How a call ended. `failed` may still have had its effect when there was no answer. */
export type DestructionResult = { readonly kind: 'done' } | { readonly kind: 'failed'; readonly error: unknown }

/** Stands in front of every call that gives something back, of the clouds and of Kubernetes. */
export interface DestructionGuard {
  /**
   * The call is about to be sent.
   *
   * @returns to be called with how it ended
   * @throws CloudAPIError when it may not be sent: paused, proof too old by now, or not on record. The call had no effect then
   */
  began(call: DestructiveCall): (result: DestructionResult) => void
}

/** Sends a call through the guard; without one, at once. @throws what the guard or the call throws */
export async function guarded<T>(
  guard: DestructionGuard | undefined,
  call: DestructiveCall,
  send: () => Promise<T>,
): Promise<T> {
  if (guard === undefined) return send()
  const ended = guard.began(call)
  try {
    const answer = await send()
    ended({ kind: 'done' })
    return answer
  } catch (error) {
    ended({ kind: 'failed', error })
    throw error
  }
}
