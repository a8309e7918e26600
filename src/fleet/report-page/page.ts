import { escapeHTML, formatDuration, formatNumber, formatShare, meter } from '../../status-page/assets/drawing.js'
import { drawingSources } from '../../status-page/drawing-sources.ts'
import type { FleetReport } from '../fleet-report.ts'
import type { SeriesSample } from '../run-series.ts'
import type { ScenarioBound } from '../scenario-bound.ts'
import { renderChart } from './chart.ts'
import { CURSOR_SCRIPT } from './cursor-script.ts'
import { escapeJSON } from './escape-json.ts'
import { runCharts } from './run-charts.ts'
import { PAGE_STYLE } from './style.ts'

/** Everything that the page of a run shows. */
export interface ReportPage {
  readonly report: FleetReport
  readonly bound: ScenarioBound
  readonly measuredFromSeconds: number
  readonly samples: readonly SeriesSample[]
  /** What the scenario is about. */
  readonly help: string
  readonly instanceType: string
  readonly prefixDelegation: boolean
}

/** Above this share of the lower bound a run is late: the project's own goal. */
const GOOD_RATIO = 1.05

/**
 * The report of a run as one page: it holds all that it needs, and its policy keeps the browser from asking anybody else.
 *
 * @returns HTML, UTF-8
 */
export function renderReportPage(page: ReportPage): string {
  const { report, samples, help, instanceType, prefixDelegation } = page
  const charts = runCharts({ samples, bestCurve: page.bound.curve, measuredFromSeconds: page.measuredFromSeconds })
  const { scenario, nodes, cloud, seed } = report
  const drawing = drawingSources()
  const what = `${formatNumber(nodes)} nodes (${instanceType}${prefixDelegation ? ', prefixes' : ''}) on ${cloud}, seed ${seed}`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>berth fleet: ${escapeHTML(scenario)}, ${formatNumber(nodes)} nodes</title>
<style>${drawing.style}${PAGE_STYLE}</style>
</head>
<body>
<header>
<h1>${escapeHTML(scenario)}</h1>
<p>${escapeHTML(help)}</p>
<p>${escapeHTML(what)} · virtual time <span id="moment"></span></p>
</header>
<section class="tiles">${tilesOf(report).map(renderTile).join('')}</section>
<main class="charts">
${charts.map(renderChart).join('\n')}
</main>
<section>
<h2>Calls</h2>
<div class="wide">${callsTable(report, samples)}</div>
<p>Raised for this fleet: ${escapeHTML(quotaText(report.quotas))}.
The run took ${formatDuration(report.wallSeconds)} of real time, ${formatDuration(report.cpuSeconds)} of processor time and ${formatNumber(report.rssBytes / 1e6)} MB.</p>
</section>
<script type="application/json" id="moments">${escapeJSON(samples.map(({ atSeconds }) => atSeconds))}</script>
<script type="module">${drawing.script}${CURSOR_SCRIPT}</script>
</body>
</html>
`
}

interface Tile {
  readonly name: string
  readonly value: string
  readonly detail: string
  readonly isBad?: boolean
}

function tilesOf(report: FleetReport): readonly Tile[] {
  const { makespanSeconds, lowerBoundSeconds, nodeWait, podWait, nodes, nodesConverged, pods, podsWaiting } = report
  const ratio = makespanSeconds === null || lowerBoundSeconds === 0 ? undefined : makespanSeconds / lowerBoundSeconds
  return [
    {
      name: 'last first address',
      value: makespanSeconds === null ? 'never' : formatDuration(makespanSeconds),
      detail: `lower bound ${formatDuration(lowerBoundSeconds)}${ratio === undefined ? '' : `, ${ratio.toFixed(3)} of it`}`,
      isBad: makespanSeconds === null || (ratio ?? 1) > GOOD_RATIO,
    },
    {
      name: 'nodes that have what they need',
      value: `${formatNumber(nodesConverged)} of ${formatNumber(nodes)}`,
      detail: `${formatNumber(report.interfaces)} interfaces`,
      isBad: nodesConverged < nodes,
    },
    {
      name: 'a node’s wait, p99',
      value: formatDuration(nodeWait.p99),
      detail: `median ${formatDuration(nodeWait.p50)}, most ${formatDuration(nodeWait.max)}`,
    },
    {
      name: 'a pod’s wait, p99',
      value: formatDuration(podWait.p99),
      detail: `median ${formatDuration(podWait.p50)}, most ${formatDuration(podWait.max)}`,
    },
    {
      name: 'pods',
      value: formatNumber(pods),
      detail: podsWaiting === 0 ? 'none waits' : `${formatNumber(podsWaiting)} wait`,
      isBad: podsWaiting > 0,
    },
    {
      name: 'addresses used',
      value: `${formatNumber(report.addressesUsed)} of ${formatNumber(report.addressesAvailable)}`,
      detail: 'open to pods',
    },
    {
      name: 'changing calls a node',
      value: formatNumber(report.callsPerNode),
      detail: `${formatNumber(report.callsPerAddress)} an address`,
    },
    {
      name: 'refused calls',
      value: formatShare(report.refusedShare),
      detail: `${formatNumber(report.throttled)} refused, ${formatNumber(report.errors)} failed`,
      isBad: report.throttled > 0,
    },
  ]
}

function renderTile({ name, value, detail, isBad = false }: Tile): string {
  return `<div class="tile"><span>${escapeHTML(name)}</span><b${isBad ? ' class="bad"' : ''}>${escapeHTML(value)}</b><span>${escapeHTML(detail)}</span></div>`
}

function callsTable({ calls }: FleetReport, samples: readonly SeriesSample[]): string {
  const refused = samples.at(-1)?.refused ?? {}
  const most = Math.max(...Object.values(calls), 1)
  const rows = Object.entries(calls)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(
      ([action, count]) =>
        `<tr><td>${escapeHTML(action)}</td><td>${meter(count / most)}</td><td>${formatNumber(count)}</td><td>${formatNumber(refused[action] ?? 0)}</td></tr>`,
    )
  return `<table><tr><th>action</th><th></th><th>attempts</th><th>refused</th></tr>${rows.join('')}</table>`
}

function quotaText(quotas: Readonly<Record<string, number>>): string {
  return Object.entries(quotas)
    .map(([name, count]) => `${name} to ${formatNumber(count)}`)
    .join(', ')
}
