import type { Logger } from '../../src/ipam/contracts.ts'
import { CloudAPIError } from '../../src/ipam/errors.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { Random } from '../../src/runtime/random.ts'
import { untilAborted } from '../../src/runtime/until-aborted.ts'

/** Wait before the second attempt (ms); doubles with every further one. A choice: EC2's consistency settles within seconds. */
const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 60_000
/** Attempts of one job (count): about 8 minutes with the waits above; what is left then is for garbage collection. */
const MAX_ATTEMPTS = 12
/** Jobs at once (count): two interfaces for each of 10,000 nodes. */
const MAX_JOBS = 20_000

export interface BackgroundJob {
  /** For the ledger of calls and for logs. */
  readonly reason: string
  readonly fields: object
  /** One attempt. It throws when it failed, and may be called again. */
  readonly attempt: (context: CallContext) => Promise<void>
}

/**
 * Work that no pod waits for: attributes, clean-up. Each job is tried until it succeeds, with growing waits, a bounded number
 * of times. A job that is refused for good (permission, wrong request) is given up at once.
 */
export class BackgroundWork {
  readonly #clock: Clock
  readonly #random: Random
  readonly #log: Logger
  readonly #signal: AbortSignal
  readonly #jobs = new Set<Promise<void>>()

  /** @param deps.signal ends all jobs */
  constructor(deps: {
    readonly clock: Clock
    readonly random: Random
    readonly log: Logger
    readonly signal: AbortSignal
  }) {
    this.#clock = deps.clock
    this.#random = deps.random
    this.#log = deps.log
    this.#signal = deps.signal
  }

  /** Jobs that are not done (count). */
  get pendingCount(): number {
    return this.#jobs.size
  }

  /** Starts a job; its first attempt is made at once. */
  start(job: BackgroundJob): void {
    if (this.#jobs.size >= MAX_JOBS) {
      this.#log.error({ ...job.fields, reason: job.reason }, 'Too much work in the background, dropped a job')
      return
    }
    const running = this.#run(job).finally(() => this.#jobs.delete(running))
    this.#jobs.add(running)
  }

  /** Resolves when no job is left; rejects with the signal's reason. Jobs go on after that. */
  async settle(signal: AbortSignal): Promise<void> {
    while (this.#jobs.size > 0) await untilAborted(Promise.all(this.#jobs), signal)
  }

  /** Never rejects. */
  async #run(job: BackgroundJob): Promise<void> {
    const context: CallContext = { priority: 'background', reason: job.reason, signal: this.#signal }
    for (let attempt = 1; !this.#signal.aborted; attempt++) {
      try {
        await job.attempt(context)
        return
      } catch (error) {
        if (this.#signal.aborted) break
        const fields = { ...job.fields, reason: job.reason, attempt, error }
        if (attempt >= MAX_ATTEMPTS || isHopeless(error)) {
          this.#log.error(fields, 'Gave up work in the background')
          return
        }
        this.#log.debug(fields, 'Work in the background failed, will be repeated')
      }
      await this.#wait(attempt)
    }
    this.#log.warn({ ...job.fields, reason: job.reason }, 'Work in the background ended before it was done')
  }

  async #wait(attempt: number): Promise<void> {
    const waitMs = Math.min(FIRST_WAIT_MS * 2 ** (attempt - 1), LONGEST_WAIT_MS)
    try {
      await this.#clock.sleep(waitMs * (0.5 + this.#random.next() / 2), this.#signal)
    } catch (error) {
      if (!this.#signal.aborted) throw error
    }
  }
}

function isHopeless(error: unknown): boolean {
  return error instanceof CloudAPIError && (error.kind === 'denied' || error.kind === 'invalid')
}
