import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createAPIBudget } from '../../src/budget/api-budget.ts'
import { redisSessions } from '../../src/budget/redis-session.ts'
import { openRedisSharedTokens } from '../../src/budget/redis-shared-tokens.ts'
import type { RedisSharedTokens, SharingChange } from '../../src/budget/redis-shared-tokens.ts'
import type { BucketRate } from '../../src/budget/token-bucket.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import { directHolder } from '../support/direct-holder.ts'
import { hasRedisServer, pause, RedisServer } from './redis-server.ts'

const clock = systemClock()
const RATE: BucketRate = { size: 50, refillPerSecond: 20 }
/** In Redis: 0.5 s of refills less, which are kept back for ways of different length. A stall of 2 s loses no token. */
const SIZE_IN_REDIS = 40

const cleanups: (() => void | Promise<void>)[] = []

afterEach(async () => {
  await Promise.allSettled(cleanups.splice(0).map(async (cleanup) => cleanup()))
})

async function startRedis(password?: string): Promise<RedisServer> {
  const server = await RedisServer.start(password)
  cleanups.push(() => server.kill())
  return server
}

class Controller {
  readonly sentAtMs: number[] = []
  readonly changes: SharingChange[] = []
  readonly shared: RedisSharedTokens
  readonly #budget
  readonly #work: Promise<void>[] = []
  #isStopped = false

  private constructor(shared: RedisSharedTokens, changes: SharingChange[]) {
    this.shared = shared
    this.changes = changes
    this.#budget = createAPIBudget({
      table: { refill: 'continuous', buckets: { Assign: RATE }, families: {}, fallback: RATE },
      clock,
      random: seededRandom(1),
      isThrottled: () => undefined,
      holder: directHolder,
      shared,
    })
  }

  static async start(url: string, account = 'aws/1/eu-central-1'): Promise<Controller> {
    const changes: SharingChange[] = []
    const shared = await openRedisSharedTokens({
      open: redisSessions(url, account),
      clock,
      random: seededRandom(1),
      onChange: (change) => void changes.push(change),
    })
    const controller = new Controller(shared, changes)
    cleanups.push(() => {
      void controller.stop()
      shared.close()
    })
    return controller
  }

  call(bucket = 'Assign'): Promise<void> {
    return this.#budget.run(
      {
        action: bucket,
        buckets: [{ bucket, cost: 1 }],
        priority: 'watermark',
        reason: 'resolve-deficit',
        signal: new AbortController().signal,
      },
      () => {
        this.sentAtMs.push(clock.now())
        return Promise.resolve()
      },
    )
  }

  saturate(calls = 20): void {
    const work = async (): Promise<void> => {
      while (!this.#isStopped) await this.call()
    }
    this.#work.push(...Array.from({ length: calls }, work))
  }

  /** Begins no call any more. @returns when those that wait have been made */
  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.#work)
  }

  /** Calls per second over the given time from now. */
  async rate(ms: number): Promise<number> {
    const [before, sinceMs] = [this.sentAtMs.length, clock.now()]
    await pause(ms)
    return ((this.sentAtMs.length - before) * 1000) / (clock.now() - sinceMs)
  }
}

/** The most calls in any window, above what the refill gives in it (count). */
function burst(controllers: readonly Controller[]): number {
  const times = controllers.flatMap(({ sentAtMs }) => sentAtMs).sort((a, b) => a - b)
  let most = 0
  for (const [first, fromMs] of times.entries()) {
    for (let last = first; last < times.length; last++) {
      most = Math.max(most, last - first + 1 - ((times[last]! - fromMs) * RATE.refillPerSecond) / 1000)
    }
  }
  return most
}

async function until(condition: () => boolean, ms = 10_000): Promise<void> {
  for (const untilMs = clock.now() + ms; !condition(); await pause(10)) {
    if (clock.now() > untilMs) throw new Error(`not reached within ${ms} ms: ${condition.toString()}`)
  }
}

describe.skipIf(!hasRedisServer)('the API budget shared through a real Redis (needs redis-server)', () => {
  test('two controllers together never exceed the bucket, use all of it, and get alike', async () => {
    const { url } = await startRedis()
    const [a, b] = [await Controller.start(url), await Controller.start(url)]
    const sinceMs = clock.now()
    a.saturate()
    b.saturate()
    await pause(1000)
    const rates = await Promise.all([a.rate(2500), b.rate(2500)])
    const seconds = (clock.now() - sinceMs) / 1000
    const total = a.sentAtMs.length + b.sentAtMs.length
    expect(burst([a, b])).toBeLessThanOrEqual(RATE.size)
    expect(total).toBeGreaterThanOrEqual(0.9 * (SIZE_IN_REDIS + seconds * RATE.refillPerSecond))
    for (const rate of rates) expect(rate).toBeGreaterThan(7)
  })

  test('one controller gets everything while the other wants nothing', async () => {
    const { url } = await startRedis()
    const [a, b] = [await Controller.start(url), await Controller.start(url)]
    await b.call()
    a.saturate()
    await pause(1200)
    expect(await a.rate(2000)).toBeGreaterThan(18)
  })

  test('accounts and actions have buckets of their own', async () => {
    const { url } = await startRedis()
    const [a, b] = [await Controller.start(url), await Controller.start(url, 'aws/2/eu-central-1')]
    const all = [a, b].flatMap((one) =>
      ['Assign', 'Describe'].flatMap((bucket) => Array.from({ length: 40 }, () => one.call(bucket))),
    )
    const sinceMs = clock.now()
    await Promise.all(all)
    expect(clock.now() - sinceMs).toBeLessThan(3000) // shared, the last of 160 would have waited for 6 s
  })

  test('the calls of one moment cost one script', async () => {
    const { url } = await startRedis()
    const observer = new Redis(url)
    cleanups.push(() => observer.disconnect())
    const scripts = async (): Promise<number> =>
      Number(/cmdstat_evalsha:calls=(\d+)/.exec(await observer.info('commandstats'))?.[1] ?? 0)
    const a = await Controller.start(url)
    await a.call() // the first one opens the bucket
    const before = await scripts()
    await Promise.all(Array.from({ length: 30 }, () => a.call()))
    // Two buckets, one of them the start's own, show a sign of life each second; a script for every call would be 30 and more.
    expect((await scripts()) - before).toBeLessThan(15)
  })

  test("Redis's clock counts: a controller whose clock is an hour ahead gets no more tokens", async () => {
    const { url } = await startRedis()
    const a = await Controller.start(url)
    a.saturate()
    await pause(300)
    const realNow = Date.now
    const spy = vi.spyOn(Date, 'now').mockImplementation(() => realNow() + 3_600_000)
    cleanups.push(() => spy.mockRestore())
    const b = await Controller.start(url)
    b.saturate()
    await pause(1000)
    expect(burst([a, b])).toBeLessThanOrEqual(RATE.size)
  })

  test('each keeps to its share when Redis goes away, and shares again when it comes back', async () => {
    const server = await startRedis()
    const [a, b] = [await Controller.start(server.url), await Controller.start(server.url)]
    a.saturate()
    b.saturate()
    await pause(1500) // the controllers are counted once a second
    await server.kill()
    await until(() => a.changes.length > 0 && b.changes.length > 0)
    await pause(600)
    for (const rate of await Promise.all([a.rate(2000), b.rate(2000)])) {
      expect(rate).toBeGreaterThan(8)
      expect(rate).toBeLessThan(12.5)
    }
    for (const { changes } of [a, b]) expect(changes).toMatchObject([{ kind: 'alone', controllers: 2 }])
    await server.start()
    await until(() => a.changes.length === 2 && b.changes.length === 2)
    await b.stop()
    expect(await a.rate(2000)).toBeGreaterThan(16)
    expect(a.changes.map(({ kind }) => kind)).toEqual(['alone', 'shared'])
    expect(burst([a, b])).toBeLessThanOrEqual(RATE.size)
  })

  test('a Redis that hangs counts as away after a second', async () => {
    const server = await startRedis()
    const a = await Controller.start(server.url)
    await a.call()
    server.freeze()
    cleanups.push(() => server.thaw())
    const sinceMs = clock.now()
    await a.call()
    expect(clock.now() - sinceMs).toBeLessThan(2500)
    expect(a.changes).toMatchObject([{ kind: 'alone' }])
    server.thaw()
    await until(() => a.changes.length === 2)
    expect(a.changes[1]).toEqual({ kind: 'shared' })
  })

  test.each([
    { name: 'a wrong password', url: (port: number) => `redis://:s3cret@127.0.0.1:${port}`, says: 'WRONGPASS' },
    { name: 'no password', url: (port: number) => `redis://127.0.0.1:${port}`, says: 'NOAUTH' },
    {
      name: 'a database that does not exist',
      url: (port: number) => `redis://:right@127.0.0.1:${port}/99`,
      says: 'DB index is out of range',
    },
  ])('$name is refused at the start, naming the server and no secret', async ({ url, says }) => {
    const server = await startRedis('right')
    const failure = await Controller.start(url(server.port)).catch((error: unknown) => error as Error)
    expect(failure).toMatchObject({ name: 'RedisRefusedError' })
    const { message, stack, cause } = failure as Error
    expect(message).toContain(`redis://127.0.0.1:${server.port}`)
    expect(message).toContain(says)
    expect(`${message}${stack}${JSON.stringify(failure)}`).not.toMatch(/s3cret|right@/)
    expect(cause).toBeUndefined()
  })

  test('the right password is accepted', async () => {
    const server = await startRedis('right')
    const a = await Controller.start(server.url)
    await a.call()
    expect(a.changes).toEqual([])
  })
})

describe('a URL that leads nowhere', () => {
  test('to another kind of server: refused', async () => {
    const server = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1')
    cleanups.push(
      () => server.closeAllConnections(),
      () => void server.close(),
    )
    await until(() => server.listening)
    const { port } = server.address() as AddressInfo
    await expect(Controller.start(`redis://127.0.0.1:${port}`)).rejects.toThrow(
      `redis://127.0.0.1:${port} does not answer like a Redis server`,
    )
  })

  test('to nobody: said, and the controller works without', async () => {
    const a = await Controller.start('redis://:s3cret@127.0.0.1:1')
    expect(a.changes).toMatchObject([{ kind: 'alone', controllers: 1, reason: { name: 'RedisAwayError' } }])
    expect(JSON.stringify(a.changes.map((change) => change.kind === 'alone' && change.reason.stack))).not.toContain(
      's3cret',
    )
    await a.call()
  })
})
