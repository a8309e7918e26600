import type { AddressSource, Holding } from '../../simulators/kubernetes/index.ts'

/** The agent of a simulated node, as its world sees it: whoever it is that runs there. */
export interface NodeAgent extends AddressSource {
  /** What the agent has on its books. */
  readonly ipam: {
    /** Addresses that pods hold (count). */
    readonly heldCount: number
    /** Addresses open to pods, held ones included (count). */
    readonly availableCount: number
    holdings(): Iterable<Holding>
    openAddresses(): readonly string[]
  }
  /** Pods that asked and have no address (count). */
  readonly waitingCount: number
  /** Undefined while there is no resource. Counts of addresses, 0 when absent. */
  readonly resource:
    | {
        readonly watermarks: {
          readonly preAllocate: number
          readonly minAllocate: number
          readonly maxAllocate: number
        }
      }
    | undefined
  /** Versions in which another writer had changed the agent's own fields (count). */
  readonly counters: { readonly overwrites: number }
  /** Works until it is stopped. Rejects when it cannot go on, which no agent of a sound world does. */
  run(): Promise<void>
  stop(): void
}
