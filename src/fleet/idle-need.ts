import type { Violation } from './invariants.ts'

/** One look at a node that may lack addresses. */
export interface NeedObservation {
  readonly nodeName: string
  readonly isNeedy: boolean
  /** Whether anything stands in the way: no token in a bucket, no address in the subnets, a backoff. */
  readonly isBlocked: boolean
}

/**
 * Finds nodes that wait although nothing stands in their way. What blocks a node for a moment starts its time anew, so no wait
 * is told too long.
 */
export class IdleNeed {
  readonly #since = new Map<string, number>()

  /** Looks at these nodes; one that is gone must be given as not needy. */
  observe(observations: Iterable<NeedObservation>, nowMs: number): void {
    for (const { nodeName, isNeedy, isBlocked } of observations) {
      if (!isNeedy || isBlocked) {
        this.#since.delete(nodeName)
        continue
      }
      if (!this.#since.has(nodeName)) this.#since.set(nodeName, nowMs)
    }
  }

  /** Nodes that wait now without a reason, and for longer than `boundMs`, by name. */
  violations(boundMs: number, nowMs: number): readonly Violation[] {
    return [...this.#since]
      .filter(([, sinceMs]) => nowMs - sinceMs > boundMs)
      .map(([nodeName]) => nodeName)
      .sort()
      .map((nodeName) => ({
        kind: 'node-waits-idle',
        detail: `${nodeName} has lacked addresses for more than ${boundMs / 1000} s although nothing stood in its way`,
      }))
  }
}
