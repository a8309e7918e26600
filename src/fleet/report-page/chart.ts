import { escapeHTML, escapeJSON, formatDuration, formatNumber, formatShare } from './text.ts'
import { numberTicks, timeTicks } from './ticks.ts'

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
  readonly unit: 'count' | 'share' | 'perSecond'
}

/** Coordinates of the drawing; the page stretches it to the room there is. */
const WIDTH = 1000
const HEIGHT = 300
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
  const spanSeconds = Math.max(seconds.at(-1) ?? 0, 1e-3)
  const ticks = unit === 'share' ? [0, 0.25, 0.5, 0.75, 1] : numberTicks(highestOf(lines), Y_STEPS)
  const top = ticks.at(-1) ?? 1
  const y = (value: number): number => HEIGHT * (1 - value / top)
  const x = (at: number): number => (WIDTH * at) / spanSeconds
  const grid = ticks.map((tick) => `<line x1="0" x2="${WIDTH}" y1="${round(y(tick))}" y2="${round(y(tick))}"/>`)
  const paths = lines.map(({ values, isDashed = false }, index) => {
    const dashed = isDashed ? ' class="dashed"' : ''
    return `<path${dashed} style="stroke:var(--c${index})" d="${pathOf(values, seconds, x, y)}"/>`
  })
  const keys = lines.map(
    ({ label, isDashed = false }, index) =>
      `<span class="key"><i${isDashed ? ' class="dashed"' : ''} style="border-color:var(--c${index})"></i>${escapeHTML(label)} <output></output></span>`,
  )
  const yMarks = ticks.map(
    (tick) => `<span style="bottom:${round((100 * tick) / top)}%">${escapeHTML(format(tick, unit))}</span>`,
  )
  const xMarks = timeTicks(spanSeconds, X_MARKS).map(
    (tick) => `<span style="left:${round((100 * tick) / spanSeconds)}%">${escapeHTML(formatDuration(tick))}</span>`,
  )
  const data = escapeJSON({ unit, lines: lines.map(({ values }) => values.map(shortened)) })
  return `<figure class="chart">
<figcaption><h2>${escapeHTML(title)}</h2><p>${escapeHTML(hint)}</p></figcaption>
<div class="keys">${keys.join('')}</div>
<div class="plot"><div class="ys">${yMarks.join('')}</div>
<div class="area"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${escapeHTML(title)}"><g class="grid">${grid.join('')}</g>${paths.join('')}</svg><b class="cursor"></b></div>
<div class="xs">${xMarks.join('')}</div></div>
<script type="application/json">${data}</script>
</figure>`
}

export function format(value: number, unit: Chart['unit']): string {
  if (unit === 'share') return formatShare(value)
  return unit === 'perSecond' ? `${formatNumber(value)}/s` : formatNumber(value)
}

/** A line that breaks where there is no value. */
function pathOf(
  values: ChartLine['values'],
  seconds: readonly number[],
  x: (at: number) => number,
  y: (value: number) => number,
): string {
  let isDrawing = false
  const moves: string[] = []
  for (const [index, value] of values.entries()) {
    if (value === null) {
      isDrawing = false
      continue
    }
    moves.push(`${isDrawing ? 'L' : 'M'}${round(x(seconds[index] ?? 0))} ${round(y(value))}`)
    isDrawing = true
  }
  return moves.join('')
}

function highestOf(lines: readonly ChartLine[]): number {
  let highest = 0
  for (const { values } of lines) for (const value of values) highest = Math.max(highest, value ?? 0)
  return highest === 0 ? 1 : highest
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function shortened(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(DIGITS))
}
