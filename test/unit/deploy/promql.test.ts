import { describe, expect, test } from 'vitest'
import { metricNames, parseExposition, parsePromQL } from '../../support/promql.ts'

const scrape = (atMs: number, text: string) => parseExposition(text, atMs)
const scrapes = [
  scrape(0, 'calls_total{action="a"} 10\ncalls_total{action="b"} 0\nup{pod="x"} 1\nup{pod="y"} 0'),
  scrape(60_000, 'calls_total{action="a"} 40\ncalls_total{action="b"} 6\nup{pod="x"} 0\nup{pod="y"} 0'),
  // A restart: counters begin anew.
  scrape(120_000, 'calls_total{action="a"} 4\ncalls_total{action="b"} 6\nup{pod="x"} 0\nup{pod="y"} 0'),
]
const at = (expression: string, nowMs: number) => parsePromQL(expression)(scrapes, nowMs)
const one = (value: number, labels = {}) => [{ labels, value }]

describe('the evaluator of the alerts', () => {
  test.each<[string, number, unknown]>([
    ['sum(up)', 0, one(1)],
    ['max(up) == 1', 0, one(1)],
    ['max(up) == 1', 60_000, []],
    ['absent(up == 1)', 0, []],
    ['absent(up == 1)', 60_000, one(1)],
    ['absent(down)', 0, one(1)],
    ['max by (action) (calls_total) > 5', 60_000, [...one(40, { action: 'a' }), ...one(6, { action: 'b' })]],
    ['sum(calls_total{action!="a"})', 60_000, one(6)],
    ['sum(calls_total{action=~"a|c.*"})', 60_000, one(40)],
    ['sum(calls_total{action!~"a|c.*"})', 60_000, one(6)],
    ['sum(increase(calls_total[90s]))', 60_000, one(36)],
    ['sum(increase(calls_total[5m]))', 120_000, one(40)],
    ['sum(rate(calls_total{action="a"}[5m]))', 60_000, one(0.1)],
    ['sum(increase(calls_total{action="a"}[5m])) / sum(increase(calls_total[5m])) > 0.5', 60_000, one(30 / 36)],
    ['sum(increase(calls_total[5m])) > 0 unless sum(up) > 0', 60_000, one(36)],
    ['sum(increase(calls_total[5m])) > 0 unless sum(calls_total) > 0', 60_000, []],
    ['sum(down) > 1 or sum(up) >= 1', 0, one(1)],
    ['sum(up) / sum(down) > 0 or sum(up) * 3 == 3', 0, one(3)],
    ['sum(up)', 120_000 + 300_000, []],
  ])('%s at %i ms', (expression, nowMs, expected) => {
    expect(at(expression, nowMs)).toEqual(expected)
  })

  test.each(['histogram_quantile(0.9, x)', 'sum(x', 'x == y z', 'x $ y'])(
    'refuses what it does not know: %s',
    (text) => {
      expect(() => parsePromQL(text)(scrapes, 0)).toThrow('PromQL')
    },
  )

  test('finds the metrics of any expression', () => {
    const text =
      'histogram_quantile(0.99, sum by (le, type) (rate(a_bucket{status="or x"}[$__rate_interval]))) > 1 or on (pod) b_total'
    expect(metricNames(text)).toEqual(['a_bucket', 'b_total'])
  })
})
