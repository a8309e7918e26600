/** How a node stands, for a colour: has what it needs, fills its buffer, has no address left for a pod, says that it waits, not known. */
export const NODE_STATUS = { settled: 0, short: 1, dry: 2, waits: 3, unknown: 4 } as const
export type NodeStatus = (typeof NODE_STATUS)[keyof typeof NODE_STATUS]

/** A node as the page shows it: name, needed, used and attached addresses, capacity (counts), status. Short: there are thousands. */
export type NodeRow = readonly [
  name: string,
  neededIPs: number,
  usedIPs: number,
  availableIPs: number,
  capacity: number,
  status: NodeStatus,
]

/** A subnet: ID, free addresses, free /28 blocks and seconds until it is empty, null where not known. */
export type SubnetRow = readonly [
  poolID: string,
  freeIPs: number,
  totalIPs: number | null,
  freeBlocks: number | null,
  emptySeconds: number | null,
]

/** A bucket: name, tokens, size, rate assumed, rate of the table, calls that wait, seconds for which it is paused. */
export type BucketRow = readonly [
  bucket: string,
  tokens: number,
  size: number,
  refillPerSecond: number,
  fullPerSecond: number,
  waiting: number,
  pausedSeconds: number,
]

/** An action: name, calls and refused calls since the start (counts). */
export type ActionRow = readonly [action: string, calls: number, refused: number]

/** Something that happened to a node: wall-clock time (ms since the epoch), node, code of the reason, text. */
export type HappeningRow = readonly [atMs: number, node: string, code: string, text: string]

/** One moment of the budget, for curves. */
export interface BudgetMoment {
  /** Wall-clock time (ms since the epoch). */
  readonly atMs: number
  readonly buckets: readonly BucketRow[]
  readonly actions: readonly ActionRow[]
}

/** What the page is made of. Asked only while somebody watches. */
export interface StatusSource {
  /** Whether this replica knows the nodes. */
  isLeading(): boolean
  /** One line each on what is wrong with the whole; empty: nothing. */
  troubles(): readonly string[]
  nodes(): Iterable<NodeRow>
  /** Undefined: gone. */
  node(name: string): NodeRow | undefined
  subnets(): readonly SubnetRow[]
  budget(): BudgetMoment
  /** Earlier moments, oldest first, a bounded number. */
  history(): readonly BudgetMoment[]
  /** The latest first, a bounded number. */
  happenings(): readonly HappeningRow[]
}
