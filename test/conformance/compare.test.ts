import { describe, expect, test } from 'vitest'
import type { ComparisonRules } from './compare.ts'
import { describeMismatch, findMismatch } from './compare.ts'

interface Row {
  readonly name: string
  readonly expected: unknown
  readonly actual: unknown
  readonly rules?: ComparisonRules
}

describe('findMismatch', () => {
  test.each<Row>([
    { name: 'the same scalars', expected: { a: 1, b: true, c: 'x' }, actual: { a: 1, b: true, c: 'x' } },
    { name: 'texts of another case', expected: { a: 'Eni-1' }, actual: { a: 'eni-1' } },
    { name: 'null and absent', expected: { a: null }, actual: {} },
    { name: 'an empty text and null', expected: { a: '' }, actual: { a: null } },
    { name: 'null inside and absent inside', expected: { a: { b: null } }, actual: { a: {} } },
    { name: 'further members at the top', expected: { a: 1 }, actual: { a: 1, b: 2 } },
    {
      name: 'further members where the kind allows',
      expected: { a: { b: 1 } },
      actual: { a: { b: 1, c: 2 } },
      rules: { partial: ['a'] },
    },
    {
      name: 'further members below a wildcard',
      expected: { a: [{ b: 1 }] },
      actual: { a: [{ b: 1, c: 2 }] },
      rules: { partial: ['a.*'] },
    },
    {
      name: 'addresses in another order',
      expected: { a: ['10.0.0.1', '10.0.0.2'] },
      actual: { a: ['10.0.0.2', '10.0.0.1'] },
    },
    {
      name: 'CIDRs in another order',
      expected: { a: ['10.0.0.0/28', '2001:db8::/80'] },
      actual: { a: ['2001:db8::/80', '10.0.0.0/28'] },
    },
    { name: 'maps in another order', expected: { a: { x: 1, y: 2 } }, actual: { a: { y: 2, x: 1 } } },
    {
      name: 'a list that the kind leaves without order',
      expected: { a: [{ x: 1 }, { x: 2 }] },
      actual: { a: [{ x: 2 }, { x: 1 }] },
      rules: { unordered: ['a'] },
    },
    {
      name: 'every list without order',
      expected: { a: ['x', 'y'] },
      actual: { a: ['y', 'x'] },
      rules: { listOrder: 'unordered' },
    },
    {
      name: 'a number within an absolute tolerance',
      expected: { a: 1 },
      actual: { a: 1.04 },
      rules: { tolerance: { absolute: 0.05 } },
    },
    {
      name: 'a number within a relative tolerance',
      expected: { a: 1_000 },
      actual: { a: 1_000.9 },
      rules: { tolerance: { relative: 1e-3 } },
    },
    { name: 'any value of oneOf', expected: { a: { oneOf: ['x', 'y'], preferred: 'x' } }, actual: { a: 'y' } },
    { name: 'oneOf for the whole', expected: { oneOf: [{ a: 1 }, { a: 2 }] }, actual: { a: 2 } },
    {
      name: 'an unordered list whose items fit only in one pairing',
      expected: { a: [{ oneOf: [1, 2] }, 1] },
      actual: { a: [1, 2] },
      rules: { listOrder: 'unordered' },
    },
    { name: 'no expectation and no result', expected: undefined, actual: undefined },
  ])('accepts $name', ({ expected, actual, rules }) => {
    expect(findMismatch(expected, actual, rules)).toBeUndefined()
  })

  test.each<Row & { readonly path: string }>([
    { name: 'another number', expected: { a: 1 }, actual: { a: 2 }, path: 'a' },
    { name: 'a number as text', expected: { a: 1 }, actual: { a: '1' }, path: 'a' },
    { name: 'false and absent', expected: { a: false }, actual: {}, path: 'a' },
    { name: '0 and absent', expected: { a: 0 }, actual: {}, path: 'a' },
    { name: 'an empty list and absent', expected: { a: [] }, actual: {}, path: 'a' },
    { name: 'a value where none is expected', expected: { a: null }, actual: { a: 'x' }, path: 'a' },
    { name: 'a missing member', expected: { a: 'x' }, actual: {}, path: 'a' },
    {
      name: 'a further key of a map',
      expected: { a: {} },
      actual: { a: { '10.0.0.1': 'released' } },
      path: 'a.10.0.0.1',
    },
    { name: 'a missing key of a map', expected: { a: { x: 1 } }, actual: { a: {} }, path: 'a.x' },
    { name: 'a list instead of a map', expected: { a: {} }, actual: { a: [] }, path: 'a' },
    { name: 'a map instead of a list', expected: { a: [] }, actual: { a: {} }, path: 'a' },
    { name: 'a list with an item more', expected: { a: [1] }, actual: { a: [1, 1] }, path: 'a' },
    { name: 'names in another order', expected: { a: ['x', 'y'] }, actual: { a: ['y', 'x'] }, path: 'a.0' },
    {
      name: 'addresses in another order where the order counts',
      expected: { a: ['10.0.0.1', '10.0.0.2'] },
      actual: { a: ['10.0.0.2', '10.0.0.1'] },
      rules: { ordered: ['a'] },
      path: 'a.0',
    },
    {
      name: 'an address twice instead of two',
      expected: { a: ['10.0.0.1', '10.0.0.2'] },
      actual: { a: ['10.0.0.1', '10.0.0.1'] },
      path: 'a',
    },
    {
      name: 'two items that need the same partner',
      expected: { a: [{ oneOf: [1, 2] }, { oneOf: [1, 2] }, 1] },
      actual: { a: [1, 2, 3] },
      rules: { listOrder: 'unordered' },
      path: 'a',
    },
    {
      name: 'a number beyond its tolerance',
      expected: { a: 1 },
      actual: { a: 1.06 },
      rules: { tolerance: { absolute: 0.05 } },
      path: 'a',
    },
    { name: 'none of oneOf', expected: { a: { oneOf: ['x', 'y'] } }, actual: { a: 'z' }, path: 'a' },
    {
      name: 'a further member in a partial rule of another place',
      expected: { a: { b: 1 } },
      actual: { a: { b: 1, c: 2 } },
      rules: { partial: ['a.*', 'b'] },
      path: 'a.c',
    },
    { name: 'nothing at all', expected: { a: 1 }, actual: undefined, path: '' },
  ])('refuses $name', ({ expected, actual, rules, path }) => {
    expect(findMismatch(expected, actual, rules)?.path).toBe(path)
  })

  test('says where and what in one line', () => {
    const mismatch = findMismatch({ a: { b: [1] } }, { a: {} })!
    expect(describeMismatch(mismatch)).toBe('a.b: expected [1], got nothing')
    expect(describeMismatch({ path: '', expected: 1, actual: 2 })).toBe('expected 1, got 2')
  })
})
