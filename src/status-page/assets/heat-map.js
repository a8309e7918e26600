/** The nodes as cells of a grid: as large as the place allows, so that ten thousand fit on a telephone. */

const LARGEST_CELL = 34
const SMALLEST_CELL = 4
/** Cells of this size and more have a gap between them (pixels). */
const GAP_FROM = 6

/**
 * The grid that shows `count` cells in a place of this width, without more height than wanted where that is possible.
 *
 * @returns side of a cell with its gap, and the gap (pixels); columns and rows (counts)
 */
export function layOut(count, width, wantedHeight) {
  let cell = LARGEST_CELL
  while (cell > SMALLEST_CELL && Math.ceil(count / Math.max(1, Math.floor(width / cell))) * cell > wantedHeight)
    cell -= 1
  const columns = Math.max(1, Math.floor(width / cell))
  return { cell, gap: cell >= GAP_FROM ? 1 : 0, columns, rows: Math.ceil(count / columns) }
}

/** Which cell lies under a point (pixels); -1: none. */
export function cellAt({ cell, columns, rows }, count, x, y) {
  const column = Math.floor(x / cell)
  const row = Math.floor(y / cell)
  if (column < 0 || column >= columns || row < 0 || row >= rows) return -1
  const index = row * columns + column
  return index < count ? index : -1
}

/** Shades of a node that has what it needs, by use (count). */
export const USE_SHADES = 5

/** The name of a cell's colour: by status, and by use where all is well. @returns {string} a CSS variable without its dashes */
export function colourOf([, , used, available, , status]) {
  if (status === 1) return 'short'
  if (status === 2) return 'dry'
  if (status === 3) return 'waits'
  if (status === 4) return 'unknown'
  const use = available === 0 ? 0 : used / available
  return `use${Math.min(USE_SHADES - 1, Math.floor(use * USE_SHADES))}`
}

/** An empty canvas whose units are pixels of the page, as many as its place and the screen's density allow. */
export function prepare(canvas) {
  const density = window.devicePixelRatio || 1
  const { clientWidth: width, clientHeight: height } = canvas
  if (canvas.width !== Math.round(width * density) || canvas.height !== Math.round(height * density)) {
    canvas.width = Math.round(width * density)
    canvas.height = Math.round(height * density)
  }
  const context = canvas.getContext('2d')
  context.setTransform(density, 0, 0, density, 0, 0)
  context.clearRect(0, 0, width, height)
  return context
}
