const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** A duration as a person says it: `200 ms`, `43 s`, `2 min 5 s`, `3 h 10 min`, `6 days`. */
export function duration(ms: number): string {
  const rounded = Math.max(0, ms)
  if (rounded < SECOND_MS) return `${Math.round(rounded)} ms`
  if (Math.round(rounded / SECOND_MS) < 120) return `${Math.round(rounded / SECOND_MS)} s`
  if (rounded < 2 * HOUR_MS) return parts(rounded, MINUTE_MS, 'min', SECOND_MS, 's')
  if (rounded < 2 * DAY_MS) return parts(rounded, HOUR_MS, 'h', MINUTE_MS, 'min')
  return `${Math.round(rounded / DAY_MS)} days`
}

function parts(ms: number, largeMs: number, large: string, smallMs: number, small: string): string {
  const smalls = Math.round(ms / smallMs)
  const perLarge = largeMs / smallMs
  const rest = smalls % perLarge
  const whole = `${Math.floor(smalls / perLarge)} ${large}`
  return rest === 0 ? whole : `${whole} ${rest} ${small}`
}

/** `1st`, `2nd`, `214th`. */
export function ordinal(count: number): string {
  const isTeen = Math.floor((count % 100) / 10) === 1
  const ending = isTeen ? 'th' : (['th', 'st', 'nd', 'rd'][count % 10] ?? 'th')
  return `${count}${ending}`
}

/** `1 address`, `3 addresses`. */
export function addresses(count: number): string {
  return count === 1 ? '1 address' : `${count} addresses`
}

/** A rate of calls: `5`, `3.5`, `0.25`. */
export function perSecond(rate: number): string {
  return `${Number(rate.toPrecision(2))}/s`
}
