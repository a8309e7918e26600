/** A waiting call, reduced to what its turn depends on. */
export interface QueuedTurn {
  /** Of its class, 0 being the most urgent. */
  readonly rank: number
  /** Order of arrival, unique. */
  readonly sequence: number
  /** From then on it is overdue (ms). */
  readonly deadlineMs: number
  /** What it draws on the bucket (count). */
  readonly tokens: number
}

export interface PlaceInQueue {
  /** Calls before it, and after it (counts). */
  readonly ahead: number
  readonly behind: number
  /** Tokens that are given out until it is served, its own included (count). */
  readonly tokens: number
}

export interface QueueRules {
  /** Turns by class between two turns of overdue calls (count). */
  readonly turnsByClass: number
  /** Turns by class since the last one of an overdue call (count). */
  readonly turnsSinceOverdue: number
  /** When so many tokens will be there (ms, on the clock of the deadlines). */
  readonly timeOf: (tokens: number) => number
}

/**
 * Where a call stands in the queue of one bucket, as the admission serves it: by class and arrival, every fourth turn going to the call
 * that is overdue longest. What arrives later is not known, and calls are taken to need no other bucket.
 *
 * @param queue every waiting call of the bucket, the one in question included; any order
 */
export function placeInQueue(call: QueuedTurn, queue: readonly QueuedTurn[], rules: QueueRules): PlaceInQueue {
  const before = servedBefore(call, queue, rules)
  const tokens = before.reduce((sum, other) => sum + other.tokens, call.tokens)
  return { ahead: before.length, behind: queue.length - before.length - 1, tokens }
}

/** Where every call of the queue stands, by sequence: one play of the queue for all who ask at the same moment. */
export function placesInQueue(queue: readonly QueuedTurn[], rules: QueueRules): ReadonlyMap<number, PlaceInQueue> {
  const places = new Map<number, PlaceInQueue>()
  let tokens = 0
  for (const turn of servedBefore(undefined, queue, rules)) {
    tokens += turn.tokens
    places.set(turn.sequence, { ahead: places.size, behind: queue.length - places.size - 1, tokens })
  }
  return places
}

/** Plays the queue until it is the call's turn, or to its end. */
function servedBefore(
  call: QueuedTurn | undefined,
  queue: readonly QueuedTurn[],
  rules: QueueRules,
): readonly QueuedTurn[] {
  const byUrgency = queue.toSorted((a, b) => a.rank - b.rank || a.sequence - b.sequence)
  const byDeadline = queue.toSorted((a, b) => a.deadlineMs - b.deadlineMs || a.sequence - b.sequence)
  const served = new Set<QueuedTurn>()
  const next = (order: readonly QueuedTurn[], from: number): number => {
    let index = from
    for (let turn = order[index]; turn !== undefined && served.has(turn); turn = order[index]) index += 1
    return index
  }
  let urgent = 0
  let overdue = 0
  let tokens = 0
  let turns = rules.turnsSinceOverdue
  for (;;) {
    urgent = next(byUrgency, urgent)
    overdue = next(byDeadline, overdue)
    const first = byUrgency[urgent]
    const oldest = byDeadline[overdue]
    if (first === undefined || oldest === undefined) return [...served]
    const isOverdueTurn =
      turns >= rules.turnsByClass && oldest.deadlineMs <= rules.timeOf(Math.max(1, tokens + oldest.tokens))
    const turn = isOverdueTurn ? oldest : first
    if (turn.sequence === call?.sequence) return [...served]
    turns = isOverdueTurn ? 0 : turns + 1
    tokens += turn.tokens
    served.add(turn)
  }
}
