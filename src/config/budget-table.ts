import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import type { BucketConfig } from './config.ts'

/** What is written in the file for one bucket. */
type Written = { readonly size?: unknown; readonly refillPerSecond?: unknown }

const EXAMPLE = 'AssignPrivateIpAddresses: {size: 100, refillPerSecond: 5}'

/**
 * The file of `--budget-table`: a YAML or JSON mapping, bucket → size and refill.
 *
 * @param path empty: no file
 * @param faults is added one line for each mistake; the lines with mistakes are left out
 */
export function readBudgetTable(path: string, faults: string[]): Readonly<Record<string, BucketConfig>> {
  if (path === '') return {}
  const origin = `--budget-table ${path}`
  let document: unknown
  try {
    document = parse(readFileSync(path, 'utf8'))
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    faults.push(`${origin}: cannot be read: ${message.split('\n', 1)[0] ?? ''}`)
    return {}
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    faults.push(`${origin}: expected lines such as '${EXAMPLE}'`)
    return {}
  }
  const table: Record<string, BucketConfig> = {}
  for (const [name, written] of Object.entries(document)) {
    const bucket = readBucket(written)
    if (typeof bucket === 'string') faults.push(`${origin}: ${name}: ${bucket}`)
    else table[name] = bucket
  }
  return table
}

/** @returns what is wrong, as a text, where something is */
function readBucket(written: unknown): BucketConfig | string {
  if (typeof written !== 'object' || written === null) return `expected {size, refillPerSecond}, as in '${EXAMPLE}'`
  const { size, refillPerSecond, ...others } = written as Written
  const unknown = Object.keys(others)
  if (unknown.length > 0) return `unknown ${unknown.join(', ')}; a bucket has size and refillPerSecond`
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 1) {
    return `size must be a whole number of at least 1, found ${JSON.stringify(size) ?? 'nothing'}`
  }
  if (typeof refillPerSecond !== 'number' || !(refillPerSecond > 0) || !Number.isFinite(refillPerSecond)) {
    return `refillPerSecond must be a number above 0, found ${JSON.stringify(refillPerSecond) ?? 'nothing'}`
  }
  return { size, refillPerSecond }
}
