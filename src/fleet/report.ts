/** What the world says about itself now and then: everything that progress and summary need, as plain data. */
export interface WorldReport {
  /** Since the world began to fill (ms). */
  readonly elapsedMs: number
  /** Nodes in the cluster (count), of them those that lack nothing now, and those that have lacked nothing at some time. */
  readonly nodes: number
  readonly nodesConverged: number
  readonly nodesEverConverged: number
  /** Whether all nodes of the plan have joined. */
  readonly isPopulated: boolean
  readonly pods: number
  readonly podsWaiting: number
  /** How long the pod that waits longest has waited (ms); 0 when none waits. */
  readonly longestWaitMs: number
  /** The longest wait of a pod in the last minute or so (ms). */
  readonly longestRecentWaitMs: number
  /** From binding to address, of all pods so far (ms). */
  readonly podWaits: { readonly count: number; readonly p50: number; readonly p99: number; readonly max: number }
  readonly addressesAvailable: number
  readonly addressesUsed: number
  readonly interfaces: number
  /** The cloud's own ledger, by action, sorted. */
  readonly calls: Readonly<Record<string, ActionReport>>
  readonly isChurning: boolean
  /** Invariants found broken so far, each once. */
  readonly violations: readonly string[]
  /** Memory of the world's process (bytes). */
  readonly rssBytes: number
}

export interface ActionReport {
  /** All attempts (count), refused and failed ones included. */
  readonly attempts: number
  readonly refused: number
  readonly failed: number
  /** The bucket that this action draws on; absent when it is not limited. */
  readonly bucket?: { readonly tokens: number; readonly size: number }
}

/** The controller's process as it feels from within. */
export interface ProcessReport {
  /** Delay of the event loop since the start (ms). */
  readonly eventLoopP999Ms: number
  readonly eventLoopMaxMs: number
  readonly rssBytes: number
}
