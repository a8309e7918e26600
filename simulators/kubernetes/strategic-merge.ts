import { isList, isObject, scalarText, without } from './json.ts'
import type { JSONObject, JSONValue } from './json.ts'
import { badRequest } from './status-errors.ts'

/**
 * Strategic merge patch for built-in resources, as far as their clients use it: lists of objects are merged by key,
 * `$patch: delete | replace` and `$deleteFromPrimitiveList` are obeyed, `$setElementOrder` and `$retainKeys` are read over.
 *
 * @source apimachinery pkg/util/strategicpatch
 */

/** By path of a list without indexes (`spec.containers`): the key that identifies its elements; other lists are replaced. */
export type MergeKeys = Readonly<Record<string, string>>

/** Lists of scalars that every object has and that merge as sets. */
const PRIMITIVE_SETS: ReadonlySet<string> = new Set(['metadata.finalizers'])
const COMMON_KEYS: MergeKeys = { 'metadata.ownerReferences': 'uid' }

export function strategicMerge(target: JSONObject, patch: JSONObject, mergeKeys: MergeKeys): JSONObject {
  return mergeObject(target, patch, '', { ...COMMON_KEYS, ...mergeKeys })
}

function mergeObject(target: JSONObject, patch: JSONObject, path: string, mergeKeys: MergeKeys): JSONObject {
  const directive = patch['$patch']
  if (directive === 'replace') return without(patch, '$patch')
  if (directive === 'delete') return {}
  const merged: Record<string, JSONValue | undefined> = { ...target }
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$setElementOrder/') || key === '$retainKeys' || key === '$patch') continue
    const childPath = path === '' ? key : `${path}.${key}`
    if (key.startsWith('$deleteFromPrimitiveList/')) {
      const name = key.slice('$deleteFromPrimitiveList/'.length)
      const current = merged[name]
      if (isList(current) && isList(value)) merged[name] = current.filter((item) => !value.includes(item))
    } else if (value === null) {
      delete merged[key]
    } else if (value !== undefined) {
      merged[key] = mergeValue(merged[key], value, childPath, mergeKeys)
    }
  }
  return merged
}

function mergeValue(target: JSONValue | undefined, patch: JSONValue, path: string, mergeKeys: MergeKeys): JSONValue {
  if (isObject(patch)) return mergeObject(isObject(target) ? target : {}, patch, path, mergeKeys)
  if (!isList(patch)) return patch
  const current = isList(target) ? target : []
  if (PRIMITIVE_SETS.has(path)) return [...current, ...patch.filter((item) => !current.includes(item))]
  const mergeKey = mergeKeys[path]
  return mergeKey === undefined ? patch : mergeList(current, patch, { path, mergeKey, mergeKeys })
}

interface ListContext {
  readonly path: string
  readonly mergeKey: string
  readonly mergeKeys: MergeKeys
}

function mergeList(target: readonly JSONValue[], patch: readonly JSONValue[], context: ListContext): JSONValue[] {
  const { path, mergeKey, mergeKeys } = context
  const isReplaced = patch.some((item) => isObject(item) && item['$patch'] === 'replace' && !(mergeKey in item))
  let merged: JSONValue[] = isReplaced ? [] : [...target]
  for (const item of patch) {
    if (!isObject(item)) throw badRequest(`invalid strategic merge patch: elements of ${path} must be objects`)
    if (!(mergeKey in item)) {
      if (item['$patch'] === 'replace') continue
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`)
    }
    const identity = scalarText(item[mergeKey])
    const isSame = (one: JSONValue): boolean => isObject(one) && scalarText(one[mergeKey]) === identity
    if (item['$patch'] === 'delete') {
      merged = merged.filter((one) => !isSame(one))
      continue
    }
    const index = merged.findIndex(isSame)
    const existing = merged[index]
    if (isObject(existing)) merged[index] = mergeObject(existing, item, path, mergeKeys)
    else merged.push(mergeObject({}, item, path, mergeKeys))
  }
  return merged
}
