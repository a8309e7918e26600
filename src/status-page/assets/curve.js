/** Small curves over time, on a canvas. */

/**
 * Points of a course in a picture of this size, the newest at the right edge. A flat course lies on the ground.
 *
 * @param course `[atMs, value]`, oldest first
 * @param range `[fromMs, toMs, max]`
 * @returns `[x, y]` in pixels, y downwards
 */
export function pointsOf(course, [fromMs, toMs, max], width, height) {
  const span = Math.max(toMs - fromMs, 1)
  const top = max > 0 ? max : 1
  return course.map(([atMs, value]) => [
    ((atMs - fromMs) / span) * width,
    height - (Math.min(value, top) / top) * (height - 2) - 1,
  ])
}

/** The largest value of a course (0 for an empty one). */
export function peakOf(course) {
  return course.reduce((peak, [, value]) => Math.max(peak, value), 0)
}

/** Draws a course as a line over a filled ground. The canvas is sized to its place and the screen's density. */
export function drawCurve(canvas, course, { colour, range }) {
  const { context, width, height } = prepare(canvas)
  const points = pointsOf(course, range, width, height)
  if (points.length < 2) return
  context.beginPath()
  for (const [x, y] of points) context.lineTo(x, y)
  context.strokeStyle = colour
  context.lineWidth = 1.5
  context.stroke()
  context.lineTo(points.at(-1)[0], height)
  context.lineTo(points[0][0], height)
  context.globalAlpha = 0.18
  context.fillStyle = colour
  context.fill()
  context.globalAlpha = 1
}

/** An empty canvas whose units are pixels of the page. */
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
  return { context, width, height }
}
