/** Numbers as people say them. */

/** @param {number | null} seconds @returns {string} `43 s`, `2 min`, `3 h`, `6 days`; `–` where not known */
export function duration(seconds) {
  if (seconds === null || !Number.isFinite(seconds)) return '–'
  if (seconds < 90) return `${Math.round(seconds)} s`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86400)} days`
}

/** @param {number | null} value @returns {string} with thousands apart; `–` where not known */
export function count(value) {
  return value === null ? '–' : Math.round(value).toLocaleString('en-US')
}

/** @param {number} rate a second @returns {string} */
export function rate(rate) {
  return `${Number(rate.toPrecision(2))}/s`
}

/** @param {number} atMs since the epoch @returns {string} `14:03:59` in the time of who looks */
export function clockTime(atMs) {
  return new Date(atMs).toLocaleTimeString([], { hour12: false })
}
