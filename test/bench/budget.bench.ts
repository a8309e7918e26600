import { createAPIBudget } from '../../src/budget/api-budget.ts'
import type { AdaptiveAPIBudget, APIBudgetOptions } from '../../src/budget/api-budget.ts'
import { redisSessions } from '../../src/budget/redis-session.ts'
import { openRedisSharedTokens } from '../../src/budget/redis-shared-tokens.ts'
import { CALL_PRIORITIES } from '../../src/runtime/call-priority.ts'
import type { CallPriority } from '../../src/runtime/call-priority.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import { hasRedisServer, RedisServer } from '../integration/redis-server.ts'
import { directHolder } from '../support/direct-holder.ts'
import { check, elapsedMs, quantile, runBench, threadMicrosAsync } from './harness.ts'

/** What the API budget itself costs a call: waiting among thousands, Bottleneck, and a Redis. */

const SEED = 1
const WAITING = 10_000
const HELD = 1000
const SHARED = 200

/** Moves in one leap. */
class LeapingClock implements Clock {
  #nowMs = 0
  readonly #sleepers: { readonly dueMs: number; readonly wake: () => void }[] = []

  now(): number {
    return this.#nowMs
  }

  wallTime(): Date {
    return new Date(this.#nowMs)
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#sleepers.push({ dueMs: this.#nowMs + ms, wake: resolve })
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
  }

  leap(ms: number): void {
    this.#nowMs += ms
    for (const { wake } of this.#sleepers.splice(0)) wake()
  }
}

function budgetOf(clock: Clock, size: number, options: Partial<APIBudgetOptions> = {}): AdaptiveAPIBudget {
  const rate = { size, refillPerSecond: size }
  return createAPIBudget({
    table: { refill: 'continuous', buckets: { Assign: rate }, families: {}, fallback: rate },
    clock,
    random: seededRandom(SEED),
    isThrottled: () => undefined,
    jitterMs: 0,
    ...options,
  })
}

function call(
  budget: AdaptiveAPIBudget,
  priority: CallPriority = 'watermark',
  onCall = (): void => undefined,
): Promise<void> {
  const { signal } = new AbortController()
  const request = { action: 'Assign', buckets: [{ bucket: 'Assign', cost: 1 }], priority, reason: 'bench', signal }
  return budget.run(request, () => {
    onCall()
    return Promise.resolve()
  })
}

/** The bucket is empty; so many calls of all classes queue up, and all go when it is full again. → µs a call */
async function waitingCalls(): Promise<number> {
  const clock = new LeapingClock()
  const budget = budgetOf(clock, WAITING, { holder: directHolder })
  await Promise.all(Array.from({ length: WAITING }, () => call(budget)))
  const random = seededRandom(SEED)
  const priorities = Array.from(
    { length: WAITING },
    () => CALL_PRIORITIES[Math.floor(random.next() * 5)] ?? 'watermark',
  )
  const served: CallPriority[] = []
  const micros = await threadMicrosAsync(async () => {
    const calls = priorities.map((priority) => call(budget, priority, () => void served.push(priority)))
    check(served.length === 0, 'every call waits')
    clock.leap(1000)
    await Promise.all(calls)
  })
  const ranks = served.map((priority) => CALL_PRIORITIES.indexOf(priority))
  check(
    ranks.length === WAITING && ranks.every((rank, index) => rank >= (ranks[index - 1] ?? 0)),
    'the most urgent go first',
  )
  return micros / WAITING
}

/** → calls in a second through Bottleneck's reservoir. */
async function heldCalls(): Promise<number> {
  const budget = budgetOf(systemClock(), HELD)
  let made = 0
  const ms = await elapsedMs(async () => {
    await Promise.all(Array.from({ length: HELD }, () => call(budget, 'watermark', () => void (made += 1))))
  })
  check(made === HELD, 'every call was made')
  return (made * 1000) / ms
}

await runBench('budget', SEED, async (bench) => {
  await bench.figure({ name: `a call that waits, one of ${WAITING.toLocaleString('en-US')}`, unit: 'µs' }, waitingCalls)
  await bench.figure({ name: 'calls through Bottleneck, in a second', unit: 'calls' }, heldCalls)
  if (!hasRedisServer) return bench.skip('the budget shared through Redis', 'redis-server is not installed')
  const server = await RedisServer.start()
  try {
    const clock = systemClock()
    const shared = await openRedisSharedTokens({
      open: redisSessions(server.url, 'bench'),
      clock,
      random: seededRandom(SEED),
      onChange: ({ kind }) => check(kind === 'shared', 'Redis stays'),
    })
    const budget = budgetOf(clock, 1_000_000, { holder: directHolder, shared })
    await call(budget)
    await bench.figure(
      { name: 'a single call shared through Redis on this machine: its wait', unit: 'ms' },
      async () => {
        const waits: number[] = []
        for (let count = 0; count < SHARED; count++) waits.push(await elapsedMs(() => call(budget)))
        return quantile(
          waits.sort((a, b) => a - b),
          0.5,
        )
      },
    )
    await bench.figure({ name: `${SHARED} calls of one moment shared through Redis`, unit: 'ms' }, () =>
      elapsedMs(async () => void (await Promise.all(Array.from({ length: SHARED }, () => call(budget))))),
    )
    shared.close()
  } finally {
    await server.kill()
  }
})
