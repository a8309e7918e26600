import { request } from 'node:http'
import { ERROR_CODE_HEADER } from './api-shapes.ts'

/** An answer of the agent. */
export interface APIAnswer {
  readonly status: number
  /** Code of a refusal; empty for a success. */
  readonly code: string
  /** The parsed body; undefined when there is none. */
  readonly value: unknown
}

/** How a plug-in reaches the agent. Rejects when there is no answer. */
export type APIClient = (method: string, target: string, body?: unknown) => Promise<APIAnswer>

/** No agent answered on its socket. */
export class AgentUnreachableError extends Error {
  override readonly name = 'AgentUnreachableError'
}

/**
 * Requests over a Unix socket.
 *
 * @param timeoutMs silence of the agent that counts as no answer (ms)
 */
export function socketClient(socketPath: string, timeoutMs: number): APIClient {
  return (method, target, body) =>
    new Promise((resolve, reject) => {
      const fail = (error: Error): void =>
        reject(new AgentUnreachableError(`berth agent on ${socketPath}: ${error.message}`, { cause: error }))
      const content = body === undefined ? '' : JSON.stringify(body)
      const headers = { host: 'localhost', 'content-length': Buffer.byteLength(content) }
      const sent = request({ socketPath, method, path: target, headers }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (piece: string) => {
          text += piece
        })
        response.on('error', fail)
        response.on('end', () => {
          const code = response.headers[ERROR_CODE_HEADER]
          resolve({
            status: response.statusCode ?? 0,
            code: typeof code === 'string' ? code : '',
            value: valueOf(text),
          })
        })
      })
      sent.setTimeout(timeoutMs, () => sent.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)))
      sent.on('error', fail)
      sent.end(content)
    })
}

function valueOf(text: string): unknown {
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
