import { createKubernetesSimulator } from '../../../../simulators/kubernetes/index.ts'
import type { KubernetesSimulator, KubernetesSimulatorOptions } from '../../../../simulators/kubernetes/index.ts'
import { ManualClock } from '../../../../simulators/kit/manual-clock.ts'

/** The simulator in process on a manual clock, and a client that speaks its wire. No assertions. */

// oxlint-disable-next-line typescript/no-explicit-any -- answers are read field by field, and a wrong field fails the test
export type Answer = any

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Parsed JSON, or text that is none. */
  readonly body: Answer
}

export interface RequestParts {
  readonly body?: unknown
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface OpenWatch {
  readonly status: number
  /** Events that have been written so far and not been taken yet; needs no waiting, as nothing here waits for real time. */
  take(): Promise<readonly Answer[]>
  /** `open` while the server holds the watch, `ended` cleanly, or `cut`. */
  state(): 'open' | 'ended' | 'cut'
  /** The client goes away. */
  abort(): void
}

export const NODES = '/apis/cilium.io/v2/ciliumnodes'
export const MERGE = 'application/merge-patch+json'
export const JSON_PATCH = 'application/json-patch+json'
export const STRATEGIC = 'application/strategic-merge-patch+json'
export const APPLY = 'application/apply-patch+yaml'

export class Harness {
  readonly clock = new ManualClock()
  readonly simulator: KubernetesSimulator

  constructor(options: KubernetesSimulatorOptions = {}) {
    this.simulator = createKubernetesSimulator({ clock: this.clock, ...options })
  }

  async request(method: string, target: string, parts: RequestParts = {}): Promise<Reply> {
    const [path = '', query = ''] = target.split('?', 2)
    const response = await this.simulator.router(
      {
        method,
        path,
        query: new URLSearchParams(query),
        headers: {
          'user-agent': 'test/1.0',
          ...(parts.body === undefined ? {} : { 'content-type': parts.contentType ?? 'application/json' }),
          ...parts.headers,
        },
        body: typeof parts.body === 'string' ? parts.body : parts.body === undefined ? '' : JSON.stringify(parts.body),
      },
      new AbortController().signal,
    )
    let text = ''
    if (typeof response.body === 'string') text = response.body
    else for await (const piece of response.body) text += piece
    return { status: response.status, headers: response.headers, body: parsed(text) }
  }

  get(target: string, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    return this.request('GET', target, { headers })
  }

  post(target: string, body: unknown): Promise<Reply> {
    return this.request('POST', target, { body })
  }

  put(target: string, body: unknown): Promise<Reply> {
    return this.request('PUT', target, { body })
  }

  patch(target: string, body: unknown, contentType = MERGE): Promise<Reply> {
    return this.request('PATCH', target, { body, contentType })
  }

  delete(target: string, body?: unknown): Promise<Reply> {
    return this.request('DELETE', target, body === undefined ? {} : { body })
  }

  /** Creates CiliumNodes with these names and an empty spec. */
  async createNodes(...names: readonly string[]): Promise<void> {
    for (const name of names) await this.post(NODES, ciliumNode(name))
  }

  async watch(target: string, headers: Readonly<Record<string, string>> = {}): Promise<OpenWatch> {
    const [path = '', query = ''] = target.split('?', 2)
    const leaving = new AbortController()
    const parameters = new URLSearchParams(query)
    parameters.set('watch', 'true')
    const response = await this.simulator.router(
      { method: 'GET', path, query: parameters, headers: { 'user-agent': 'test/1.0', ...headers }, body: '' },
      leaving.signal,
    )
    let state: ReturnType<OpenWatch['state']> = 'open'
    let text = typeof response.body === 'string' ? response.body : ''
    if (typeof response.body === 'string') state = 'ended'
    else {
      const { body } = response
      void (async () => {
        try {
          for await (const piece of body) text += piece
          state = 'ended'
        } catch {
          state = 'cut'
        }
      })()
    }
    return {
      status: response.status,
      async take() {
        await settled()
        const lines = text.split('\n').filter((line) => line !== '')
        text = ''
        return lines.map(parsed)
      },
      state: () => state,
      abort: () => leaving.abort(),
    }
  }
}

/** Lets everything run that waits for nothing but promises. */
export async function settled(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve)
  })
}

export function ciliumNode(name: string, parts: Readonly<Record<string, unknown>> = {}): Answer {
  return { apiVersion: 'cilium.io/v2', kind: 'CiliumNode', metadata: { name }, spec: {}, ...parts }
}

export function pod(name: string, nodeName: string | undefined, parts: Readonly<Record<string, unknown>> = {}): Answer {
  const spec = { containers: [{ name: 'main', image: 'pause' }], ...(nodeName === undefined ? {} : { nodeName }) }
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, spec, ...parts }
}

/** `TYPE name`, for comparing streams at a glance. */
export function summary(events: readonly Answer[]): readonly string[] {
  return events.map(({ type, object }) => `${type} ${object.metadata?.name ?? object.reason ?? ''}`.trim())
}

export function names(list: Answer): readonly string[] {
  return list.items.map((item: Answer) => item.metadata.name)
}

function parsed(text: string): Answer {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
