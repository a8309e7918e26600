import { formatCount, formatDuration, formatRate, meter, plot, topOf } from './drawing.js'
import { FleetModel, STATUS_NAMES } from './fleet-model.js'
import { USE_SHADES, cellAt, colourOf, layOut, prepare } from './heat-map.js'

/** Height that the map may take where its cells can be small enough (pixels). */
const MAP_HEIGHT = 420
/** Nodes listed by name (count): the map shows all. */
const LISTED_NODES = 30
/** Room above the highest value of a curve, as a share of it: its line is not cut off. */
const CURVE_HEADROOM = 0.05
/** How far the curves go back (ms). */
const CURVE_MS = 3_600_000
const SHORTEST_CURVE_MS = 60_000
const COLOURS = [...Array.from({ length: USE_SHADES }, (_, shade) => `use${shade}`), 'short', 'dry', 'waits', 'unknown']

const model = new FleetModel()
const at = (id) => document.getElementById(id)
const map = at('map')
let colours = {}
let names = []
let grid = layOut(0, 1, 1)
let chosen
let isDrawing = false

function readColours() {
  const style = getComputedStyle(document.documentElement)
  colours = Object.fromEntries([...COLOURS, 'ink'].map((name) => [name, style.getPropertyValue(`--${name}`)]))
}

/** At most one drawing for each picture of the screen, and none for a page that nobody sees. */
function show() {
  if (isDrawing) return
  isDrawing = true
  requestAnimationFrame(() => {
    isDrawing = false
    names = model.names(at('order').value)
    showTotals()
    drawMap()
    showWaiting()
    showSubnets()
    showBudget()
    showCalls()
    showEvents()
  })
}

function element(tag, text, className) {
  const made = document.createElement(tag)
  if (text !== undefined) made.textContent = text
  if (className !== undefined) made.className = className
  return made
}

function fill(id, children) {
  at(id).replaceChildren(...children)
}

function showTotals() {
  const { nodes, needed, used, available, byStatus } = model.totals()
  const waiting = model.moments.at(-1)?.buckets.reduce((sum, row) => sum + row[5], 0) ?? 0
  const figures = [
    ['nodes', nodes],
    ['short of addresses', byStatus[1] + byStatus[2]],
    ['without a free one', byStatus[2]],
    ['addresses missing', needed],
    ['in use', used],
    ['attached', available],
    ['calls in line', waiting],
  ]
  fill(
    'totals',
    figures.map(([what, figure]) => {
      const item = element('li')
      item.append(element('b', formatCount(figure)), element('span', what, 'quiet'))
      return item
    }),
  )
  at('time').textContent = clockTime(model.now)
  at('troubles').hidden = model.troubles.length === 0
  at('troubles').textContent = model.troubles.join('\n')
  const legend = STATUS_NAMES.map((name, status) => {
    const item = element('li')
    const swatch = element('span', undefined, 'swatch')
    swatch.style.background = colours[['use2', 'short', 'dry', 'waits', 'unknown'][status]]
    item.append(swatch, `${name}: ${formatCount(byStatus[status])}`)
    return item
  })
  const shades = element('li', 'nothing in use ')
  for (let shade = 0; shade < USE_SHADES; shade++) {
    const swatch = element('span', undefined, 'swatch joined')
    swatch.style.background = colours[`use${shade}`]
    shades.append(swatch)
  }
  shades.append(' all in use')
  legend.push(shades)
  fill('legend', legend)
}

function drawMap() {
  grid = layOut(names.length, map.parentElement.clientWidth, MAP_HEIGHT)
  map.style.height = `${Math.max(grid.rows * grid.cell, 20)}px`
  const context = prepare(map)
  const side = grid.cell - grid.gap
  // Cells of one colour together: changing the colour is what takes time.
  const byColour = new Map()
  names.forEach((name, index) => {
    const colour = colourOf(model.nodes.get(name))
    const cells = byColour.get(colour)
    if (cells === undefined) byColour.set(colour, [index])
    else cells.push(index)
  })
  for (const [colour, cells] of byColour) {
    context.fillStyle = colours[colour]
    for (const index of cells)
      context.fillRect((index % grid.columns) * grid.cell, Math.floor(index / grid.columns) * grid.cell, side, side)
  }
  const mark = names.indexOf(chosen)
  if (mark >= 0) {
    context.strokeStyle = colours.ink
    context.lineWidth = 2
    const [x, y] = [(mark % grid.columns) * grid.cell, Math.floor(mark / grid.columns) * grid.cell]
    context.strokeRect(x, y, side, side)
  }
  map.setAttribute('aria-label', `${names.length} nodes by need and use`)
}

function describe(name) {
  return model.nodes.has(name) ? `${name}: ${figuresOf(name)}` : name
}

function figuresOf(name) {
  const row = model.nodes.get(name)
  const [, needed, used, available, capacity, status] = row
  const need = needed > 0 ? `, ${needed} missing` : ''
  return `${used} of ${available} in use${need}, room for ${capacity}; ${STATUS_NAMES[status]}`
}

function showWaiting() {
  const waiting = model.names('need').filter((name) => [1, 2, 3].includes(model.nodes.get(name)[5]))
  const items = waiting.slice(0, LISTED_NODES).map((name) => {
    const item = element('li')
    item.append(nodeButton(name), ` ${figuresOf(name)}`)
    return item
  })
  if (waiting.length > LISTED_NODES)
    items.push(element('li', `and ${formatCount(waiting.length - LISTED_NODES)} more`, 'quiet'))
  if (waiting.length === 0) items.push(element('li', 'none', 'quiet'))
  fill('waiting', items)
}

function nodeButton(name) {
  const button = element('button', name)
  button.type = 'button'
  button.addEventListener('click', () => void explain(name))
  return button
}

function headRow(titles) {
  const row = element('tr')
  row.append(...titles.map((title) => element('th', title)))
  const head = element('thead')
  head.append(row)
  return head
}

/** Where markup of drawing.js stands: numbers, classes, and labels that it has escaped. */
function drawn(markup, className) {
  const place = element('span', undefined, className)
  place.innerHTML = markup
  return place
}

function rowOf(cells) {
  const row = element('tr')
  for (const cell of cells) {
    const data = element('td')
    data.append(cell)
    row.append(data)
  }
  return row
}

function showSubnets() {
  const rows = model.subnets.map(([poolID, free, total, blocks, empty]) => {
    const share = total === null || total === 0 ? 0 : 1 - free / total
    const isLow = free === 0 || share > 0.9
    return rowOf([
      poolID,
      total === null ? '–' : drawn(meter(share, isLow)),
      formatCount(free),
      formatCount(blocks),
      about(empty),
    ])
  })
  const body = element('tbody')
  body.append(...rows)
  fill('subnets', [headRow(['subnet', 'filled', 'free', 'free /28', 'empty in']), body])
}

/** A small course without axes, the newest value at the right edge. @param course `[atMs, value]`, oldest first */
function curve(label, course, colour) {
  const lines = [{ values: course.map(([, value]) => value), colour, isFilled: true }]
  const to = model.now
  const from = Math.max(to - CURVE_MS, Math.min(course[0]?.[0] ?? to, to - SHORTEST_CURVE_MS))
  const moments = course.map(([atMs]) => atMs)
  return drawn(plot({ label, moments, from, to, top: topOf(lines) * (1 + CURVE_HEADROOM), lines }), 'curve')
}

function showBudget() {
  const buckets = model.moments.at(-1)?.buckets ?? []
  const rows = buckets.map(([bucket, tokens, size, refill, full, waiting, paused]) => {
    const line = curve(`${bucket}: calls in line`, model.bucketCourse(bucket, 5), 'c0')
    const slowed = refill < full * 0.99 ? ` of ${formatRate(full)}` : ''
    const pace = paused > 0 ? `paused ${about(paused)}` : `${formatRate(refill)}${slowed}`
    return rowOf([
      bucket,
      drawn(meter(tokens / size, tokens < 1)),
      `${formatCount(tokens)} of ${size}`,
      pace,
      formatCount(waiting),
      line,
    ])
  })
  const body = element('tbody')
  body.append(...rows)
  fill('budget', [headRow(['bucket', 'tokens', '', 'rate', 'in line', 'in line, over time']), body])
}

function showCalls() {
  const actions = model.moments.at(-1)?.actions ?? []
  const rows = actions.map(([action, calls, refused]) => {
    const made = curve(`${action}: calls a second`, model.actionCourse(action, 1), 'c0')
    const turnedDown = curve(`${action}: refused calls a second`, model.actionCourse(action, 2), 'bad')
    return rowOf([action, formatCount(calls), made, formatCount(refused), turnedDown])
  })
  const body = element('tbody')
  body.append(...rows)
  fill('calls', [headRow(['action', 'calls', 'calls, over time', 'refused', 'refused, over time']), body])
}

function showEvents() {
  const items = model.happenings.map(([atMs, node, code, text]) => {
    const item = element('li')
    item.append(element('span', `${clockTime(atMs)} `, 'quiet'), nodeButton(node), ` ${code}: ${text}`)
    return item
  })
  if (items.length === 0) items.push(element('li', 'none', 'quiet'))
  fill('events', items)
}

async function explain(name) {
  chosen = name
  show()
  const place = at('explanation')
  place.hidden = false
  place.replaceChildren(element('h2', name), element('p', 'asking…', 'quiet'))
  const [chain, after] = await explanationOf(name)
  // Somebody may have asked about another one meanwhile.
  if (chosen !== name) return
  const again = element('button', 'ask again')
  again.type = 'button'
  again.addEventListener('click', () => void explain(name))
  const figures = model.nodes.has(name) ? [element('p', figuresOf(name), 'quiet')] : []
  place.replaceChildren(element('h2', name), ...figures, chain, ...after.map((text) => element('p', text)), again)
  place.scrollIntoView({ block: 'nearest' })
}

async function explanationOf(name) {
  const list = element('ul', undefined, 'chain')
  try {
    const response = await fetch(`/v1/explain/node/${encodeURIComponent(name)}`)
    const { chain, estimateSeconds, error } = await response.json()
    if (chain === undefined) return [list, [error]]
    chain.forEach(({ text, effect }, depth) => {
      const item = element('li', text, effect)
      item.style.marginLeft = `${depth * 14}px`
      list.append(item)
    })
    const { todo, runbook, effect } = chain.at(-1)
    const after = []
    if (estimateSeconds !== undefined) after.push(`About ${about(estimateSeconds)} to go.`)
    if (todo !== undefined) after.push(`What to do: ${todo}.`)
    if (effect !== 'nothing') after.push(`More: ${runbook}`)
    return [list, after]
  } catch (error) {
    return [list, [`The controller cannot be asked: ${error.message}`]]
  }
}

function nodeUnder(event) {
  const place = map.getBoundingClientRect()
  const index = cellAt(grid, names.length, event.clientX - place.left, event.clientY - place.top)
  return index < 0 ? undefined : names[index]
}

map.addEventListener('click', (event) => {
  const name = nodeUnder(event)
  if (name !== undefined) void explain(name)
})
map.addEventListener('pointermove', (event) => {
  const name = nodeUnder(event)
  const tip = at('tip')
  tip.hidden = name === undefined
  if (name === undefined) return
  tip.textContent = describe(name)
  tip.style.left = `${Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8)}px`
  tip.style.top = `${event.clientY + 16}px`
})
map.addEventListener('pointerleave', () => {
  at('tip').hidden = true
})
map.addEventListener('keydown', (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: grid.columns, ArrowUp: -grid.columns }[event.key]
  if (step === undefined) return
  event.preventDefault()
  const index = Math.min(names.length - 1, Math.max(0, names.indexOf(chosen) + step))
  if (names[index] !== undefined) void explain(names[index])
})
at('order').addEventListener('change', show)
at('find').addEventListener('change', (event) => {
  const wanted = event.target.value.trim()
  if (wanted === '') return
  void explain(model.nodes.has(wanted) ? wanted : (model.names('name').find((name) => name.includes(wanted)) ?? wanted))
})
window.addEventListener('resize', show)
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  readColours()
  show()
})

/** An estimate in words: to the second, as nobody knows it better. */
function about(seconds) {
  return formatDuration(seconds === null ? null : Math.round(seconds))
}

/** `14:03:59` in the time of who looks. */
function clockTime(atMs) {
  return new Date(atMs).toLocaleTimeString([], { hour12: false })
}

function link(state, text) {
  at('link').className = `link ${state}`
  at('link').textContent = text
}

readColours()
const stream = new EventSource('/v1/stream')
stream.addEventListener('snapshot', (event) => {
  model.reset(JSON.parse(event.data))
  link('live', model.isLeading ? 'live' : 'standing by')
  show()
})
stream.addEventListener('changes', (event) => {
  model.apply(JSON.parse(event.data))
  link('live', model.isLeading ? 'live' : 'standing by')
  if (!document.hidden) show()
})
stream.addEventListener('error', () => link('lost', 'the controller does not answer, trying again'))
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) show()
})
