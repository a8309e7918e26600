import { parse as parseYAML } from 'yaml'
import type { WireRequest } from '../kit/http.ts'
import type { JSONValue } from './json.ts'
import { PATCH_TYPES } from './patch.ts'
import { badRequest, unsupportedMediaType } from './status-errors.ts'

/** The form in which a client wants objects: whole, as rows of a table, or their metadata alone. */
export type Representation = 'object' | 'table' | 'metadata'

interface MediaType {
  readonly type: string
  readonly parameters: Readonly<Record<string, string>>
}

/** `Accept` in the client's order; quality values play no part, as on the real server. */
function accepted(request: WireRequest): readonly MediaType[] {
  return (request.headers['accept'] ?? '').split(',').map((part) => {
    const [type = '', ...parameters] = part.split(';').map((one) => one.trim())
    const pairs = parameters.map((one): [string, string] => {
      const [name = '', value = ''] = one.split('=', 2)
      return [name, value]
    })
    return { type, parameters: Object.fromEntries(pairs) }
  })
}

const REPRESENTATIONS: Readonly<Record<string, Representation>> = {
  Table: 'table',
  PartialObjectMetadata: 'metadata',
  PartialObjectMetadataList: 'metadata',
}

/**
 * The first form of `Accept` that is JSON. Protobuf is passed over: a client that asks for protobuf alone gets JSON, which every
 * Kubernetes client reads by its Content-Type.
 */
export function representationOf(request: WireRequest): Representation {
  for (const { type, parameters } of accepted(request)) {
    if (type !== 'application/json' && type !== '*/*' && type !== 'application/*') continue
    const as = parameters['as']
    if (as === undefined) return 'object'
    const representation = REPRESENTATIONS[as]
    if (representation !== undefined) return representation
  }
  return 'object'
}

/** The Content-Type of aggregated discovery in the version that the client prefers; undefined when it does not ask for it. */
export function aggregatedDiscoveryType(request: WireRequest): { readonly version: string } | undefined {
  for (const { type, parameters } of accepted(request)) {
    const { g: group, v: version = '', as } = parameters
    const isAsked = type === 'application/json' && group === 'apidiscovery.k8s.io' && as === 'APIGroupDiscoveryList'
    if (isAsked && (version === 'v2' || version === 'v2beta1')) return { version }
    if (type === 'application/json' && as === undefined) return undefined
  }
  return undefined
}

export function contentTypeOf(request: WireRequest): string {
  return (request.headers['content-type'] ?? '').split(';')[0]?.trim() ?? ''
}

const JSON_TYPES: ReadonlySet<string> = new Set(['', 'application/json', '*/*', ...Object.values(PATCH_TYPES)])
const YAML_TYPES: ReadonlySet<string> = new Set(['application/yaml', PATCH_TYPES.apply])

/**
 * The body as plain JSON values; undefined when there is none.
 *
 * @throws APIStatusError 400 when it does not parse, 415 for protobuf and other formats
 */
export function parseBody(request: WireRequest): JSONValue | undefined {
  if (request.body.trim() === '') return undefined
  const type = contentTypeOf(request)
  if (!JSON_TYPES.has(type) && !YAML_TYPES.has(type)) {
    throw unsupportedMediaType(
      'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml',
    )
  }
  const isJSON = !YAML_TYPES.has(type) || /^\s*[{[]/.test(request.body)
  try {
    return (isJSON ? JSON.parse(request.body) : parseYAML(request.body)) as JSONValue
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
    throw badRequest(
      `the object provided is unrecognized (must be of type application/${isJSON ? 'json' : 'yaml'}): ${why}`,
    )
  }
}
