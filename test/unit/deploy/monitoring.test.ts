import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import { alertRules } from '../../support/alerts.ts'
import { metricNames, parsePromQL } from '../../support/promql.ts'

const ROOT = new URL('../../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8')

/** Names that a controller serves, those of histograms' parts included. */
function served(): Set<string> {
  const names = (['ec2', 'azure'] as const).flatMap((api) => {
    const metrics = createMetrics({ enabled: true, profile: 'latest', api })
    metrics.controller.watchBudget({ buckets: () => [], ledger: () => [] })
    metrics.controller.watchEventLoop(() => ({ p50Ms: 0, p99Ms: 0, p999Ms: 0, maxMs: 0 }))
    return metrics.registry.getMetricsAsArray().flatMap(({ name, type }) =>
      // The registry tells the kind as a word.
      String(type) === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
    )
  })
  return new Set(names)
}

interface Panel {
  readonly title: string
  readonly type: string
  readonly id: number
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string }[]
}

const rules = alertRules()
const { panels } = JSON.parse(read('deploy/kubernetes/grafana-dashboard.json')) as { panels: readonly Panel[] }
const names = served()

describe('the alerts', () => {
  test.each(rules)('$alert speaks of metrics that there are, in expressions that are evaluated', ({ expr }) => {
    expect(metricNames(expr).filter((name) => !names.has(name))).toEqual([])
    expect(metricNames(expr).length).toBeGreaterThan(0)
    expect(parsePromQL(expr)([], 0)).toBeInstanceOf(Array)
  })

  test.each(rules)(
    '$alert has a page that says what it means, where to look and when it clears',
    ({ alert, annotations }) => {
      const page = read(annotations.runbook)
      expect(page).toContain(`\`${alert}\``)
      for (const part of ['**What it means.**', '**It clears**']) {
        if (part === '**What it means.**' && !page.includes(part)) expect(page).toContain('**Look.**')
        else expect(page).toContain(part)
      }
      expect(read('docs/runbooks/README.md')).toContain(`\`${alert}\` | [${annotations.runbook.slice(14, -3)}]`)
    },
  )

  test('pages link to files that there are', () => {
    for (const { annotations } of rules) {
      const links = [...read(annotations.runbook).matchAll(/\]\(([^)#:]+)\)/g)].map(([, target = '']) => target)
      const missing = links.filter((target) => !existsSync(new URL(target, new URL(annotations.runbook, ROOT))))
      expect(missing, annotations.runbook).toEqual([])
    }
  })
})

describe('the dashboard', () => {
  const charts = panels.filter(({ type }) => type !== 'row')

  test('shows metrics that there are', () => {
    const shown = charts.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => metricNames(expr)))
    expect([...new Set(shown)].filter((name) => !names.has(name))).toEqual([])
    expect(new Set(shown).size).toBeGreaterThan(25)
  })

  test('has no two panels in one place, and none without a query', () => {
    expect(charts.filter(({ targets = [] }) => targets.length === 0)).toEqual([])
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBeLessThanOrEqual(24)
  })
})
