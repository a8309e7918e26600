/** Numbers, durations and texts as people read them, and as HTML takes them. */

const MINUTE = 60
const HOUR = 3600
const DAY = 86_400

export function escapeHTML(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** For a script element: nothing in it can end the element. */
export function escapeJSON(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c')
}

/** `1,234`, `0.56`, `12 k`: three digits that count. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  if (size >= 1e6) return `${trimmed(value / 1e6)} M`
  if (size >= 1e4) return `${trimmed(value / 1e3)} k`
  if (size >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString('en-US')
  return trimmed(value)
}

/** `350 ms`, `12.5 s`, `3 min`, `2 h 30 min`. @param seconds Infinity: never */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return 'never'
  if (seconds > 0 && seconds < 1) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 3 * MINUTE) return `${trimmed(seconds)} s`
  if (seconds < 3 * HOUR) return `${trimmed(seconds / MINUTE)} min`
  if (seconds < 3 * DAY) return `${trimmed(seconds / HOUR)} h`
  return `${trimmed(seconds / DAY)} d`
}

export function formatShare(share: number): string {
  return `${trimmed(share * 100)} %`
}

function trimmed(value: number): string {
  return String(Number(value.toPrecision(3)))
}
