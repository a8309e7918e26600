import { describe, expect, test } from 'vitest'
import type { CiliumNode, OwnedStatus } from '../../../src/ipam/cilium-node.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'
import { CiliumNodeAPI } from '../../../src/kubernetes/cilium-node-api.ts'
import { decodeCiliumNode } from '../../../src/kubernetes/cilium-node.ts'
import { KubernetesClient } from '../../../src/kubernetes/client.ts'
import { RateLimiter } from '../../../src/kubernetes/rate-limiter.ts'
import { inProcessTransport } from '../../../src/kubernetes/transport.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import type { Answer } from './scripted-server.ts'
import { scriptedServer, statusAnswer } from './scripted-server.ts'

const { signal } = new AbortController()

const json: JSONObject = { metadata: { name: 'node-a', uid: 'u', resourceVersion: '7' }, spec: { ipam: {} } }

function seenNode(): CiliumNode {
  const decoded = decodeCiliumNode(json)
  if (decoded.kind !== 'ok') throw new Error('malformed')
  return decoded.node
}

function setUp(answer: Answer) {
  const clock = new ManualClock()
  const server = scriptedServer(() => answer)
  const client = new KubernetesClient({
    transport: inProcessTransport(server.handler),
    clock,
    random: { next: () => 0 },
    limiter: new RateLimiter({ clock, qps: 100, burst: 100 }),
  })
  return { api: new CiliumNodeAPI(client), requests: server.requests }
}

const wanted: OwnedStatus = {
  provider: { section: 'eni', value: { enis: { e: { id: 'e' } } } },
  releaseIPs: new Map(),
  operatorError: '',
}

test('a status is written through its subresource, as a conditional merge patch', async () => {
  const { api, requests } = setUp({ body: { ...json, metadata: { name: 'node-a', uid: 'u', resourceVersion: '8' } } })
  const result = await api.updateStatus(seenNode(), wanted, signal)
  expect(result).toMatchObject({ kind: 'ok', node: { resourceVersion: '8' } })
  expect(requests[0]).toMatchObject({
    method: 'PATCH',
    path: '/apis/cilium.io/v2/ciliumnodes/node-a/status',
    body: '{"metadata":{"resourceVersion":"7"},"status":{"eni":{"enis":{"e":{"id":"e"}}}}}',
  })
  expect(requests[0]?.headers['content-type']).toBe('application/merge-patch+json')
})

test('a spec is written to the resource itself', async () => {
  const { api, requests } = setUp({ body: json })
  await api.update(seenNode(), { pool: new Map([['10.0.0.5', { resource: 'e' }]]) }, signal)
  expect(requests[0]).toMatchObject({ method: 'PATCH', path: '/apis/cilium.io/v2/ciliumnodes/node-a' })
})

test('nothing to write sends nothing', async () => {
  const { api, requests } = setUp({ body: json })
  expect(await api.update(seenNode(), { pool: new Map() }, signal)).toEqual({ kind: 'noop' })
  expect(requests).toEqual([])
})

describe('an expected refusal is a value', () => {
  test.each<[number, string, JSONObject]>([
    [409, 'Conflict', { kind: 'conflict' }],
    [404, 'NotFound', { kind: 'notFound' }],
  ])('%i %s', async (status, reason, result) => {
    const { api } = setUp(statusAnswer(status, reason))
    expect(await api.updateStatus(seenNode(), wanted, signal)).toEqual(result)
    expect(await api.delete('node-a', 'u', '7', signal)).toEqual(result)
  })

  test.each([403, 422, 500])('%i is thrown', async (status) => {
    const { api } = setUp(statusAnswer(status, ''))
    await expect(api.updateStatus(seenNode(), wanted, signal)).rejects.toThrow(String(status))
  })
})

test('a node that is not there is undefined, a malformed one an error of this read', async () => {
  expect(await setUp(statusAnswer(404, 'NotFound')).api.get('node-a', signal)).toBeUndefined()
  const { api } = setUp({ body: { ...json, spec: { ipam: { 'pre-allocate': 'x' } } } })
  await expect(api.get('node-a', signal)).rejects.toMatchObject({ kind: 'malformed' })
})

test('a deletion names the very version that was judged', async () => {
  const { api, requests } = setUp({ body: { kind: 'Status', status: 'Success' } })
  expect(await api.delete('node-a', 'u', '7', signal)).toMatchObject({ kind: 'ok', node: { name: 'node-a' } })
  expect(requests[0]?.method).toBe('DELETE')
  expect(JSON.parse(requests[0]!.body)).toMatchObject({ preconditions: { uid: 'u', resourceVersion: '7' } })
})

test('what is wrong with a malformed resource is written on it, once', async () => {
  const { api, requests } = setUp({ body: {} })
  const decoded = decodeCiliumNode({ ...json, spec: { ipam: { 'pre-allocate': 'x' } } })
  if (decoded.kind !== 'malformed') throw new Error('it decoded')
  await api.reportMalformed(decoded, signal)
  const written = JSON.parse(requests[0]!.body) as { status: { ipam: { 'operator-status': { error: string } } } }
  const { error } = written.status.ipam['operator-status']
  expect(error).toContain('spec.ipam.pre-allocate')
  expect(await api.reportMalformed({ ...decoded, operatorError: error }, signal)).toEqual({ kind: 'noop' })
  expect(requests).toHaveLength(1)
})

test('a name that needs it is encoded', async () => {
  const { api, requests } = setUp(statusAnswer(404, 'NotFound'))
  await api.get('../../secrets', signal)
  expect(requests[0]?.path).toBe('/apis/cilium.io/v2/ciliumnodes/..%2F..%2Fsecrets')
})
