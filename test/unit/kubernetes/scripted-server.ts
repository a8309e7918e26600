import type { JSONObject } from '../../../src/ipam/types.ts'
import type { RequestHandler } from '../../../src/kubernetes/transport.ts'

/** One request as the script sees it. */
export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: JSONObject | string | AsyncIterable<string>
}

type Script = (request: SeenRequest, signal: AbortSignal) => Answer | Promise<Answer>

/** An API server that answers as a test says, and remembers what it was asked. */
export function scriptedServer(script: Script): { readonly handler: RequestHandler; readonly requests: SeenRequest[] } {
  const requests: SeenRequest[] = []
  return {
    requests,
    async handler(request, signal) {
      requests.push(request)
      const { status = 200, headers = {}, body = {} } = await script(request, signal)
      const isStream = typeof body === 'object' && Symbol.asyncIterator in body
      const text = typeof body === 'string' || isStream ? body : JSON.stringify(body)
      return { status, headers, body: text }
    },
  }
}

/** A watch that the test feeds line by line. */
export class FedWatch implements AsyncIterable<string> {
  readonly #pieces: string[] = []
  #wake: (() => void) | undefined
  #ending: { readonly error?: Error } | undefined

  send(...events: JSONObject[]): void {
    this.sendText(events.map((event) => `${JSON.stringify(event)}\n`).join(''))
  }

  sendText(text: string): void {
    this.#pieces.push(text)
    this.#wake?.()
  }

  end(): void {
    this.#ending = {}
    this.#wake?.()
  }

  break(message = 'socket hang up'): void {
    this.#ending = { error: new Error(message) }
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    for (;;) {
      const piece = this.#pieces.shift()
      if (piece !== undefined) {
        yield piece
      } else if (this.#ending !== undefined) {
        if (this.#ending.error !== undefined) throw this.#ending.error
        return
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }
}

export function statusAnswer(
  code: number,
  reason: string,
  message = reason,
  headers: Record<string, string> = {},
): Answer {
  return { status: code, headers, body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message } }
}
