import { fault } from '../errors.ts'
import { nameAt } from '../operation.ts'
import type { Answer, Call, Operation } from '../operation.ts'
import type { AsyncOperation } from '../cloud/types.ts'
import { pollingHeaders } from './accepted.ts'

const DONE_PERCENT = 100

function find(call: Call): AsyncOperation {
  const found = call.cloud.operations.get(nameAt(call, 1))
  if (found === undefined) throw fault('NotFound', `Operation ${nameAt(call, 1)}`)
  return found
}

/** The status resource: 200 also when the operation failed. */
function status(call: Call): Answer {
  const operation = find(call)
  const { startMs, dueMs } = operation
  const isRunning = operation.status === 'InProgress'
  const share = dueMs === Infinity ? 0 : (call.cloud.now() - startMs) / Math.max(1, dueMs - startMs)
  const retryAfter = pollingHeaders(call, operation)['retry-after']
  return {
    status: 200,
    ...(isRunning && retryAfter !== undefined ? { headers: { 'retry-after': retryAfter } } : {}),
    body: JSON.stringify({
      id: `/subscriptions/${call.path.subscription}/providers/${operation.service}/locations/${nameAt(call, 0)}/operations/${operation.id}`,
      name: operation.id,
      status: operation.status,
      startTime: operation.startTime,
      ...(operation.endTime === undefined ? {} : { endTime: operation.endTime }),
      percentComplete: isRunning ? Math.floor(share * DONE_PERCENT) : DONE_PERCENT,
      ...(operation.error === undefined ? {} : { error: operation.error }),
    }),
  }
}

/** The result resource: 202 while it runs, then the resource, or the error with the status of a conflict. */
function result(call: Call): Answer {
  const operation = find(call)
  if (operation.status === 'InProgress') return { status: 202, headers: pollingHeaders(call, operation), body: '' }
  if (operation.error !== undefined) return { status: 409, body: JSON.stringify({ error: operation.error }) }
  return { status: 200, body: operation.result() }
}

export const POLLING: readonly (readonly [route: string, operation: Operation])[] = (
  ['Microsoft.Network', 'Microsoft.Compute'] as const
).flatMap((provider) => {
  const place = `GET subscription ${provider}/locations/*`
  const compute = provider === 'Microsoft.Compute' ? ({ policy: 'GetOperation' } as const) : {}
  const name = provider.slice(provider.indexOf('.') + 1)
  return [
    [`${place}/operations/*`, { action: `Operations.Get${name}`, kind: 'reads', provider, ...compute, run: status }],
    [
      `${place}/operationResults/*`,
      { action: `OperationResults.Get${name}`, kind: 'reads', provider, ...compute, run: result },
    ],
  ] as const
})
