import { z } from 'zod'

/** What any source can hold for an option: text from flags, environment and files, more from YAML. */
export type RawValue = unknown

/** One flag given several times: lists and maps add up, of everything else the last one counts, as in Cilium. */
export class Repeated {
  readonly values: readonly RawValue[]

  constructor(values: readonly RawValue[]) {
    this.values = values
  }
}

/** A text that says what is expected, thrown by the parsers below and shown with the option and the value. */
class Expected extends Error {}

const REDIS_URL = 'a URL such as redis://cache:6379, rediss://user:password@cache:6380 or redis://cache:6379/2'

const MS_BY_UNIT: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
}

/**
 * @param name stands for the value in the help: `--eni-gc-interval duration`
 * @param show makes a wrong value readable in the message
 */
function value<T>(name: string, parse: (raw: RawValue) => T, show: (raw: RawValue) => string = shown): z.ZodType<T> {
  return z
    .unknown()
    .transform((raw, context): T => {
      try {
        return parse(raw)
      } catch (error) {
        if (!(error instanceof Expected)) throw error
        context.addIssue(`expected ${error.message}, found ${show(raw)}`)
        return z.NEVER
      }
    })
    .meta({ valueName: name })
}

/** @source Go strconv.ParseBool */
export const bool = value('bool', (raw) => {
  const text = scalar(raw, 'true or false')
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false
  throw new Expected('true or false')
})

export const text = value('string', (raw) => scalar(raw, 'a text'))

export function int(least: number): z.ZodType<number> {
  const expected = `a whole number of at least ${least}`
  return value('int', (raw) => {
    const digits = scalar(raw, expected)
    if (!/^-?\d+$/.test(digits) || Number(digits) < least) throw new Expected(expected)
    return Number(digits)
  })
}

/** A number above 0. */
export const rate = value('float', (raw) => {
  const digits = scalar(raw, 'a number above 0')
  const number = Number(digits)
  if (digits === '' || !Number.isFinite(number) || number <= 0) throw new Expected('a number above 0')
  return number
})

/** A number from 0 to below 1. */
export const share = value('float', (raw) => {
  const digits = scalar(raw, 'a number from 0 to below 1')
  const number = Number(digits)
  if (digits === '' || !(number >= 0 && number < 1)) throw new Expected('a number from 0 to below 1')
  return number
})

/**
 * A Go duration → milliseconds: `300ms`, `15s`, `1h30m`, `0`.
 *
 * @source Go time.ParseDuration
 */
export const duration = value('duration', (raw) => {
  const ms = parseDuration(scalar(raw, 'a duration such as 5m or 15s'))
  if (ms === undefined) throw new Expected('a duration with its unit, such as 5m or 15s')
  return ms
})

/** Seconds as in Cilium, or a duration → milliseconds. */
export const seconds = value('seconds', (raw) => {
  const digits = scalar(raw, 'seconds')
  const ms = /^\d+$/.test(digits) ? Number(digits) * 1_000 : parseDuration(digits)
  if (ms === undefined) throw new Expected('whole seconds such as 180, or a duration such as 3m')
  return ms
})

export function choice<const T extends string>(allowed: readonly T[]): z.ZodType<T> {
  return value(allowed.join('|'), (raw) => {
    const chosen = allowed.find((one) => one === scalar(raw, 'a text'))
    if (chosen === undefined) throw new Expected(`one of ${allowed.join(', ')}`)
    return chosen
  })
}

/** Separated by commas or, as Cilium's chart writes lists into its ConfigMap, by spaces. */
export const list = value('list', (raw): readonly string[] => {
  const parts = partsOf(raw).flatMap((part) => scalar(part, 'a list of texts').split(/[\s,]+/))
  return [...new Set(parts.filter((part) => part !== ''))]
})

/**
 * `k1=v1,k2=v2`, a JSON object, or a mapping of YAML. A piece without `=` belongs to the value before it, so that values may hold
 * commas; a later key wins.
 *
 * @source cilium pkg/command/map_string.go, GetStringMapString
 */
export const map = value('map', (raw): Readonly<Record<string, string>> => {
  const entries: Record<string, string> = {}
  for (const part of partsOf(raw)) Object.assign(entries, parseMap(part))
  return entries
})

/** `host:port`, `:port` for all addresses, `[::1]:port`. */
export const address = value('address', (raw) => {
  const listen = scalar(raw, 'host:port')
  const match = /^(?:\[[0-9a-fA-F:.]+\]|[^:\s]*):(\d{1,5})$/.exec(listen)
  if (match === null || Number(match[1]) > 65_535) throw new Expected('host:port, such as :9963 or 127.0.0.1:9963')
  return listen
})

const QUALIFIED_NAME = 'the name of an annotation, label or taint, such as example.com/name'

/** The key of an annotation or a taint; empty: none. @source Kubernetes pkg/util/validation, IsQualifiedName */
export const qualifiedName = value('name', (raw) => {
  const name = scalar(raw, QUALIFIED_NAME)
  if (name === '') return ''
  const [, prefix = ''] = /^(?:([^/]{1,253})\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.exec(name) ?? [
    name,
    '?',
  ]
  if (prefix !== '' && !/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(prefix))
    throw new Expected(QUALIFIED_NAME)
  return name
})

/** A URL, or a bare host that is reached over https as in Cilium; empty: none. */
export const endpoint = value('url', (raw) => {
  const given = scalar(raw, 'a URL or a host name').replace(/\/+$/, '')
  if (given === '') return ''
  const url = given.includes('://') ? given : `https://${given}`
  if (!URL.canParse(url) || !/^https?:\/\/[^/]/.test(url)) throw new Expected('a URL or a host name')
  return url
})

/** A Redis server; empty: none. It may hold a password, so a wrong one is not shown. */
export const redisURL = value(
  'url',
  (raw) => {
    const url = scalar(raw, REDIS_URL)
    if (url === '') return ''
    if (!/^rediss?:\/\/[^/?#]+(\/\d*)?$/.test(url) || !URL.canParse(url)) throw new Expected(REDIS_URL)
    const { username, password, hostname } = new URL(url)
    try {
      decodeURIComponent(username + password)
    } catch {
      throw new Expected('user and password with % written as %25')
    }
    if (hostname === '') throw new Expected(REDIS_URL)
    return url
  },
  (raw) => (raw === '' ? 'nothing' : 'another text, which is not shown as it may hold a password'),
)

function parseMap(raw: RawValue): Readonly<Record<string, string>> {
  if (typeof raw === 'object' && raw !== null && !Array.isArray(raw)) return textEntries(raw)
  const written = scalar(raw, 'k1=v1,k2=v2').trim()
  if (written === '') return {}
  if (written.startsWith('{')) return textEntries(parseJSON(written))
  const entries: Record<string, string> = {}
  let last: string | undefined
  // Cilium's chart joins `k=v` items with spaces; a space inside a value is not followed by `key=`.
  for (const piece of written.split(/,|\s+(?=[^\s=,]+=)/)) {
    const mark = piece.indexOf('=')
    if (mark > 0) {
      last = piece.slice(0, mark).trim()
      entries[last] = piece.slice(mark + 1).trim()
    } else if (last !== undefined && mark < 0) {
      entries[last] += `,${piece}`
    } else {
      throw new Expected('pairs such as k1=v1,k2=v2')
    }
  }
  return entries
}

function partsOf(raw: RawValue): readonly RawValue[] {
  if (raw instanceof Repeated) return raw.values.flatMap(partsOf)
  return Array.isArray(raw) ? (raw as readonly RawValue[]) : [raw]
}

function parseDuration(written: string): number | undefined {
  if (written === '0') return 0
  const pieces = [...written.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/gy)]
  if (pieces.length === 0 || pieces.map(([piece]) => piece).join('') !== written) return undefined
  const totalMs = pieces.reduce((sum, [, amount, unit = '']) => sum + Number(amount) * (MS_BY_UNIT[unit] ?? 0), 0)
  return Math.round(totalMs)
}

function parseJSON(written: string): object {
  try {
    const parsed: unknown = JSON.parse(written)
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed
  } catch {
    // Said below.
  }
  throw new Expected('pairs such as k1=v1,k2=v2, or a JSON object of texts')
}

function textEntries(raw: object): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(raw).map(([key, one]) => [key, scalar(one, 'texts as values')]))
}

function scalar(raw: RawValue, expected: string): string {
  if (typeof raw === 'string') return raw.trim()
  if (typeof raw === 'number' || typeof raw === 'boolean') return String(raw)
  if (raw instanceof Repeated) return scalar(raw.values.at(-1), expected)
  throw new Expected(expected)
}

function shown(raw: RawValue): string {
  const written = typeof raw === 'string' ? `'${raw}'` : (JSON.stringify(raw) ?? 'nothing')
  return written.length > 80 ? `${written.slice(0, 77)}...` : written
}
