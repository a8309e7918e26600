import type { OpenRedisSession, RedisReservoir, RedisSession } from '../../../src/budget/redis-session.ts'
import { RedisAwayError } from '../../../src/budget/redis-errors.ts'
import type { BucketRate } from '../../../src/budget/token-bucket.ts'
import type { Clock } from '../../../src/runtime/clock.ts'

interface Kept {
  rate: BucketRate
  tokens: number
  refilledMs: number
}

/** A Redis in memory, on the test's clock: refills a whole token at a time, as Bottleneck's script does. Can be away, and be slow. */
export class FakeRedis {
  readonly #clock: Clock
  readonly #kept = new Map<string, Kept>()
  readonly #sessions = new Set<FakeSession>()
  /** What opening a session throws; undefined: it opens. */
  refusal: Error | undefined
  /** Each way (ms). */
  latencyMs: () => number = () => 0
  /** Sessions opened since the start (count). */
  sessions = 0
  /** Questions answered since the start (count). */
  questions = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  readonly open: OpenRedisSession = () => {
    if (this.refusal !== undefined) return Promise.reject(this.refusal)
    const session = new FakeSession(this)
    this.#sessions.add(session)
    this.sessions += 1
    return Promise.resolve(session)
  }

  /** Every session ends, and no other opens. */
  goAway(): void {
    this.refusal = new RedisAwayError('redis://fake: connect ECONNREFUSED')
    for (const session of this.#sessions) session.close(this.refusal)
  }

  comeBack(): void {
    this.refusal = undefined
  }

  /** As after a restart without persistence. */
  forget(): void {
    this.#kept.clear()
  }

  level(bucket: string): number {
    const kept = this.#kept.get(bucket)
    if (kept === undefined) throw new Error(`nobody has opened ${bucket}`)
    const intervalMs = 1000 / kept.rate.refillPerSecond
    const steps = Math.floor((this.#clock.now() - kept.refilledMs) / intervalMs + 1e-9)
    kept.refilledMs += steps * intervalMs
    kept.tokens += Math.max(0, Math.min(steps, kept.rate.size - kept.tokens))
    return kept.tokens
  }

  async use<T>(session: FakeSession, question: () => T): Promise<T> {
    await this.#way(session)
    const answer = question()
    this.questions += 1
    await this.#way(session)
    return answer
  }

  openBucket(bucket: string, rate: BucketRate): void {
    const kept = this.#kept.get(bucket)
    if (kept === undefined) this.#kept.set(bucket, { rate, tokens: rate.size, refilledMs: this.#clock.now() })
    else kept.rate = rate
  }

  add(bucket: string, tokens: number): number {
    const level = this.level(bucket) + tokens
    this.#kept.get(bucket)!.tokens = level
    return level
  }

  users(bucket: string): number {
    return [...this.#sessions].filter((session) => !session.isOver && session.buckets.has(bucket)).length
  }

  async #way(session: FakeSession): Promise<void> {
    const ms = this.latencyMs()
    if (ms > 0) await this.#clock.sleep(ms, session.over.signal)
    session.over.signal.throwIfAborted()
  }
}

class FakeSession implements RedisSession {
  readonly buckets = new Set<string>()
  readonly over = new AbortController()
  readonly #redis: FakeRedis
  readonly #ended = Promise.withResolvers<Error>()

  constructor(redis: FakeRedis) {
    this.#redis = redis
  }

  get ended(): Promise<Error> {
    return this.#ended.promise
  }

  get isOver(): boolean {
    return this.over.signal.aborted
  }

  reservoir(bucket: string, rate: BucketRate): Promise<RedisReservoir> {
    return this.#redis.use(this, () => {
      this.#redis.openBucket(bucket, rate)
      this.buckets.add(bucket)
      return {
        add: (tokens) => this.#redis.use(this, () => this.#redis.add(bucket, tokens)),
        level: () => this.#redis.use(this, () => this.#redis.level(bucket)),
      }
    })
  }

  controllers(buckets: readonly string[]): Promise<readonly number[]> {
    return this.#redis.use(this, () => buckets.map((bucket) => this.#redis.users(bucket)))
  }

  close(reason: unknown = new RedisAwayError('closed')): void {
    if (this.isOver) return
    this.over.abort(reason)
    this.#ended.resolve(reason as Error)
  }
}
