import type { JSONObject } from '../../src/ipam/types.ts'
import type { ARMResponse } from './client.ts'
import { errorOf, type ARMErrorBody } from './errors.ts'
import { objectAt, parseObject, textAt } from './json.ts'

/** How a long-running operation is followed: by its status resource, by where its result will be, or by the resource itself. */
export type FollowedBy = 'status' | 'result' | 'resource'

export type OperationStart =
  /** The first answer has the end already. */
  | { readonly kind: 'ended'; readonly reading: Exclude<OperationReading, { readonly kind: 'running' }> }
  | { readonly kind: 'running'; readonly followedBy: FollowedBy; readonly url: string }

export type OperationReading =
  | { readonly kind: 'running' }
  | { readonly kind: 'succeeded' }
  | { readonly kind: 'failed'; readonly error: ARMErrorBody }

/**
 * How to follow a write that was accepted.
 *
 * @param resourceURL of the resource that was written
 * @source Azure documentation, Resource Manager, Track asynchronous operations; `@azure/core-lro`
 */
export function startOf(response: ARMResponse, resourceURL: string): OperationStart {
  const statusURL = response.header('operation-location') ?? response.header('azure-asyncoperation')
  if (statusURL !== undefined && statusURL !== '') return { kind: 'running', followedBy: 'status', url: statusURL }
  const resultURL = response.header('location')
  if (resultURL !== undefined && resultURL !== '') return { kind: 'running', followedBy: 'result', url: resultURL }
  const reading = readPoll('resource', response)
  if (reading.kind === 'running') return { kind: 'running', followedBy: 'resource', url: resourceURL }
  return { kind: 'ended', reading }
}

/** What one look at an operation says. A body that cannot be read is as good as none: the operation runs on. */
export function readPoll(followedBy: FollowedBy, response: ARMResponse): OperationReading {
  if (followedBy === 'result') return response.status === 202 ? { kind: 'running' } : { kind: 'succeeded' }
  const document = parseObject(response.body)
  if (document === undefined) return { kind: 'running' }
  if (followedBy === 'status') return readState(textAt(document, 'status'), objectAt(document, 'error'))
  return readProvisioning(document)
}

/** The state of a document: what its newest write has come to. Without a state it is at rest. */
export function readProvisioning(document: JSONObject): OperationReading {
  const properties = objectAt(document, 'properties')
  const state = textAt(properties, 'provisioningState')
  return readState(state === '' ? 'succeeded' : state, failureIn(properties))
}

/** Words are matched as the SDK does. @source `@azure/core-lro`, transformStatus */
function readState(status: string, error: JSONObject | undefined): OperationReading {
  const text = status.toLowerCase()
  if (text.includes('succeeded')) return { kind: 'succeeded' }
  if (text.includes('fail')) return { kind: 'failed', error: errorOf(error) }
  if (text !== 'canceled' && text !== 'cancelled') return { kind: 'running' }
  const { code, ...rest } = errorOf(error)
  return { kind: 'failed', error: { ...rest, code: code === '' ? 'Canceled' : code } }
}

/** A failed machine tells why in its instance view: `ProvisioningState/failed/<code>`. */
function failureIn(properties: JSONObject | undefined): JSONObject | undefined {
  const statuses = objectAt(properties, 'instanceView')?.['statuses']
  if (!Array.isArray(statuses)) return undefined
  for (const status of statuses as readonly JSONObject[]) {
    const [kind, state, code] = textAt(status, 'code').split('/')
    if (kind === 'ProvisioningState' && state === 'failed' && code !== undefined)
      return { code, message: textAt(status, 'message') }
  }
  return undefined
}
