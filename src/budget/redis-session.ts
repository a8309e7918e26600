import Bottleneck from 'bottleneck'
import { Redis } from 'ioredis'
import { assert } from '../runtime/assert.ts'
import { RedisAwayError, readRedisError } from './redis-errors.ts'
import { redisAddress } from './redis-address.ts'
import type { BucketRate } from './token-bucket.ts'

/** One bucket in Redis. */
export interface RedisReservoir {
  /** Adds tokens, or takes them whether they are there or not. @returns the level after it (tokens, negative when overdrawn) */
  add(tokens: number): Promise<number>
  level(): Promise<number>
}

/** One life of the connection: any failure ends it, and the next one is a new session. */
export interface RedisSession {
  /** Resolves with the reason when the session is over, also after `close`. */
  readonly ended: Promise<Error>
  readonly isOver: boolean
  /** Opens a bucket, full when nobody has used it of late. Every controller must give the same rate; the latest one counts. */
  reservoir(bucket: string, rate: BucketRate): Promise<RedisReservoir>
  /** Controllers that have opened each of these buckets, this one included (counts, in the same order). */
  controllers(buckets: readonly string[]): Promise<readonly number[]>
  /** @param reason absent: closed in order */
  close(reason?: unknown): void
}

/** Opens a session. @throws RedisRefusedError, RedisAwayError */
export type OpenRedisSession = () => Promise<RedisSession>

/** Longest wait for a connection, and for any answer (ms). A Redis that is slower than this is of no use before a cloud call of 60 ms. */
const CONNECT_TIMEOUT_MS = 2000
const COMMAND_TIMEOUT_MS = 1000
/** How often each bucket shows a sign of life (ms); Bottleneck forgets a client that gave none for 10 s. */
const HEARTBEAT_MS = 1000
/** A bucket that nobody uses for so long is forgotten, and full again when it is used (ms). */
const LEAST_LIFE_MS = 10 * 60_000

/** Bottleneck's scripts take the time from their caller; refills must follow one clock, however wrong the controllers' clocks are. */
const CALLERS_TIME = 'local now = tonumber(ARGV[1])'
const SERVERS_TIME = `local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`

/**
 * Connects to a Redis server (not a cluster) and holds each bucket in the reservoir of a Bottleneck limiter on its
 * Redis store: refilled by Redis, exactly, by Redis's own clock.
 *
 * Tokens are taken with `incrementReservoir`, one atomic script and one round trip. `schedule` would take two before each call
 * and one after it, one call after the other (docs/decisions/0005-api-budget.md).
 *
 * @param url `redis://` or `rediss://`
 * @param prefix of the buckets' names in Redis, naming cloud, account and region
 */
export function redisSessions(url: string, prefix: string): OpenRedisSession {
  return async () => {
    const session = new BottleneckSession(url, prefix)
    try {
      await session.connect()
      return session
    } catch (error) {
      session.close()
      throw readRedisError(error, redisAddress(url))
    }
  }
}

class BottleneckSession implements RedisSession {
  readonly #address: string
  readonly #prefix: string
  readonly #client: Redis
  readonly #subscriber: Redis
  readonly #ended = Promise.withResolvers<Error>()
  readonly #channels = new Map<string, string>()
  #connection: Bottleneck.IORedisConnection | undefined
  #isOver = false

  constructor(url: string, prefix: string) {
    this.#address = redisAddress(url)
    this.#prefix = prefix
    this.#client = new Redis(url, {
      connectionName: 'berth',
      connectTimeout: CONNECT_TIMEOUT_MS,
      commandTimeout: COMMAND_TIMEOUT_MS,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    })
    this.#subscriber = this.#client.duplicate()
  }

  get ended(): Promise<Error> {
    return this.#ended.promise
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Both connections, and one use of a bucket: what the server does not allow is known now and not at the first call. */
  async connect(): Promise<void> {
    await Promise.all([this.#opened(this.#client), this.#opened(this.#subscriber)])
    const client = this.#client
    // Bottleneck would make the second connection, and load its scripts, itself.
    client.duplicate = () => this.#subscriber
    const defineCommand = client.defineCommand.bind(client)
    client.defineCommand = (name, definition) => {
      assert(definition.lua.includes(CALLERS_TIME), `Bottleneck's script ${name} takes its time from somewhere else`)
      defineCommand(name, { ...definition, lua: definition.lua.replace(CALLERS_TIME, SERVERS_TIME) })
    }
    this.#connection = new Bottleneck.IORedisConnection({ Redis, client })
    const probe = await this.reservoir('probe', { size: 1, refillPerSecond: 1 })
    await probe.add(0)
  }

  async reservoir(bucket: string, { size, refillPerSecond }: BucketRate): Promise<RedisReservoir> {
    assert(this.#connection !== undefined, 'a session is connected before it is used')
    const refill = {
      reservoirIncreaseAmount: 1,
      reservoirIncreaseInterval: 1000 / refillPerSecond,
      reservoirIncreaseMaximum: size,
    }
    const limiter = new Bottleneck({
      id: `berth:${this.#prefix}:${bucket}`,
      connection: this.#connection,
      heartbeatInterval: HEARTBEAT_MS,
      timeout: Math.max(LEAST_LIFE_MS, Math.ceil((2 * size * 1000) / refillPerSecond)),
      reservoir: size,
      ...refill,
    })
    limiter.on('error', (error) => this.#fail(error))
    // Bottleneck waits for ever when the connection is lost before a limiter is ready.
    await this.#orEnd(limiter.ready())
    // A bucket that others use has their rate; its declaration forgets that this is a promise.
    await this.#answer(Promise.resolve<unknown>(limiter.updateSettings(refill)))
    this.#channels.set(bucket, limiter.channel())
    const ask = async (question: Promise<number | null>): Promise<number> => {
      const level = await this.#answer(question)
      assert(level !== null, `bucket ${bucket} has no reservoir`)
      return level
    }
    return { add: (tokens) => ask(limiter.incrementReservoir(tokens)), level: () => ask(limiter.currentReservoir()) }
  }

  /** Whoever has opened a bucket listens on its channel, until its connection is gone: nothing has to be kept or forgotten. */
  async controllers(buckets: readonly string[]): Promise<readonly number[]> {
    if (buckets.length === 0) return []
    const channels = buckets.map((bucket) => this.#channels.get(bucket) ?? '')
    const reply = await this.#answer(this.#client.pubsub('NUMSUB', ...channels))
    return buckets.map((_, index) => Number(reply[2 * index + 1]))
  }

  close(reason: unknown = new RedisAwayError(`${this.#address}: the session was closed`)): void {
    this.#fail(reason)
  }

  #opened(client: Redis): Promise<void> {
    return new Promise((resolve, reject) => {
      // An error before `ready` is told again by `end`, without its reason; one after it ends the session.
      const onError = (error: Error): void => {
        reject(error)
        this.#fail(error)
      }
      client.on('error', onError)
      client.once('end', () => onError(new RedisAwayError(`${this.#address}: the connection ended`)))
      client.once('ready', resolve)
    })
  }

  /** An answer that comes or fails in bounded time: a command that fails ends the session. */
  async #answer<T>(question: Promise<T>): Promise<T> {
    try {
      return await question
    } catch (error) {
      throw this.#fail(error)
    }
  }

  #orEnd<T>(question: Promise<T>): Promise<T> {
    return this.#answer(Promise.race([question, this.#ended.promise.then((reason) => Promise.reject(reason))]))
  }

  /** Ends the session, once. */
  #fail(error: unknown): Error {
    const reason = readRedisError(error, this.#address)
    if (this.#isOver) return reason
    this.#isOver = true
    this.#ended.resolve(reason)
    if (this.#connection === undefined) {
      this.#client.disconnect()
      this.#subscriber.disconnect()
    } else {
      void this.#connection.disconnect(false) // also the limiters' signs of life
    }
    return reason
  }
}
