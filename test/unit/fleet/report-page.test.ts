import { describe, expect, test } from 'vitest'
import { renderChart } from '../../../src/fleet/report-page/chart.ts'
import { renderReportPage } from '../../../src/fleet/report-page/page.ts'
import type { ReportPage } from '../../../src/fleet/report-page/page.ts'
import { runCharts } from '../../../src/fleet/report-page/run-charts.ts'
import type { SeriesSample } from '../../../src/fleet/run-series.ts'

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

const SAMPLES: readonly SeriesSample[] = [0, 1, 2, 3].map((atSeconds) => ({
  atSeconds,
  nodesJoined: 40,
  nodesServed: 10 * atSeconds,
  addressesAvailable: 160 * atSeconds,
  addressesUsed: 50 * atSeconds,
  podsWaiting: 200 - 50 * atSeconds,
  calls: { Assign: 10 * atSeconds ** 2, Create: atSeconds, '</script>': 1 },
  refused: { Assign: atSeconds, Create: 0 },
  tokens: { Assign: 1 - atSeconds / 4, Create: 0.9 },
}))

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
  const page: ReportPage = {
    report: {
      cloud: 'aws',
      nodes: 40,
      nodesConverged: 39,
      pods: 200,
      podsWaiting: 50,
      addressesAvailable: 480,
      addressesUsed: 150,
      interfaces: 41,
      calls: { Assign: 90, '</script>': 1 },
      throttled: 3,
      errors: 0,
      virtual: true,
      wallSeconds: 1,
      seed: 1,
      scenario: 'mine <b>',
      makespanSeconds: null,
      lowerBoundSeconds: 2,
      nodeWait: { p50: 1, p99: 2, max: 3 },
      podWait: { p50: 1, p99: 2, max: 3 },
      refusedShare: 0.03,
      callsPerNode: 2,
      callsPerAddress: 0.1,
      rssBytes: 1e8,
      cpuSeconds: 1,
      quotas: { interfaces: 5_000 },
    },
    bound: { seconds: 2, curve: [{ atSeconds: 0, served: 40 }] },
    measuredFromSeconds: 0,
    samples: SAMPLES,
    help: 'a scenario',
    instanceType: 'm5.large',
    prefixDelegation: true,
  }
  const html = renderReportPage(page)
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
