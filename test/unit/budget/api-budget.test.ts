import { describe, expect, test } from 'vitest'
import { MAX_REFUSALS } from '../../../src/budget/api-budget.ts'
import type { BudgetRequest } from '../../../src/budget/contracts.ts'
import { CALL_PRIORITIES } from '../../../src/runtime/call-priority.ts'
import { Throttled, harness, requestOf, table } from './harness.ts'

const names = (made: readonly { readonly name: string }[]): string[] => made.map(({ name }) => name)

describe('a call', () => {
  test('goes at once while there are tokens, and gets its answer', async () => {
    const { call, made } = harness()
    await expect(call('first')).resolves.toBe('first')
    expect(made).toEqual([{ name: 'first', atMs: 0 }])
  })

  test('gets the error that the cloud answered, after one attempt', async () => {
    const { budget } = harness()
    const failure = new Error('InsufficientFreeAddressesInSubnet')
    await expect(budget.run(requestOf(), () => Promise.reject(failure))).rejects.toBe(failure)
    expect(budget.ledger()).toMatchObject([{ calls: 1, refused: 0 }])
  })

  test('is refused as our mistake when it draws on nothing, or on parts of tokens', async () => {
    const { budget } = harness()
    const call = (): Promise<void> => Promise.resolve()
    await expect(budget.run(requestOf({ buckets: [] }), call)).rejects.toThrow('Assign draws on no bucket')
    await expect(budget.run(requestOf({ buckets: [{ bucket: 'Assign', cost: 0.5 }] }), call)).rejects.toThrow('0.5')
  })

  test('that costs more than the bucket holds waits for a full bucket, and the next one pays', async () => {
    const { call, clock, made } = harness({ table: table({ Assign: { size: 4, refillPerSecond: 1 } }) })
    const big = { buckets: [{ bucket: 'Assign', cost: 10 }] }
    const all = Promise.all([call('one'), call('big', big), call('two')])
    await clock.advance(30_000)
    await all
    expect(made).toEqual([
      { name: 'one', atMs: 0 },
      { name: 'big', atMs: 1000 },
      { name: 'two', atMs: 8000 },
    ])
  })
})

describe('N calls at once', () => {
  test.each([
    { calls: 20, size: 20, refillPerSecond: 4 },
    { calls: 24, size: 20, refillPerSecond: 4 },
    { calls: 300, size: 100, refillPerSecond: 5 },
    { calls: 500, size: 50, refillPerSecond: 10 },
    { calls: 92, size: 2, refillPerSecond: 3 },
  ])('$calls through $size + $refillPerSecond/s take (N - size) / refill', async ({ calls, size, refillPerSecond }) => {
    const { call, clock, made } = harness({ table: table({ Assign: { size, refillPerSecond } }) })
    const all = Promise.all(Array.from({ length: calls }, (_, index) => call(`${index}`)))
    await clock.advance(200_000)
    await all
    const boundMs = Math.max(0, (calls - size) / refillPerSecond) * 1000
    const lastMs = made.at(-1)?.atMs ?? Number.NaN
    expect(lastMs).toBeGreaterThanOrEqual(boundMs - 1e-6)
    expect(lastMs).toBeLessThanOrEqual(boundMs + 1)
  })

  test('take one step and the jitter longer where the cloud refills in steps at an unknown moment', async () => {
    const { call, clock, made } = harness({
      table: table({ Assign: { size: 100, refillPerSecond: 5 } }, 'stepwise'),
      jitterMs: 250,
    })
    const all = Promise.all(Array.from({ length: 300 }, (_, index) => call(`${index}`)))
    await clock.advance(60_000)
    await all
    expect(made.at(-1)?.atMs).toBeCloseTo(40_000 + 1250, -1)
  })

  test('leave the reserve to the account', async () => {
    const { call, clock, made } = harness({
      table: table({ Assign: { size: 10, refillPerSecond: 10 } }),
      reserveShare: 0.5,
    })
    const all = Promise.all(Array.from({ length: 15 }, (_, index) => call(`${index}`)))
    await clock.advance(10_000)
    await all
    expect(made.filter(({ atMs }) => atMs === 0)).toHaveLength(5)
    expect(made.at(-1)?.atMs).toBe(2000)
  })
})

describe('order', () => {
  test('by urgency, and by arrival within a class', async () => {
    const { call, clock, made } = harness()
    const all = [call('first', { priority: 'background' })]
    for (const round of [1, 2])
      for (const priority of CALL_PRIORITIES.toReversed()) all.push(call(`${priority} ${round}`, { priority }))
    await clock.advance(20_000)
    await Promise.all(all)
    expect(names(made)).toEqual(['first', ...CALL_PRIORITIES.flatMap((priority) => [`${priority} 1`, `${priority} 2`])])
  })

  test('a call ranked anew overtakes, and keeps its rank through a refusal', async () => {
    const { budget, call, clock, made } = harness()
    const node = new AbortController()
    await call('first')
    let refusals = 0
    const ranked = budget.run(requestOf({ priority: 'watermark', signal: node.signal }), () => {
      made.push({ name: 'ranked', atMs: clock.now() })
      refusals += 1
      return refusals === 1 ? Promise.reject(new Throttled()) : Promise.resolve()
    })
    const others = [call('minimum 1', { priority: 'below-minimum' }), call('minimum 2', { priority: 'below-minimum' })]
    budget.rerank(node.signal, 'pod-waiting')
    await clock.advance(20_000)
    await Promise.all([ranked, ...others])
    expect(names(made)).toEqual(['first', 'ranked', 'ranked', 'minimum 1', 'minimum 2'])
  })

  test('a flood of urgent calls delays a background read, but not for ever', async () => {
    const { call, clock, made } = harness()
    const flood = new AbortController()
    await call('first')
    const read = call('read', { priority: 'background' })
    const pods: Promise<string>[] = []
    for (let second = 0; second < 300; second++) {
      for (const _ of [1, 2]) pods.push(call('pod', { priority: 'pod-waiting', signal: flood.signal }))
      await clock.advance(1000)
    }
    flood.abort()
    await Promise.allSettled([...pods, read])
    const readAtMs = made.find(({ name }) => name === 'read')?.atMs
    // Overdue after 120 s, behind the pods that were overdue before it: those of the first 105 s, at one per second.
    expect(readAtMs).toBeGreaterThan(120_000)
    expect(readAtMs).toBeLessThan(2 * 105_000 + 4000)
  })

  test('calls that are overdue get one turn in four, so that pods that begin to wait are hardly delayed', async () => {
    const { call, clock, made } = harness()
    const flood = new AbortController()
    const old = Array.from({ length: 500 }, () => call('old', { signal: flood.signal }))
    await clock.advance(100_000)
    const pods: Promise<string>[] = []
    for (let second = 0; second < 200; second += 2) {
      pods.push(call(`${clock.now()}`, { priority: 'pod-waiting' }))
      await clock.advance(2000)
    }
    flood.abort()
    await Promise.allSettled([...old, ...pods])
    const waitsMs = made.filter(({ name }) => name !== 'old').map(({ name, atMs }) => atMs - Number(name))
    expect(waitsMs).toHaveLength(100)
    expect(Math.max(...waitsMs)).toBeLessThanOrEqual(2000)
    const turns = made.filter(({ atMs }) => atMs > 100_000).map(({ name }) => name === 'old')
    expect(turns.filter(Boolean).length).toBeGreaterThanOrEqual(turns.length / 4 - 1)
  })
})

describe('several buckets', () => {
  const two = { A: { size: 2, refillPerSecond: 1 }, B: { size: 1, refillPerSecond: 0.5 } }
  const onBoth = [
    { bucket: 'A', cost: 1 },
    { bucket: 'B', cost: 1 },
  ]

  test('a call takes all of its tokens or none', async () => {
    const { budget, call, clock } = harness({ table: table(two) })
    const all = [call('1', { buckets: onBoth }), call('2', { buckets: onBoth })]
    expect(budget.buckets()).toMatchObject([
      { bucket: 'A', tokens: 1, waiting: { watermark: 1 } },
      { bucket: 'B', tokens: 0, waiting: { watermark: 1 } },
    ])
    await clock.advance(2000)
    await Promise.all(all)
    expect(budget.buckets()).toMatchObject([
      { bucket: 'A', tokens: 1 },
      { bucket: 'B', tokens: 0 },
    ])
  })

  test('a less urgent call uses what a stuck one will not miss', async () => {
    const { call, clock, made } = harness({ table: table(two) })
    const onA = [{ bucket: 'A', cost: 1 }]
    const all = [
      call('1', { buckets: onBoth }),
      call('stuck on B', { buckets: onBoth, priority: 'pod-waiting' }),
      call('passes', { buckets: onA, priority: 'background' }),
    ]
    await clock.advance(5000)
    await Promise.all(all)
    expect(made).toEqual([
      { name: '1', atMs: 0 },
      { name: 'passes', atMs: 0 },
      { name: 'stuck on B', atMs: 2000 },
    ])
  })

  test('a stream of cheap calls cannot starve a dear one that is more urgent', async () => {
    const { call, clock, made } = harness({ table: table({ A: { size: 5, refillPerSecond: 1 } }) })
    const signal = AbortSignal.timeout(60_000)
    const cheap = (): Promise<string> =>
      call('cheap', { buckets: [{ bucket: 'A', cost: 1 }], priority: 'background', signal })
    const all = Array.from({ length: 5 }, cheap)
    all.push(call('dear', { buckets: [{ bucket: 'A', cost: 5 }], priority: 'below-minimum' }))
    for (let second = 0; second < 10; second++) {
      all.push(cheap())
      await clock.advance(1000)
    }
    await clock.advance(20_000)
    await Promise.all(all)
    expect(made.find(({ name }) => name === 'dear')?.atMs).toBe(5000)
  })

  test('the global limit meters all actions together', async () => {
    const { call, clock, made } = harness({
      table: table({ A: { size: 100, refillPerSecond: 20 }, B: { size: 100, refillPerSecond: 20 } }),
      globalLimit: { qps: 4, burst: 20 },
    })
    const all = Array.from({ length: 24 }, (_, index) =>
      call(`${index}`, { buckets: [{ bucket: index % 2 === 0 ? 'A' : 'B', cost: 1 }] }),
    )
    await clock.advance(2000)
    await Promise.all(all)
    expect(made.slice(18).map(({ atMs }) => atMs)).toEqual([0, 0, 250, 500, 750, 1000])
  })

  test('a refusal does not loosen or tighten the global limit', async () => {
    const { budget, clock } = harness({
      table: table({ A: { size: 100, refillPerSecond: 20 } }),
      globalLimit: { qps: 4, burst: 20 },
    })
    let attempts = 0
    const run = budget.run(requestOf({ buckets: [{ bucket: 'A', cost: 1 }] }), () => {
      attempts += 1
      return attempts === 1 ? Promise.reject(new Throttled()) : Promise.resolve()
    })
    await clock.advance(5000)
    await run
    expect(budget.buckets().find(({ bucket }) => bucket === 'limit-ipam-api')).toMatchObject({
      refillPerSecond: 4,
      tokens: 20,
    })
    expect(budget.buckets().find(({ bucket }) => bucket === 'A')?.refillPerSecond).toBeLessThan(20)
  })
})

describe('a call that is no longer wanted', () => {
  test('is not made when the signal is aborted already', async () => {
    const { call, made } = harness()
    const reason = new Error('node deleted')
    await expect(call('late', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(made).toEqual([])
  })

  test('leaves the queue at once, and its token goes to the next', async () => {
    const { budget, call, clock, made } = harness()
    const node = new AbortController()
    const reason = new Error('node deleted')
    await call('first')
    const gone = [call('gone 1', { signal: node.signal }), call('gone 2', { signal: node.signal })]
    const next = call('next')
    await clock.advance(500)
    node.abort(reason)
    for (const one of gone) await expect(one).rejects.toBe(reason)
    expect(budget.buckets()[0]?.waiting.watermark).toBe(1)
    await clock.advance(500)
    await next
    expect(made).toEqual([
      { name: 'first', atMs: 0 },
      { name: 'next', atMs: 1000 },
    ])
    expect(clock.sleeping).toBe(0)
  })

  test('gives its tokens back when it was already with the holder', async () => {
    let release = (): void => undefined
    const handedOver = new Promise<void>((resolve) => (release = resolve))
    const { budget, call, clock } = harness({
      holder: {
        async run(_takings, held) {
          await handedOver
          return held()
        },
      },
    })
    const node = new AbortController()
    const gone = call('gone', { signal: node.signal })
    const next = call('next')
    expect(budget.buckets()[0]?.tokens).toBe(0)
    node.abort(new Error('node deleted'))
    release()
    await expect(gone).rejects.toThrow('node deleted')
    await expect(next).resolves.toBe('next')
    expect(clock.now()).toBe(0)
    expect(budget.ledger()).toMatchObject([{ calls: 1 }])
  })

  test('stops waiting out a refusal', async () => {
    const { budget, clock } = harness()
    const node = new AbortController()
    const run = budget.run(requestOf({ signal: node.signal }), () => Promise.reject(new Throttled()))
    const outcome = expect(run).rejects.toThrow('node deleted')
    await clock.advance(1)
    node.abort(new Error('node deleted'))
    await outcome
    expect(clock.sleeping).toBe(0)
  })
})

describe('a refusal', () => {
  test('queues the call again before those that came later', async () => {
    const { budget, call, clock, made } = harness({ table: table({ Assign: { size: 5, refillPerSecond: 1 } }) })
    let attempts = 0
    const refused = budget.run(requestOf(), () => {
      attempts += 1
      made.push({ name: `attempt ${attempts}`, atMs: clock.now() })
      return attempts === 1 ? Promise.reject(new Throttled()) : Promise.resolve()
    })
    await clock.advance(0)
    const later = call('later')
    await clock.advance(10_000)
    await Promise.all([refused, later])
    expect(names(made)).toEqual(['attempt 1', 'attempt 2', 'later'])
    expect(budget.ledger()).toEqual([
      { action: 'Assign', reason: 'resolve-deficit', calls: 3, refused: 1, waitedMs: expect.any(Number) as number },
    ])
  })

  test('is given to the caller after so many attempts, some time later', async () => {
    const { budget, clock } = harness()
    let attempts = 0
    const refusal = new Throttled()
    const run = budget.run(requestOf(), () => {
      attempts += 1
      return Promise.reject(refusal)
    })
    const outcome = expect(run).rejects.toBe(refusal)
    await clock.advance(300_000)
    await outcome
    expect(attempts).toBe(MAX_REFUSALS)
    expect(clock.sleeping).toBe(0)
  })

  test('with a Retry-After keeps the bucket closed for so long', async () => {
    const { budget, call, clock, made } = harness({ table: table({ Assign: { size: 5, refillPerSecond: 1 } }) })
    let attempts = 0
    const refused = budget.run(requestOf(), () => {
      attempts += 1
      made.push({ name: 'attempt', atMs: clock.now() })
      return attempts === 1 ? Promise.reject(new Throttled({ retryAfterMs: 20_000 })) : Promise.resolve()
    })
    await clock.advance(0)
    const other = call('other')
    await clock.advance(30_000)
    await Promise.all([refused, other])
    expect(made).toEqual([
      { name: 'attempt', atMs: 0 },
      { name: 'attempt', atMs: 20_000 },
      { name: 'other', atMs: 20_000 },
    ])
  })

  test('that names its bucket leaves the others of the call alone', async () => {
    const { budget, clock } = harness({
      table: table({ A: { size: 5, refillPerSecond: 1 }, B: { size: 5, refillPerSecond: 1 } }),
    })
    let attempts = 0
    const request: Partial<BudgetRequest> = {
      buckets: [
        { bucket: 'A', cost: 1 },
        { bucket: 'B', cost: 1 },
      ],
    }
    const run = budget.run(requestOf(request), () => {
      attempts += 1
      return attempts === 1 ? Promise.reject(new Throttled({ bucket: 'B' })) : Promise.resolve()
    })
    await clock.advance(0)
    expect(budget.buckets()).toMatchObject([
      { bucket: 'A', tokens: 4, refillPerSecond: 1 },
      { bucket: 'B', tokens: 0, refillPerSecond: 0.7 },
    ])
    await clock.advance(5000)
    await run
  })

  test('of one node again and again slows nobody else down, though it asks for long pauses', async () => {
    const { budget, call, clock, made } = harness({ table: table({ Assign: { size: 1, refillPerSecond: 4 } }) })
    const node = new AbortController()
    let attempts = 0
    const failingCall = (): Promise<unknown> =>
      budget
        .run(requestOf({ priority: 'pod-waiting', signal: node.signal }), () => {
          attempts += 1
          return Promise.reject(new Throttled(attempts > 2 ? { retryAfterMs: 5000 } : {}))
        })
        .catch((error: unknown) => error)
    const failing = [failingCall()]
    await clock.advance(0)
    const others: Promise<string>[] = []
    for (let second = 0; second < 300; second++) {
      if (second % 60 === 59) failing.push(failingCall())
      others.push(call(`${second}`, { priority: 'background' }))
      await clock.advance(1000)
    }
    await clock.advance(5000)
    await Promise.all(others)
    // Two refusals in a row were taken for the bucket's; it is back at its rate, and no other call waited long.
    expect(attempts).toBeGreaterThan(3 * MAX_REFUSALS)
    expect(budget.buckets()[0]?.refillPerSecond).toBeGreaterThan(2.5)
    const waitsMs = made.map(({ name, atMs }) => atMs - Number(name) * 1000)
    expect(Math.max(...waitsMs)).toBeLessThan(3000)
    await clock.advance(600_000)
    for (const one of await Promise.all(failing)) expect(one).toBeInstanceOf(Throttled)
  })
})

describe('what it tells', () => {
  test('the expected wait is the wait, behind calls as urgent and before less urgent ones', async () => {
    const { budget, call, clock, made } = harness({ table: table({ Assign: { size: 2, refillPerSecond: 2 } }) })
    const buckets = [{ bucket: 'Assign', cost: 1 }]
    expect(budget.expectedWaitMs({ buckets, priority: 'background' })).toBe(0)
    const all = Array.from({ length: 8 }, (_, index) => call(`${index}`, { priority: 'below-minimum' }))
    expect(budget.expectedWaitMs({ buckets, priority: 'below-minimum' })).toBeCloseTo(3500)
    expect(budget.expectedWaitMs({ buckets, priority: 'pod-waiting' })).toBeCloseTo(500)
    all.push(call('last', { priority: 'below-minimum' }))
    await clock.advance(10_000)
    await Promise.all(all)
    expect(made.at(-1)).toEqual({ name: 'last', atMs: 3500 })
  })

  test('the expected wait of several buckets is that of the slowest', () => {
    const { budget, call } = harness({
      table: table({ A: { size: 1, refillPerSecond: 1 }, B: { size: 1, refillPerSecond: 0.1 } }),
    })
    const buckets = [
      { bucket: 'A', cost: 1 },
      { bucket: 'B', cost: 1 },
    ]
    void call('first', { buckets })
    expect(budget.expectedWaitMs({ buckets, priority: 'watermark' })).toBeCloseTo(10_000)
  })

  test('the ledger, by action and reason, with the time waited', async () => {
    const { budget, call, clock } = harness()
    const all = [
      call('1', { reason: 'resolve-deficit' }),
      call('2', { reason: 'resolve-deficit' }),
      call('3', { reason: 'full-sync', priority: 'background' }),
    ]
    await clock.advance(2000)
    await Promise.all(all)
    expect(budget.ledger()).toEqual([
      { action: 'Assign', reason: 'full-sync', calls: 1, refused: 0, waitedMs: 2000 },
      { action: 'Assign', reason: 'resolve-deficit', calls: 2, refused: 0, waitedMs: 1000 },
    ])
  })

  test('a wait is reported only for calls that waited', async () => {
    const waits: { action: string; seconds: number }[] = []
    const { call, clock } = harness({ onWait: (action, seconds) => waits.push({ action, seconds }) })
    const all = [call('1'), call('2')]
    await clock.advance(1000)
    await Promise.all(all)
    expect(waits).toEqual([{ action: 'Assign', seconds: 1 }])
  })

  test('a rate header lowers what is assumed to be there', async () => {
    const { budget, call, clock, made } = harness({ table: table({ Assign: { size: 10, refillPerSecond: 1 } }) })
    budget.observeRemaining('Assign', 1)
    const all = [call('1'), call('2')]
    await clock.advance(1000)
    await Promise.all(all)
    expect(made.map(({ atMs }) => atMs)).toEqual([0, 1000])
  })
})

describe('options', () => {
  test('an override replaces the line of the table', async () => {
    const { budget, call } = harness({ overrides: { Assign: { size: 7, refillPerSecond: 2 } } })
    await call('1')
    expect(budget.buckets()).toMatchObject([{ bucket: 'Assign', size: 7, refillPerSecond: 2, tokens: 6 }])
  })

  test.each([{ reserveShare: 1 }, { raisedLimitFactor: 0.5 }, { globalLimit: { qps: 0, burst: 1 } }])(
    'nonsense is our mistake: %o',
    (options) => {
      expect(() => harness(options)).toThrow()
    },
  )
})
