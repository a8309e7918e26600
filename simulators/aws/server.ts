import type { CallOutcome } from '../kit/calls.ts'
import type { WireFoundation } from '../kit/compose.ts'
import type { FaultDecision } from '../kit/faults.ts'
import { ConnectionCut } from '../kit/http.ts'
import type { Router, WireRequest, WireResponse } from '../kit/http.ts'
import { randomUUID } from '../kit/random.ts'
import type { Cloud } from './cloud.ts'
import { EC2Error, fault } from './errors.ts'
import { drawLatency } from './latency.ts'
import type { Latency } from './latency.ts'
import { isKnownAction } from './operation.ts'
import type { Operation } from './operation.ts'
import { chargesFor, shapeOf } from './throttle.ts'
import { accessKeyOf, expiryOf, refusalOf } from './wire/authentication.ts'
import type { DenialKind } from './wire/authentication.ts'
import { nest, parseForm } from './wire/form.ts'
import type { Form } from './wire/form.ts'
import { encodeError, encodeResponse } from './wire/xml.ts'

/** What the wire stands between. */
export interface ServerParts extends WireFoundation<Cloud> {
  readonly operations: ReadonlyMap<string, Operation>
  readonly latency: Latency
  /** Access keys whose calls are refused, and how. */
  readonly denied: ReadonlyMap<string, DenialKind>
}

const API_VERSION = '2016-11-15'
/** Stands for the action in the ledger when a request names none. */
const NO_ACTION = '(none)'
/** Of a signed query, and of the signature before version 4: they are no parameters of the action. */
const SIGNATURE_PARAMETER = /^(?:X-Amz-|AWSAccessKeyId$|Signature|SecurityToken$|Timestamp$|Expires$)/

/**
 * The EC2 Query wire: form-encoded POST, or GET with a query, to any path; answers in XML.
 *
 * A call is authenticated, looked up, throttled, delayed and only then validated and carried out, as the service does; faults strike
 * before or after the effect.
 */
export function createWire(parts: ServerParts): Router {
  return async (request, signal) => {
    const form = formOf(request)
    const action = form.get('Action') ?? NO_ACTION
    const caller = accessKeyOf(request)
    const requestID = randomUUID(parts.random)
    const record = (outcome: CallOutcome, code?: string): void => {
      const known = parts.operations.has(action) || isKnownAction(action) ? action : NO_ACTION
      parts.calls.record({
        atMs: parts.clock.now(),
        action: known,
        outcome,
        ...(code === undefined ? {} : { code }),
        ...(caller === undefined ? {} : { caller }),
      })
    }
    try {
      const refusal =
        refusalOf(caller, parts.denied) ??
        expiryOf(request, parts.clock.wallTime(), parts.cloud().settings.maxClockSkewMs)
      if (refusal !== undefined) throw refusal
      const { body, spoilt } = await perform(parts, { action, form, requestID }, signal)
      record(spoilt === undefined ? 'ok' : 'failed', spoilt?.kind)
      return spoil(spoilt, ok(requestID, body))
    } catch (error) {
      if (error instanceof EC2Error) {
        record(error.code === 'RequestLimitExceeded' ? 'refused' : 'failed', error.code)
        return failed(requestID, error)
      }
      record('failed', error instanceof ConnectionCut ? 'drop' : signal.aborted ? 'aborted' : 'defect')
      throw error
    }
  }
}

interface Call {
  readonly action: string
  readonly form: Form
  readonly requestID: string
}

/** @returns the answer's body and how to spoil it, if at all */
async function perform(
  parts: ServerParts,
  call: Call,
  signal: AbortSignal,
): Promise<{ readonly body: string; readonly spoilt: FaultDecision['after'] }> {
  const { action, form } = call
  const operation = operationOf(parts, form)
  const shape = shapeOf(action, form)
  if (!parts.throttle().take(chargesFor(shape), parts.clock.now())) throw fault('RequestLimitExceeded')
  const faults = parts.faults.decide({ action, attribute: (name) => form.get(name) })
  const listsAll = action === 'DescribeNetworkInterfaces' && !shape.filtered && !shape.paged
  const listed = listsAll ? parts.cloud().interfaces.count : 0
  const delayMs = faults.latencyMs + drawLatency(parts.latency, parts.random, operation.changes, listed)
  if (delayMs > 0) await parts.clock.sleep(delayMs, signal)
  strike(faults.before)
  const body = encodeResponse(action, call.requestID, operation.run(parts.cloud(), parametersOf(form)))
  if (faults.answerLatencyMs > 0) await parts.clock.sleep(faults.answerLatencyMs, signal)
  if (faults.after?.kind === 'error' || faults.after?.kind === 'drop') strike(faults.after)
  return { body, spoilt: faults.after }
}

function operationOf(parts: ServerParts, form: Form): Operation {
  const action = form.get('Action')
  if (action === undefined || action === '') throw fault('MissingParameter', 'Action')
  const version = form.get('Version')
  if (version === undefined) throw fault('MissingParameter', 'Version')
  if (version !== API_VERSION) throw fault('NoSuchVersion', version)
  const operation = parts.operations.get(action)
  if (operation !== undefined) return operation
  if (!isKnownAction(action)) throw fault('InvalidAction', action)
  throw fault('NotImplemented', `The action ${action} is not implemented by this simulator.`)
}

function formOf(request: WireRequest): Form {
  if (request.method !== 'GET' && request.method !== 'HEAD') return parseForm(request.body)
  return new Map(request.query)
}

/** The parameters of the action: all but what names the action and signs the request. */
function parametersOf(form: Form): ReturnType<typeof nest> {
  const tree = nest(form)
  for (const name of tree.keys()) {
    if (name === 'Action' || name === 'Version' || SIGNATURE_PARAMETER.test(name)) tree.delete(name)
  }
  return tree
}

function strike(effect: FaultDecision['before']): void {
  if (effect === undefined) return
  if (effect.kind === 'error') throw new EC2Error(effect.code, effect.status, effect.message)
  throw new ConnectionCut()
}

function ok(requestID: string, body: string): WireResponse {
  return { status: 200, headers: headersFor(requestID), body }
}

function failed(requestID: string, error: EC2Error): WireResponse {
  return {
    status: error.status,
    headers: headersFor(requestID),
    body: encodeError(error.code, error.message, requestID),
  }
}

/** Clients take the request id from the header only. */
function headersFor(requestID: string): Readonly<Record<string, string>> {
  return { 'content-type': 'text/xml;charset=UTF-8', 'x-amzn-requestid': requestID, server: 'AmazonEC2' }
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
