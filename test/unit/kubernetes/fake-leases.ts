import type { JSONObject } from '../../../src/ipam/types.ts'
import { isObject } from '../../../src/kubernetes/json.ts'
import type { Answer, SeenRequest } from './scripted-server.ts'
import { statusAnswer } from './scripted-server.ts'

/** One Lease with optimistic concurrency, and ways to hinder whoever uses it. */
export class FakeLeases {
  lease: { spec: Record<string, unknown>; version: number } | undefined
  /** Looked at before each request: an answer in its place, or undefined to go on. */
  hinder: (request: SeenRequest) => Answer | Promise<Answer> | undefined = () => undefined
  /** Looked at after each write had its effect. */
  loseAnswer = false
  #version = 0

  readonly answer = async (request: SeenRequest): Promise<Answer> => {
    const hindrance = await this.hinder(request)
    if (hindrance !== undefined) return hindrance
    if (request.method === 'GET') return this.lease === undefined ? statusAnswer(404, 'NotFound') : this.#shown()
    const body: unknown = JSON.parse(request.body)
    if (!isObject(body) || !isObject(body['spec'])) return statusAnswer(400, 'BadRequest')
    if (request.method === 'POST') {
      if (this.lease !== undefined) return statusAnswer(409, 'AlreadyExists')
      this.write(body['spec'])
    } else {
      const metadata = isObject(body['metadata']) ? body['metadata'] : {}
      if (this.lease === undefined) return statusAnswer(404, 'NotFound')
      if (metadata['resourceVersion'] !== String(this.lease.version)) return statusAnswer(409, 'Conflict')
      this.write(body['spec'])
    }
    if (this.loseAnswer) throw new Error('socket hang up')
    return this.#shown()
  }

  /** A write from the side. */
  write(spec: JSONObject): void {
    this.#version += 1
    this.lease = { spec: { ...this.lease?.spec, ...spec }, version: this.#version }
  }

  get holder(): unknown {
    return this.lease?.spec['holderIdentity']
  }

  #shown(): Answer {
    const { spec, version } = this.lease ?? { spec: {}, version: 0 }
    return {
      body: {
        kind: 'Lease',
        metadata: { name: 'berth-controller', resourceVersion: String(version) },
        spec: spec as JSONObject,
      },
    }
  }
}
