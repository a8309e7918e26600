/** Tasks started before the event loop gets a turn (count). A start is a whole synchronous look at a node: about a millisecond while the code is cold. */
const STARTS_PER_TURN = 4

export interface KeyedQueueOptions {
  /** Tasks under way at once (count). */
  readonly concurrency: number
  /** Lanes, the first one served first (count). */
  readonly laneCount: number
}

interface Entry {
  readonly lane: number
  readonly start: () => Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  readonly done: Promise<void>
}

/**
 * Starts tasks in order of urgency, a bounded number at once, in slices: however many become runnable together, the event loop
 * gets its turn in between. A key waits at most once, in the most urgent lane it was asked for; the caller sees to it that a key
 * that is under way is not added again where that matters (`Trigger` does).
 */
export class KeyedQueue<K> {
  readonly #concurrency: number
  /** Per lane, in order of arrival. */
  readonly #lanes: readonly Map<K, Entry>[]
  #active = 0
  #isScheduled = false

  constructor(options: KeyedQueueOptions) {
    this.#concurrency = options.concurrency
    this.#lanes = Array.from({ length: options.laneCount }, () => new Map<K, Entry>())
  }

  /** Tasks waiting and under way (count). */
  get size(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.size, this.#active)
  }

  /**
   * Runs `task` once its turn has come.
   *
   * @param lane 0 is the most urgent
   * @returns settles as the task does; for a key that waits already, as the waiting task does
   */
  run(key: K, lane: number, task: () => Promise<void>): Promise<void> {
    const waiting = this.#lanes.find((entries) => entries.has(key))?.get(key)
    if (waiting !== undefined) {
      this.#promote(key, waiting, lane)
      return waiting.done
    }
    const entry = newEntry(lane, task)
    this.#lane(lane).set(key, entry)
    this.#schedule()
    return entry.done
  }

  /** Moves a waiting key to a more urgent lane; one that does not wait, or waits there already, stays as it is. */
  promote(key: K, lane: number): void {
    const waiting = this.#lanes.find((entries) => entries.has(key))?.get(key)
    if (waiting !== undefined) this.#promote(key, waiting, lane)
  }

  /** Tasks under way, and those that wait in the most urgent lane (count). */
  get urgentSize(): number {
    return this.#active + this.#lane(0).size
  }

  /** Tasks that start before that of a waiting key (count); undefined when the key does not wait. Takes as long as the queue is. */
  placeOf(key: K): number | undefined {
    let before = 0
    for (const lane of this.#lanes) {
      for (const other of lane.keys()) {
        if (other === key) return before
        before += 1
      }
    }
    return undefined
  }

  /** Takes a waiting key out; its promise resolves. A task under way goes on. */
  cancel(key: K): void {
    for (const lane of this.#lanes) {
      lane.get(key)?.resolve()
      lane.delete(key)
    }
  }

  #promote(key: K, entry: Entry, lane: number): void {
    if (lane >= entry.lane) return
    this.#lane(entry.lane).delete(key)
    this.#lane(lane).set(key, { ...entry, lane })
  }

  #lane(index: number): Map<K, Entry> {
    const lane = this.#lanes[Math.min(Math.max(index, 0), this.#lanes.length - 1)]
    if (lane === undefined) throw new RangeError('a queue needs a lane')
    return lane
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      for (let started = 0; started < STARTS_PER_TURN && this.#startNext(); started++);
      if (this.#active < this.#concurrency && this.#lanes.some((lane) => lane.size > 0)) this.#schedule()
    })
  }

  #startNext(): boolean {
    if (this.#active >= this.#concurrency) return false
    const lane = this.#lanes.find((entries) => entries.size > 0)
    const next = lane?.entries().next().value
    if (lane === undefined || next === undefined) return false
    const [key, entry] = next
    lane.delete(key)
    this.#active += 1
    const running = (async () => await entry.start())()
    running.then(entry.resolve, entry.reject).finally(() => {
      this.#active -= 1
      this.#schedule()
    })
    return true
  }
}

function newEntry(lane: number, start: () => Promise<void>): Entry {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  return { lane, start, resolve, reject, done: promise }
}
