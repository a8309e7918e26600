import type { WireRequest } from '../kit/http.ts'

/** What a path of the API is about (apiserver pkg/endpoints/request/requestinfo.go). */

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection'

export interface ResourceRequest {
  readonly verb: Verb
  readonly group: string
  readonly version: string
  /** `''`: all namespaces, or a resource without them. */
  readonly namespace: string
  readonly plural: string
  /** `''`: the collection. */
  readonly name: string
  readonly subresource: string
}

const COLLECTION_VERBS: Readonly<Record<string, Verb>> = { GET: 'list', POST: 'create', DELETE: 'deletecollection' }
const OBJECT_VERBS: Readonly<Record<string, Verb>> = {
  GET: 'get',
  POST: 'create', // of a subresource: pods/binding
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
}

/** @returns undefined when the path is not that of a resource, or the method has no meaning for it */
export function resourceRequest(request: WireRequest): ResourceRequest | undefined {
  const parts = request.path
    .split('/')
    .filter((part) => part !== '')
    .map(decode)
  const [root, ...rest] = parts
  if (root !== 'api' && root !== 'apis') return undefined
  const group = root === 'api' ? '' : (rest.shift() ?? '')
  const version = rest.shift()
  if (version === undefined || rest.length === 0) return undefined
  const isDeprecatedWatch = rest[0] === 'watch'
  if (isDeprecatedWatch) rest.shift()
  const isNamespaced = rest[0] === 'namespaces' && rest.length > 2 && !NAMESPACE_SUBRESOURCES.has(rest[2] ?? '')
  const namespace = isNamespaced ? (rest[1] ?? '') : ''
  const [plural = '', name = '', ...subresource] = isNamespaced ? rest.slice(2) : rest
  const verb = (name === '' ? COLLECTION_VERBS : OBJECT_VERBS)[request.method]
  if (verb === undefined) return undefined
  const isWatch = isDeprecatedWatch || (verb === 'list' && isTrue(request.query.get('watch')))
  return {
    verb: isWatch ? 'watch' : verb,
    group,
    version,
    namespace,
    plural,
    name,
    subresource: subresource.join('/'),
  }
}

/** `/api/v1/namespaces/NAME/status` is about the namespace; `/api/v1/namespaces/NAME/pods` about pods in it. */
const NAMESPACE_SUBRESOURCES: ReadonlySet<string> = new Set(['status', 'finalize'])

/** `list ciliumnodes`, `patch ciliumnodes/status`: the name of a call in fault scripts and in the ledger. */
export function actionOf({ verb, plural, subresource }: ResourceRequest): string {
  return subresource === '' ? `${verb} ${plural}` : `${verb} ${plural}/${subresource}`
}

export function isTrue(text: string | null): boolean {
  return text === 'true' || text === '1'
}

function decode(part: string): string {
  if (!part.includes('%')) return part
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
