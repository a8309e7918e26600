import { Ajv } from 'ajv'
import type { ValidateFunction } from 'ajv'
import { FORMATS } from './formats.ts'
import { deepEqual, isList, isObject, scalarText, without } from './json.ts'
import type { JSONObject, JSONValue } from './json.ts'
import type { StatusCause } from './status-errors.ts'
import { causesOf } from './validation-causes.ts'

/**
 * The structural schema of a custom resource at work: unknown fields are pruned, defaults filled in, the rest validated, in this
 * order, as apiextensions-apiserver does it (pkg/apiserver/schema/{pruning,defaulting}, pkg/apiserver/validation).
 */

/** What became of the fields of an object that the schema does not know. */
export interface Pruned {
  readonly object: JSONObject
  /** Paths of dropped fields, `spec.ipam.pools[0].x`; in the order of the object. */
  readonly unknownFields: readonly string[]
}

/** Keys that a schema may carry and ajv must not see. */
const EXTENSIONS = [
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'x-kubernetes-validations',
  'nullable',
  'description',
  'title',
  'example',
  'externalDocs',
  'default',
] as const

const OBJECT_ROOT_FIELDS = ['apiVersion', 'kind', 'metadata']

/** The one CEL rule that is evaluated: the field keeps its value once it is set. */
const IMMUTABLE_RULE = /^\s*(?:self\s*==\s*oldSelf|oldSelf\s*==\s*self)\s*$/

export class ObjectSchema {
  readonly #schema: JSONObject
  readonly #validate: ValidateFunction
  /** Whether any part has a rule that ajv does not know: most schemas have none, and their objects need no further walk. */
  readonly #hasListTypes: boolean
  readonly #hasTransitionRules: boolean

  /**
   * @param schema `openAPIV3Schema` of a version
   * @throws Error from ajv when it is not a schema
   */
  constructor(schema: JSONObject) {
    this.#schema = schema
    const ajv = new Ajv({ strict: false, allErrors: true, verbose: true, logger: false, formats: FORMATS })
    this.#validate = ajv.compile(toJSONSchema(schema))
    const text = JSON.stringify(schema)
    this.#hasListTypes = text.includes('"x-kubernetes-list-type":')
    this.#hasTransitionRules = text.includes('"x-kubernetes-validations":')
  }

  /**
   * Drops unknown fields, and nulls where the schema does not allow them; then fills defaults in.
   *
   * @param old the stored state, already pruned: parts that the object shares with it are not walked again
   */
  prune(object: JSONObject, old?: JSONObject): Pruned {
    const unknownFields: string[] = []
    return { object: pruneObject(object, this.#schema, { path: '', isRoot: true, unknownFields, old }), unknownFields }
  }

  /** Faults of the whole object; `old` is the stored state, for fields that must not change. */
  validate(object: JSONObject, old: JSONObject | undefined): readonly StatusCause[] {
    const causes = this.#validate(object) ? [] : causesOf(this.#validate.errors ?? [], object)
    const rules: StatusCause[] = []
    if (old !== undefined && this.#hasTransitionRules) checkTransitions(this.#schema, object, old, '', rules)
    if (this.#hasListTypes) checkLists(this.#schema, object, '', rules)
    return [...causes, ...rules]
  }
}

interface PruneContext {
  readonly path: string
  /** An object with apiVersion, kind and metadata of its own: they stay whatever the schema says. */
  readonly isRoot: boolean
  readonly unknownFields: string[]
  /** The same place in the stored state. */
  readonly old: JSONValue | undefined
}

function prune(value: JSONValue, schema: JSONObject, context: PruneContext): JSONValue {
  if (value === context.old) return value
  if (isList(value)) {
    const items = schema['items']
    if (!isObject(items)) return value
    const { path, unknownFields, old } = context
    const kept = value.map((item, index) =>
      prune(item, items, {
        path: `${path}[${index}]`,
        isRoot: false,
        unknownFields,
        old: isList(old) ? old[index] : old,
      }),
    )
    return kept.every((item, index) => item === value[index]) ? value : kept
  }
  return isObject(value) ? pruneObject(value, schema, context) : value
}

/** The same object when nothing of it has to go: copies are made only along the way to a change. */
function pruneObject(value: JSONObject, schema: JSONObject, context: PruneContext): JSONObject {
  const isRoot = context.isRoot || schema['x-kubernetes-embedded-resource'] === true
  const old = isObject(context.old) ? context.old : undefined
  let kept: Record<string, JSONValue | undefined> | undefined
  for (const key in value) {
    const field = value[key]
    if (field === undefined || (isRoot && OBJECT_ROOT_FIELDS.includes(key)) || field === old?.[key]) continue
    const child = childSchema(schema, key)
    let next: JSONValue | undefined
    if (child === undefined) {
      if (schema['x-kubernetes-preserve-unknown-fields'] === true) continue
      context.unknownFields.push(fieldName(context.path, key))
    } else if (typeof field !== 'object') {
      continue
    } else if (field !== null || child['nullable'] === true) {
      const path = fieldName(context.path, key)
      next = prune(field, child, { path, isRoot: false, unknownFields: context.unknownFields, old: old?.[key] })
    }
    if (next === field) continue
    kept ??= { ...value }
    if (next === undefined) delete kept[key]
    else kept[key] = next
  }
  return withDefaults(kept ?? value, schema)
}

function withDefaults(value: JSONObject, schema: JSONObject): JSONObject {
  const properties = schema['properties']
  if (!isObject(properties)) return value
  let filled: Record<string, JSONValue | undefined> | undefined
  for (const key in properties) {
    const child = properties[key]
    if (!isObject(child) || child['default'] === undefined || value[key] !== undefined) continue
    filled ??= { ...value }
    filled[key] = prune(child['default'], child, { path: key, isRoot: false, unknownFields: [], old: undefined })
  }
  return filled ?? value
}

function fieldName(parent: string, key: string): string {
  return parent === '' ? key : `${parent}.${key}`
}

/** The schema of a field; undefined when the parent does not know it. */
function childSchema(schema: JSONObject, key: string): JSONObject | undefined {
  const properties = schema['properties']
  if (isObject(properties) && Object.hasOwn(properties, key)) {
    const child = properties[key]
    return isObject(child) ? child : {}
  }
  const additional = schema['additionalProperties']
  if (isObject(additional)) return additional
  return additional === true ? { 'x-kubernetes-preserve-unknown-fields': true } : undefined
}

/** OpenAPI v3 as Kubernetes uses it → JSON Schema as ajv reads it. */
function toJSONSchema(schema: JSONObject): JSONObject {
  const plain: Record<string, JSONValue | undefined> = { ...without(schema, ...EXTENSIONS) }
  if (schema['x-kubernetes-int-or-string'] === true) {
    plain['type'] = ['integer', 'string']
    delete plain['anyOf']
  }
  const type = plain['type']
  if (schema['nullable'] === true && type !== undefined) plain['type'] = [...(isList(type) ? type : [type]), 'null']
  if (typeof plain['format'] === 'string' && !Object.hasOwn(FORMATS, plain['format'])) delete plain['format']
  for (const key of ['items', 'additionalProperties', 'not']) {
    const child = plain[key]
    if (isObject(child)) plain[key] = toJSONSchema(child)
  }
  for (const key of ['allOf', 'anyOf', 'oneOf']) {
    const children = plain[key]
    if (isList(children)) plain[key] = children.map((child) => (isObject(child) ? toJSONSchema(child) : child))
  }
  const properties = plain['properties']
  if (isObject(properties)) {
    plain['properties'] = Object.fromEntries(
      Object.entries(properties).map(([key, child]) => [key, isObject(child) ? toJSONSchema(child) : (child ?? {})]),
    )
  }
  return plain
}

/** Walks the parts that old and new have in common; list elements are compared only in `map` lists and by index elsewhere. */
function checkTransitions(
  schema: JSONObject,
  value: JSONValue | undefined,
  old: JSONValue | undefined,
  path: string,
  causes: StatusCause[],
): void {
  if (value === undefined || old === undefined || value === old) return
  const rules = schema['x-kubernetes-validations']
  for (const rule of isList(rules) ? rules : []) {
    if (!isObject(rule) || !IMMUTABLE_RULE.test(scalarText(rule['rule'])) || deepEqual(value, old)) continue
    const message = typeof rule['message'] === 'string' ? rule['message'] : `failed rule: ${scalarText(rule['rule'])}`
    const shown = isObject(value) ? '"object"' : JSON.stringify(value)
    causes.push({ reason: 'FieldValueInvalid', message: `Invalid value: ${shown}: ${message}`, field: path })
  }
  if (!isObject(value) || !isObject(old)) return
  for (const [key, child] of Object.entries(value)) {
    const next = childSchema(schema, key)
    if (next !== undefined) checkTransitions(next, child, old[key], fieldName(path, key), causes)
  }
}

/** `x-kubernetes-list-type: set | map`: no two equal elements, no two with equal keys. */
function checkLists(schema: JSONObject, value: JSONValue | undefined, path: string, causes: StatusCause[]): void {
  if (isObject(value)) {
    for (const [key, child] of Object.entries(value)) {
      const next = childSchema(schema, key)
      if (next !== undefined) checkLists(next, child, fieldName(path, key), causes)
    }
    return
  }
  const items = schema['items']
  if (!isList(value) || !isObject(items)) return
  const identify = identityOf(schema)
  const seen = new Set<string>()
  value.forEach((item, index) => {
    const place = `${path}[${index}]`
    checkLists(items, item, place, causes)
    const identity = identify?.(item)
    if (identity === undefined) return
    if (seen.has(identity)) {
      causes.push({ reason: 'FieldValueDuplicate', message: `Duplicate value: ${identity}`, field: place })
    }
    seen.add(identity)
  })
}

function identityOf(schema: JSONObject): ((item: JSONValue) => string) | undefined {
  const keys = schema['x-kubernetes-list-map-keys']
  if (schema['x-kubernetes-list-type'] === 'set') return (item) => JSON.stringify(item)
  if (schema['x-kubernetes-list-type'] !== 'map' || !isList(keys)) return undefined
  return (item) =>
    JSON.stringify(
      Object.fromEntries(keys.map((key) => [key, isObject(item) ? (item[scalarText(key)] ?? null) : null])),
    )
}
