import {
  escapeHTML,
  formatDuration,
  formatValue,
  numberTicks,
  plot,
  timeTicks,
  topOf,
} from '../../status-page/assets/drawing.js'
import type { PlotUnit } from '../../status-page/assets/drawing.js'
import { escapeJSON } from './escape-json.ts'

/** One line of a chart; values at the moments of the chart, null where there is none. */
export interface ChartLine {
  readonly label: string
  readonly values: readonly (number | null)[]
  /** A bound or a goal rather than something measured. */
  readonly isDashed?: boolean
}

export interface Chart {
  readonly title: string
  /** One sentence: what to look for. */
  readonly hint: string
  /** Moments, rising (s). */
  readonly seconds: readonly number[]
  /** In the order of their colours; eight at most. */
  readonly lines: readonly ChartLine[]
  /** `share`: values from 0 to 1, shown as percent. */
  readonly unit: PlotUnit
}

/** The shortest time that a chart shows (s). */
const SHORTEST_SECONDS = 1e-3
/** Marks of the axes (count). */
const Y_STEPS = 4
const X_MARKS = 6
/** Significant digits of the numbers that the page's script shows. */
const DIGITS = 6

/**
 * A chart as HTML: lines as SVG that stretches without getting thin, words beside it that keep their size. `cursor-script.ts` shows
 * the values under the pointer; without it everything but those is there.
 */
export function renderChart(chart: Chart): string {
  const { title, hint, seconds, lines, unit } = chart
  const to = Math.max(seconds.at(-1) ?? 0, SHORTEST_SECONDS)
  const grid = unit === 'share' ? [0, 0.25, 0.5, 0.75, 1] : numberTicks(topOf(lines), Y_STEPS)
  const top = grid.at(-1) ?? 1
  const coloured = lines.map((line, index) => ({ ...line, colour: `c${index}` }))
  const keys = coloured.map(
    ({ label, colour, isDashed = false }) =>
      `<span class="key"><i class="${colour}${isDashed ? ' dashed' : ''}"></i>${escapeHTML(label)} <output></output></span>`,
  )
  const yMarks = grid.map(
    (tick) => `<span style="bottom:${percent(tick / top)}">${escapeHTML(formatValue(tick, unit))}</span>`,
  )
  const xMarks = timeTicks(to, X_MARKS).map(
    (tick) => `<span style="left:${percent(tick / to)}">${escapeHTML(formatDuration(tick))}</span>`,
  )
  const data = escapeJSON({ unit, lines: lines.map(({ values }) => values.map(shortened)) })
  return `<figure class="chart">
<figcaption><h2>${escapeHTML(title)}</h2><p>${escapeHTML(hint)}</p></figcaption>
<div class="keys">${keys.join('')}</div>
<div class="frame"><div class="ys">${yMarks.join('')}</div>
<div class="area">${plot({ label: title, moments: seconds, from: 0, to, top, lines: coloured, grid })}<b class="cursor"></b></div>
<div class="xs">${xMarks.join('')}</div></div>
<script type="application/json">${data}</script>
</figure>`
}

function percent(share: number): string {
  return `${Math.round(share * 1000) / 10}%`
}

function shortened(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(DIGITS))
}
