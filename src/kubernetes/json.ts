import type { JSONObject, JSONValue } from '../ipam/types.ts'

export function isObject(value: unknown): value is JSONObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isList(value: unknown): value is readonly JSONValue[] {
  return Array.isArray(value)
}

/**
 * Whether a value means "not set". Go clients leave zero values out when they write a resource back, so that absent, null, zero,
 * the empty text and empty containers are one and the same on the wire.
 *
 * @source Go encoding/json, `omitempty`; cilium pkg/ipam/types/types.go
 */
export function isEmpty(value: JSONValue | undefined): boolean {
  if (value === undefined || value === null || value === '' || value === 0 || value === false) return true
  if (isList(value)) return value.length === 0
  if (isObject(value)) return Object.values(value).every(isEmpty)
  return false
}

/** Structural equality in which absent and empty are equal (`isEmpty`). The order of keys does not matter, of lists it does. */
export function isSame(left: JSONValue | undefined, right: JSONValue | undefined): boolean {
  if (left === right) return true
  if (isList(left) && isList(right)) {
    return left.length === right.length && left.every((item, index) => isSame(item, right[index]))
  }
  if (isObject(left) && isObject(right)) {
    for (const key in left) if (!isSame(left[key], right[key])) return false
    for (const key in right) if (!(key in left) && !isEmpty(right[key])) return false
    return true
  }
  return isEmpty(left) && isEmpty(right)
}

/**
 * The merge patch (RFC 7386) that turns `seen` into `wanted`: changed members only, removed ones as null, at every depth. Lists are
 * replaced as a whole.
 *
 * @returns undefined when both are the same, absent and empty being equal
 */
export function mergePatch(seen: JSONValue | undefined, wanted: JSONValue | undefined): JSONValue | undefined {
  if (isSame(seen, wanted)) return undefined
  if (wanted === undefined || wanted === null) return null
  if (!isObject(wanted) || !isObject(seen)) return withoutNulls(wanted)
  const patch: Record<string, JSONValue> = {}
  for (const key in wanted) {
    const change = mergePatch(seen[key], wanted[key])
    if (change !== undefined) patch[key] = change
  }
  for (const key in seen) {
    if (!(key in wanted) && !isEmpty(seen[key])) patch[key] = null
  }
  return patch
}

/** A member that is not there yet is written whole; a null in it would be read as a removal. */
function withoutNulls(value: JSONValue): JSONValue {
  if (!isObject(value)) return value
  const kept: Record<string, JSONValue> = {}
  for (const [key, member] of Object.entries(value)) {
    if (member !== undefined && member !== null) kept[key] = withoutNulls(member)
  }
  return kept
}
