import { scalarText, valueAt } from '../json.ts'
import type { JSONObject, JSONValue, KubernetesObject } from '../json.ts'
import { ObjectSchema } from '../schema.ts'
import type { FieldReader } from '../selectors.ts'
import type { StatusCause } from '../status-errors.ts'
import { NAME_READERS } from './definition.ts'
import type { ResourceDefinition, TableColumn } from './definition.ts'

/** What distinguishes a built-in resource; the rest has the defaults of most of them. */
export interface BuiltIn extends Partial<Omit<ResourceDefinition, 'versions' | 'readers'>> {
  readonly plural: string
  readonly kind: string
  readonly columns: readonly TableColumn[]
  readonly hasStatus?: boolean
  /** Dotted paths that field selectors may name, besides name and namespace. */
  readonly selectable?: readonly string[]
  /** Field labels whose value is not simply a path. */
  readonly selectableBy?: Readonly<Record<string, FieldReader>>
  /**
   * The part of the schema that matters here. Fields it does not name are kept: unlike the real server, which decodes built-in
   * objects into typed structures, nothing of them is pruned.
   */
  readonly schema?: JSONObject
}

/** A resource of the server itself, served under one version `v1`. */
export function builtIn(parts: BuiltIn): ResourceDefinition {
  const { columns, hasStatus = false, selectable = [], selectableBy = {}, schema, ...rest } = parts
  const paths = selectable.map((path): [string, FieldReader] => [path, (object) => scalarText(valueAt(object, path))])
  return {
    group: '',
    singular: parts.kind.toLowerCase(),
    listKind: `${parts.kind}List`,
    shortNames: [],
    categories: [],
    isNamespaced: true,
    isCustom: false,
    versions: [{ name: 'v1', hasStatus, schema: schema === undefined ? undefined : new ObjectSchema(schema), columns }],
    storageVersion: 'v1',
    readers: { ...NAME_READERS, ...Object.fromEntries(paths), ...selectableBy },
    indexedFields: [],
    hasGeneration: false,
    allowsCreateOnUpdate: false,
    allowsUnconditionalUpdate: true,
    mergeKeys: {},
    strategy: {},
    ...rest,
  }
}

/** An object schema that keeps what it does not name. */
export function open(properties: Readonly<Record<string, JSONObject>>, required: readonly string[] = []): JSONObject {
  return { type: 'object', properties, required, 'x-kubernetes-preserve-unknown-fields': true }
}

export function listOf(items: JSONObject, rules: JSONObject = {}): JSONObject {
  return { type: 'array', items, ...rules }
}

export const TEXT: JSONObject = { type: 'string' }
export const TEXT_MAP: JSONObject = { type: 'object', additionalProperties: { type: 'string' } }
export const TEXT_LIST: JSONObject = { type: 'array', items: { type: 'string' } }

/** A list inside an object, empty when absent or of another type. */
export function objectsAt(object: KubernetesObject, path: string): readonly JSONObject[] {
  const value: JSONValue | undefined = valueAt(object, path)
  return Array.isArray(value) ? (value as readonly JSONObject[]) : []
}

export function forbidden(field: string, why: string): StatusCause {
  return { reason: 'FieldValueForbidden', message: `Forbidden: ${why}`, field }
}
