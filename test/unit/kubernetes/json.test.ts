import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JSONObject, JSONValue } from '../../../src/ipam/types.ts'
import { isObject, isSame, mergePatch } from '../../../src/kubernetes/json.ts'

/** RFC 7386, section 2, as written there. */
function applyMergePatch(target: JSONValue | undefined, patch: JSONValue | undefined): JSONValue | undefined {
  if (!isObject(patch)) return patch
  const result: Record<string, JSONValue> = isObject(target) ? { ...(target as Record<string, JSONValue>) } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name]
    else {
      const merged = applyMergePatch(result[name], value)
      if (merged !== undefined) result[name] = merged
    }
  }
  return result
}

const json = fc.letrec<{ value: JSONValue; object: JSONObject }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom('', 'a', 'b', 0, 1, true, false),
    fc.array(tie('value'), { maxLength: 2 }),
    tie('object'),
  ),
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), tie('value'), { maxKeys: 4 }),
})).object

describe('mergePatch', () => {
  test('applied to what was seen gives what is wanted, absent and empty being equal', () => {
    fc.assert(
      fc.property(json, json, (seen, wanted) => {
        const patch = mergePatch(seen, wanted)
        expect(isSame(applyMergePatch(seen, patch ?? {}), wanted)).toBe(true)
      }),
      { numRuns: 500, seed: 7 },
    )
  })

  test('is nothing exactly when both are the same', () => {
    fc.assert(
      fc.property(json, json, (seen, wanted) => {
        expect(mergePatch(seen, wanted) === undefined).toBe(isSame(seen, wanted))
      }),
      { numRuns: 500, seed: 8 },
    )
  })

  test('never writes what is equal already', () => {
    expect(mergePatch({ a: 1, b: { c: 2, d: 3 } }, { a: 1, b: { c: 2, d: 4 } })).toEqual({ b: { d: 4 } })
  })
})

describe('isSame', () => {
  test.each<[JSONValue | undefined, JSONValue | undefined, boolean]>([
    [undefined, {}, true],
    [{ a: [] }, {}, true],
    [{ a: { b: 0 } }, { c: '' }, true],
    [{ a: 1 }, {}, false],
    [[1, 2], [2, 1], false],
    [[1], [1, 0], false],
    [{ a: 1, b: 2 }, { b: 2, a: 1 }, true],
    ['1', 1, false],
    [[], {}, true],
  ])('%j and %j: %s', (left, right, same) => {
    expect(isSame(left, right)).toBe(same)
    expect(isSame(right, left)).toBe(same)
  })
})
