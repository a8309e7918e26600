import type { CallContext } from './call-priority.ts'
import type { Clock } from './clock.ts'
import { sharedContext } from './shared-context.ts'
import { untilAborted } from './until-aborted.ts'

interface Waiter<R> {
  readonly context: CallContext
  readonly resolve: (result: R) => void
  readonly reject: (reason: unknown) => void
}

type Waiting<R> = readonly [key: string, waiters: readonly Waiter<R>[]]

/** The requests of one group: those that wait for the next run, and when that may begin. */
interface Group<R> {
  queued: Map<string, Waiter<R>[]>
  nextRunMs: number
  isRunning: boolean
}

export interface FoldedRequestsOptions<R> {
  readonly clock: Clock
  /** Ends all waiting. */
  readonly signal: AbortSignal
  /** Requests asked for within this time of a run share the next one (ms). */
  readonly windowMs: number
  /** Which keys are served together. Few groups: they are kept. */
  readonly groupOf: (key: string) => string
  /** A run may begin while the one before it is under way; otherwise one at a time for each group. */
  readonly mayOverlap?: boolean
  /** Keys that are served at once (count), the others of the run beside them; all unless given. */
  readonly maxKeys?: number
  /** Serves a few keys of one group, in their order. @returns the answer to each of them */
  readonly serve: (keys: readonly string[], context: CallContext) => ReadonlyMap<string, Promise<R>>
}

/**
 * Folds requests: the first goes out at once, together with all others asked for in the same turn of the event loop; those asked for
 * within the window after it share the next run, and so do those asked for while it runs, unless runs may overlap. So the runs of a
 * group grow when what they need is scarce.
 */
export class FoldedRequests<R> {
  readonly #options: FoldedRequestsOptions<R>
  readonly #groups = new Map<string, Group<R>>()

  constructor(options: FoldedRequestsOptions<R>) {
    this.#options = options
  }

  /** @returns the answer of a run that began after this call. @throws what the answer throws; the signal's reason when aborted */
  async request(key: string, context: CallContext): Promise<R> {
    context.signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<R>()
    const group = this.#group(this.#options.groupOf(key))
    const waiters = group.queued.get(key)
    if (waiters === undefined) group.queued.set(key, [{ context, resolve, reject }])
    else waiters.push({ context, resolve, reject })
    if (!group.isRunning) {
      group.isRunning = true
      void this.#run(group)
    }
    return untilAborted(promise, context.signal)
  }

  #group(name: string): Group<R> {
    const found = this.#groups.get(name)
    if (found !== undefined) return found
    const made: Group<R> = { queued: new Map(), nextRunMs: Number.NEGATIVE_INFINITY, isRunning: false }
    this.#groups.set(name, made)
    return made
  }

  /** Run after run until nobody waits. Never rejects: what goes wrong reaches the waiters. */
  async #run(group: Group<R>): Promise<void> {
    const { clock, signal, windowMs, mayOverlap = false, maxKeys = Number.POSITIVE_INFINITY } = this.#options
    try {
      while (group.queued.size > 0) {
        const waitMs = group.nextRunMs - clock.now()
        // Without a wait: after the current turn, so that those who ask together are served together.
        await (waitMs > 0 ? clock.sleep(waitMs, signal) : Promise.resolve())
        const { queued } = group
        group.queued = new Map()
        group.nextRunMs = clock.now() + windowMs
        const served = chunksOf(liveOf(queued), maxKeys).map((live) => this.#serve(live))
        if (!mayOverlap) await Promise.all(served)
      }
    } catch (reason) {
      for (const { reject } of [...group.queued.values()].flat()) reject(reason)
      group.queued.clear()
    }
    group.isRunning = false
  }

  /** Never rejects. @param live at least one, in their order */
  async #serve(live: readonly Waiting<R>[]): Promise<void> {
    const shared = sharedContext(live.flatMap(([, waiters]) => waiters.map(({ context }) => context)))
    const context: CallContext = {
      ...shared.context,
      signal: AbortSignal.any([this.#options.signal, shared.context.signal]),
    }
    const answers = this.#options.serve(
      live.map(([key]) => key),
      context,
    )
    await Promise.all(
      live.map(async ([key, waiters]) => {
        try {
          const answer = await answers.get(key)
          if (answer === undefined) throw new Error(`no answer for ${key}`)
          for (const { resolve } of waiters) resolve(answer)
        } catch (error) {
          for (const { reject } of waiters) reject(error)
        }
      }),
    )
    shared.release()
  }
}

/** Who still waits, by key, in the order of the keys. */
function liveOf<R>(queued: ReadonlyMap<string, readonly Waiter<R>[]>): readonly Waiting<R>[] {
  return [...queued]
    .filter(([, waiters]) => waiters.some(({ context }) => !context.signal.aborted))
    .sort(([one], [other]) => (one < other ? -1 : 1))
}

function chunksOf<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  const chunks: (readonly T[])[] = []
  for (let start = 0; start < items.length; start += size) chunks.push(items.slice(start, start + size))
  return chunks
}
