import type { Logger } from '../../src/ipam/contracts.ts'
import { CloudAPIError } from '../../src/ipam/errors.ts'
import type { Limits } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { untilAborted } from '../../src/runtime/until-aborted.ts'

/** Least time between two reads because of an unknown type (ms). @source cilium pkg/aws/limits (cilium/cilium#36922) */
const MIN_INTERVAL_MS = 60_000
/** Attempts of one read (count), and the wait between them (ms). @source cilium pkg/aws/limits */
const READ_ATTEMPTS = 2
const READ_RETRY_MS = 5000
/** Longest wait of a look-up for a read (ms): the reference's time-out and 10 %. @source cilium pkg/aws/limits */
const LOOKUP_TIMEOUT_MS = 5500

/**
 * Counts of an instance type that the operator has set; whether it takes prefixes is not theirs to say.
 *
 * @source cilium pkg/aws/limits (up to 1.17), aws-instance-limit-mapping
 */
export type MappedLimits = Pick<Limits, 'adapters' | 'ipv4' | 'ipv6'>

/** A type that nothing but the mapping knows: no hypervisor, so no prefixes. */
const UNKNOWN_TYPE = { hypervisorType: '', isBareMetal: false }

export interface LimitsTableOptions {
  /** All types of the region. @throws CloudAPIError */
  readonly read: (context: CallContext) => Promise<ReadonlyMap<string, Limits>>
  readonly clock: Clock
  readonly log: Logger
  /** Ends a read that nobody waits for. */
  readonly signal: AbortSignal
  /** Limits until EC2 answers; absent: none, and then it has to answer. */
  readonly builtIn?: ReadonlyMap<string, Limits>
  /** Interface slots of Nitro instances that are left to volumes, with which they share them (count); one slot stays. Absent: 0. */
  readonly reservedSlots?: number
  /** The operator's own counts: they hold whatever EC2 says. */
  readonly mapping?: ReadonlyMap<string, MappedLimits>
  /** For tests of other values; the defaults are the reference's. */
  readonly minIntervalMs?: number
  readonly timeoutMs?: number
}

/**
 * Network limits by instance type: filled once, long-lived, entries are never removed. An unknown type, and any type while EC2 has
 * never answered, starts one read that all who ask share, at most once a minute, and holds up nobody else.
 *
 * @source cilium pkg/aws/limits
 */
export class LimitsTable {
  readonly #options: LimitsTableOptions
  readonly #minIntervalMs: number
  readonly #timeoutMs: number
  readonly #limits = new Map<string, Limits>()
  #readAtMs: number | undefined
  #isRead = false
  #reading: Promise<void> | undefined

  constructor(options: LimitsTableOptions) {
    this.#options = options
    this.#minIntervalMs = options.minIntervalMs ?? MIN_INTERVAL_MS
    this.#timeoutMs = options.timeoutMs ?? LOOKUP_TIMEOUT_MS
    const { builtIn = new Map<string, Limits>(), mapping = new Map<string, MappedLimits>() } = options
    for (const [instanceType, limits] of builtIn) this.#limits.set(instanceType, this.#withoutReserved(limits))
    for (const [instanceType, counts] of mapping)
      this.#limits.set(instanceType, { ...UNKNOWN_TYPE, ...this.#limits.get(instanceType), ...counts })
  }

  /** Reads all types. @throws CloudAPIError when both attempts failed and there is no built-in table to go on with */
  async prepare(context: CallContext): Promise<void> {
    const { builtIn, log } = this.#options
    try {
      await this.#read(context)
    } catch (error) {
      if (builtIn === undefined || !(error instanceof CloudAPIError)) throw error
      log.warn(
        { error, count: builtIn.size },
        'Cannot read the limits of instance types, going on with the built-in ones',
      )
    }
  }

  /** What is known now, without waiting; an unknown type starts a read when one is due. */
  get(instanceType: string): Limits | undefined {
    const limits = this.#limits.get(instanceType)
    if (limits === undefined || !this.#isRead) this.#startReadIfDue()
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

  /** Counts that the operator mapped stay as they are mapped. */
  #withoutReserved(limits: Limits): Limits {
    const { reservedSlots = 0 } = this.#options
    const isNitro = limits.hypervisorType === 'nitro' || limits.isBareMetal
    if (!isNitro || reservedSlots === 0) return limits
    return { ...limits, adapters: Math.max(limits.adapters - reservedSlots, 1) }
  }

  async #read(context: CallContext): Promise<void> {
    const { clock, read, mapping } = this.#options
    this.#readAtMs = clock.now()
    for (let attempt = 1; ; attempt++) {
      try {
        for (const [instanceType, limits] of await read(context)) {
          const counts = mapping?.get(instanceType)
          this.#limits.set(
            instanceType,
            counts === undefined ? this.#withoutReserved(limits) : { ...limits, ...counts },
          )
        }
        this.#isRead = true
        return
      } catch (error) {
        if (attempt >= READ_ATTEMPTS || context.signal.aborted || isDenied(error)) throw error
      }
      await clock.sleep(READ_RETRY_MS, context.signal)
    }
  }
}

/** Asking again at once would not help. */
function isDenied(error: unknown): boolean {
  return error instanceof CloudAPIError && error.kind === 'denied'
}
