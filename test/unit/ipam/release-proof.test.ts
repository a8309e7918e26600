import { describe, expect, test } from 'vitest'
import { addressesOfPrefix } from '../../../src/ipam/ip-range.ts'
import {
  destructiveCallCount,
  isProven,
  singleAddresses,
  withinSurplus,
  withoutUsed,
  wordAtMs,
} from '../../../src/ipam/release-proof.ts'
import type { ReleaseAction } from '../../../src/ipam/types.ts'
import { usedMap } from '../../support/builders.ts'

const PREFIX = '10.0.0.16/28'
const action = (options: Partial<ReleaseAction>): ReleaseAction => ({
  interfaceID: 'eni-1',
  poolID: 'subnet-1',
  ipsToRelease: [],
  ipPrefixesToRelease: [],
  cidrsToRelease: [],
  ...options,
})

describe('isProven', () => {
  test.each([
    { name: 'a read after the word', syncedAtMs: 101, wordAtMs: 100, nowMs: 200, proven: true },
    { name: 'a read at the word', syncedAtMs: 100, wordAtMs: 100, nowMs: 200, proven: false },
    { name: 'a read before the word', syncedAtMs: 99, wordAtMs: 100, nowMs: 200, proven: false },
    { name: 'a read of just under a minute', syncedAtMs: 101, wordAtMs: 100, nowMs: 60_100, proven: true },
    { name: 'a read of a minute', syncedAtMs: 101, wordAtMs: 100, nowMs: 60_101, proven: false },
    { name: 'no read', syncedAtMs: undefined, wordAtMs: 100, nowMs: 200, proven: false },
  ])('$name: $proven', ({ syncedAtMs, wordAtMs, nowMs, proven }) => {
    expect(isProven({ syncedAtMs, wordAtMs }, nowMs)).toBe(proven)
  })
})

describe('withoutUsed', () => {
  test('withholds a used address', () => {
    const ipsToRelease = ['10.0.0.1', '10.0.0.2']
    expect(withoutUsed(action({ ipsToRelease }), usedMap(['10.0.0.2']))?.ipsToRelease).toEqual(['10.0.0.1'])
  })

  test('withholds a whole prefix for one used address, and its addresses with it', () => {
    const ipsToRelease = [...addressesOfPrefix(PREFIX), '10.0.1.1']
    const kept = withoutUsed(action({ ipsToRelease, ipPrefixesToRelease: [PREFIX] }), usedMap(['10.0.0.20']))
    expect(kept).toMatchObject({ ipsToRelease: ['10.0.1.1'], ipPrefixesToRelease: [] })
  })

  test('withholds a CIDR with a used address', () => {
    const cidrsToRelease = [PREFIX, '10.0.1.1/32', '10.0.1.2/32']
    const kept = withoutUsed(action({ cidrsToRelease }), usedMap(['10.0.0.31', '10.0.1.2']))
    expect(kept?.cidrsToRelease).toEqual(['10.0.1.1/32'])
  })

  test('is nothing when nothing is left', () => {
    expect(withoutUsed(action({ ipsToRelease: ['10.0.0.1'] }), usedMap(['10.0.0.1']))).toBeUndefined()
  })
})

test('withinSurplus takes as many CIDRs as leave no new need', () => {
  const cidrs = action({ cidrsToRelease: ['10.0.0.1/32', PREFIX, '10.0.0.2/32'] })
  expect(withinSurplus(cidrs, 17)?.cidrsToRelease).toEqual(['10.0.0.1/32', PREFIX])
  expect(withinSurplus(cidrs, 16)?.cidrsToRelease).toEqual(['10.0.0.1/32', '10.0.0.2/32'])
  expect(withinSurplus(cidrs, 0)).toBeUndefined()
  expect(withinSurplus(cidrs, -3)).toBeUndefined()
})

test('singleAddresses are those outside of the prefixes', () => {
  const ipsToRelease = [...addressesOfPrefix(PREFIX), '10.0.1.1']
  expect(singleAddresses(action({ ipsToRelease, ipPrefixesToRelease: [PREFIX] }))).toEqual(['10.0.1.1'])
})

test.each([
  { name: 'single addresses', given: action({ ipsToRelease: ['10.0.1.1'] }), calls: 1 },
  {
    name: 'a prefix',
    given: action({ ipsToRelease: addressesOfPrefix(PREFIX), ipPrefixesToRelease: [PREFIX] }),
    calls: 1,
  },
  {
    name: 'both',
    given: action({ ipsToRelease: [...addressesOfPrefix(PREFIX), '10.0.1.1'], ipPrefixesToRelease: [PREFIX] }),
    calls: 2,
  },
  { name: 'CIDRs of one size', given: action({ cidrsToRelease: ['10.0.1.1/32', '10.0.1.2/32'] }), calls: 1 },
  { name: 'CIDRs of both sizes', given: action({ cidrsToRelease: ['10.0.1.1/32', PREFIX] }), calls: 2 },
])('destructiveCallCount of $name is $calls', ({ given, calls }) => {
  expect(destructiveCallCount(given)).toBe(calls)
})

test('wordAtMs is the newest word, and nothing without a word for each', () => {
  const words = new Map([
    ['a', 5],
    ['b', 9],
  ])
  expect(wordAtMs(['a', 'b'], words)).toBe(9)
  expect(wordAtMs(['a', 'c'], words)).toBeUndefined()
})
