import { assert } from '../runtime/assert.ts'
import type { CallPriority } from '../runtime/call-priority.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import { Admission } from './admission.ts'
import type { AdmittedTaking, CandidateCall } from './admission.ts'
import { bottleneckHolder } from './bottleneck-holder.ts'
import { pauseMs } from './bucket.ts'
import type { Bucket } from './bucket.ts'
import { BucketSet, GLOBAL_BUCKET } from './bucket-set.ts'
import type { BucketSetOptions } from './bucket-set.ts'
import { CallDurations } from './call-durations.ts'
import type { APIBudget, BucketCharge, BudgetCalls, BudgetRequest, LedgerEntry, PendingCall } from './contracts.ts'
import { Ledger } from './ledger.ts'
import { PendingCalls } from './pending-calls.ts'
import type { TrackedCall } from './pending-calls.ts'
import type { SharedTokens } from './shared-tokens.ts'
import type { BucketRate } from './token-bucket.ts'
import type { TokenHolder } from './token-holder.ts'

/** The cloud refused a call for its rate: the call had no effect. */
export interface Refusal {
  /** What the cloud asked to wait (ms). */
  readonly retryAfterMs?: number
  /** The bucket that was empty, where the answer names it; otherwise every bucket of the call is suspected. */
  readonly bucket?: string
}

export interface APIBudgetOptions extends Omit<BucketSetOptions, 'onBucket'> {
  readonly clock: Clock
  readonly random: Random
  /** Classifies what a call threw: a refusal for the rate, or undefined for everything else. */
  readonly isThrottled: (error: unknown) => Refusal | undefined
  /** Called for calls that had to wait for a token, once per attempt. */
  readonly onWait?: (action: string, seconds: number) => void
  /** Who keeps the tokens; by default Bottleneck in this process. */
  readonly holder?: TokenHolder
  /** Where controllers of one account share their buckets; by default they are this process's own. */
  readonly shared?: SharedTokens
}

/** One bucket as it stands. */
export interface BucketView {
  readonly bucket: string
  /** Tokens that could be taken now (count, may be a fraction). */
  readonly tokens: number
  /** The rate assumed at present, after what refusals taught. */
  readonly refillPerSecond: number
  /** The rate to start from: that of the table, less what is left to others. */
  readonly fullRefillPerSecond: number
  /** How much longer it is left alone after refusals (ms; 0 = not at all). */
  readonly pausedMs: number
  readonly size: number
  /** Calls waiting for this bucket, by priority (count). */
  readonly waiting: Readonly<Record<CallPriority, number>>
}

export interface AdaptiveAPIBudget extends APIBudget, BudgetCalls {
  /** Ranks every call that waits under this signal anew, e.g. when a pod began to wait on its node. */
  rerank(signal: AbortSignal, priority: CallPriority): void
  /** The cloud told how many tokens are left (a rate header): never assume more than that. */
  observeRemaining(bucket: string, tokens: number): void
  /**
   * Lines that replace the table's, from now on. Calls that wait are judged by the new rates at once.
   *
   * @param overrides as the option of that name; empty: the table as it is
   */
  setOverrides(overrides: Readonly<Record<string, BucketRate>>): void
  /** Every bucket used so far, by name: for metrics and for reports. */
  buckets(): readonly BucketView[]
}

/** Refusals after which the caller gets the error (count). With the pauses between them, a dead quota is given up after about 30 s. */
export const MAX_REFUSALS = 8

/** By how much a call that was refused twice lets another one go first (ms): one turn of a timer. */
const YIELD_MS = 2

/** The life of one call in the budget. */
interface BudgetedCall extends TrackedCall {
  readonly request: BudgetRequest
  readonly charges: readonly BucketCharge[]
  readonly sequence: number
}

/** A call whose tokens are taken. */
interface AdmittedCall {
  readonly request: BudgetRequest
  readonly takings: readonly AdmittedTaking[]
  readonly admittedAtMs: number
  /** Whether it had to wait for its tokens. */
  readonly isLimiting: boolean
}

type Attempt<T> =
  | { readonly kind: 'answered'; readonly value: T }
  | { readonly kind: 'refused'; readonly error: unknown; readonly refusal: Refusal; readonly admittedAtMs: number }
  /** Not sent: another call found a bucket empty in the meantime, or another controller took the tokens. */
  | { readonly kind: 'withdrawn' }

/**
 * The queue in front of a cloud API (docs/decisions/0005-api-budget.md): the most urgent call that has its tokens goes
 * first, and no token is left while a call waits that could use it without delaying a more urgent one.
 */
export function createAPIBudget(options: APIBudgetOptions): AdaptiveAPIBudget {
  return new QueueingAPIBudget(options)
}

class QueueingAPIBudget implements AdaptiveAPIBudget {
  readonly #options: APIBudgetOptions
  readonly #clock: Clock
  readonly #holder: TokenHolder
  readonly #buckets: BucketSet
  readonly #admission: Admission
  readonly #ledger = new Ledger()
  /** When a call under this signal (that is, of this node) was refused, unless one was accepted since (ms). */
  readonly #refusedAtMs = new WeakMap<AbortSignal, number>()
  readonly #pending = new PendingCalls()
  readonly #durations = new CallDurations()
  #sequence = 0

  constructor(options: APIBudgetOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#holder = options.holder ?? bottleneckHolder()
    this.#buckets = new BucketSet({
      ...options,
      onBucket: (bucket) => options.shared?.attach(bucket, () => this.#admission.dispatch(options.clock.now())),
    })
    this.#admission = new Admission(options.clock, this.#buckets)
  }

  async run<T>(request: BudgetRequest, call: () => Promise<T>): Promise<T> {
    assert(request.buckets.length > 0, `${request.action} draws on no bucket`)
    for (const { bucket, cost } of request.buckets)
      assert(Number.isSafeInteger(cost) && cost > 0, `${request.action} draws ${cost} tokens on ${bucket}`)
    request.signal.throwIfAborted()
    const { action, reason, priority, signal } = request
    const charges = this.#chargesOf(request.buckets)
    const sinceMs = this.#clock.now()
    const budgeted: BudgetedCall = {
      request,
      action,
      reason,
      charges,
      buckets: charges.map(({ bucket }) => bucket),
      signal,
      sinceMs,
      priority,
      sequence: (this.#sequence += 1),
      refusals: 0,
      phase: 'queued',
      phaseSinceMs: sinceMs,
      position: undefined,
    }
    this.#pending.begin(budgeted)
    try {
      return await this.#untilAnswered(budgeted, call)
    } finally {
      this.#pending.end(budgeted)
    }
  }

  async #untilAnswered<T>(budgeted: BudgetedCall, call: () => Promise<T>): Promise<T> {
    const { request } = budgeted
    for (;;) {
      const attempt = await this.#attempt(budgeted, call)
      if (attempt.kind === 'answered') return attempt.value
      if (attempt.kind === 'refused') {
        const ownPauseMs = this.#learn(budgeted, attempt.refusal, attempt.admittedAtMs)
        if (budgeted.refusals >= MAX_REFUSALS) throw attempt.error
        if (ownPauseMs > 0) {
          this.#enter(budgeted, 'resting')
          await this.#clock.sleep(ownPauseMs, request.signal)
        }
      }
      request.signal.throwIfAborted()
    }
  }

  expectedWaitMs(request: Pick<BudgetRequest, 'buckets' | 'priority'>): number {
    return this.#admission.expectedWaitMs(this.#chargesOf(request.buckets), request.priority, this.#clock.now())
  }

  ledger(): readonly LedgerEntry[] {
    return this.#ledger.entries()
  }

  rerank(signal: AbortSignal, priority: CallPriority): void {
    this.#admission.rerank(signal, priority)
  }

  observeRemaining(bucket: string, tokens: number): void {
    const nowMs = this.#clock.now()
    this.#buckets.get(bucket, nowMs).observeRemaining(tokens, nowMs)
  }

  setOverrides(overrides: Readonly<Record<string, BucketRate>>): void {
    const nowMs = this.#clock.now()
    this.#buckets.setOverrides(overrides, nowMs)
    this.#admission.dispatch(nowMs)
  }

  buckets(): readonly BucketView[] {
    const nowMs = this.#clock.now()
    return this.#buckets.all().map((bucket) => ({
      bucket: bucket.name,
      tokens: bucket.available(nowMs),
      refillPerSecond: bucket.refillPerSecond,
      fullRefillPerSecond: bucket.fullRate.refillPerSecond,
      pausedMs: bucket.pausedMs(nowMs),
      size: bucket.size,
      waiting: this.#admission.waiting(bucket.name),
    }))
  }

  pendingCalls(signal: AbortSignal): readonly PendingCall[] {
    return this.#pending.of(signal)
  }

  durationMs(action: string): number | undefined {
    return this.#durations.meanMs(action)
  }

  #enter(budgeted: BudgetedCall, phase: TrackedCall['phase'], position?: TrackedCall['position']): void {
    budgeted.phase = phase
    budgeted.phaseSinceMs = this.#clock.now()
    budgeted.position = position
  }

  /** Waits for the tokens, then makes the call. */
  #attempt<T>(budgeted: BudgetedCall, call: () => Promise<T>): Promise<Attempt<T>> {
    const { request, charges } = budgeted
    const queuedAtMs = this.#clock.now()
    return new Promise((resolve, reject) => {
      const candidate: CandidateCall = {
        charges,
        signal: request.signal,
        sequence: budgeted.sequence,
        sinceMs: budgeted.sinceMs,
        get priority() {
          return budgeted.priority
        },
        set priority(priority) {
          budgeted.priority = priority
        },
        admit: (takings, nowMs) => {
          this.#enter(budgeted, 'sent')
          this.#noteWait(request, nowMs - queuedAtMs)
          resolve(this.#send({ request, takings, admittedAtMs: nowMs, isLimiting: nowMs > queuedAtMs }, call))
        },
        abandon: (nowMs) => {
          this.#ledger.waited(request.action, request.reason, nowMs - queuedAtMs)
          reject(request.signal.reason as Error)
        },
      }
      this.#enter(budgeted, 'queued', () => this.#admission.positionOf(candidate, this.#clock.now()))
      this.#admission.enqueue(candidate, queuedAtMs)
    })
  }

  /**
   * The tokens are taken: hands the call to the holder. A call that is aborted on the last metres gives its tokens back; one
   * whose bucket turned out to be empty queues again unsent, so that a burst into a drained account costs few refusals.
   */
  #send<T>(admitted: AdmittedCall, call: () => Promise<T>): Promise<Attempt<T>> {
    const { takings } = admitted
    const asked = takings.filter((taking) => taking.asked > 0)
    if (this.#options.shared === undefined || asked.length === 0) return this.#hand(admitted, call)
    const charges = asked.map(({ bucket, asked: cost }) => ({ bucket, cost }))
    return this.#options.shared.ask(charges).then((isPaid): Attempt<T> | Promise<Attempt<T>> => {
      if (isPaid) return this.#hand(admitted, call)
      this.#giveBack(admitted, (taking) => taking.cost - taking.asked)
      return { kind: 'withdrawn' }
    })
  }

  #hand<T>(admitted: AdmittedCall, call: () => Promise<T>): Promise<Attempt<T>> {
    const { request, takings, admittedAtMs, isLimiting } = admitted
    return this.#holder.run(takings, async (): Promise<Attempt<T>> => {
      const { signal, action, reason } = request
      if (signal.aborted) {
        this.#giveBack(admitted)
        throw signal.reason
      }
      if (takings.some(({ bucket }) => this.#buckets.get(bucket, admittedAtMs).hasRefusedSince(admittedAtMs))) {
        this.#giveBack(admitted)
        return { kind: 'withdrawn' }
      }
      this.#ledger.called(action, reason)
      const sentAtMs = this.#clock.now()
      try {
        const value = await call()
        const nowMs = this.#clock.now()
        this.#durations.observe(action, nowMs - sentAtMs)
        this.#refusedAtMs.delete(signal)
        for (const { bucket } of takings) this.#buckets.get(bucket, nowMs).accepted({ admittedAtMs, nowMs, isLimiting })
        return { kind: 'answered', value }
      } catch (error) {
        const refusal = this.#options.isThrottled(error)
        if (refusal === undefined) throw error
        this.#ledger.refused(action, reason)
        return { kind: 'refused', error, refusal, admittedAtMs }
      }
    })
  }

  /**
   * What a refusal teaches. A node that is refused again, although the same buckets served others since, has a trouble of
   * its own: it pauses alone and teaches nothing, so that one node cannot slow the others down.
   *
   * @returns how long this call alone has to pause before it queues again (ms)
   */
  #learn(budgeted: BudgetedCall, refusal: Refusal, admittedAtMs: number): number {
    const { signal } = budgeted.request
    const nowMs = this.#clock.now()
    const retryAfterMs = refusal.retryAfterMs ?? 0
    const jitter = this.#options.random.next()
    const suspects = this.#suspects(budgeted, refusal, nowMs)
    const refusedAtMs = this.#refusedAtMs.get(signal)
    const isOwnTrouble = refusedAtMs !== undefined && suspects.every((bucket) => bucket.hasAcceptedSince(refusedAtMs))
    this.#refusedAtMs.set(signal, nowMs)
    budgeted.refusals += 1
    if (isOwnTrouble) return Math.max(retryAfterMs, pauseMs(budgeted.refusals, jitter))
    for (const bucket of suspects) bucket.refused({ admittedAtMs, nowMs, retryAfterMs, jitter })
    // A first refusal is not the call's fault and costs it no place. After a second one somebody else, if there is anybody,
    // finds out whether tokens are back: that tells the bucket's trouble from the node's.
    if (budgeted.refusals === 1) return 0
    return YIELD_MS + Math.max(...suspects.map((bucket) => bucket.waitMs(1, nowMs)))
  }

  #suspects(budgeted: BudgetedCall, refusal: Refusal, nowMs: number): readonly Bucket[] {
    if (refusal.bucket !== undefined) return [this.#buckets.get(refusal.bucket, nowMs)]
    return budgeted.request.buckets.map(({ bucket }) => this.#buckets.get(bucket, nowMs))
  }

  #chargesOf(buckets: readonly BucketCharge[]): readonly BucketCharge[] {
    return this.#options.globalLimit === undefined ? buckets : [...buckets, { bucket: GLOBAL_BUCKET, cost: 1 }]
  }

  /**
   * Tokens of a call that was not sent. A bucket that was found empty since had none to give back.
   *
   * @param shared what of a taking was had from the shared store (tokens)
   */
  #giveBack(
    { takings, admittedAtMs }: AdmittedCall,
    shared: (taking: AdmittedTaking) => number = (taking) => taking.cost,
  ): void {
    const nowMs = this.#clock.now()
    for (const taking of takings) {
      const bucket = this.#buckets.get(taking.bucket, nowMs)
      if (bucket.hasRefusedSince(admittedAtMs)) continue
      bucket.giveBack(taking.cost, nowMs)
      const cost = shared(taking)
      if (cost > 0) this.#options.shared?.giveBack({ bucket: taking.bucket, cost })
    }
    this.#admission.dispatch(nowMs)
  }

  #noteWait(request: BudgetRequest, waitedMs: number): void {
    if (waitedMs <= 0) return
    this.#ledger.waited(request.action, request.reason, waitedMs)
    this.#options.onWait?.(request.action, waitedMs / 1000)
  }
}
