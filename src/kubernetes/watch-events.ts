import type { JSONObject } from '../ipam/types.ts'
import { KubernetesAPIError, kindOf } from './errors.ts'
import { isObject } from './json.ts'

/** One line of a watch. An `ERROR` line is thrown instead. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'
  readonly object: JSONObject
}

/** Far above what etcd stores of one object (1.5 MiB by default): a longer line is not a watch. Characters. */
const MAX_LINE_LENGTH = 16 * 1024 * 1024

/**
 * Splits the text of a watch into its lines. A last line without its line feed was cut off with the connection and is dropped.
 *
 * @throws KubernetesAPIError (malformed) for an endless line
 */
export async function* lines(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  let rest: string[] = []
  let restLength = 0
  for await (const piece of pieces) {
    let start = 0
    for (let end = piece.indexOf('\n'); end >= 0; end = piece.indexOf('\n', start)) {
      const line = rest.join('') + piece.slice(start, end)
      rest = []
      restLength = 0
      start = end + 1
      if (line.trim() !== '') yield line
    }
    if (start === piece.length) continue
    rest.push(start === 0 ? piece : piece.slice(start))
    restLength += piece.length - start
    if (restLength > MAX_LINE_LENGTH)
      throw new KubernetesAPIError('a line of the watch has no end', { kind: 'malformed' })
  }
}

/** @throws KubernetesAPIError of what an `ERROR` line says, or malformed */
export function parseWatchEvent(line: string): WatchEvent {
  let event: unknown
  try {
    event = JSON.parse(line)
  } catch (error) {
    throw new KubernetesAPIError('a line of the watch is not JSON', { kind: 'malformed', cause: error })
  }
  if (!isObject(event) || !isObject(event['object'])) {
    throw new KubernetesAPIError('a line of the watch is not an event', { kind: 'malformed' })
  }
  const { type, object } = event
  if (type === 'ERROR') throw errorOf(object)
  if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED' || type === 'BOOKMARK') return { type, object }
  throw new KubernetesAPIError(`the watch has an event of unknown type ${JSON.stringify(type)}`, { kind: 'malformed' })
}

function errorOf(status: JSONObject): KubernetesAPIError {
  const code = typeof status['code'] === 'number' ? status['code'] : 500
  const reason = typeof status['reason'] === 'string' ? status['reason'] : ''
  const message = typeof status['message'] === 'string' ? status['message'] : ''
  return new KubernetesAPIError(`watch: ${code} ${message}`.trim(), {
    kind: kindOf(code, reason),
    status: code,
    reason,
  })
}
