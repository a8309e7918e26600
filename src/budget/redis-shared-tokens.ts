import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { Bucket } from './bucket.ts'
import type { BucketCharge } from './contracts.ts'
import { RedisBucket } from './redis-bucket.ts'
import { RedisAwayError, RedisRefusedError } from './redis-errors.ts'
import type { OpenRedisSession, RedisSession } from './redis-session.ts'
import type { SharedTokens } from './shared-tokens.ts'

/** What an operator wants to know; each is told once, when it comes to be. */
export type SharingChange =
  /** Redis does not serve: every bucket is used up to this controller's share of it. */
  | { readonly kind: 'alone'; readonly reason: Error; readonly controllers: number }
  /** The buckets are shared again. */
  | { readonly kind: 'shared' }

export interface RedisSharedTokensOptions {
  readonly open: OpenRedisSession
  readonly clock: Clock
  readonly random: Random
  readonly onChange: (change: SharingChange) => void
}

export interface RedisSharedTokens extends SharedTokens {
  /** Lets go of Redis; calls still under way use up this controller's share. */
  close(): void
}

/** Between two tries to connect (ms): doubled each time, with jitter. */
const FIRST_RETRY_MS = 1000
const LONGEST_RETRY_MS = 30_000
/** A session that lasted less is as good as none, so that a Redis that comes and goes is not met by a flood of connections (ms). */
const STEADY_AFTER_MS = 30_000
/** How often the controllers are counted (ms). */
const COUNT_EVERY_MS = 1000

/**
 * Shares the buckets through Redis. When Redis goes away, each controller keeps to its part: one of as many as it last saw; when
 * it comes back, they share again (docs/decisions/0005-api-budget.md).
 *
 * @throws RedisRefusedError when Redis answers and does not let us in; a Redis that cannot be reached is waited for in the background
 */
export async function openRedisSharedTokens(options: RedisSharedTokensOptions): Promise<RedisSharedTokens> {
  const shared = new RedisTokens(options)
  await shared.start()
  return shared
}

class RedisTokens implements RedisSharedTokens {
  readonly #options: RedisSharedTokensOptions
  readonly #closing = new AbortController()
  readonly #buckets = new Map<string, RedisBucket>()
  #session: RedisSession | undefined
  /** The kind of trouble that was told last; undefined while the buckets are shared. */
  #told: string | undefined

  constructor(options: RedisSharedTokensOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const first = await this.#open()
    if (first instanceof RedisRefusedError) throw first
    if (first instanceof Error) this.#tell(first)
    void this.#keepOpen(first instanceof Error ? undefined : first)
  }

  attach(bucket: Bucket, wake: () => void): void {
    const controllers = this.#mostControllers()
    const one = new RedisBucket({ bucket, wake, clock: this.#options.clock, signal: this.#closing.signal })
    one.controllers = controllers
    this.#buckets.set(one.name, one)
    if (this.#session === undefined) one.keepShare()
    else void this.#join(one, this.#session)
  }

  async ask(charges: readonly BucketCharge[]): Promise<boolean> {
    const answers = await Promise.all(
      charges.map(async (charge) => ({
        charge,
        isPaid: (await this.#buckets.get(charge.bucket)?.ask(charge.cost)) === true,
      })),
    )
    if (answers.every(({ isPaid }) => isPaid)) return true
    for (const { charge, isPaid } of answers) if (isPaid) this.giveBack(charge)
    return false
  }

  giveBack({ bucket, cost }: BucketCharge): void {
    this.#buckets.get(bucket)?.giveBack(cost)
  }

  close(): void {
    this.#closing.abort(new Error('the shared budget is closed'))
    this.#session?.close()
    this.#session = undefined
    for (const bucket of this.#buckets.values()) bucket.leave()
  }

  /** One session after another, until closed. */
  async #keepOpen(first: RedisSession | undefined): Promise<void> {
    const { clock } = this.#options
    const { signal } = this.#closing
    let session = first
    let failures = first === undefined ? 1 : 0
    while (!signal.aborted) {
      if (session !== undefined) {
        const sinceMs = clock.now()
        const reason = await this.#use(session)
        if (signal.aborted) return
        failures = clock.now() - sinceMs >= STEADY_AFTER_MS ? 1 : failures + 1
        this.#leave(reason)
      }
      await clock.sleep(this.#retryMs(failures), signal).catch(() => undefined) // closed: the loop ends
      if (signal.aborted) return
      const next = await this.#open()
      if (next instanceof Error) {
        failures += 1
        this.#tell(next)
      }
      session = next instanceof Error ? undefined : next
    }
    session?.close()
  }

  /** @returns why the session ended */
  async #use(session: RedisSession): Promise<Error> {
    this.#session = session
    await Promise.all([...this.#buckets.values()].map((bucket) => this.#join(bucket, session)))
    if (this.#told !== undefined && !session.isOver) {
      this.#told = undefined
      this.#options.onChange({ kind: 'shared' })
    }
    void this.#countControllers(session)
    return session.ended
  }

  #leave(reason: Error): void {
    this.#session = undefined
    for (const bucket of this.#buckets.values()) bucket.leave()
    this.#tell(reason)
  }

  async #join(bucket: RedisBucket, session: RedisSession): Promise<void> {
    try {
      await bucket.join(session)
    } catch (error) {
      session.close(error) // as a rule it is over already
    }
  }

  async #countControllers(session: RedisSession): Promise<void> {
    const { clock } = this.#options
    try {
      for (;;) {
        await clock.sleep(COUNT_EVERY_MS, this.#closing.signal)
        if (session.isOver) return
        const buckets = [...this.#buckets.values()].filter(({ isShared }) => isShared)
        const counts = await session.controllers(buckets.map(({ name }) => name))
        for (const [index, bucket] of buckets.entries()) bucket.controllers = counts[index] ?? 1
      }
    } catch {
      // Closed, or the session has ended and its end is handled.
    }
  }

  async #open(): Promise<RedisSession | RedisAwayError | RedisRefusedError> {
    try {
      return await this.#options.open()
    } catch (error) {
      if (error instanceof RedisAwayError || error instanceof RedisRefusedError) return error
      throw error
    }
  }

  /** The same kind of trouble is told once; a Redis that came back and does not let us in is another kind. */
  #tell(reason: Error): void {
    if (this.#told === reason.name) return
    this.#told = reason.name
    this.#options.onChange({ kind: 'alone', reason, controllers: this.#mostControllers() })
  }

  #mostControllers(): number {
    return Math.max(1, ...[...this.#buckets.values()].map(({ controllers }) => controllers))
  }

  #retryMs(failures: number): number {
    const ms = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (Math.max(1, failures) - 1))
    return ms * (0.5 + this.#options.random.next() / 2)
  }
}
