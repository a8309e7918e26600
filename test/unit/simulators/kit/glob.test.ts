import { expect, test } from 'vitest'
import { globMatcher, hasWildcard, unescapeGlob } from '../../../../simulators/kit/glob.ts'

test.each([
  ['Assign*', 'AssignPrivateIpAddresses', true],
  ['Assign*', 'UnassignPrivateIpAddresses', false],
  ['*Address*', 'AssignPrivateIpAddresses', true],
  ['*', '', true],
  ['*', 'anything', true],
  ['a*b*c', 'aXXbYYbZc', true],
  ['a*b*c', 'aXXbYY', false],
  ['10.0.?.1', '10.0.7.1', true],
  ['10.0.?.1', '10.0..1', false],
  ['a.c', 'abc', false],
  ['plain', 'Plain', false],
  ['100\\*', '100*', true],
  ['100\\*', '1000', false],
  ['\\?x', '?x', true],
])('%s against %s is %s', (pattern, text, expected) => {
  expect(globMatcher(pattern)(text)).toBe(expected)
})

test('knows a pattern that stands for one text', () => {
  expect(hasWildcard('a\\*b')).toBe(false)
  expect(unescapeGlob('a\\*b')).toBe('a*b')
  expect(hasWildcard('a*b')).toBe(true)
})

test('a hostile pattern stays cheap', () => {
  expect(globMatcher('*a'.repeat(60))('a'.repeat(59) + 'b'.repeat(5000))).toBe(false)
})
