import { deepEqual, isList, isObject, scalarText } from './json.ts'
import type { JSONObject, JSONValue, KubernetesObject } from './json.ts'
import type { MergeKeys } from './strategic-merge.ts'

/**
 * Field ownership of server-side apply, in the wire form `metadata.managedFields[].fieldsV1`
 * (sigs.k8s.io/structured-merge-diff). Maps are granular, lists of objects with a merge key are granular by element, other lists are
 * one field.
 */

/** The path of a field as steps of fieldsV1: `f:spec`, `k:{"name":"a"}`. Joined, it is the identity of the field. */
export type FieldPath = readonly string[]

/** Leaf fields by identity. */
export type FieldSet = ReadonlyMap<string, FieldPath>

/** One entry of `metadata.managedFields`. */
export interface Manager {
  readonly name: string
  readonly operation: 'Apply' | 'Update'
  readonly subresource: string
  readonly apiVersion: string
  readonly time: string
  readonly fields: FieldSet
}

const SEPARATOR = '\u0000'

/** Fields that belong to the server: nobody owns them. */
const UNOWNED = new Set(['apiVersion', 'kind'])
const UNOWNED_METADATA = new Set([
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'generateName',
  'selfLink',
])

/** The leaf fields that an object sets. */
export function fieldsOf(object: JSONObject, mergeKeys: MergeKeys): FieldSet {
  const fields = new Map<string, FieldPath>()
  for (const [key, value] of Object.entries(object)) {
    if (UNOWNED.has(key) || value === undefined) continue
    if (key === 'metadata' && isObject(value)) {
      for (const [name, field] of Object.entries(value)) {
        if (UNOWNED_METADATA.has(name) || field === undefined) continue
        collect(field, ['f:metadata', `f:${name}`], `metadata.${name}`, { fields, mergeKeys })
      }
    } else {
      collect(value, [`f:${key}`], key, { fields, mergeKeys })
    }
  }
  return fields
}

function collect(
  value: JSONValue,
  steps: FieldPath,
  path: string,
  into: { readonly fields: Map<string, FieldPath>; readonly mergeKeys: MergeKeys },
): void {
  const mergeKey = into.mergeKeys[path]
  if (isObject(value) && Object.keys(value).length > 0) {
    for (const [key, child] of Object.entries(value)) {
      if (child !== undefined) collect(child, [...steps, `f:${key}`], `${path}.${key}`, into)
    }
  } else if (isList(value) && mergeKey !== undefined) {
    for (const item of value) {
      if (isObject(item)) collect(item, [...steps, elementStep(mergeKey, item)], path, into)
    }
  } else {
    into.fields.set(steps.join(SEPARATOR), steps)
  }
}

function elementStep(mergeKey: string, item: JSONObject): string {
  return `k:${JSON.stringify({ [mergeKey]: item[mergeKey] ?? null })}`
}

/** Whether the field is the one that identifies its list element: `k:{"name":"a"}`, `f:name`. */
export function isElementKey(steps: FieldPath): boolean {
  const element = steps.at(-2) ?? ''
  const field = (steps.at(-1) ?? '').slice(2)
  return element.startsWith('k:') && Object.hasOwn(JSON.parse(element.slice(2)) as JSONObject, field)
}

/** The value of a field; undefined when the object does not have it. */
export function fieldValue(object: JSONObject, steps: FieldPath): JSONValue | undefined {
  let value: JSONValue | undefined = object
  for (const step of steps) {
    if (isList(value) && step.startsWith('k:')) {
      const wanted = JSON.parse(step.slice(2)) as JSONObject
      value = value.find(
        (item) => isObject(item) && Object.keys(wanted).every((key) => deepEqual(item[key], wanted[key])),
      )
    } else {
      value = isObject(value) ? value[step.slice(2)] : undefined
    }
  }
  return value
}

/** A copy of the object without the field, and without objects and elements that thereby become empty. */
export function withoutField(object: JSONObject, steps: FieldPath): JSONObject {
  const [step, ...rest] = steps
  if (step === undefined) return object
  const key = step.slice(2)
  const child = object[key]
  const kept: Record<string, JSONValue | undefined> = { ...object }
  if (rest.length === 0) delete kept[key]
  else if (isObject(child)) {
    const smaller = withoutField(child, rest)
    if (Object.keys(smaller).length === 0) delete kept[key]
    else kept[key] = smaller
  } else if (isList(child)) {
    const wanted = JSON.parse((rest[0] ?? 'k:{}').slice(2)) as JSONObject
    const isElement = (item: JSONValue): item is JSONObject =>
      isObject(item) && Object.keys(wanted).every((name) => deepEqual(item[name], wanted[name]))
    kept[key] = child.flatMap((item): readonly JSONValue[] => {
      if (!isElement(item)) return [item]
      const smaller = withoutField(item, rest.slice(1))
      return Object.keys(smaller).length === 0 ? [] : [smaller]
    })
  }
  return kept
}

export function managersOf(object: KubernetesObject): readonly Manager[] {
  return (object.metadata.managedFields ?? []).map((entry) => {
    const fields = new Map<string, FieldPath>()
    readFields(isObject(entry['fieldsV1']) ? entry['fieldsV1'] : {}, [], fields)
    return {
      name: scalarText(entry['manager']),
      operation: entry['operation'] === 'Apply' ? 'Apply' : 'Update',
      subresource: scalarText(entry['subresource']),
      apiVersion: scalarText(entry['apiVersion']),
      time: scalarText(entry['time']),
      fields,
    }
  })
}

function readFields(tree: JSONObject, steps: FieldPath, fields: Map<string, FieldPath>): void {
  const children = Object.entries(tree).filter(([key]) => key !== '.')
  if (children.length === 0 && steps.length > 0) fields.set(steps.join(SEPARATOR), steps)
  for (const [key, child] of children) if (isObject(child)) readFields(child, [...steps, key], fields)
}

/** The wire form; managers that own nothing are left out. */
export function formatManagers(managers: readonly Manager[]): readonly JSONObject[] {
  return managers
    .filter((manager) => manager.fields.size > 0)
    .map((manager) => ({
      manager: manager.name,
      operation: manager.operation,
      apiVersion: manager.apiVersion,
      time: manager.time,
      fieldsType: 'FieldsV1',
      fieldsV1: fieldTree(manager.fields),
      ...(manager.subresource === '' ? {} : { subresource: manager.subresource }),
    }))
}

interface FieldTree extends JSONObject {
  [key: string]: FieldTree
}

function fieldTree(fields: FieldSet): JSONObject {
  const root: FieldTree = {}
  for (const steps of fields.values()) {
    let tree = root
    for (const step of steps) tree = tree[step] ??= {}
  }
  return root
}

/** The path as messages show it: `.spec.containers[name="a"].image`. */
export function showPath(steps: FieldPath): string {
  return steps
    .map((step) => {
      if (step.startsWith('f:')) return `.${step.slice(2)}`
      const keys = Object.entries(JSON.parse(step.slice(2)) as JSONObject)
      return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`
    })
    .join('')
}
