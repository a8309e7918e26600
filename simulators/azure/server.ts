import type { CallOutcome } from '../kit/calls.ts'
import type { WireFoundation } from '../kit/compose.ts'
import type { FaultDecision } from '../kit/faults.ts'
import { ConnectionCut } from '../kit/http.ts'
import type { Router, WireRequest, WireResponse } from '../kit/http.ts'
import { randomUUID } from '../kit/random.ts'
import { keyOf } from './cloud/arm-id.ts'
import type { ScriptedEnd } from './cloud/async-operations.ts'
import { isObject } from './cloud/json.ts'
import type { JSONObject } from './cloud/json.ts'
import type { Cloud } from './cloud.ts'
import { ARMError, fault } from './errors.ts'
import { drawLatency } from './latency.ts'
import type { Latency } from './latency.ts'
import { routeOf } from './operations/index.ts'
import type { Routed } from './operations/index.ts'
import type { Answer, Operation } from './operation.ts'
import { chargesFor, remainingHeaders, throttled } from './throttle.ts'
import { checkAPIVersion } from './wire/api-versions.ts'
import { authorize, principalOf } from './wire/authentication.ts'
import type { DenialKind } from './wire/authentication.ts'
import { answerIdentity, identityActionOf } from './wire/identity.ts'

/** What the wire stands between. */
export interface ServerParts extends WireFoundation<Cloud> {
  readonly latency: Latency
  /** Clients whose calls are refused, and how. */
  readonly denied: ReadonlyMap<string, DenialKind>
}

/** Stands for the action in the ledger when a request is for nothing that is known. */
const NO_ACTION = '(none)'
/** Before the action in the script of faults: how a write that was accepted ends. */
export const COMPLETION_PREFIX = 'complete '

/** What the ledger is told of one call, filled in as it becomes known. */
interface Trace {
  action: string
  caller: string | undefined
  headers: Readonly<Record<string, string>>
}

/**
 * Resource Manager's wire: JSON over HTTP, any letter case in paths; beside it the token endpoint and the metadata service.
 *
 * A call is authenticated, looked up, throttled, delayed and only then carried out; faults strike before or after the effect.
 */
export function createWire(parts: ServerParts): Router {
  return async (request, signal) => {
    const requestID = randomUUID(parts.random)
    const trace: Trace = { action: NO_ACTION, caller: undefined, headers: {} }
    const record = (outcome: CallOutcome, code?: string): void => {
      parts.calls.record({
        atMs: parts.clock.now(),
        action: trace.action,
        outcome,
        ...(code === undefined ? {} : { code }),
        ...(trace.caller === undefined ? {} : { caller: trace.caller }),
      })
    }
    try {
      const { response, spoilt } = await perform(parts, request, trace, signal)
      record(spoilt !== undefined || response.status >= 400 ? 'failed' : 'ok', spoilt?.kind)
      return spoil(spoilt, {
        ...response,
        headers: { ...headersFor(requestID), ...trace.headers, ...response.headers },
      })
    } catch (error) {
      if (error instanceof ARMError) {
        record(error.throttled ? 'refused' : 'failed', error.code)
        return {
          status: error.status,
          headers: { ...headersFor(requestID), ...trace.headers, ...error.headers },
          body: error.toBody(),
        }
      }
      record('failed', error instanceof ConnectionCut ? 'drop' : signal.aborted ? 'aborted' : 'defect')
      throw error
    }
  }
}

interface Performed {
  readonly response: WireResponse
  readonly spoilt: FaultDecision['after']
}

async function perform(
  parts: ServerParts,
  request: WireRequest,
  trace: Trace,
  signal: AbortSignal,
): Promise<Performed> {
  const identity = identityActionOf(request)
  if (identity !== undefined) {
    trace.action = identity
    return underFaults(parts, { request, action: identity, names: [], changes: false }, signal, () => {
      const { settings } = parts.cloud()
      return answerIdentity(identity, request, { settings, denied: parts.denied, now: () => parts.clock.wallTime() })
    })
  }
  const routed = routeOf(request.method, request.path)
  trace.action = routed?.operation?.action ?? NO_ACTION
  const principal = principalOf(request.headers['authorization'])
  trace.caller = principal.name
  if (routed === undefined) throw fault('InvalidResourceType', request.path)
  authorize(principal, {
    now: parts.clock.wallTime(),
    denied: parts.denied,
    action: rightOf(routed, request.method),
    scope: request.path,
  })
  const { settings } = parts.cloud()
  const operation = checkedOperation(routed, request, settings)
  trace.headers = charge(parts, routed, operation, principal.name)
  const { names } = routed.path
  const subject = { request, action: operation.action, names, changes: operation.kind !== 'reads' }
  return underFaults(parts, subject, signal, () => carryOut(parts, request, routed, operation, principal.name))
}

function checkedOperation(routed: Routed, request: WireRequest, settings: Cloud['settings']): Operation {
  const { path, operation } = routed
  checkAPIVersion(request.query.get('api-version'), path.namespace, settings.apiVersions)
  if (keyOf(path.subscription) !== keyOf(settings.subscriptionID))
    throw fault('SubscriptionNotFound', path.subscription)
  if (operation === undefined) throw fault('NotImplemented', `${request.method} ${request.path}`)
  return operation
}

/** Draws on the buckets. @returns the headers that tell what is left */
function charge(
  parts: ServerParts,
  { path }: Routed,
  { kind, provider, policy, resourceDepth }: Operation,
  principal: string,
): Readonly<Record<string, string>> {
  const nowMs = parts.clock.now()
  const polled = policy === 'GetOperation' ? parts.cloud().operations.get(path.names[1] ?? '')?.resourceKey : undefined
  const resourceKey = resourceDepth === undefined ? polled : resourceKeyOf(path, resourceDepth)
  const charges = chargesFor({ kind, provider, policy, resourceKey, principal })
  const throttle = parts.throttle()
  const refusal = throttle.takeOrRefuse(charges, nowMs)
  if (refusal !== undefined) throw throttled(refusal, path.subscription, parts.clock.wallTime())
  return remainingHeaders(throttle, charges, nowMs)
}

function resourceKeyOf({ resourceGroup, names }: Routed['path'], depth: number): string {
  return keyOf([resourceGroup ?? '', ...names.slice(0, depth)].join('/'))
}

/** `Microsoft.Network/networkInterfaces/write`: how refusals name what was tried. */
function rightOf({ path }: Routed, method: string): string {
  const verb = method === 'GET' ? 'read' : method === 'DELETE' ? 'delete' : 'write'
  return [path.namespace ?? 'Microsoft.Resources', ...path.types, verb].join('/')
}

function carryOut(
  parts: ServerParts,
  request: WireRequest,
  { path }: Routed,
  operation: Operation,
  client: string,
): WireResponse {
  const cloud = parts.cloud()
  cloud.settle()
  const answer: Answer = operation.run({
    cloud,
    path,
    rawPath: request.path,
    query: request.query,
    headers: request.headers,
    body: () => bodyOf(request),
    baseURL: baseURLOf(request),
    client,
    scripted: () => scriptedEnd(parts, operation.action, request, path.names),
  })
  return { status: answer.status, headers: answer.headers ?? {}, body: answer.body }
}

function bodyOf(request: WireRequest): JSONObject {
  let value: unknown
  try {
    value = JSON.parse(request.body)
  } catch (error) {
    throw fault('InvalidRequestContent', error instanceof Error ? error.message : String(error))
  }
  if (!isObject(value)) throw fault('InvalidRequestContent', 'the body is not an object')
  return value
}

/** What the client calls the simulator; a proxy that ends TLS tells the scheme. */
function baseURLOf({ headers }: WireRequest): string {
  const scheme = headers['x-forwarded-proto'] === 'https' ? 'https' : 'http'
  return `${scheme}://${headers['host'] ?? 'localhost'}`
}

function scriptedEnd(parts: ServerParts, action: string, request: WireRequest, names: readonly string[]): ScriptedEnd {
  const subject = subjectOf(request, `${COMPLETION_PREFIX}${action}`, names)
  const { before, after, latencyMs, answerLatencyMs } = parts.faults.decide(subject)
  const effect = before ?? after
  return {
    delayMs: latencyMs + answerLatencyMs,
    error: effect?.kind === 'error' ? { code: effect.code, message: effect.message } : undefined,
    never: effect !== undefined && effect.kind !== 'error',
  }
}

interface Subject {
  readonly request: WireRequest
  readonly action: string
  readonly names: readonly string[]
  readonly changes: boolean
}

/** Rules may ask for the names in the path (`name0`: a scale set, `name1`: its instance), for `path` and for query parameters. */
function subjectOf(request: WireRequest, action: string, names: readonly string[]) {
  return {
    action,
    attribute(name: string): string | undefined {
      if (name === 'path') return request.path
      return /^name\d$/.test(name) ? names[Number(name.slice(-1))] : (request.query.get(name) ?? undefined)
    },
  }
}

async function underFaults(
  parts: ServerParts,
  { request, action, names, changes }: Subject,
  signal: AbortSignal,
  effect: () => WireResponse,
): Promise<Performed> {
  const faults = parts.faults.decide(subjectOf(request, action, names))
  const delayMs = faults.latencyMs + drawLatency(parts.latency, parts.random, changes)
  if (delayMs > 0) await parts.clock.sleep(delayMs, signal)
  strike(faults.before)
  const response = effect()
  if (faults.answerLatencyMs > 0) await parts.clock.sleep(faults.answerLatencyMs, signal)
  if (faults.after?.kind === 'error' || faults.after?.kind === 'drop') strike(faults.after)
  return { response, spoilt: faults.after }
}

function strike(effect: FaultDecision['before']): void {
  if (effect === undefined) return
  if (effect.kind === 'error')
    throw new ARMError(effect.code, effect.status, effect.message, scriptedHeaders(effect.status))
  throw new ConnectionCut()
}

/** A scripted 429 or 503 tells when to come back, as the service's do. */
function scriptedHeaders(status: number): {
  readonly headers: Readonly<Record<string, string>>
  readonly throttled: boolean
} {
  const isBusy = status === 429 || status === 503
  return { headers: isBusy ? { 'retry-after': '1' } : {}, throttled: status === 429 }
}

function headersFor(requestID: string): Readonly<Record<string, string>> {
  return {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-cache',
    'x-ms-request-id': requestID,
    'x-ms-correlation-request-id': requestID,
  }
}

function spoil(effect: FaultDecision['after'], response: WireResponse): WireResponse {
  if (effect === undefined || typeof response.body !== 'string') return response
  const half = response.body.slice(0, Math.floor(response.body.length / 2))
  if (effect.kind === 'truncate') return { ...response, body: half }
  return effect.kind === 'cut' ? { ...response, body: thenCut(half) } : response
}

async function* thenCut(text: string): AsyncIterable<string> {
  yield text
  throw new ConnectionCut()
}
