import type { CallLedger } from '../kit/calls.ts'
import type { Clock } from '../kit/clock.ts'
import type { FaultScript } from '../kit/faults.ts'
import { ConnectionCut } from '../kit/http.ts'
import type { Router, WireRequest, WireResponse } from '../kit/http.ts'
import type { Random } from '../kit/random.ts'
import type { Cluster } from './cluster.ts'
import { failInstead, spoil } from './fault-effects.ts'
import { actionOf, resourceRequest } from './request-info.ts'
import type { ResourceRequest } from './request-info.ts'
import { handleResource } from './resource-handlers.ts'
import { isPublicPath, serverDocument } from './routes.ts'
import { APIStatusError, methodNotAllowed, noSuchResource, unauthorized } from './status-errors.ts'
import type { WatchSettings } from './watch.ts'

export interface APIServerOptions {
  /** The cluster of now: a reset replaces it. */
  readonly cluster: () => Cluster
  readonly clock: Clock
  readonly random: Random
  readonly faults: FaultScript
  readonly calls: CallLedger
  readonly watchSettings: WatchSettings
  /** Added to every call about resources (ms). */
  readonly latencyMs: number
  /** Bearer tokens that are accepted; undefined accepts any, and none. */
  readonly tokens: readonly string[] | undefined
}

/** The API server as a router: authentication, faults and latency around the handlers; errors become Status objects. */
export function apiServer(options: APIServerOptions): Router {
  return async (request, signal) => {
    const info = resourceRequest(request)
    const action = info === undefined ? `${request.method.toLowerCase()} ${request.path}` : actionOf(info)
    try {
      const response = await answer(options, request, info, signal)
      record(options, request, info, action, undefined)
      return response
    } catch (error) {
      const isStatus = error instanceof APIStatusError
      if (isStatus || error instanceof ConnectionCut) record(options, request, info, action, error)
      if (!isStatus) throw error
      return statusResponse(error)
    }
  }
}

async function answer(
  options: APIServerOptions,
  request: WireRequest,
  info: ResourceRequest | undefined,
  signal: AbortSignal,
): Promise<WireResponse> {
  if (!isPublicPath(request.path)) authenticate(request, options.tokens)
  if (info === undefined) {
    const document = serverDocument(options.cluster().registry, request)
    if (document === undefined) throw unknownPath(options, request)
    return document
  }
  const decision = options.faults.decide({
    action: actionOf(info),
    attribute: (name) => attributeOf(request, info, name),
  })
  const delayMs = options.latencyMs + decision.latencyMs
  if (delayMs > 0) await options.clock.sleep(delayMs, signal)
  if (decision.before !== undefined) failInstead(decision.before)
  const { clock, random, watchSettings } = options
  const response = handleResource({ cluster: options.cluster(), clock, random, watchSettings }, request, info, signal)
  return decision.after === undefined ? response : spoil(response, decision.after)
}

/** What a fault rule can match besides the action. */
function attributeOf(request: WireRequest, info: ResourceRequest, name: string): string | undefined {
  switch (name) {
    case 'name':
    case 'namespace':
    case 'group':
    case 'version':
      return info[name]
    case 'userAgent':
      return request.headers['user-agent'] ?? ''
    default:
      return request.query.get(name) ?? undefined
  }
}

function authenticate(request: WireRequest, tokens: readonly string[] | undefined): void {
  if (tokens === undefined) return
  const token = /^Bearer\s+(\S+)$/i.exec(request.headers['authorization'] ?? '')?.[1]
  if (token === undefined || !tokens.includes(token)) throw unauthorized()
}

/** A path of a resource with a method that it does not have is 405, any other path 404. */
function unknownPath({ cluster }: APIServerOptions, request: WireRequest): Error {
  const read = resourceRequest({ ...request, method: 'GET' })
  const resource = read === undefined ? undefined : cluster().registry.served(read.group, read.version, read.plural)
  return resource === undefined ? noSuchResource() : methodNotAllowed(resource.definition)
}

function statusResponse({ status }: APIStatusError): WireResponse {
  const retryAfter = status.details?.retryAfterSeconds
  return {
    status: status.code,
    headers: {
      'content-type': 'application/json',
      ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
    },
    body: JSON.stringify(status),
  }
}

function record(
  { calls, clock }: APIServerOptions,
  request: WireRequest,
  info: ResourceRequest | undefined,
  action: string,
  error: Error | undefined,
): void {
  if (info === undefined && error === undefined) return // discovery and health are not calls worth counting
  const caller = (request.headers['user-agent'] ?? '').split(' ')[0] ?? ''
  const isRefused = error instanceof APIStatusError && error.status.code === 429
  calls.record({
    atMs: clock.now(),
    action,
    outcome: error === undefined ? 'ok' : isRefused ? 'refused' : 'failed',
    ...(error === undefined
      ? {}
      : { code: error instanceof APIStatusError ? (error.status.reason ?? '') : 'connection cut' }),
    ...(caller === '' ? {} : { caller }),
  })
}
