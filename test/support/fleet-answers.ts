import type { WireResponse } from '../../simulators/kit/http.ts'

/** Refused for the rate; other troubles of the service have the same status. */
export function isRefusal(answer: WireResponse | undefined): boolean {
  return answer?.status === 503 && typeof answer.body === 'string' && answer.body.includes('RequestLimitExceeded')
}

/** The CiliumNode that a request is about; undefined when it is about none, or about all. */
export function nodeNameOf(path: string): string | undefined {
  return /ciliumnodes\/([^/]+)/.exec(path)?.[1]
}

/** Answered, with a success, to the end. */
export function isWhole(answer: WireResponse | undefined): boolean {
  return (
    answer !== undefined &&
    answer.status < 400 &&
    typeof answer.body === 'string' &&
    answer.body.trimEnd().endsWith('>')
  )
}
