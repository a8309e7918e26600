import type { JSONValue, KubernetesObject } from '../json.ts'
import { scalarText, valueAt } from '../json.ts'
import type { TableColumn } from './definition.ts'

/** Columns of the built-in resources, as pkg/printers/internalversion of the real server has them. */

type Cell = (object: KubernetesObject, now: Date) => JSONValue

export function column(name: string, cell: Cell, priority = 0): TableColumn {
  return { name, type: 'string', format: '', description: '', priority, cell }
}

export function wideColumn(name: string, cell: Cell): TableColumn {
  return column(name, cell, 1)
}

/** The scalar at a dotted path; `otherwise` when it is absent. */
export function fieldColumn(name: string, path: string, otherwise = ''): TableColumn {
  return column(name, (object) => scalarText(valueAt(object, path)) || otherwise)
}

export const AGE_COLUMN: TableColumn = column('Age', (object, now) => humanAge(object.metadata.creationTimestamp, now))

const SECONDS_PER_MINUTE = 60
const SECONDS_PER_HOUR = 3_600
const SECONDS_PER_DAY = 86_400
const DAYS_PER_YEAR = 365

/** Time since `timestamp` as kubectl shows it: `45s`, `3m12s`, `5h`, `2d`; `<unknown>` without a timestamp. */
export function humanAge(timestamp: JSONValue | undefined, now: Date): string {
  const since = typeof timestamp === 'string' ? Date.parse(timestamp) : Number.NaN
  return Number.isNaN(since) ? '<unknown>' : humanDuration(Math.floor((now.getTime() - since) / 1_000))
}

/**
 * The two leading units while they matter, as apimachinery pkg/util/duration, HumanDuration.
 *
 * @param seconds whole; a slightly negative one (clocks apart) is 0
 */
export function humanDuration(seconds: number): string {
  if (seconds < -1) return '<invalid>'
  if (seconds < 0) return '0s'
  const minutes = Math.floor(seconds / SECONDS_PER_MINUTE)
  const hours = Math.floor(seconds / SECONDS_PER_HOUR)
  const days = Math.floor(seconds / SECONDS_PER_DAY)
  const years = Math.floor(days / DAYS_PER_YEAR)
  const pair = (whole: number, unit: string, rest: number, restUnit: string): string =>
    rest === 0 ? `${whole}${unit}` : `${whole}${unit}${rest}${restUnit}`
  if (seconds < 2 * SECONDS_PER_MINUTE) return `${seconds}s`
  if (minutes < 10) return pair(minutes, 'm', seconds % SECONDS_PER_MINUTE, 's')
  if (minutes < 3 * 60) return `${minutes}m`
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  if (hours < 8 * 24) return pair(days, 'd', hours % 24, 'h')
  if (days < 2 * DAYS_PER_YEAR) return `${days}d`
  if (days < 8 * DAYS_PER_YEAR) return pair(years, 'y', days % DAYS_PER_YEAR, 'd')
  return `${years}y`
}
