import { ConnectionCut } from '../kit/http.ts'
import type { WireResponse } from '../kit/http.ts'
import type { FaultDecision } from '../kit/faults.ts'
import { APIStatusError, tooManyRequests } from './status-errors.ts'

/** What a fault script does to an answer of the Kubernetes API. */
export type Effect = Exclude<FaultDecision['before'], undefined>

const RETRY_AFTER_SECONDS = 1

/** A fault in place of the call. @throws always: a Status for an error, ConnectionCut for the rest */
export function failInstead(effect: Effect): never {
  if (effect.kind !== 'error') throw new ConnectionCut()
  if (effect.status === 429) throw tooManyRequests(effect.message, RETRY_AFTER_SECONDS)
  throw new APIStatusError({ message: effect.message, reason: effect.code, code: effect.status })
}

/** The answer of a call that did take effect, spoilt. A watch is spoilt in its first piece, so what it reported before is kept. */
export function spoil(response: WireResponse, effect: Effect): WireResponse {
  if (effect.kind === 'error' || effect.kind === 'drop') {
    if (typeof response.body !== 'string') void endStream(response.body)
    return failInstead(effect)
  }
  const isCut = effect.kind === 'cut'
  if (typeof response.body !== 'string') return { ...response, body: halfOfFirst(response.body, isCut) }
  const half = response.body.slice(0, response.body.length >> 1)
  if (!isCut) return { ...response, body: half }
  return { ...response, body: cutAfter(half) }
}

async function* cutAfter(text: string): AsyncGenerator<string> {
  yield text
  throw new ConnectionCut()
}

async function* halfOfFirst(body: AsyncIterable<string>, isCut: boolean): AsyncGenerator<string> {
  for await (const piece of body) {
    yield piece.slice(0, piece.length >> 1)
    break
  }
  if (isCut) throw new ConnectionCut()
}

/** Lets a watch that nobody will read give itself back. */
async function endStream(body: AsyncIterable<string>): Promise<void> {
  const iterator = body[Symbol.asyncIterator]()
  await iterator.return?.()
}
