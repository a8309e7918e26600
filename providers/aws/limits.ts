import type { Logger } from '../../src/ipam/contracts.ts'
import type { Limits } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { untilAborted } from './background.ts'

/** Least time between two reads because of an unknown type (ms). @source cilium pkg/aws/limits (cilium/cilium#36922) */
const MIN_INTERVAL_MS = 60_000
/** Attempts of one read (count), and the wait between them (ms). @source cilium pkg/aws/limits */
const READ_ATTEMPTS = 2
const READ_RETRY_MS = 5000
/** Longest wait of a look-up for a read (ms): the reference's time-out and 10 %. @source cilium pkg/aws/limits */
const LOOKUP_TIMEOUT_MS = 5500

export interface LimitsTableOptions {
  /** All types of the region. @throws CloudAPIError */
  readonly read: (context: CallContext) => Promise<ReadonlyMap<string, Limits>>
  readonly clock: Clock
  readonly log: Logger
  /** Ends a read that nobody waits for. */
  readonly signal: AbortSignal
  /** For tests of other values; the defaults are the reference's. */
  readonly minIntervalMs?: number
  readonly timeoutMs?: number
}

/**
 * Network limits by instance type: filled once, long-lived, entries are never removed. An unknown type starts one read that all
 * who ask share, at most once a minute, and holds up nobody else.
 *
 * @source cilium pkg/aws/limits
 */
export class LimitsTable {
  readonly #options: LimitsTableOptions
  readonly #minIntervalMs: number
  readonly #timeoutMs: number
  readonly #limits = new Map<string, Limits>()
  #readAtMs: number | undefined
  #reading: Promise<void> | undefined

  constructor(options: LimitsTableOptions) {
    this.#options = options
    this.#minIntervalMs = options.minIntervalMs ?? MIN_INTERVAL_MS
    this.#timeoutMs = options.timeoutMs ?? LOOKUP_TIMEOUT_MS
  }

  /** Reads all types. @throws CloudAPIError when both attempts failed */
  async prepare(context: CallContext): Promise<void> {
    await this.#read(context)
  }

  /** What is known now, without waiting; an unknown type starts a read when one is due. */
  get(instanceType: string): Limits | undefined {
    const limits = this.#limits.get(instanceType)
    if (limits === undefined) this.#startReadIfDue()
    return limits
  }

  /** As `get`, but waits for the read, at most 5.5 s. @throws the signal's reason */
  async lookup(instanceType: string, signal: AbortSignal): Promise<Limits | undefined> {
    const known = this.get(instanceType)
    if (known !== undefined || this.#reading === undefined) return known
    const timer = new AbortController()
    const timeout = this.#options.clock.sleep(this.#timeoutMs, timer.signal).catch(() => undefined)
    try {
      await untilAborted(Promise.race([this.#reading, timeout]), signal)
    } finally {
      timer.abort()
    }
    return this.#limits.get(instanceType)
  }

  #startReadIfDue(): void {
    const { clock, log, signal } = this.#options
    if (this.#reading !== undefined || signal.aborted) return
    if (this.#readAtMs !== undefined && clock.now() - this.#readAtMs < this.#minIntervalMs) return
    this.#reading = this.#read({ priority: 'below-minimum', reason: 'unknown-instance-type', signal })
      .catch((error: unknown) => log.warn({ error }, 'Cannot read the limits of instance types'))
      .finally(() => {
        this.#reading = undefined
      })
  }

  async #read(context: CallContext): Promise<void> {
    const { clock, read } = this.#options
    this.#readAtMs = clock.now()
    for (let attempt = 1; ; attempt++) {
      try {
        for (const [instanceType, limits] of await read(context)) this.#limits.set(instanceType, limits)
        return
      } catch (error) {
        if (attempt >= READ_ATTEMPTS || context.signal.aborted) throw error
      }
      await clock.sleep(READ_RETRY_MS, context.signal)
    }
  }
}
