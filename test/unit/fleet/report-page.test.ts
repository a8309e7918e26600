import { describe, expect, test } from 'vitest'
import { renderChart } from '../../../src/fleet/report-page/chart.ts'
import { renderReportPage } from '../../../src/fleet/report-page/page.ts'
import { runCharts } from '../../../src/fleet/report-page/run-charts.ts'
import { PAGE, SAMPLES } from './report-page-builder.ts'

test('a chart is drawn with the marks of its axes, and its words stay words', () => {
  const html = renderChart({
    title: 'A <chart>',
    hint: '',
    seconds: [0, 10, 20, 30],
    unit: 'count',
    lines: [{ label: 'x & y', values: [0, 4, null, 2] }],
  })
  expect(html).toContain('d="M0 300L333.3 0M1000 150"')
  expect(html).toContain('<span style="bottom:75%">3</span>')
  expect(html).toContain('<span style="left:33.3%">10 s</span>')
  expect(html).toContain('A &lt;chart&gt;')
  expect(html).toContain('x &amp; y')
})

describe('the charts of a run', () => {
  const curve = [
    { atSeconds: 0, served: 20 },
    { atSeconds: 2, served: 40 },
  ]
  const charts = runCharts({ samples: SAMPLES, bestCurve: curve, measuredFromSeconds: 1 })
  const linesOf = (title: string) => charts.find((chart) => chart.title === title)?.lines

  test('the best possible course begins where the measuring does, and stays where it ends', () => {
    expect(linesOf('Nodes with their first address')?.find(({ label }) => label === 'best possible')?.values).toEqual([
      null,
      20,
      30,
      40,
    ])
  })

  test('calls are told by the second, the most frequent action first', () => {
    expect(linesOf('Cloud calls')?.[0]).toEqual({ label: 'Assign', values: [0, 10, 30, 50] })
  })

  test('buckets that ran lowest come first; actions that were refused are named', () => {
    expect(linesOf('Tokens in the buckets')?.map(({ label }) => label)).toEqual(['Assign', 'Create'])
    expect(linesOf('Refused calls')).toEqual([{ label: 'Assign', values: [0, 1, 2, 3] }])
  })
})

test('the page needs nobody else, and nothing in it can end its scripts', () => {
  const html = renderReportPage(PAGE)
  expect(html).not.toMatch(/(?:src|href)=|url\(|https?:|@import/)
  expect(html).toContain(`content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"`)
  expect(html).toContain('mine &lt;b&gt;')
  // Six charts, the moments, and the script: no text of a run closes one of them.
  expect(html.match(/<script/g)).toHaveLength(8)
  expect(html.match(/<\/script>/g)).toHaveLength(8)
  const moments = /id="moments">([^<]*)</.exec(html)?.[1] ?? ''
  expect(JSON.parse(moments)).toEqual([0, 1, 2, 3])
  expect(html).toContain('<b class="bad">39 of 40</b>')
})
