import type { ARMClient, ARMRequest, ARMResponse } from '../../../providers/azure/client.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'

/** A request as Resource Manager sees it. */
export interface ScriptedRequest {
  readonly method: string
  /** Decoded, without the query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly body: JSONObject | undefined
}

export interface ScriptedAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

/** What a request is answered; undefined: 404. */
export type ARMResponder = (request: ScriptedRequest) => ScriptedAnswer | undefined

/**
 * Stands in for Resource Manager: records what it is sent and answers from a responder. It knows no rules of Azure; for those there is
 * the simulator.
 */
export class ScriptedARM {
  readonly requests: ScriptedRequest[] = []
  readonly client: ARMClient
  /** Replaced at will. */
  respond: ARMResponder

  constructor(respond: ARMResponder) {
    this.respond = respond
    this.client = {
      endpoint: 'https://management.azure.com',
      send: (request) => this.#answer(request),
    }
  }

  /** What was sent with this method. */
  sent(method: string): readonly ScriptedRequest[] {
    return this.requests.filter((request) => request.method === method)
  }

  async #answer({ method, url, body, signal }: ARMRequest): Promise<ARMResponse> {
    signal.throwIfAborted()
    await Promise.resolve()
    const { pathname, searchParams } = new URL(url)
    const request: ScriptedRequest = {
      method,
      path: decodeURIComponent(pathname),
      query: searchParams,
      body: body === undefined ? undefined : (JSON.parse(body) as JSONObject),
    }
    this.requests.push(request)
    const { status, headers = {}, body: content } = this.respond(request) ?? NOT_FOUND
    const byName = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
    return {
      status,
      header: (name) => byName.get(name.toLowerCase()),
      body: content === undefined || content === null ? '' : JSON.stringify(content),
    }
  }
}

const NOT_FOUND: ScriptedAnswer = {
  status: 404,
  body: { error: { code: 'ResourceNotFound', message: 'The resource was not found.' } },
}

export function ok(body: unknown): ScriptedAnswer {
  return { status: 200, body }
}

export function page(value: readonly unknown[]): ScriptedAnswer {
  return ok({ value })
}

export function refusal(status: number, code: string): ScriptedAnswer {
  return { status, body: { error: { code, message: `${code} by script` } } }
}

/** Whether a path is this one, whatever its letter case. */
export function isPath(path: string, other: string): boolean {
  return path.toLowerCase() === other.toLowerCase()
}
