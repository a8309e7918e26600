import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { JSONObject, JSONValue } from '../../src/ipam/types.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { ALL_ADAPTERS } from './adapters/all.ts'
import type { Condition, Difference } from './differences.ts'
import { applicableDifferences, DIFFERENCES, expectationWith } from './differences.ts'
import type { ConformanceCase } from './load-vectors.ts'
import { loadVectorFile, SUITES } from './load-vectors.ts'
import { runCase } from './run-cases.ts'

function coreCase(kind: string, input: JSONObject, expect: JSONValue, profile = 'all'): ConformanceCase {
  return { suite: 'core', id: 'case', kind, profile, bound: profile, input, expect, note: '' }
}

function difference(when: Condition): Difference {
  return { suite: 'core', kind: 'k', when, reason: 'because', instead: {} }
}

const INPUT: JSONObject = {
  count: 3,
  empty: {},
  list: ['a', 'b'],
  deep: { states: { a: 'released', c: 'marked' }, flag: false },
  subnets: { 'net/a': { free: 0 }, 'net/b': { free: 7 } },
  interfaces: [{ subnet: { id: 'net/a' } }, { subnet: { id: 'net/c' } }],
}

describe('applicableDifferences', () => {
  test.each<{ name: string; when: Condition; applies: boolean }>([
    { name: 'an empty object', when: { path: 'empty', is: 'empty' }, applies: true },
    { name: 'an absent path', when: { path: 'deep.nothing.here', is: 'empty' }, applies: true },
    { name: 'a list that is not empty', when: { path: 'list', is: 'notEmpty' }, applies: true },
    { name: 'false is not empty', when: { path: 'deep.flag', is: 'notEmpty' }, applies: true },
    { name: 'an equal scalar', when: { path: 'deep.flag', equals: false }, applies: true },
    { name: 'another scalar', when: { path: 'count', equals: 4 }, applies: false },
    { name: 'null for absent', when: { path: 'nothing', equals: null }, applies: true },
    { name: 'at least', when: { path: 'count', atLeast: 3 }, applies: true },
    { name: 'not at least', when: { path: 'count', atLeast: 4 }, applies: false },
    { name: 'not a number at all', when: { path: 'list', atLeast: 0 }, applies: false },
    { name: 'a text that matches', when: { path: 'deep.states.c', matches: '^mark' }, applies: true },
    { name: 'a text in another case', when: { path: 'deep.states.c', matches: 'MARK' }, applies: false },
    {
      name: 'a text, whatever its case',
      when: { path: 'deep.states.c', matches: 'MARK', ignoresCase: true },
      applies: true,
    },
    { name: 'an item of a list, by its index', when: { path: 'list.1', equals: 'b' }, applies: true },
    { name: 'a value of a map', when: { someItemOf: 'subnets', meets: { path: 'free', atLeast: 1 } }, applies: true },
    { name: 'no value of a map', when: { someItemOf: 'subnets', meets: { path: 'free', equals: 1 } }, applies: false },
    {
      name: 'a text of a list that is no key',
      when: { list: 'interfaces', path: 'subnet.id', isNoKeyOf: 'subnets' },
      applies: true,
    },
    {
      name: 'no text where the list has none',
      when: { list: 'interfaces', path: 'subnet.name', isNoKeyOf: 'subnets' },
      applies: false,
    },
    { name: 'the profile', when: { profile: ['latest'] }, applies: true },
    { name: 'another profile', when: { profile: ['1.14'] }, applies: false },
    {
      name: 'all of several',
      when: {
        all: [
          { path: 'count', equals: 3 },
          { path: 'list', is: 'empty' },
        ],
      },
      applies: false,
    },
    {
      name: 'any of several',
      when: {
        any: [
          { path: 'count', equals: 3 },
          { path: 'list', is: 'empty' },
        ],
      },
      applies: true,
    },
    { name: 'a negation', when: { not: { path: 'count', equals: 3 } }, applies: false },
    {
      name: 'a name in both',
      when: { some: { take: { path: 'list' }, and: [{ path: 'deep.states' }], without: [] } },
      applies: true,
    },
    {
      name: 'a key with another value',
      when: { some: { take: { path: 'deep.states', withValue: 'marked' }, and: [{ path: 'list' }], without: [] } },
      applies: false,
    },
    {
      name: 'a name that is taken out',
      when: { some: { take: { path: 'list' }, and: [], without: [{ path: 'list' }] } },
      applies: false,
    },
    { name: 'names at a scalar', when: { some: { take: { path: 'count' }, and: [], without: [] } }, applies: false },
  ])('$name: $applies', ({ when, applies }) => {
    const found = applicableDifferences(coreCase('k', INPUT, {}), 'latest', [difference(when)])
    expect(found.length > 0).toBe(applies)
  })

  test('only those of the case: suite and kind', () => {
    const always = difference({ all: [] })
    expect(applicableDifferences(coreCase('k', INPUT, {}), 'latest', [always])).toHaveLength(1)
    expect(applicableDifferences(coreCase('other', INPUT, {}), 'latest', [always])).toHaveLength(0)
    expect(applicableDifferences(coreCase('k', INPUT, {}), 'latest', [{ ...always, suite: 'aws' }])).toHaveLength(0)
  })
})

describe('expectationWith', () => {
  const testCase = coreCase('k', INPUT, { a: { a: 1, c: 2 }, b: 3, d: 4 })

  test('replaces, reduces and leaves out members', () => {
    const instead: Difference['instead'] = {
      a: { dropKeys: { take: { path: 'list' }, and: [], without: [] } },
      b: { to: [] },
      d: { unchecked: true },
    }
    const expected = expectationWith([{ ...difference({ all: [] }), instead }], testCase)
    expect(expected).toEqual({ a: { c: 2 }, b: [] })
  })

  test('leaves an expectation alone that has no members to replace', () => {
    const instead: Difference['instead'] = { b: { dropKeys: { take: { path: 'list' }, and: [], without: [] } } }
    expect(expectationWith([{ ...difference({ all: [] }), instead }], testCase)).toEqual(testCase.expect)
    expect(expectationWith([difference({ all: [] })], coreCase('k', INPUT, 5))).toBe(5)
  })
})

describe("the project's differences", () => {
  test('each is about a kind that the vectors have', () => {
    const kinds = new Set(
      SUITES.flatMap((suite) => loadVectorFile(join(import.meta.dirname, 'vectors', `${suite}.json`))).map(
        ({ suite, kind }) => `${suite} ${kind}`,
      ),
    )
    for (const { suite, kind } of DIFFERENCES) expect(kinds).toContain(`${suite} ${kind}`)
  })

  const pass = {
    state: { now: 1_000, delaySeconds: 180, marked: {}, local: {}, crd: {}, pool: ['10.0.0.5', '10.0.0.6'] },
    releaseEnabled: true,
    plan: null,
    allocationWanted: false,
    releaseCall: 'ok',
  }
  const plan = { interfaceId: 'eni-1', poolId: 'subnet-1', ips: ['10.0.0.5'] }
  const nothing = { released: null, mutated: false, error: false }

  /** What the reference does in such a pass, as a vector would expect it. */
  test.each([
    {
      name: 'the clock of an address that is not listed in a pass that ends early',
      input: { ...pass, state: { ...pass.state, marked: { '10.0.0.5': 700 } } },
      reference: { ...nothing, marked: { '10.0.0.5': 700 }, local: {}, crd: {} },
    },
    {
      name: 'an unpublished mark of an address that is not listed',
      input: { ...pass, state: { ...pass.state, local: { '10.0.0.5': 'marked-for-release' } } },
      reference: { ...nothing, marked: {}, local: { '10.0.0.5': 'marked-for-release' }, crd: {} },
    },
    {
      name: 'both at once',
      input: {
        ...pass,
        state: { ...pass.state, marked: { '10.0.0.5': 700 }, local: { '10.0.0.5': 'marked-for-release' } },
      },
      reference: { ...nothing, marked: { '10.0.0.5': 700 }, local: { '10.0.0.5': 'marked-for-release' }, crd: {} },
    },
    {
      name: 'a released address that is back and listed again',
      input: {
        ...pass,
        plan,
        state: {
          ...pass.state,
          marked: { '10.0.0.5': 700 },
          local: { '10.0.0.5': 'released' },
          crd: { '10.0.0.5': 'released' },
        },
      },
      reference: {
        ...nothing,
        marked: { '10.0.0.5': 700 },
        local: { '10.0.0.5': 'released' },
        crd: { '10.0.0.5': 'released' },
      },
    },
  ])('$name counts as a difference, not as a failure', async ({ input, reference }) => {
    const options = { adapters: ALL_ADAPTERS, differences: DIFFERENCES, clock: new ManualClock() }
    const testCase = coreCase('release_pass', input, reference)
    expect((await runCase(testCase, options)).kind).toBe('differ')
    expect((await runCase(testCase, { ...options, differences: [] })).kind).toBe('failed')
    // A result that is neither the reference's nor ours is a failure, whatever the predicate says.
    const wrong = coreCase('release_pass', input, { ...reference, mutated: true })
    expect((await runCase(wrong, options)).kind).toBe('failed')
  })
})
