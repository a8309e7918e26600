import type { JSONObject, JSONValue, Tags } from '../ipam/types.ts'
import { isObject } from './json.ts'

/**
 * Reads fields of a resource and writes down what is wrong with them, so that one look finds every fault. Absent, null and zero
 * values read alike. Paths in faults are those a user types: `spec.ipam.pre-allocate`.
 */
export class FieldReader {
  readonly faults: string[] = []

  object(parent: JSONObject | undefined, key: string, path: string): JSONObject | undefined {
    const value = present(parent, key)
    if (value === undefined || isObject(value)) return value
    this.#wrong(path, 'an object', value)
    return undefined
  }

  text(parent: JSONObject | undefined, key: string, path: string): string {
    const value = present(parent, key)
    if (value === undefined || typeof value === 'string') return value ?? ''
    this.#wrong(path, 'a text', value)
    return ''
  }

  /** A whole number of at least 0. */
  count(parent: JSONObject | undefined, key: string, path: string): number {
    const value = present(parent, key)
    if (value === undefined) return 0
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
    this.#wrong(path, 'a whole number of at least 0', value)
    return 0
  }

  list(parent: JSONObject | undefined, key: string, path: string): readonly JSONValue[] {
    const value = present(parent, key)
    if (value === undefined) return []
    if (Array.isArray(value)) return value as readonly JSONValue[]
    this.#wrong(path, 'a list', value)
    return []
  }

  texts(parent: JSONObject | undefined, key: string, path: string): Tags {
    const entries = Object.entries(this.object(parent, key, path) ?? {})
    const texts: Record<string, string> = {}
    for (const [name, value] of entries) {
      if (typeof value === 'string') texts[name] = value
      else if (value !== null && value !== undefined) this.#wrong(`${path}.${name}`, 'a text', value)
    }
    return texts
  }

  fault(path: string, message: string): void {
    this.faults.push(`${path}: ${message}`)
  }

  #wrong(path: string, expected: string, value: JSONValue): void {
    const shown = JSON.stringify(value)
    this.fault(path, `expected ${expected}, found ${shown.length > 60 ? `${shown.slice(0, 57)}...` : shown}`)
  }
}

function present(parent: JSONObject | undefined, key: string): JSONValue | undefined {
  const value = parent?.[key]
  return value === null ? undefined : value
}
