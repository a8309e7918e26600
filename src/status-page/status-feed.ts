import type { Clock } from '../runtime/clock.ts'
import type { NodeRow, StatusSource } from './status-source.ts'

/** Time between two messages to a watcher (ms). */
const TICK_MS = 1_000
/** Subnets change slowly, and counting their blocks takes a while: every so many ticks (count). */
const TICKS_PER_SUBNETS = 5
/** Nodes in one message at most (count); the rest goes with the next one. */
const MAX_CHANGES = 2_000
/** Who watches at the same time (count). */
export const MAX_WATCHERS = 20
/** Messages that a slow watcher may be behind (count): then it gets everything anew once it has caught up. */
const MAX_BEHIND = 5

interface Watcher {
  readonly queue: string[]
  /** It lost messages, or has none yet: everything is sent next. */
  needsAll: boolean
  wake: () => void
}

/**
 * What happens in the fleet, as server-sent events: everything once, then a second's changes each second, the same text for all who
 * watch. While nobody watches nothing is kept and nothing is worked out.
 *
 * @source WHATWG HTML, Server-sent events
 */
export class StatusFeed {
  readonly #source: StatusSource
  readonly #clock: Clock
  readonly #watchers = new Set<Watcher>()
  readonly #changed = new Set<string>()
  #isTicking = false
  #ticks = 0

  constructor(source: StatusSource, clock: Clock) {
    this.#source = source
    this.#clock = clock
  }

  get isFull(): boolean {
    return this.#watchers.size >= MAX_WATCHERS
  }

  /** Who watches (count). */
  get watcherCount(): number {
    return this.#watchers.size
  }

  /** A node changed or is gone. */
  changed(name: string): void {
    if (this.#watchers.size > 0) this.#changed.add(name)
  }

  /** Messages until the signal is aborted. */
  async *watch(signal: AbortSignal): AsyncGenerator<string> {
    const watcher: Watcher = { queue: [], needsAll: true, wake: () => undefined }
    const onAbort = (): void => watcher.wake()
    signal.addEventListener('abort', onAbort, { once: true })
    this.#watchers.add(watcher)
    if (!this.#isTicking) void this.#tick()
    try {
      while (!signal.aborted) {
        if (watcher.needsAll) {
          watcher.needsAll = false
          watcher.queue.length = 0
          yield this.#everything()
          continue
        }
        const message = watcher.queue.shift()
        if (message !== undefined) yield message
        else
          await new Promise<void>((resolve) => {
            watcher.wake = resolve
          })
      }
    } finally {
      this.#watchers.delete(watcher)
      signal.removeEventListener('abort', onAbort)
    }
  }

  async #tick(): Promise<void> {
    const never = new AbortController().signal
    this.#isTicking = true
    while (this.#watchers.size > 0) {
      await this.#clock.sleep(TICK_MS, never)
      if (this.#watchers.size > 0) this.#send(this.#changes())
    }
    this.#isTicking = false
    this.#changed.clear()
  }

  #send(message: string): void {
    for (const watcher of this.#watchers) {
      if (watcher.needsAll) continue
      if (watcher.queue.length >= MAX_BEHIND) watcher.needsAll = true
      else watcher.queue.push(message)
      watcher.wake()
    }
  }

  #everything(): string {
    const source = this.#source
    return eventText('snapshot', {
      ...this.#common(),
      nodes: [...source.nodes()],
      subnets: source.subnets(),
      history: source.history(),
    })
  }

  #changes(): string {
    this.#ticks += 1
    const nodes: NodeRow[] = []
    const gone: string[] = []
    for (const name of this.#changed) {
      if (nodes.length + gone.length >= MAX_CHANGES) break
      this.#changed.delete(name)
      const row = this.#source.node(name)
      if (row === undefined) gone.push(name)
      else nodes.push(row)
    }
    const hasSubnets = this.#ticks % TICKS_PER_SUBNETS === 0
    return eventText('changes', {
      ...this.#common(),
      nodes,
      gone,
      ...(hasSubnets && { subnets: this.#source.subnets() }),
    })
  }

  #common(): object {
    const source = this.#source
    return {
      now: this.#clock.wallTime().getTime(),
      isLeading: source.isLeading(),
      troubles: source.troubles(),
      budget: source.budget(),
      happenings: source.happenings(),
    }
  }
}

/** JSON has no line break: one `data` line is enough. */
function eventText(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}
