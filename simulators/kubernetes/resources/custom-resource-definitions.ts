import { definitionOf } from '../crd.ts'
import { deepEqual, isList, isObject, scalarText, timestamp, valueAt } from '../json.ts'
import type { JSONObject, JSONValue, KubernetesObject } from '../json.ts'
import type { StatusCause } from '../status-errors.ts'
import { TEXT, TEXT_LIST, builtIn, listOf, objectsAt, open } from './built-in.ts'
import { column } from './columns.ts'
import type { ResourceDefinition, StrategyContext } from './definition.ts'

const BOOLEAN: JSONObject = { type: 'boolean' }

export const CUSTOM_RESOURCE_DEFINITIONS: ResourceDefinition = builtIn({
  group: 'apiextensions.k8s.io',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  isNamespaced: false,
  hasStatus: true,
  hasGeneration: true,
  allowsUnconditionalUpdate: false,
  schema: open(
    {
      spec: open(
        {
          group: { type: 'string', minLength: 1 },
          scope: { type: 'string', enum: ['Cluster', 'Namespaced'] },
          names: open({ plural: TEXT, singular: TEXT, kind: TEXT, shortNames: TEXT_LIST, categories: TEXT_LIST }, [
            'plural',
            'kind',
          ]),
          versions: listOf(
            open({ name: { type: 'string', minLength: 1 }, served: BOOLEAN, storage: BOOLEAN }, [
              'name',
              'served',
              'storage',
            ]),
            { minItems: 1 },
          ),
        },
        ['group', 'scope', 'names', 'versions'],
      ),
    },
    ['spec'],
  ),
  columns: [column('Created At', (object) => object.metadata.creationTimestamp ?? null)],
  strategy: {
    prepareForCreate: accept,
    prepareForUpdate: (object, old, context) =>
      deepEqual(object['spec'], old['spec']) ? object : accept(object, context),
    validate: validateCRD,
  },
})

/**
 * Names are accepted and the resource is served at once: on the real server two controllers do this within a second or so, each
 * with a write to the status.
 */
function accept(object: KubernetesObject, { now }: StrategyContext): KubernetesObject {
  const spec = isObject(object['spec']) ? object['spec'] : {}
  const names = isObject(spec['names']) ? spec['names'] : {}
  const kind = scalarText(names['kind'])
  const completeNames = {
    ...names,
    singular: names['singular'] ?? kind.toLowerCase(),
    listKind: names['listKind'] ?? `${kind}List`,
  }
  const condition = (type: string, reason: string, message: string): JSONObject => ({
    type,
    status: 'True',
    lastTransitionTime: timestamp(now),
    reason,
    message,
  })
  const storage = objectsAt(object, 'spec.versions').find((version) => version['storage'] === true)
  const stored = valueAt(object, 'status.storedVersions')
  const storedVersions = new Set<JSONValue>([...(isList(stored) ? stored : []), scalarText(storage?.['name'])])
  return {
    ...object,
    spec: { conversion: { strategy: 'None' }, ...spec, names: completeNames },
    status: {
      acceptedNames: completeNames,
      conditions: [
        condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
        condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
      ],
      storedVersions: [...storedVersions],
    },
  }
}

/** @source apiextensions-apiserver pkg/apis/apiextensions/validation/validation.go, the rules that hand-written manifests break */
function validateCRD(object: KubernetesObject, old: KubernetesObject | undefined): readonly StatusCause[] {
  const causes: StatusCause[] = []
  const text = (path: string, of: JSONValue | undefined = object): string => scalarText(valueAt(of, path))
  const invalid = (field: string, value: string, why: string): void => {
    causes.push({ reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value)}: ${why}`, field })
  }
  const name = `${text('spec.names.plural')}.${text('spec.group')}`
  if (object.metadata.name !== name) {
    invalid('metadata.name', object.metadata.name, `must be spec.names.plural+"."+spec.group`)
  }
  const versions = objectsAt(object, 'spec.versions')
  if (versions.filter((version) => version['storage'] === true).length !== 1) {
    invalid('spec.versions', '', 'must have exactly one version marked as storage version')
  }
  versions.forEach((version, index) => {
    if (!isObject(valueAt(version, 'schema.openAPIV3Schema'))) {
      const field = `spec.versions[${index}].schema.openAPIV3Schema`
      causes.push({ reason: 'FieldValueRequired', message: 'Required value: schemas are required', field })
    }
  })
  for (const path of ['spec.group', 'spec.scope', 'spec.names.plural', 'spec.names.kind']) {
    if (old !== undefined && text(path) !== text(path, old)) invalid(path, text(path), 'field is immutable')
  }
  if (causes.length > 0) return causes
  try {
    definitionOf(object)
  } catch (error) {
    invalid('spec.versions', '', error instanceof Error ? error.message : String(error))
  }
  return causes
}
