/** A JSON object as a client wrote it. Never edited: changes make a new one. */
export type JSONObject = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is JSONObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The member when it is an object. */
export function objectAt(parent: JSONObject | undefined, key: string): JSONObject | undefined {
  const value = parent?.[key]
  return isObject(value) ? value : undefined
}

/** The members of an array that are objects; none when it is no array. */
export function objectsAt(parent: JSONObject | undefined, key: string): readonly JSONObject[] {
  const value = parent?.[key]
  return Array.isArray(value) ? value.filter(isObject) : []
}

export function textAt(parent: JSONObject | undefined, key: string): string | undefined {
  const value = parent?.[key]
  return typeof value === 'string' ? value : undefined
}

/** The object without these members. */
export function without(object: JSONObject, ...keys: readonly string[]): JSONObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)))
}
