/** JSON as it travels on the wire, and the few structural helpers every part of the simulator shares. */

export type JSONValue = null | boolean | number | string | readonly JSONValue[] | JSONObject

/** `undefined` stands for "absent": it is never serialised. */
export interface JSONObject {
  readonly [key: string]: JSONValue | undefined
}

/** metadata of an object; only what the simulator itself reads or writes is typed. */
export interface ObjectMeta extends JSONObject {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly deletionGracePeriodSeconds?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly finalizers?: readonly string[]
  readonly ownerReferences?: readonly JSONObject[]
  readonly managedFields?: readonly JSONObject[]
}

/** A whole object as stored: never edited, only replaced, so that old versions and events may share its parts. */
export interface KubernetesObject extends JSONObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
}

export function isObject(value: unknown): value is JSONObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isList(value: unknown): value is readonly JSONValue[] {
  return Array.isArray(value)
}

/** Structural equality; `undefined` and absent are equal, the order of keys does not matter. */
export function deepEqual(left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (isList(left) || isList(right)) {
    if (!isList(left) || !isList(right) || left.length !== right.length) return false
    return left.every((item, index) => deepEqual(item, right[index]))
  }
  if (!isObject(left) || !isObject(right)) return false
  let present = 0
  for (const key in left) {
    if (left[key] === undefined) continue
    present += 1
    if (!deepEqual(left[key], right[key])) return false
  }
  for (const key in right) if (right[key] !== undefined) present -= 1
  return present === 0
}

/** `deepEqual` of two objects, some of their members apart. */
export function equalExcept(left: JSONObject, right: JSONObject, ...ignored: readonly string[]): boolean {
  for (const key in left) if (!ignored.includes(key) && !deepEqual(left[key], right[key])) return false
  for (const key in right) {
    if (left[key] === undefined && right[key] !== undefined && !ignored.includes(key)) return false
  }
  return true
}

/** The value at a dotted path of plain field names (`spec.nodeName`), or undefined when a step is missing. */
export function valueAt(root: JSONValue | undefined, path: string): JSONValue | undefined {
  let value: JSONValue | undefined = root
  for (const step of path.split('.')) {
    if (!isObject(value)) return undefined
    value = value[step]
  }
  return value
}

/** The text of a scalar as field selectors compare it; absent and null are the empty text. */
export function scalarText(value: JSONValue | undefined): string {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
}

/** A copy of `value` without the named keys; the same object when none of them is there. */
export function without(value: JSONObject, ...keys: readonly string[]): JSONObject {
  if (!keys.some((key) => key in value)) return value
  const kept: Record<string, JSONValue | undefined> = {}
  for (const key in value) if (!keys.includes(key)) kept[key] = value[key]
  return kept
}

/** A Kubernetes timestamp: RFC 3339, UTC, whole seconds. */
export function timestamp(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`
}
