import type { AsyncOperation } from '../cloud/types.ts'
import type { PollingHeaders } from '../cloud/settings.ts'
import type { Answer, Call } from '../operation.ts'

/** Headers of an accepted write and of its polls: where to poll and when. */
export function pollingHeaders(call: Call, operation: AsyncOperation): Readonly<Record<string, string>> {
  const { settings } = call.cloud
  const isNetwork = operation.service === 'Microsoft.Network'
  const form: PollingHeaders = isNetwork ? settings.networkPolling : settings.computePolling
  const retryAfter = isNetwork ? settings.networkRetryAfterSeconds : settings.computeRetryAfterSeconds
  const url = (collection: string): string => {
    const place = `/subscriptions/${settings.subscriptionID}/providers/${operation.service}/locations/${settings.location}`
    const query = `${isNetwork ? '' : `p=${settings.tenantID}&`}api-version=${call.query.get('api-version') ?? ''}`
    return `${call.baseURL}${place}/${collection}/${operation.id}?${query}`
  }
  return {
    ...(form === 'async-operation' || form === 'both' ? { 'azure-asyncoperation': url('operations') } : {}),
    ...(form === 'location' || form === 'both' ? { location: url('operationResults') } : {}),
    ...(retryAfter === undefined || form === 'none' ? {} : { 'retry-after': `${retryAfter}` }),
  }
}

/** The answer to a write: the resource on its way. */
export function accepted(call: Call, status: number, operation: AsyncOperation, body: string): Answer {
  return { status, headers: pollingHeaders(call, operation), body }
}
