import { describe, expect, test } from 'vitest'
import { matchesLabels, parseFieldSelector, parseLabelSelector } from '../../../../simulators/kubernetes/selectors.ts'

const LABELS = { app: 'web', tier: 'front', rank: '7', 'a.io/b': '' }

test.each<[selector: string, isMatch: boolean]>([
  ['', true],
  ['app=web', true],
  ['app==web', true],
  ['app = web , tier=front', true],
  ['app=web,tier=back', false],
  ['app!=web', false],
  ['missing!=web', true],
  ['app', true],
  ['missing', false],
  ['!missing', true],
  ['! app', false],
  ['app in (web, api)', true],
  ['app in (api)', false],
  ['missing in (web)', false],
  ['app notin (api,db),tier', true],
  ['missing notin (x)', true],
  ['a.io/b', true],
  ['a.io/b=', true],
  ['rank>6', true],
  ['rank>7', false],
  ['rank<8', true],
  ['missing<8', false],
  ['app>1', false],
])('label selector %j: %s', (selector, isMatch) => {
  expect(matchesLabels(LABELS, parseLabelSelector(selector))).toBe(isMatch)
})

test.each(['=web', 'app in web', 'app in (web', 'a b', 'app=web,,tier', 'app=-x', 'rank>high', '-x', 'a/b/c'])(
  'label selector %j does not parse',
  (selector) => {
    expect(() => parseLabelSelector(selector)).toThrow(
      expect.objectContaining({ status: expect.objectContaining({ code: 400 }) }),
    )
  },
)

describe('field selectors', () => {
  const readers = { 'metadata.name': () => 'x', 'status.phase': () => '' }

  test('parts, operators and escapes', () => {
    expect(
      parseFieldSelector(String.raw`metadata.name=a\,b\=c,status.phase!=Running,metadata.name==d,`, readers),
    ).toEqual([
      { field: 'metadata.name', isEqual: true, value: 'a,b=c' },
      { field: 'status.phase', isEqual: false, value: 'Running' },
      { field: 'metadata.name', isEqual: true, value: 'd' },
    ])
  })

  test.each(['spec.nodeName=a', 'toString=a', 'metadata.name', '=a'])('%j is refused', (selector) => {
    expect(() => parseFieldSelector(selector, readers)).toThrow(/field label not supported|invalid selector/)
  })
})
