import { servedUnder } from './discovery.ts'
import type { JSONObject } from './json.ts'
import type { Registry } from './registry.ts'
import { apiVersionOf } from './resources/definition.ts'

/**
 * OpenAPI documents, as small as kubectl needs them: that patches know `fieldValidation` (else kubectl falls back to checking
 * manifests itself, for which it wants protobuf), and the schemas of custom resources for `kubectl explain`.
 */

/** `GET /openapi/v2`: only the frame. Clients of this decade read v3. */
export function openAPIv2(): JSONObject {
  return { swagger: '2.0', info: { title: 'Kubernetes', version: 'v1.34.0' }, paths: {}, definitions: {} }
}

/** `GET /openapi/v3`: where the document of each group and version is. */
export function openAPIv3Index(registry: Registry): JSONObject {
  const paths = registry.all().flatMap(({ definition }) =>
    definition.versions.map(({ name }): [string, JSONObject] => {
      const path = pathOf(definition.group, name)
      return [path, { serverRelativeURL: `/openapi/v3/${path}` }]
    }),
  )
  return { paths: Object.fromEntries(paths) }
}

function pathOf(group: string, version: string): string {
  return group === '' ? `api/${version}` : `apis/${apiVersionOf(group, version)}`
}

/** `GET /openapi/v3/apis/GROUP/VERSION`; undefined when nothing is served under it. */
export function openAPIv3Document(registry: Registry, group: string, version: string): JSONObject | undefined {
  const served = servedUnder(registry, group, version)
  if (served.length === 0) return undefined
  const paths: Record<string, JSONObject> = {}
  const schemas: Record<string, JSONObject> = { [OBJECT_META]: { type: 'object', description: 'Standard metadata.' } }
  for (const [{ definition }] of served) {
    const { kind, plural, isNamespaced } = definition
    const schemaName = `${group.split('.').reverse().join('.')}.${version}.${kind}`
    const groupVersionKind = { group, version, kind }
    const base = `/${pathOf(group, version)}/${isNamespaced ? 'namespaces/{namespace}/' : ''}${plural}`
    const operation = (action: string): JSONObject => ({
      'x-kubernetes-action': action,
      'x-kubernetes-group-version-kind': groupVersionKind,
      parameters: PARAMETERS,
      responses: {
        200: {
          description: 'OK',
          content: { 'application/json': { schema: { $ref: `#/components/schemas/${schemaName}` } } },
        },
      },
    })
    paths[base] = { get: operation('list'), post: operation('post') }
    paths[`${base}/{name}`] = { get: operation('get'), put: operation('put'), patch: operation('patch') }
    schemas[schemaName] = {
      ...withMetadata(definition.openAPI?.[version] ?? { type: 'object' }),
      'x-kubernetes-group-version-kind': [groupVersionKind],
    }
  }
  return { openapi: '3.0.0', info: { title: 'Kubernetes', version: 'v1.34.0' }, paths, components: { schemas } }
}

const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta'

const PARAMETERS: readonly JSONObject[] = ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({
  name,
  in: 'query',
  schema: { type: 'string', uniqueItems: true },
}))

function withMetadata(schema: JSONObject): JSONObject {
  const properties = schema['properties']
  return {
    ...schema,
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      ...(properties as JSONObject | undefined),
      metadata: { allOf: [{ $ref: `#/components/schemas/${OBJECT_META}` }] },
    },
  }
}
