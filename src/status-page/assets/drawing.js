/**
 * What the pages draw with: numbers as people read them, the marks of axes, courses over time, and bars. Everything is a function from
 * values to text, so that the status page draws with it in the browser and the report of a fleet's run when it is written. Colours are
 * classes of drawing.css; no markup has a style of its own, which the status page's policy would refuse.
 */

/** Coordinates of a plot; the page stretches it to the room there is. */
const WIDTH = 1000
const HEIGHT = 300

const MINUTE = 60
const HOUR = 3600
const DAY = 86_400

/** Round distances between the marks of an axis of numbers, times a power of ten. */
const NUMBER_STEPS = [1, 2, 5, 10]
/** The same of an axis of time (s). */
const TIME_STEPS = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800,
  604_800, 1_209_600,
]

export function escapeHTML(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** `12,345`: to the unit; `–` where not known. */
export function formatCount(value) {
  return value === null ? '–' : Math.round(value).toLocaleString('en-US')
}

/** `1,234`, `0.56`, `12 k`: three digits that count. */
export function formatNumber(value) {
  if (!Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  if (size >= 1e6) return `${trimmed(value / 1e6)} M`
  if (size >= 1e4) return `${trimmed(value / 1e3)} k`
  if (size >= 100 || Number.isInteger(value)) return formatCount(value)
  return trimmed(value)
}

/** `350 ms`, `12.5 s`, `3 min`, `2.5 h`, `7 d`. @param seconds Infinity: never; null: not known */
export function formatDuration(seconds) {
  if (seconds === null) return '–'
  if (!Number.isFinite(seconds)) return 'never'
  if (seconds > 0 && seconds < 1) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 3 * MINUTE) return `${trimmed(seconds)} s`
  if (seconds < 3 * HOUR) return `${trimmed(seconds / MINUTE)} min`
  if (seconds < 3 * DAY) return `${trimmed(seconds / HOUR)} h`
  return `${trimmed(seconds / DAY)} d`
}

export function formatShare(share) {
  return `${trimmed(share * 100)} %`
}

export function formatRate(perSecond) {
  return `${formatNumber(perSecond)}/s`
}

/** A value of a plot. @param {'count' | 'share' | 'perSecond'} unit `share`: from 0 to 1 */
export function formatValue(value, unit) {
  if (unit === 'share') return formatShare(value)
  return unit === 'perSecond' ? formatRate(value) : formatNumber(value)
}

/** Marks from 0 to the first one that is not below `max`. @param most distances between them (count) @returns at least two */
export function numberTicks(max, most) {
  const least = (max > 0 ? max : 1) / most
  const power = 10 ** Math.floor(Math.log10(least))
  const step = (NUMBER_STEPS.find((one) => one * power >= least * (1 - 1e-9)) ?? 10) * power
  const count = Math.max(1, Math.ceil((least * most) / step - 1e-9))
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)))
}

/** Marks within 0 and `maxSeconds`. @param most marks (count) */
export function timeTicks(maxSeconds, most) {
  const step = TIME_STEPS.find((one) => one * most >= maxSeconds) ?? Math.ceil(maxSeconds / most)
  return Array.from({ length: Math.floor(maxSeconds / step + 1e-9) + 1 }, (_, index) =>
    Number((index * step).toPrecision(12)),
  )
}

/** The largest value of all lines; 1 where there is none above 0, so that it can be the top of a plot. */
export function topOf(lines) {
  let top = 0
  for (const { values } of lines) for (const value of values) top = Math.max(top, value ?? 0)
  return top > 0 ? top : 1
}

/**
 * Courses over time, as SVG that stretches to its place without its lines getting thin or thick.
 *
 * @param label for those who do not see it
 * @param moments rising; `from` and `to` are the left and the right edge, in the same unit
 * @param lines values at the moments, null where there is none, and the class of the colour: `c0` to `c7`, `bad`
 * @param top the value at the upper edge, above 0
 * @param grid values that have a line across
 */
export function plot({ label, moments, from, to, top, lines, grid = [] }) {
  const span = to > from ? to - from : 1
  const x = (at) => round((WIDTH * (at - from)) / span)
  const y = (value) => round(HEIGHT * (1 - value / top))
  const across = grid.map((value) => `<line x1="0" x2="${WIDTH}" y1="${y(value)}" y2="${y(value)}"/>`)
  const paths = lines.map(({ values, colour, isDashed = false, isFilled = false }) => {
    const runs = runsOf(values).map((run) => run.map((index) => [x(moments[index]), y(values[index])]))
    const outline = runs.map((run) => `M${run.map((point) => point.join(' ')).join('L')}`)
    const line = `<path class="${colour}${isDashed ? ' dashed' : ''}" d="${outline.join('')}"/>`
    if (!isFilled) return line
    const filled = runs.map((run, index) => `${outline[index]}V${HEIGHT}H${run[0][0]}Z`)
    return `<path class="${colour} filled" d="${filled.join('')}"/>${line}`
  })
  return `<svg class="plot" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${escapeHTML(label)}">${across.join('')}${paths.join('')}</svg>`
}

/** A bar that is filled to a share. @param share below 0 and above 1: empty and full @param isLow there is too little of it */
export function meter(share, isLow = false) {
  const percent = Math.round(Math.min(1, Math.max(0, share)) * 100)
  return `<svg class="meter${isLow ? ' low' : ''}" viewBox="0 0 100 1" preserveAspectRatio="none" role="img" aria-label="${percent} %"><rect width="${percent}" height="1"/></svg>`
}

/** The indices of neighbours that have a value: a line breaks where there is none. */
function runsOf(values) {
  const runs = []
  let isDrawing = false
  for (const [index, value] of values.entries()) {
    if (value === null) isDrawing = false
    else if (isDrawing) runs.at(-1).push(index)
    else {
      runs.push([index])
      isDrawing = true
    }
  }
  return runs
}

function round(value) {
  return Math.round(value * 10) / 10
}

function trimmed(value) {
  return String(Number(value.toPrecision(3)))
}
