import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { BucketCharge } from '../../../src/budget/contracts.ts'
import { CALL_PRIORITIES } from '../../../src/runtime/call-priority.ts'
import type { CallPriority } from '../../../src/runtime/call-priority.ts'
import { harness, table } from './harness.ts'

const RATES = {
  A: { size: 5, refillPerSecond: 2 },
  B: { size: 3, refillPerSecond: 4 },
  C: { size: 1, refillPerSecond: 1 },
}
type BucketName = keyof typeof RATES
const BUCKET_NAMES: readonly BucketName[] = ['A', 'B', 'C']
/** Steps of the manual clock (ms). */
const STEP_MS = 50
/** Timers are rounded up to whole milliseconds. */
const GRAIN_MS = 1

interface Arrival {
  readonly afterMs: number
  readonly charges: readonly BucketCharge[]
  readonly priority: CallPriority
  /** The caller gives up after this; undefined = never. */
  readonly patienceMs: number | undefined
}

interface Fate {
  readonly arrival: Arrival
  readonly atMs: number
  admittedAtMs?: number
  abandonedAtMs?: number
}

const charges: fc.Arbitrary<readonly BucketCharge[]> = fc
  .subarray([...BUCKET_NAMES], { minLength: 1 })
  .chain((names) =>
    fc.tuple(...names.map((bucket) => fc.integer({ min: 1, max: 2 }).map((cost) => ({ bucket, cost })))),
  )

const arrivals = (patience: fc.Arbitrary<number | undefined>): fc.Arbitrary<Arrival[]> =>
  fc.array(
    fc.record({
      afterMs: fc.integer({ min: 0, max: 20 }).map((steps) => steps * STEP_MS),
      charges,
      priority: fc.constantFrom(...CALL_PRIORITIES),
      patienceMs: patience,
    }),
    { maxLength: 40 },
  )

const patient = fc.constant(undefined)
const impatient = fc.option(
  fc.integer({ min: 1, max: 60 }).map((steps) => steps * STEP_MS),
  { nil: undefined },
)

interface Run {
  readonly fates: readonly Fate[]
  /** At each step: who could go and does not. */
  readonly idle: readonly string[]
}

/** Plays the arrivals on a manual clock until every call has gone or was given up. */
async function play(list: readonly Arrival[]): Promise<Run> {
  const { budget, call, clock } = harness({ table: table(RATES) })
  const fates: Fate[] = []
  const idle: string[] = []
  const pending = [...list]
  const running: Promise<void>[] = []
  let dueMs = pending[0]?.afterMs ?? 0
  for (let step = 0; step < 4000; step++) {
    const nowMs = clock.now()
    for (let next = pending[0]; next !== undefined && dueMs <= nowMs; next = pending[0]) {
      pending.shift()
      dueMs += pending[0]?.afterMs ?? 0
      const fate: Fate = { arrival: next, atMs: nowMs }
      fates.push(fate)
      const controller = new AbortController()
      if (next.patienceMs !== undefined)
        clock.sleep(next.patienceMs, controller.signal).then(
          () => controller.abort(new Error('gave up')),
          () => undefined,
        )
      running.push(
        call('', { buckets: next.charges, priority: next.priority, signal: controller.signal }).then(
          () => {
            fate.admittedAtMs = clock.now()
            if (next.patienceMs !== undefined) controller.abort()
          },
          () => {
            fate.abandonedAtMs = clock.now()
          },
        ),
      )
    }
    await clock.advance(STEP_MS)
    idle.push(...idleNow(fates, budget.buckets(), clock.now()))
    if (pending.length === 0 && fates.every((fate) => fate.admittedAtMs ?? fate.abandonedAtMs)) break
  }
  await clock.advance(60_000)
  await Promise.all(running)
  return { fates, idle }
}

/** The most urgent waiting call must not have all its tokens. */
function idleNow(
  fates: readonly Fate[],
  buckets: readonly { readonly bucket: string; readonly tokens: number }[],
  nowMs: number,
): string[] {
  const waiting = fates.filter((fate) => fate.admittedAtMs === undefined && fate.abandonedAtMs === undefined)
  const first = waiting.sort(
    (a, b) =>
      CALL_PRIORITIES.indexOf(a.arrival.priority) - CALL_PRIORITIES.indexOf(b.arrival.priority) || a.atMs - b.atMs,
  )[0]
  if (first === undefined) return []
  const level = new Map(buckets.map(({ bucket, tokens }) => [bucket, tokens]))
  const isReady = first.arrival.charges.every(({ bucket, cost }) => {
    const { size, refillPerSecond } = RATES[bucket as BucketName]
    // Up to the grain of the timer a token may lie there unseen.
    return (level.get(bucket) ?? size) >= Math.min(cost, size) + (GRAIN_MS / 1000) * refillPerSecond
  })
  return isReady ? [`${nowMs}: ${JSON.stringify(first.arrival)}`] : []
}

/** In no window may more tokens be drawn than the bucket holds and is refilled with. */
function overdraft(fates: readonly Fate[], name: BucketName): string | undefined {
  const { size, refillPerSecond } = RATES[name]
  const draws = fates
    .flatMap(({ admittedAtMs, arrival }) =>
      admittedAtMs === undefined
        ? []
        : arrival.charges
            .filter(({ bucket }) => bucket === name)
            // A cost above the size is paid by those who come later.
            .map(({ cost }) => ({ atMs: admittedAtMs, cost: Math.min(cost, size) })),
    )
    .sort((a, b) => a.atMs - b.atMs)
  for (const [start, first] of draws.entries()) {
    let drawn = 0
    for (const draw of draws.slice(start)) {
      drawn += draw.cost
      const allowed = size + ((draw.atMs - first.atMs) / 1000) * refillPerSecond
      if (drawn > allowed + 1e-6) return `${name}: ${drawn} tokens within ${draw.atMs - first.atMs} ms`
    }
  }
  return undefined
}

describe('whatever comes', () => {
  test('no bucket is ever overdrawn', async () => {
    await fc.assert(
      fc.asyncProperty(arrivals(impatient), async (list) => {
        const { fates } = await play(list)
        for (const name of BUCKET_NAMES) expect(overdraft(fates, name)).toBeUndefined()
      }),
      { numRuns: 40 },
    )
  })

  test('the most urgent call never waits while its tokens are there', async () => {
    await fc.assert(
      fc.asyncProperty(arrivals(impatient), async (list) => {
        expect((await play(list)).idle).toEqual([])
      }),
      { numRuns: 40 },
    )
  })

  test('every patient call goes within the time that all tokens asked for take', async () => {
    await fc.assert(
      fc.asyncProperty(arrivals(patient), async (list) => {
        const { fates } = await play(list)
        const boundMs = BUCKET_NAMES.reduce((sum, name) => {
          const tokens = list.flatMap((one) => one.charges).filter(({ bucket }) => bucket === name)
          return sum + (tokens.reduce((total, { cost }) => total + cost, 0) / RATES[name].refillPerSecond) * 1000
        }, 0)
        for (const fate of fates)
          expect((fate.admittedAtMs ?? Number.NaN) - fate.atMs).toBeLessThanOrEqual(boundMs + list.length * GRAIN_MS)
      }),
      { numRuns: 40 },
    )
  })

  test('calls that are given up take no token with them', async () => {
    await fc.assert(
      fc.asyncProperty(arrivals(patient), fc.integer({ min: 1, max: 30 }), async (list, gaveUpCount) => {
        const { budget, call, clock } = harness({ table: table(RATES) })
        const node = new AbortController()
        const all = list.map((one) =>
          call('', { buckets: one.charges, priority: one.priority, signal: node.signal }).catch(() => undefined),
        )
        await clock.advance(gaveUpCount * STEP_MS)
        node.abort()
        await Promise.all(all)
        await clock.advance(20_000)
        expect(clock.sleeping).toBe(0)
        for (const { bucket, tokens, waiting } of budget.buckets()) {
          expect(tokens).toBe(RATES[bucket as BucketName].size)
          expect(Object.values(waiting).every((count) => count === 0)).toBe(true)
        }
      }),
      { numRuns: 40 },
    )
  })
})
