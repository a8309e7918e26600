import { expect, test } from 'vitest'
import type { JSONObject } from '../../../src/ipam/types.ts'
import { KubernetesClient } from '../../../src/kubernetes/client.ts'
import { NodeNames } from '../../../src/kubernetes/node-names.ts'
import { PendingPods } from '../../../src/kubernetes/pending-pods.ts'
import { RateLimiter } from '../../../src/kubernetes/rate-limiter.ts'
import { inProcessTransport } from '../../../src/kubernetes/transport.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { FedWatch, scriptedServer, statusAnswer } from './scripted-server.ts'

const quiet = (): void => undefined

function pod(
  name: string,
  nodeName: string,
  parts: { phase?: string; hostNetwork?: boolean; version?: string } = {},
): JSONObject {
  return {
    metadata: { namespace: 'default', name, uid: name, resourceVersion: parts.version ?? '1' },
    spec: { ...(nodeName !== '' && { nodeName }), ...(parts.hostNetwork === true && { hostNetwork: true }) },
    status: { phase: parts.phase ?? 'Pending' },
  }
}

async function setUp(items: JSONObject[], isReachable = true) {
  const clock = new ManualClock()
  const watch = new FedWatch()
  const server = scriptedServer((request) => {
    if (!isReachable) return statusAnswer(403, 'Forbidden')
    return request.query.get('watch') === null
      ? { body: { metadata: { resourceVersion: '5' }, items } }
      : { body: watch }
  })
  const random = { next: () => 0 }
  const stop = new AbortController()
  const shared = {
    client: new KubernetesClient({
      transport: inProcessTransport(server.handler),
      clock,
      random,
      limiter: new RateLimiter({ clock, qps: 100, burst: 100 }),
    }),
    clock,
    random,
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    signal: stop.signal,
  }
  return { shared, watch, requests: server.requests, stop }
}

test('pods that wait for an address are counted by node', async () => {
  const { shared, requests, stop } = await setUp([
    pod('a', 'node-1'),
    pod('b', 'node-1'),
    pod('c', 'node-2'),
    pod('unscheduled', ''),
    pod('host', 'node-1', { hostNetwork: true }),
    pod('running', 'node-1', { phase: 'Running' }),
  ])
  const pods = new PendingPods()
  pods.start(shared)
  expect(pods.count('node-1')).toBeUndefined()
  await settle()
  expect([pods.count('node-1'), pods.count('node-2'), pods.count('node-3')]).toEqual([2, 1, 0])
  expect(requests[0]?.query.get('fieldSelector')).toBe('status.phase=Pending')
  stop.abort()
})

test('a pod that is scheduled, runs or goes moves the count', async () => {
  const { shared, watch, stop } = await setUp([pod('a', ''), pod('b', 'node-1')])
  const pods = new PendingPods()
  pods.start(shared)
  await settle()
  watch.send({ type: 'MODIFIED', object: pod('a', 'node-1', { version: '6' }) })
  await settle()
  expect(pods.count('node-1')).toBe(2)
  // The server sends a pod that no longer matches the selector as deleted, with its new phase.
  watch.send({ type: 'DELETED', object: pod('b', 'node-1', { phase: 'Running', version: '7' }) })
  await settle()
  expect(pods.count('node-1')).toBe(1)
  watch.send({ type: 'DELETED', object: pod('a', 'node-1', { version: '8' }) })
  await settle()
  expect(pods.count('node-1')).toBe(0)
  stop.abort()
})

test('it is told where more pods wait than before, once all are known', async () => {
  const { shared, watch, stop } = await setUp([pod('a', 'node-1'), pod('b', 'node-1'), pod('c', 'node-2')])
  const pods = new PendingPods()
  const told: { readonly nodeName: string; readonly count: number | undefined }[] = []
  pods.start(shared, (nodeName) => told.push({ nodeName, count: pods.count(nodeName) }))
  await settle()
  expect(told).toEqual([
    { nodeName: 'node-1', count: 2 },
    { nodeName: 'node-2', count: 1 },
  ])
  watch.send({ type: 'ADDED', object: pod('d', 'node-2', { version: '6' }) })
  watch.send({ type: 'DELETED', object: pod('a', 'node-1', { version: '7' }) })
  await settle()
  expect(told.slice(2)).toEqual([{ nodeName: 'node-2', count: 2 }])
  stop.abort()
})

test('while pods cannot be read their number is unknown, not zero', async () => {
  const { shared, stop } = await setUp([], false)
  const pods = new PendingPods()
  pods.start(shared)
  await settle()
  expect(pods.count('node-1')).toBeUndefined()
  stop.abort()
})

test('names of nodes are known after the first list, from metadata alone', async () => {
  const { shared, watch, requests, stop } = await setUp([
    { metadata: { name: 'node-1', uid: 'u', resourceVersion: '1' } },
  ])
  const nodes = new NodeNames()
  nodes.start(shared)
  expect(nodes.has('node-1')).toBeUndefined()
  await settle()
  expect([nodes.has('node-1'), nodes.has('node-2')]).toEqual([true, false])
  expect(requests[0]?.headers['accept']).toBe(
    'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json',
  )
  watch.send({ type: 'DELETED', object: { metadata: { name: 'node-1', uid: 'u', resourceVersion: '6' } } })
  await settle()
  expect(nodes.has('node-1')).toBe(false)
  stop.abort()
})
