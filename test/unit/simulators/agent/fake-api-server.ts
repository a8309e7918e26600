import type { Router, WireRequest, WireResponse } from '../../../../simulators/kit/http.ts'

type Json = Record<string, unknown>

interface StoredObject extends Json {
  metadata: { name: string; uid: string; resourceVersion: string } & Json
}

/**
 * As much of an API server as an agent or a pod scheduler talks to: create, get, list and watch by name, merge patch with a
 * resourceVersion, delete. Written apart from the simulator, so that a mistake there does not hide one in the agent.
 */
export class FakeAPIServer {
  readonly objects = new Map<string, StoredObject>()
  readonly requests: { method: string; path: string; body: string }[] = []
  /** Answers of the next requests, before they have any effect. */
  readonly failures: { match: (request: WireRequest) => boolean; status: number; reason: string }[] = []
  /** Runs once before the next patch is applied: another writer that is faster. */
  beforePatch: (() => void) | undefined
  #version = 100
  #watchers: { name: string; push: (line: string) => void; end: () => void }[] = []

  readonly router: Router = async (request, signal) => {
    this.requests.push({ method: request.method, path: request.path, body: request.body })
    const index = this.failures.findIndex(({ match }) => match(request))
    if (index >= 0) {
      const [failure] = this.failures.splice(index, 1)
      return status(failure!.status, failure!.reason)
    }
    if (request.query.get('watch') === 'true') return this.#watch(request, signal)
    return this.#answer(request)
  }

  /** Writes as another client would, bypassing the log of requests. */
  put(path: string, change: Json): StoredObject {
    const old = this.objects.get(path)
    const merged = merge(old ?? {}, change) as StoredObject
    const name = path.split('/').at(-1)!
    const stored = {
      ...merged,
      metadata: {
        ...(merged.metadata as Json | undefined),
        name,
        uid: old?.metadata.uid ?? `uid-${name}`,
        resourceVersion: String(++this.#version),
      },
    } as StoredObject
    this.objects.set(path, stored)
    this.#notify(old === undefined ? 'ADDED' : 'MODIFIED', stored)
    return stored
  }

  remove(path: string): void {
    const old = this.objects.get(path)
    if (old === undefined) return
    this.objects.delete(path)
    this.#notify('DELETED', { ...old, metadata: { ...old.metadata, resourceVersion: String(++this.#version) } })
  }

  /** Ends all watches as a server does at its timeout. */
  endWatches(): void {
    for (const watcher of this.#watchers) watcher.end()
  }

  #notify(type: string, object: StoredObject): void {
    for (const watcher of this.#watchers)
      if (watcher.name === object.metadata.name) watcher.push(`${JSON.stringify({ type, object })}\n`)
  }

  #answer(request: WireRequest): WireResponse {
    const { method, path, body, query } = request
    const selected = query.get('fieldSelector')?.replace('metadata.name=', '')
    const target = path.replace(/\/status$/, '')
    switch (method) {
      case 'GET': {
        if (selected === undefined)
          return this.objects.has(path) ? ok(this.objects.get(path)!) : status(404, 'NotFound')
        const item = this.objects.get(`${path}/${selected}`)
        return ok({ metadata: { resourceVersion: String(this.#version) }, items: item === undefined ? [] : [item] })
      }
      case 'POST': {
        const object = JSON.parse(body) as StoredObject
        const own = `${path}/${object.metadata.name}`
        return this.objects.has(own) ? status(409, 'AlreadyExists') : ok(this.put(own, object))
      }
      case 'PATCH': {
        this.beforePatch?.()
        this.beforePatch = undefined
        const old = this.objects.get(target)
        if (old === undefined) return status(404, 'NotFound')
        const patch = JSON.parse(body) as Json
        const wanted = (patch['metadata'] as Json | undefined)?.['resourceVersion']
        if (wanted !== undefined && wanted !== old.metadata.resourceVersion) return status(409, 'Conflict')
        return ok(this.put(target, patch))
      }
      case 'DELETE': {
        if (!this.objects.has(path)) return status(404, 'NotFound')
        this.remove(path)
        return ok({})
      }
      default:
        return status(405, 'MethodNotAllowed')
    }
  }

  #watch(request: WireRequest, signal: AbortSignal): WireResponse {
    const name = request.query.get('fieldSelector')!.replace('metadata.name=', '')
    const stream = new ReadableStream<string>({
      start: (controller) => {
        const watcher = { name, push: (line: string) => controller.enqueue(line), end: () => leave() }
        const leave = (): void => {
          if (!this.#watchers.includes(watcher)) return
          this.#watchers = this.#watchers.filter((one) => one !== watcher)
          controller.close()
        }
        this.#watchers.push(watcher)
        signal.addEventListener('abort', leave, { once: true })
      },
    })
    return { status: 200, headers: {}, body: stream }
  }
}

function ok(object: Json): WireResponse {
  return { status: 200, headers: {}, body: JSON.stringify(object) }
}

function status(code: number, reason: string): WireResponse {
  const body = { kind: 'Status', status: 'Failure', code, reason, message: reason }
  return { status: code, headers: {}, body: JSON.stringify(body) }
}

/** RFC 7386. */
function merge(target: unknown, patch: Json): Json {
  const result: Json = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = isObject(value) ? merge(result[key], value) : value
  }
  return result
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
