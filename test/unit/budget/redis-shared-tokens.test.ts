import { describe, expect, test } from 'vitest'
import type { BudgetRequest } from '../../../src/budget/contracts.ts'
import { RedisRefusedError } from '../../../src/budget/redis-errors.ts'
import { openRedisSharedTokens } from '../../../src/budget/redis-shared-tokens.ts'
import type { RedisSharedTokens, SharingChange } from '../../../src/budget/redis-shared-tokens.ts'
import type { BucketRate } from '../../../src/budget/token-bucket.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { harness, requestOf, table } from './harness.ts'
import { FakeRedis } from './redis-fake.ts'

interface Controller {
  /** Calls made, with the time at which each was made. */
  readonly made: { readonly name: string; readonly atMs: number }[]
  readonly call: (name: string, request?: Partial<BudgetRequest>) => Promise<string>
  readonly shared: RedisSharedTokens
  readonly changes: SharingChange[]
  /** Keeps so many calls waiting or under way. */
  saturate(calls: number, request?: Partial<BudgetRequest>): void
}

const RATE: BucketRate = { size: 10, refillPerSecond: 5 }

class Account {
  readonly clock = new ManualClock()
  readonly redis = new FakeRedis(this.clock)

  async controller(rate: BucketRate = RATE): Promise<Controller> {
    const changes: SharingChange[] = []
    const shared = await openRedisSharedTokens({
      open: this.redis.open,
      clock: this.clock,
      random: seededRandom(1),
      onChange: (change) => void changes.push(change),
    })
    const { clock } = this
    const { budget } = harness({ clock, table: table({ Assign: rate }), shared })
    const made: { name: string; atMs: number }[] = []
    const call = (name: string, request: Partial<BudgetRequest> = {}): Promise<string> =>
      budget.run(requestOf(request), () => {
        made.push({ name, atMs: clock.now() })
        return Promise.resolve(name)
      })
    return {
      made,
      call,
      shared,
      changes,
      saturate(calls, request = {}) {
        const work = async (): Promise<never> => {
          for (;;) await call('busy', request)
        }
        for (let index = 0; index < calls; index++) void work()
      },
    }
  }
}

/** Fails when any window of time holds more calls than the bucket gives. */
function expectWithin(rate: BucketRate, controllers: readonly Controller[], isFrom: (atMs: number) => boolean): void {
  const times = controllers.flatMap(({ made }) => made.map(({ atMs }) => atMs)).filter(isFrom)
  times.sort((a, b) => a - b)
  for (const [first, fromMs] of times.entries()) {
    for (let last = first; last < times.length; last++) {
      const most = rate.size + (rate.refillPerSecond * (times[last]! - fromMs)) / 1000 + 1e-6
      if (last - first + 1 > most) throw new Error(`${last - first + 1} calls from ${fromMs} to ${times[last]} ms`)
    }
  }
}

const always = (): boolean => true

function callsIn({ made }: Controller, fromMs: number, toMs: number): number {
  return made.filter(({ atMs }) => atMs > fromMs && atMs <= toMs).length
}

describe('a bucket shared through Redis', () => {
  test('gives several controllers together what it has, and to each alike', async () => {
    const account = new Account()
    const a = await account.controller()
    const b = await account.controller()
    const c = await account.controller()
    for (const one of [a, b, c]) one.saturate(20)
    await account.clock.advance(60_000)
    expectWithin(RATE, [a, b, c], always)
    const total = a.made.length + b.made.length + c.made.length
    expect(total).toBeGreaterThanOrEqual(10 + 5 * 60 - 2)
    for (const one of [a, b, c]) expect(callsIn(one, 10_000, 60_000)).toBeGreaterThanOrEqual(80)
  })

  test('gives one controller everything while the others want nothing', async () => {
    const account = new Account()
    const a = await account.controller()
    const b = await account.controller()
    await b.call('one')
    a.saturate(20)
    await account.clock.advance(20_000)
    expect(callsIn(a, 5000, 20_000)).toBe(75)
  })

  test('costs one question for the calls of one moment, and none while they wait', async () => {
    const account = new Account()
    const a = await account.controller({ size: 100, refillPerSecond: 5 })
    await a.call('first')
    const before = account.redis.questions
    await Promise.all(Array.from({ length: 50 }, () => a.call('burst')))
    expect(account.redis.questions).toBe(before + 1)
  })

  test('adds one round trip to a call', async () => {
    const account = new Account()
    const a = await account.controller()
    await a.call('first')
    account.redis.latencyMs = () => 20
    const sinceMs = account.clock.now()
    const all = Promise.all([a.call('x'), a.call('y'), a.call('z')])
    await account.clock.advance(100)
    await all
    expect(a.made.slice(1).map(({ atMs }) => atMs - sinceMs)).toEqual([40, 40, 40])
  })

  test('gives a token that comes to the call that is most urgent then', async () => {
    const account = new Account()
    const a = await account.controller()
    const b = await account.controller()
    b.saturate(20)
    await account.clock.advance(5000)
    void a.call('reads', { priority: 'background' })
    await account.clock.advance(50)
    void a.call('pod', { priority: 'pod-waiting' })
    await account.clock.advance(1000)
    expect(a.made.map(({ name }) => name)).toEqual(['pod', 'reads'])
  })

  test('gets back what an aborted call had asked for', async () => {
    const account = new Account()
    const a = await account.controller()
    await a.call('first')
    account.redis.latencyMs = () => 20
    const aborted = new AbortController()
    const calls = Array.from({ length: 5 }, () => a.call('gone', { signal: aborted.signal }))
    aborted.abort(new Error('node deleted'))
    await Promise.allSettled([...calls, account.clock.advance(200)])
    expect(a.made).toHaveLength(1)
    expect(account.redis.level('Assign')).toBe(10)
  })

  test('gets back the place in line of a call that is aborted', async () => {
    const account = new Account()
    const a = await account.controller()
    const b = await account.controller()
    await a.call('first')
    for (let index = 0; index < 9; index++) void b.call('burst')
    await settle()
    const aborted = new AbortController()
    const call = a.call('gone', { signal: aborted.signal })
    await settle()
    expect(account.redis.level('Assign')).toBe(-1)
    aborted.abort(new Error('node deleted'))
    await expect(call).rejects.toThrow('node deleted')
    await account.clock.advance(2000)
    expect(account.redis.level('Assign')).toBe(10)
  })

  test('tells a newcomer to a drained bucket to wait for one token, not for the deficit that a burst left for a moment', async () => {
    const account = new Account()
    const a = await account.controller({ size: 100, refillPerSecond: 1 })
    const b = await account.controller({ size: 100, refillPerSecond: 1 })
    await a.call('first')
    await b.call('first')
    for (let index = 0; index < 98; index++) void b.call('drains')
    await settle()
    account.redis.latencyMs = () => 10
    // A believes the bucket full, so its burst overdraws until it gives back; in between B asks for one.
    for (let index = 0; index < 90; index++) void a.call('believes')
    await account.clock.advance(5)
    void b.call('one')
    await account.clock.advance(4000)
    expect(b.made.filter(({ name }) => name === 'one')).toHaveLength(1)
  })
})

describe('when Redis goes away', () => {
  test('each controller keeps to its share and says so once; when it comes back they share again', async () => {
    const account = new Account()
    const a = await account.controller()
    const b = await account.controller()
    a.saturate(20)
    b.saturate(20)
    await account.clock.advance(10_000)
    account.redis.goAway()
    await account.clock.advance(40_000)
    for (const one of [a, b]) {
      expect(callsIn(one, 15_000, 45_000)).toBeGreaterThanOrEqual(74)
      expect(callsIn(one, 15_000, 45_000)).toBeLessThanOrEqual(75)
      expect(one.changes).toMatchObject([{ kind: 'alone', controllers: 2, reason: { name: 'RedisAwayError' } }])
    }
    account.redis.forget() // it has restarted, and believes all buckets full
    account.redis.comeBack()
    await account.clock.advance(60_000)
    for (const one of [a, b]) expect(one.changes.map(({ kind }) => kind)).toEqual(['alone', 'shared'])
    expectWithin(RATE, [a, b], always)
    expect(callsIn(a, 90_000, 110_000) + callsIn(b, 90_000, 110_000)).toBeGreaterThanOrEqual(98)
  })

  test('in the middle of a question: the call is not lost', async () => {
    const account = new Account()
    const a = await account.controller()
    await a.call('first')
    account.redis.latencyMs = () => 50
    const call = a.call('asks')
    await account.clock.advance(60)
    account.redis.goAway()
    await account.clock.advance(500)
    expect(await call).toBe('asks')
  })

  test('an idle share is not more than what was left in the bucket', async () => {
    const account = new Account()
    const a = await account.controller()
    const b = await account.controller()
    await a.call('first')
    await b.call('first')
    await account.clock.advance(1000)
    for (let index = 0; index < 10; index++) void b.call('drains')
    await settle()
    void a.call('sees that it is empty')
    await account.clock.advance(1100)
    account.redis.goAway()
    await settle()
    for (let index = 0; index < 10; index++) void a.call('alone')
    await settle()
    expect(a.made.filter(({ name }) => name === 'alone').length).toBeLessThanOrEqual(3)
  })

  test('a Redis that comes and goes is not met by a flood of connections', async () => {
    const account = new Account()
    const a = await account.controller()
    await a.call('first')
    for (let index = 0; index < 60; index++) {
      account.redis.goAway()
      account.redis.comeBack()
      await account.clock.advance(1000)
    }
    expect(account.redis.sessions).toBeGreaterThanOrEqual(3)
    expect(account.redis.sessions).toBeLessThanOrEqual(8)
  })

  test.each([
    { name: 'kept its data', forgets: false },
    { name: 'lost its data', forgets: true },
  ])('and $name: what was used meanwhile is used up', async ({ forgets }) => {
    for (const outageMs of [300, 1500, 20_000]) {
      const account = new Account()
      const controllers = await Promise.all(Array.from({ length: 3 }, () => account.controller()))
      for (const one of controllers) one.saturate(20)
      await account.clock.advance(10_000)
      account.redis.goAway()
      await account.clock.advance(outageMs)
      if (forgets) account.redis.forget()
      account.redis.comeBack()
      await account.clock.advance(60_000)
      expectWithin({ ...RATE, size: RATE.size + 1 }, controllers, always)
      // And it is not punished for long: as soon as the level is made up for, everything is given again.
      const fromMs = account.clock.now() - 20_000
      const calls = controllers.reduce((sum, one) => sum + callsIn(one, fromMs, fromMs + 20_000), 0)
      expect(calls).toBeGreaterThanOrEqual(98)
    }
  })

  test('at the start: it is said, the whole bucket is used, and shared once Redis is there', async () => {
    const account = new Account()
    account.redis.goAway()
    const a = await account.controller()
    expect(a.changes).toMatchObject([{ kind: 'alone', controllers: 1 }])
    expect(await a.call('serves')).toBe('serves')
    expect(a.made).toHaveLength(1)
    account.redis.comeBack()
    await account.clock.advance(5000)
    expect(a.changes.map(({ kind }) => kind)).toEqual(['alone', 'shared'])
  })

  test('at the start, and it refuses: that is an error', async () => {
    const account = new Account()
    account.redis.refusal = new RedisRefusedError('redis://fake: WRONGPASS')
    await expect(account.controller()).rejects.toThrow('WRONGPASS')
  })

  test('a password that was changed meanwhile is said, besides that Redis is away', async () => {
    const account = new Account()
    const a = await account.controller()
    await a.call('first')
    account.redis.goAway()
    account.redis.refusal = new RedisRefusedError('redis://fake: WRONGPASS')
    await account.clock.advance(60_000)
    expect(a.changes.map((change) => change.kind === 'alone' && change.reason.name)).toEqual([
      'RedisAwayError',
      'RedisRefusedError',
    ])
  })

  test('for good, because it was closed: calls go on and nothing waits any more', async () => {
    const account = new Account()
    const a = await account.controller()
    a.saturate(20)
    await account.clock.advance(1000)
    a.shared.close()
    const before = a.made.length
    await account.clock.advance(10_000)
    expect(a.made.length - before).toBeGreaterThanOrEqual(40)
    expect(a.changes).toEqual([])
  })
})

describe('seeded worlds', () => {
  test.each(Array.from({ length: 30 }, (_, seed) => seed))('seed %i: never too much, nothing lost', async (seed) => {
    const random = seededRandom(seed)
    const pick = (most: number): number => Math.floor(random.next() * most)
    const account = new Account()
    const rate = { size: 1 + pick(30), refillPerSecond: 1 + pick(20) }
    const controllers: Controller[] = []
    for (let index = 0; index < 2 + pick(3); index++) controllers.push(await account.controller(rate))
    account.redis.latencyMs = () => pick(8)
    const endings: Promise<unknown>[] = []
    let completed = 0
    let wanted = 0
    for (let step = 0; step < 40; step++) {
      const { call } = controllers[pick(controllers.length)]!
      const abort = new AbortController()
      for (let index = pick(12); index > 0; index--) {
        const cost = 1 + pick(Math.min(2, rate.size))
        const request = { buckets: [{ bucket: 'Assign', cost }], signal: abort.signal }
        wanted += cost
        endings.push(
          call(String(cost), request).then(
            () => (completed += cost),
            () => (wanted -= cost),
          ),
        )
      }
      if (random.next() < 0.2) abort.abort(new Error('gone'))
      await account.clock.advance(pick(500))
    }
    await account.clock.advance((1000 * (wanted + 20)) / rate.refillPerSecond + 5000)
    await Promise.all(endings)
    expect(completed).toBe(wanted)
    // Each call at its time, as many times as it cost.
    const spread = controllers.map((one) => ({
      ...one,
      made: one.made.flatMap((made) => Array.from({ length: Number(made.name) }, () => made)),
    }))
    expectWithin({ ...rate, size: rate.size + 1 }, spread, always)
    await account.clock.advance((1000 * 40) / rate.refillPerSecond + 1000)
    expect(account.redis.level('Assign')).toBe(rate.size)
  })
})
