import { isList, isObject, scalarText } from './json.ts'
import type { JSONObject, JSONValue, KubernetesObject } from './json.ts'
import { compileJSONPath } from './jsonpath.ts'
import { AGE_COLUMN, humanAge } from './resources/columns.ts'
import { NAME_READERS } from './resources/definition.ts'
import type { ResourceDefinition, ServedVersion, TableColumn } from './resources/definition.ts'
import { ObjectSchema } from './schema.ts'
import type { FieldReader } from './selectors.ts'

/** CustomResourceDefinition → the resource that it makes the server serve. */

function objectAt(value: JSONValue | undefined): JSONObject {
  return isObject(value) ? value : {}
}

function listAt(value: JSONValue | undefined): readonly JSONValue[] {
  return isList(value) ? value : []
}

/**
 * @param crd valid by `validateCRD` of resources/custom-resource-definitions.ts
 * @throws Error when a schema or a JSONPath cannot be compiled
 */
export function definitionOf(crd: KubernetesObject): ResourceDefinition {
  const spec = objectAt(crd['spec'])
  const names = objectAt(spec['names'])
  const kind = scalarText(names['kind'])
  const versions = listAt(spec['versions']).map(objectAt)
  const served = versions.filter((version) => version['served'] === true).sort(byPriority)
  const storage = versions.find((version) => version['storage'] === true)
  return {
    group: scalarText(spec['group']),
    plural: scalarText(names['plural']),
    singular: scalarText(names['singular']) || kind.toLowerCase(),
    kind,
    listKind: scalarText(names['listKind']) || `${kind}List`,
    shortNames: listAt(names['shortNames']).map(scalarText),
    categories: listAt(names['categories']).map(scalarText),
    isNamespaced: spec['scope'] === 'Namespaced',
    isCustom: true,
    versions: served.map(servedVersion),
    storageVersion: scalarText(storage?.['name']),
    readers: { ...NAME_READERS, ...Object.fromEntries(served.flatMap(selectableFields)) },
    indexedFields: [],
    hasGeneration: true,
    allowsCreateOnUpdate: false,
    allowsUnconditionalUpdate: false,
    mergeKeys: {},
    strategy: {},
    openAPI: Object.fromEntries(served.map((version) => [scalarText(version['name']), openAPISchema(version)])),
  }
}

function openAPISchema(version: JSONObject): JSONObject {
  return objectAt(objectAt(version['schema'])['openAPIV3Schema'])
}

function servedVersion(version: JSONObject): ServedVersion {
  const columns = listAt(version['additionalPrinterColumns']).map((one) => printerColumn(objectAt(one)))
  return {
    name: scalarText(version['name']),
    hasStatus: isObject(objectAt(version['subresources'])['status']),
    schema: compiledSchema(openAPISchema(version)),
    columns: columns.length === 0 ? [AGE_COLUMN] : columns,
  }
}

/** Compiling takes some 10 ms; a definition is looked at more than once on its way in. */
const compiled = new WeakMap<JSONObject, ObjectSchema>()

function compiledSchema(schema: JSONObject): ObjectSchema {
  const known = compiled.get(schema) ?? new ObjectSchema(schema)
  compiled.set(schema, known)
  return known
}

/** The cell is the first value at the path, as apiextensions-apiserver pkg/registry/customresource/tableconvertor has it. */
function printerColumn(column: JSONObject): TableColumn {
  const values = compileJSONPath(scalarText(column['jsonPath']))
  const type = scalarText(column['type']) as TableColumn['type']
  return {
    name: scalarText(column['name']),
    type,
    format: scalarText(column['format']),
    description: scalarText(column['description']),
    priority: typeof column['priority'] === 'number' ? column['priority'] : 0,
    cell: (object, now) => {
      const [value] = values(object)
      if (value === undefined || value === null) return null
      if (type === 'date') return humanAge(value, now)
      if (type === 'string') return typeof value === 'object' ? JSON.stringify(value) : String(value)
      return typeof value === (type === 'boolean' ? 'boolean' : 'number') ? value : null
    },
  }
}

function selectableFields(version: JSONObject): readonly (readonly [string, FieldReader])[] {
  return listAt(version['selectableFields']).map((one) => {
    const path = scalarText(objectAt(one)['jsonPath'])
    const values = compileJSONPath(path)
    return [path.replace(/^\./, ''), (object: KubernetesObject) => scalarText(values(object)[0])] as const
  })
}

const KUBERNETES_VERSION = /^v(\d+)(?:(alpha|beta)(\d+))?$/
const STABILITY = ['alpha', 'beta', undefined]

/** Stable versions first, then beta, then alpha, newer before older (apimachinery pkg/version, CompareKubeAwareVersionStrings). */
function byPriority(left: JSONObject, right: JSONObject): number {
  const rank = (version: JSONObject): readonly number[] => {
    const match = KUBERNETES_VERSION.exec(scalarText(version['name']))
    if (match === null) return [-1, 0, 0]
    return [STABILITY.indexOf(match[2]), Number(match[1]), Number(match[3] ?? 0)]
  }
  const [a, b] = [rank(left), rank(right)]
  const at = a.findIndex((value, index) => value !== b[index])
  return at < 0 ? 0 : (b[at] ?? 0) - (a[at] ?? 0)
}
