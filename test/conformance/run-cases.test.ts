import { describe, expect, test } from 'vitest'
import { ManualClock } from '../support/manual-clock.ts'
import type { AdapterRegistry } from './adapter.ts'
import type { Difference } from './differences.ts'
import type { ConformanceCase } from './load-vectors.ts'
import type { RunnerOptions } from './run-cases.ts'
import { runCases, totalsLine } from './run-cases.ts'

const NO_ADAPTERS = { core: {}, aws: {}, azure: {}, alibabacloud: {}, agent: {} }

function options(core: AdapterRegistry, parts: Partial<RunnerOptions> = {}): RunnerOptions {
  return { adapters: { ...NO_ADAPTERS, core }, differences: [], clock: new ManualClock(), ...parts }
}

function testCase(parts: Partial<ConformanceCase> = {}): ConformanceCase {
  return {
    suite: 'core',
    id: 'c-1',
    kind: 'k',
    profile: 'all',
    bound: 'all',
    input: {},
    expect: { a: 1 },
    note: '',
    ...parts,
  }
}

async function linesOf(cases: readonly ConformanceCase[], runner: RunnerOptions): Promise<string[]> {
  const lines: string[] = []
  const totals = await runCases(cases, runner, (line) => lines.push(line))
  expect(lines.at(-1)).toBe(totalsLine(totals))
  return lines
}

describe('runCases', () => {
  test('counts, and says nothing of what passes', async () => {
    const lines = await linesOf([testCase(), testCase()], options({ k: () => ({ a: 1 }) }))
    expect(lines).toEqual(['2 passed, 0 failed, 0 differ, 0 skipped'])
  })

  test('one line for a failure, with kind, ID and place', async () => {
    const lines = await linesOf([testCase()], options({ k: () => ({ a: 2 }) }))
    expect(lines).toEqual(['failed: core k c-1: a: expected 1, got 2', '0 passed, 1 failed, 0 differ, 0 skipped'])
  })

  test('an adapter that throws fails its case alone, in one line', async () => {
    const runner = options({
      k: () => {
        throw new TypeError('first line\n  second line')
      },
      other: () => ({ a: 1 }),
    })
    expect(await linesOf([testCase(), testCase({ kind: 'other' })], runner)).toEqual([
      'failed: core k c-1: TypeError: first line second line',
      '1 passed, 1 failed, 0 differ, 0 skipped',
    ])
  })

  test('a kind without adapter is skipped and named once with its count', async () => {
    const cases = [
      testCase({ kind: 'new' }),
      testCase({ kind: 'new' }),
      testCase({ suite: 'aws', kind: 'constructor' }),
    ]
    expect(await linesOf(cases, options({}))).toEqual([
      'skipped: core new: 2 (no adapter)',
      'skipped: aws constructor: 1 (no adapter)',
      '0 passed, 0 failed, 0 differ, 3 skipped',
    ])
  })

  test('a difference on purpose is counted apart, with its reason', async () => {
    const difference: Difference = {
      suite: 'core',
      kind: 'k',
      when: { path: 'better', equals: true },
      reason: 'Two are better than one.',
      instead: { a: { to: 2 } },
    }
    const runner = options({ k: () => ({ a: 2 }) }, { differences: [difference] })
    const cases = [
      testCase({ input: { better: true } }),
      testCase(),
      testCase({ input: { better: true }, expect: { a: 2 } }),
    ]
    expect(await linesOf(cases, runner)).toEqual([
      'failed: core k c-1: a: expected 1, got 2',
      'differ: 1 of core k: Two are better than one.',
      '1 passed, 1 failed, 1 differ, 0 skipped',
    ])
  })

  test('an adapter gets the input, the profile and the case', async () => {
    const seen: unknown[] = []
    const given = testCase({ bound: '<=1.18', input: { x: 1 } })
    await linesOf(
      [given],
      options({
        k: (input, context) => {
          seen.push(input, context.profile, context.testCase)
          return { a: 1 }
        },
      }),
    )
    expect(seen).toEqual([{ x: 1 }, '1.18', given])
  })

  test('a kind may say how its result is compared, and bring both sides to one form', async () => {
    const runner = options({
      near: { run: () => ({ a: 1.01 }), comparison: { tolerance: { absolute: 0.1 } } },
      formed: { run: () => ({ a: 5 }), canonical: () => ({ a: 'same' }) },
    })
    const lines = await linesOf([testCase({ kind: 'near' }), testCase({ kind: 'formed' })], runner)
    expect(lines).toEqual(['2 passed, 0 failed, 0 differ, 0 skipped'])
  })

  test('an adapter that never answers fails its case after a minute', async () => {
    const clock = new ManualClock()
    const running = linesOf([testCase()], options({ k: () => new Promise(() => undefined) }, { clock }))
    await clock.advance(60_000)
    expect((await running)[0]).toBe('failed: core k c-1: Error: no result within 60 s')
  })

  test('nothing keeps waiting once a case has its result', async () => {
    const clock = new ManualClock()
    await linesOf([testCase()], options({ k: () => Promise.resolve({ a: 1 }) }, { clock }))
    expect(clock.sleeping).toBe(0)
  })
})
