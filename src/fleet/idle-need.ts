/** One look at a node that may lack addresses. */
export interface NeedObservation {
  readonly nodeName: string
  readonly isNeedy: boolean
  /** Whether anything stands in the way: no token in a bucket, no address in the subnets, a backoff. */
  readonly isBlocked: boolean
}

/**
 * Finds nodes that wait although nothing stands in their way. What blocks a node for a moment starts its time anew, so the figure
 * is never too long; it depends on how often one looks.
 */
export class IdleNeed {
  readonly #since = new Map<string, number>()
  #longestMs = 0
  #longestNode = ''

  observe(observations: Iterable<NeedObservation>, nowMs: number): void {
    for (const { nodeName, isNeedy, isBlocked } of observations) {
      if (!isNeedy || isBlocked) {
        this.#since.delete(nodeName)
        continue
      }
      const sinceMs = this.#since.get(nodeName) ?? nowMs
      this.#since.set(nodeName, sinceMs)
      if (nowMs - sinceMs > this.#longestMs) {
        this.#longestMs = nowMs - sinceMs
        this.#longestNode = nodeName
      }
    }
  }

  /** The longest such wait so far (ms), and whose. */
  get longest(): { readonly ms: number; readonly nodeName: string } {
    return { ms: this.#longestMs, nodeName: this.#longestNode }
  }

  /** Nodes that wait now without a reason, and for longer than `boundMs`; sorted. */
  waitingLonger(boundMs: number, nowMs: number): readonly string[] {
    return [...this.#since]
      .filter(([, sinceMs]) => nowMs - sinceMs > boundMs)
      .map(([nodeName]) => nodeName)
      .sort()
  }
}
