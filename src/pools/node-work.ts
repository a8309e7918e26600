import type { Clock } from '../runtime/clock.ts'
import { KeyedQueue } from '../runtime/keyed-queue.ts'
import type { Timer, TimerQueue } from '../runtime/timer.ts'

export interface NodeWorkOptions {
  /**
   * Brings one node in line. Looks at the whole recorded state of the node, so that it does not matter what asked for it.
   *
   * @returns resolves when there is nothing left to do; rejects when it is to be tried again
   */
  readonly run: (name: string) => Promise<void>
  /** Nodes that are worked on at once (count). */
  readonly concurrency: number
  readonly clock: Clock
  readonly timers: TimerQueue
  /** @param delayMs until the next try */
  readonly onFailure: (name: string, error: unknown, attempt: number, delayMs: number) => void
}

/** After the n-th failure in a row the next try comes n times this later (ms). Cilium pkg/controller, errorRetryBaseDuration. */
const RETRY_BASE_MS = 1_000
/** The longest wait between two tries (ms). */
const RETRY_MAX_MS = 60_000

interface Work {
  isRunning: boolean
  isRequested: boolean
  /** In a row (count). */
  failures: number
  timer: Timer | undefined
}

/**
 * One worker for each node that has something to do: requests fold into one further run, a failed run is tried again after a growing
 * wait, and a node that fails keeps none of the others waiting.
 *
 * @source cilium pkg/controller/controller.go, as pkg/ipam/allocator/multipool/node_handler.go uses it
 */
export class NodeWork {
  readonly #options: NodeWorkOptions
  readonly #queue: KeyedQueue<string>
  /** Of nodes that are not at rest. */
  readonly #works = new Map<string, Work>()
  #idle = Promise.withResolvers<void>()
  #running = 0
  #isStopped = false

  constructor(options: NodeWorkOptions) {
    this.#options = options
    this.#queue = new KeyedQueue({ concurrency: options.concurrency, laneCount: 1 })
  }

  /** Nodes whose last run failed and will be tried again, sorted. */
  get failing(): readonly string[] {
    return [...this.#works].flatMap(([name, { failures }]) => (failures > 0 ? [name] : [])).sort()
  }

  request(name: string): void {
    if (this.#isStopped) return
    const work = this.#works.get(name) ?? { isRunning: false, isRequested: false, failures: 0, timer: undefined }
    this.#works.set(name, work)
    work.isRequested = true
    work.timer?.cancel()
    if (!work.isRunning) this.#enqueue(name, work)
  }

  /** Nothing further is done for the node; a run under way ends by itself. */
  forget(name: string): void {
    this.#works.get(name)?.timer?.cancel()
    this.#works.delete(name)
    this.#queue.cancel(name)
  }

  /** Starts nothing more and waits for what is under way, at most until the signal is aborted. */
  async stop(grace: AbortSignal): Promise<void> {
    this.#isStopped = true
    for (const name of this.#works.keys()) this.forget(name)
    if (this.#running === 0 || grace.aborted) return
    const onAbort = (): void => this.#idle.resolve()
    grace.addEventListener('abort', onAbort, { once: true })
    await this.#idle.promise
    grace.removeEventListener('abort', onAbort)
  }

  #enqueue(name: string, work: Work): void {
    // The queue folds: a name waits once.
    void this.#queue.run(name, 0, () => this.#run(name, work))
  }

  /** Never rejects. */
  async #run(name: string, work: Work): Promise<void> {
    if (this.#isStopped || this.#works.get(name) !== work || work.isRunning) return
    work.isRunning = true
    work.isRequested = false
    this.#running += 1
    let failure: { readonly error: unknown } | undefined
    try {
      await this.#options.run(name)
    } catch (error) {
      failure = { error }
    }
    this.#running -= 1
    work.isRunning = false
    if (this.#running === 0 && this.#isStopped) this.#idle.resolve()
    // Forgotten meanwhile, or asked for anew under the same name.
    if (this.#isStopped || this.#works.get(name) !== work) return
    if (failure === undefined) this.#succeeded(name, work)
    else this.#failed(name, work, failure.error)
  }

  #succeeded(name: string, work: Work): void {
    work.failures = 0
    if (work.isRequested) this.#enqueue(name, work)
    else this.#works.delete(name)
  }

  #failed(name: string, work: Work, error: unknown): void {
    const { clock, timers, onFailure } = this.#options
    work.failures += 1
    const delayMs = Math.min(work.failures * RETRY_BASE_MS, RETRY_MAX_MS)
    onFailure(name, error, work.failures, delayMs)
    work.timer ??= timers.timer(() => this.#enqueue(name, work))
    work.timer.setAt(clock.now() + delayMs)
  }
}
