import type { JSONObject, JSONValue } from '../../src/ipam/types.ts'

/*
 * Documents of Resource Manager stay raw JSON from the read to the write, so that what this program does not know survives. A member
 * of another type than expected is as good as absent.
 */

export function isObject(value: unknown): value is JSONObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** @returns undefined for a text that is no JSON object, as when an answer was cut */
export function parseObject(text: string): JSONObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

export function objectAt(parent: JSONObject | undefined, key: string): JSONObject | undefined {
  const value = parent?.[key]
  return isObject(value) ? value : undefined
}

/** Empty when absent. */
export function textAt(parent: JSONObject | undefined, key: string): string {
  const value = parent?.[key]
  return typeof value === 'string' ? value : ''
}

export function numberAt(parent: JSONObject | undefined, key: string): number | undefined {
  const value = parent?.[key]
  return typeof value === 'number' ? value : undefined
}

/** The objects of a list; undefined when there is no list. */
export function objectsAt(parent: JSONObject | undefined, key: string): readonly JSONObject[] | undefined {
  const value: JSONValue | undefined = parent?.[key]
  return Array.isArray(value) ? value.filter((one): one is JSONObject => isObject(one)) : undefined
}

/** The object without one member. */
export function without(object: JSONObject, key: string): JSONObject {
  const { [key]: _, ...rest } = object
  return rest
}
