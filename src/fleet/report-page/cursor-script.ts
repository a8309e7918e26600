/**
 * Shows the values under the pointer in every chart of the page at once. It finds the moments in `#moments` and the values in the charts
 * themselves, formats with drawing.js, after which it stands in the same module, and asks nobody for anything.
 */
export const CURSOR_SCRIPT = `
const moments = JSON.parse(document.getElementById('moments').textContent)
const span = moments[moments.length - 1] || 1
const clock = document.getElementById('moment')
const charts = [...document.querySelectorAll('.chart')].map((chart) => ({
  area: chart.querySelector('.area'),
  cursor: chart.querySelector('.cursor'),
  outputs: [...chart.querySelectorAll('.key output')],
  ...JSON.parse(chart.querySelector('script').textContent),
}))
const words = (value, unit) => {
  if (value === null) return ''
  return unit === 'count' && value >= 100 ? formatCount(value) : formatValue(value, unit)
}
const show = (seconds) => {
  let index = moments.findIndex((moment) => moment >= seconds)
  if (index < 0) index = moments.length - 1
  if (index > 0 && seconds - moments[index - 1] < moments[index] - seconds) index -= 1
  clock.textContent = 'after ' + moments[index].toLocaleString('en-US', { maximumFractionDigits: 1 }) + ' s'
  for (const { cursor, outputs, lines, unit } of charts) {
    cursor.style.display = 'block'
    cursor.style.left = (100 * moments[index]) / span + '%'
    outputs.forEach((output, line) => (output.textContent = words(lines[line][index], unit)))
  }
}
const hide = () => {
  clock.textContent = ''
  for (const { cursor, outputs } of charts) {
    cursor.style.display = 'none'
    for (const output of outputs) output.textContent = ''
  }
}
for (const { area } of charts) {
  area.addEventListener('pointermove', ({ clientX }) => {
    const { left, width } = area.getBoundingClientRect()
    show((span * Math.min(Math.max(clientX - left, 0), width)) / width)
  })
  area.addEventListener('pointerleave', hide)
}
`
