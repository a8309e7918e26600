import { InputReader } from '../../kit/input.ts'
import type { DurationRange } from '../../kit/latency.ts'
import { DEFAULT_SETTINGS } from './settings.ts'
import type { SettingsInput } from './settings.ts'

/** How each setting is written in a file; quotas and consistency are objects of numbers. */
const WHOLE_NUMBERS = [
  'interfacePendingMs',
  'launchMs',
  'stopMs',
  'terminateMs',
  'terminatedListedMs',
  'unpagedInterfaceLimit',
  'maxClockSkewMs',
] as const
const RANGES = ['attachMs', 'detachMs'] as const
const FLAGS = ['shortPages', 'networkCardDefect'] as const
const KEYS = [
  'accountID',
  'addressChoice',
  'quotas',
  'consistency',
  ...WHOLE_NUMBERS,
  ...RANGES,
  ...FLAGS,
  '$schema',
] as const

/**
 * Reads a settings file: any of the members of `CloudSettings` but the region, e.g.
 * `{"quotas": {"interfaces": 500}, "consistency": {"addressesMs": 3000}, "attachMs": {"min": 0, "max": 0}}`.
 *
 * @throws InputError listing every fault of the file
 */
export function parseSettings(value: unknown): SettingsInput {
  const reader = new InputReader('settings')
  const file = reader.object(value, 'file', KEYS)
  const settings: Record<string, unknown> = {}
  const read = (key: string, parse: (given: unknown) => unknown): void => {
    if (file[key] !== undefined) settings[key] = parse(file[key])
  }
  read('accountID', (given) => accountID(reader, given))
  read('addressChoice', (given) => reader.oneOf(given, 'addressChoice', ['random', 'lowest'] as const))
  for (const key of WHOLE_NUMBERS) read(key, (given) => reader.integer(given, key, { min: 0 }))
  for (const key of RANGES) read(key, (given) => range(reader, given, key))
  for (const key of FLAGS) read(key, (given) => reader.boolean(given, key))
  const { notFoundProbability: _chance, ...times } = DEFAULT_SETTINGS.consistency
  read('quotas', (given) => numbers(reader, given, 'quotas', Object.keys(DEFAULT_SETTINGS.quotas)))
  read('consistency', (given) => ({
    ...numbers(reader, given, 'consistency', Object.keys(times), ['notFoundProbability']),
    ...chance(reader, given),
  }))
  reader.finish()
  return settings
}

function accountID(reader: InputReader, given: unknown): string {
  const text = reader.string(given, 'accountID')
  if (text !== '' && !/^\d{12}$/.test(text)) reader.fault('accountID', `must be twelve digits, not ${text}`)
  return text
}

function range(reader: InputReader, given: unknown, place: string): DurationRange {
  const { min, max } = reader.object(given, place, ['min', 'max'])
  const minMs = reader.number(min, `${place}.min`, { min: 0 })
  return { min: minMs, max: reader.number(max, `${place}.max`, { min: minMs }) }
}

/** @param others known keys that are read elsewhere */
function numbers(
  reader: InputReader,
  given: unknown,
  place: string,
  keys: readonly string[],
  others: readonly string[] = [],
): Readonly<Record<string, number>> {
  const object = reader.object(given, place, [...keys, ...others])
  const present = keys.filter((key) => object[key] !== undefined)
  return Object.fromEntries(present.map((key) => [key, reader.integer(object[key], `${place}.${key}`, { min: 0 })]))
}

function chance(reader: InputReader, given: unknown): { readonly notFoundProbability?: number } {
  const value = (given as { readonly notFoundProbability?: unknown } | null)?.notFoundProbability
  if (value === undefined) return {}
  return { notFoundProbability: reader.number(value, 'consistency.notFoundProbability', { min: 0, max: 1 }) }
}
