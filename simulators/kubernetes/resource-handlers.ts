import type { Clock } from '../kit/clock.ts'
import type { WireRequest, WireResponse } from '../kit/http.ts'
import type { Random } from '../kit/random.ts'
import type { Cluster } from './cluster.ts'
import { keyOf } from './collection.ts'
import type { ObjectVersion } from './event-log.ts'
import { isObject, scalarText, timestamp, valueAt } from './json.ts'
import type { JSONObject, JSONValue } from './json.ts'
import { listPage, parseResourceVersion } from './list.ts'
import type { ListRequest } from './list.ts'
import { contentTypeOf, parseBody, representationOf } from './media-types.ts'
import type { DeleteOptions, PatchOptions, WriteOptions, WriteResult, WriteTarget } from './objects.ts'
import type { ServedResource } from './registry.ts'
import { Renderer } from './representation.ts'
import type { TableObjects } from './representation.ts'
import { isTrue } from './request-info.ts'
import type { ResourceRequest } from './request-info.ts'
import { bindPod } from './resources/pods.ts'
import { parseFieldSelector, parseLabelSelector } from './selectors.ts'
import { alreadyExists, badRequest, methodNotAllowed, noSuchResource, notImplemented } from './status-errors.ts'
import type { Status } from './status-errors.ts'
import { Watch } from './watch.ts'
import type { WatchSettings } from './watch.ts'

/** The verbs of the API on resources: parameters → the stores → an answer. Errors are thrown as APIStatusError. */

export interface HandlerContext {
  readonly cluster: Cluster
  readonly clock: Clock
  readonly random: Random
  readonly watchSettings: WatchSettings
}

interface Call extends HandlerContext {
  readonly request: WireRequest
  readonly info: ResourceRequest
  readonly resource: ServedResource
  readonly renderer: Renderer
}

/** Subresources of the real server that are known and not there. */
const NOT_IMPLEMENTED = new Set([
  'log',
  'exec',
  'attach',
  'portforward',
  'proxy',
  'eviction',
  'scale',
  'ephemeralcontainers',
  'finalize',
  'resize',
  'token',
])

/** A watch without a timeout lasts this long, and up to twice as long (kube-apiserver --min-request-timeout). */
const MIN_WATCH_TIMEOUT_SECONDS = 1_800

/** @throws APIStatusError for every refusal */
export function handleResource(
  context: HandlerContext,
  request: WireRequest,
  info: ResourceRequest,
  signal: AbortSignal,
): WireResponse {
  const resource = context.cluster.registry.served(info.group, info.version, info.plural)
  if (resource === undefined) throw noSuchResource()
  const { definition } = resource
  if (info.namespace !== '' && !definition.isNamespaced) throw noSuchResource()
  const form = { representation: representationOf(request), tableObjects: tableObjectsOf(request) }
  const call: Call = { ...context, request, info, resource, renderer: new Renderer(resource, form, context.clock) }
  checkSubresource(call)
  switch (info.verb) {
    case 'list':
      return json(200, call.renderer.list(pageOf(call)))
    case 'watch':
      return watch(call, signal)
    case 'get':
      return json(200, call.renderer.object(context.cluster.objects.get(resource, info.namespace, info.name)))
    case 'create':
      return info.subresource === 'binding' ? bind(call) : create(call)
    case 'update':
      return written(call, call.cluster.objects.update(targetOf(call), bodyOf(call), writeOptionsOf(call)))
    case 'patch':
      return written(call, call.cluster.objects.patch(targetOf(call), bodyOf(call), patchOptionsOf(call)))
    case 'delete':
      return deleteOne(call)
    case 'deletecollection':
      return deleteCollection(call)
    default:
      return info.verb satisfies never
  }
}

function checkSubresource({ info, resource }: Call): void {
  const { verb, subresource, namespace, name, plural } = info
  const { definition, version } = resource
  if (name !== '' && definition.isNamespaced && namespace === '') throw noSuchResource()
  if (verb === 'create' && definition.isNamespaced && namespace === '') throw methodNotAllowed(definition)
  if (subresource === '') {
    if (verb === 'create' && name !== '') throw methodNotAllowed(definition)
    return
  }
  if (subresource === 'status' && version.hasStatus) {
    if (verb !== 'get' && verb !== 'update' && verb !== 'patch') throw methodNotAllowed(definition)
    return
  }
  if (subresource === 'binding' && plural === 'pods') {
    if (verb !== 'create') throw methodNotAllowed(definition)
    return
  }
  if (!definition.isCustom && NOT_IMPLEMENTED.has(subresource)) throw notImplemented(`${plural}/${subresource}`)
  throw noSuchResource()
}

function json(status: number, body: string, warnings: readonly string[] = []): WireResponse {
  const texts = warnings.map((text) => `299 - ${JSON.stringify(text)}`).join(', ')
  return {
    status,
    headers: { 'content-type': 'application/json', ...(texts === '' ? {} : { warning: texts }) },
    body,
  }
}

/** A 200 that is a Status: deletions. */
function success(details: Status['details']): WireResponse {
  const status: Status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    ...(details === undefined ? {} : { details }),
    code: 200,
  }
  return json(200, JSON.stringify(status))
}

function tableObjectsOf(request: WireRequest): TableObjects {
  const text = request.query.get('includeObject')
  return text === 'None' || text === 'Object' ? text : 'Metadata'
}

function listRequestOf({ request, info, resource }: Call): ListRequest {
  const { query } = request
  const limit = Number(query.get('limit') ?? '0')
  if (!Number.isInteger(limit) || limit < 0)
    throw badRequest(`limit: Invalid value: ${JSON.stringify(query.get('limit'))}`)
  const match = query.get('resourceVersionMatch') ?? ''
  if (match !== '' && match !== 'Exact' && match !== 'NotOlderThan') {
    throw badRequest(
      `resourceVersionMatch: Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", "NotOlderThan"`,
    )
  }
  const resourceVersion = query.get('resourceVersion') ?? ''
  const named = info.name === '' ? '' : `metadata.name=${info.name}`
  const fieldSelector = [query.get('fieldSelector') ?? '', named].filter((text) => text !== '').join(',')
  return {
    namespace: info.namespace === '' ? undefined : info.namespace,
    selection: {
      labels: parseLabelSelector(query.get('labelSelector') ?? ''),
      fields: parseFieldSelector(fieldSelector, resource.definition.readers),
    },
    // A list from the watch cache (resourceVersion=0) comes whole: apiserver pkg/storage/cacher, GetList.
    limit: resourceVersion === '0' ? 0 : limit,
    continueToken: query.get('continue') ?? '',
    resourceVersion,
    resourceVersionMatch: match,
  }
}

function pageOf(call: Call): ReturnType<typeof listPage> {
  const { cluster, resource } = call
  const { collection, definition } = resource
  return listPage(collection, definition.readers, listRequestOf(call), cluster.registry.resourceVersion)
}

function watch(call: Call, signal: AbortSignal): WireResponse {
  const { cluster, request, resource, renderer, watchSettings } = call
  const { query } = request
  const list = listRequestOf(call)
  const sendsInitial = query.get('sendInitialEvents')
  if (sendsInitial !== null && list.resourceVersionMatch !== 'NotOlderThan') {
    throw badRequest(
      'sendInitialEvents: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    )
  }
  if (sendsInitial === null && list.resourceVersionMatch !== '') {
    throw badRequest(
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    )
  }
  const requested = parseResourceVersion(list.resourceVersion)
  const isBookmarked = isTrue(query.get('allowWatchBookmarks'))
  const isFromState = sendsInitial === null ? requested === 0 : isTrue(sendsInitial)
  const leave = (): void => open.close()
  const open = new Watch(
    { collection: resource.collection, readers: resource.definition.readers },
    {
      namespace: list.namespace,
      selection: list.selection,
      since: isFromState ? undefined : requested === 0 ? cluster.registry.resourceVersion : requested,
      isBookmarked,
      marksInitialEnd: isBookmarked && isTrue(sendsInitial),
      timeoutMs: watchTimeoutMs(call),
    },
    renderer,
    watchSettings,
    {
      currentVersion: () => cluster.registry.resourceVersion,
      onClose: (closed) => {
        signal.removeEventListener('abort', leave)
        cluster.forget(closed)
      },
    },
  )
  cluster.track(open, resource.definition.plural)
  signal.addEventListener('abort', leave, { once: true })
  if (signal.aborted) leave()
  return { status: 200, headers: { 'content-type': 'application/json' }, body: streamOf(open) }
}

/** The lines of a watch, which is given back also when nobody ever reads them: a generator that never ran has no end. */
function streamOf(open: Watch): AsyncIterable<string> {
  const lines = open.lines()
  const iterator: AsyncIterator<string, void> = {
    next: () => lines.next(),
    return() {
      open.close()
      return lines.return(undefined)
    },
  }
  return { [Symbol.asyncIterator]: () => iterator }
}

function watchTimeoutMs({ request, random }: Call): number {
  const text = request.query.get('timeoutSeconds')
  if (text === null) return MIN_WATCH_TIMEOUT_SECONDS * (1 + random.next()) * 1_000
  const seconds = Number(text)
  if (!Number.isInteger(seconds) || seconds < 0)
    throw badRequest(`timeoutSeconds: Invalid value: ${JSON.stringify(text)}`)
  return seconds === 0 ? MIN_WATCH_TIMEOUT_SECONDS * (1 + random.next()) * 1_000 : seconds * 1_000
}

function create(call: Call): WireResponse {
  return written(call, call.cluster.objects.create(targetOf(call), bodyOf(call), writeOptionsOf(call)))
}

/** A scheduler gives a pod to a node. @source kubernetes pkg/registry/core/pod/storage, BindingREST */
function bind(call: Call): WireResponse {
  const { cluster, info, resource, clock } = call
  const old = cluster.objects.get(resource, info.namespace, info.name)
  const nodeName = scalarText(valueAt(bodyOf(call), 'target.name'))
  if (nodeName === '') throw badRequest('binding: target.name is required')
  if (scalarText(valueAt(old.object, 'spec.nodeName')) !== '')
    throw alreadyExists({ group: '', plural: 'pods/binding' }, info.name)
  cluster.objects.replaceUnchecked(resource, old, bindPod(old.object, nodeName, timestamp(clock.wallTime())))
  return success(undefined)
}

function deleteOne(call: Call): WireResponse {
  const { cluster, info, resource, renderer } = call
  const { group, plural } = resource.definition
  const { version, isGone } = cluster.objects.delete(resource, info.namespace, info.name, deleteOptionsOf(call))
  const isPod = group === '' && plural === 'pods'
  if (!isGone || isPod) return json(200, renderer.object(version))
  const uid = version.object.metadata.uid ?? ''
  return success({ name: info.name, ...(group === '' ? {} : { group }), kind: plural, uid })
}

function deleteCollection(call: Call): WireResponse {
  const { cluster, resource, renderer } = call
  const options = deleteOptionsOf(call)
  const page = pageOf(call)
  const items = page.items.map((version): ObjectVersion => {
    const { namespace = '', name } = version.object.metadata
    const isThere = resource.collection.get(keyOf(namespace, name)) !== undefined
    return isThere ? cluster.objects.delete(resource, namespace, name, options).version : version
  })
  return json(200, renderer.list({ ...page, items }))
}

function written({ renderer }: Call, { version, isCreated, warnings }: WriteResult): WireResponse {
  return json(isCreated ? 201 : 200, renderer.object(version), warnings)
}

function targetOf({ resource, info }: Call): WriteTarget {
  const subresource = info.subresource === 'status' ? 'status' : ''
  return { resource, namespace: info.namespace, name: info.name, subresource }
}

function bodyOf({ request }: Call): JSONValue {
  const body = parseBody(request)
  if (body === undefined) throw badRequest('the request has no body')
  return body
}

function writeOptionsOf({ request }: Call): WriteOptions {
  const { query } = request
  const validation = query.get('fieldValidation') ?? 'Warn'
  if (validation !== 'Strict' && validation !== 'Warn' && validation !== 'Ignore') {
    throw badRequest(
      `fieldValidation: Unsupported value: ${JSON.stringify(validation)}: supported values: "", "Ignore", "Strict", "Warn"`,
    )
  }
  return {
    fieldManager: query.get('fieldManager') ?? (request.headers['user-agent'] ?? 'unknown').split('/')[0] ?? 'unknown',
    isDryRun: isDryRun(query.getAll('dryRun')),
    fieldValidation: validation,
  }
}

function isDryRun(values: readonly JSONValue[]): boolean {
  if (values.some((value) => value !== 'All')) throw badRequest('dryRun: Unsupported value: supported values: "All"')
  return values.length > 0
}

function patchOptionsOf(call: Call): PatchOptions {
  const { query } = call.request
  const mediaType = contentTypeOf(call.request)
  if (mediaType === 'application/apply-patch+yaml' && query.get('fieldManager') === null) {
    throw badRequest(
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    )
  }
  return { ...writeOptionsOf(call), mediaType, isForced: isTrue(query.get('force')) }
}

/** From the body, or where there is none from the query. */
function deleteOptionsOf({ request }: Call): DeleteOptions {
  const body = parseBody(request)
  const options: JSONObject = isObject(body) ? body : {}
  const wanted = isObject(options['preconditions']) ? options['preconditions'] : {}
  const { uid, resourceVersion } = wanted
  const grace = options['gracePeriodSeconds'] ?? numberOf(request.query.get('gracePeriodSeconds'))
  const inBody = options['dryRun']
  return {
    preconditions: {
      ...(typeof uid === 'string' ? { uid } : {}),
      ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
    },
    gracePeriodSeconds: typeof grace === 'number' ? grace : undefined,
    isDryRun: isDryRun([...(Array.isArray(inBody) ? (inBody as JSONValue[]) : []), ...request.query.getAll('dryRun')]),
  }
}

function numberOf(text: string | null): number | undefined {
  return text === null || !/^\d+$/.test(text) ? undefined : Number(text)
}
