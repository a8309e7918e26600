import { describe, expect, test } from 'vitest'
import { ConnectionCut } from '../../../../simulators/kit/http.ts'
import { createKubernetesSimulator } from '../../../../simulators/kubernetes/index.ts'
import { Harness, MERGE, NODES, ciliumNode, names, settled, summary } from './harness.ts'

function faultFile(...rules: readonly object[]): object {
  return { rules }
}

describe('faults', () => {
  test.each([
    { code: 'TooManyRequests', status: 429, retryAfter: '1' },
    { code: 'InternalError', status: 500, retryAfter: undefined },
    { code: 'Conflict', status: 409, retryAfter: undefined },
    { code: 'Expired', status: 410, retryAfter: undefined },
  ])('$status in place of an answer, as a Status', async ({ code, status, retryAfter }) => {
    const harness = new Harness()
    await harness.createNodes('a')
    await harness.put(
      '/_berth/faults',
      faultFile({ action: 'patch ciliumnodes*', kind: 'error', code, status, count: 1 }),
    )
    const patch = { spec: { bootid: 'x' } }
    const reply = await harness.patch(`${NODES}/a`, patch)
    expect(reply.status).toBe(status)
    expect(reply.body).toMatchObject({ kind: 'Status', reason: code, code: status })
    expect(reply.headers['retry-after']).toBe(retryAfter)
    expect((await harness.get(`${NODES}/a`)).body.spec).toEqual({})
    expect((await harness.patch(`${NODES}/a`, patch)).status).toBe(200)
  })

  test('a lost answer: the write is there, its caller hears nothing', async () => {
    const harness = new Harness()
    await harness.createNodes('a')
    const rule = { action: 'patch ciliumnodes', kind: 'drop', where: 'after-effect', match: { name: 'a' } }
    await harness.put('/_berth/faults', faultFile(rule))
    await expect(harness.patch(`${NODES}/a`, { spec: { bootid: 'x' } })).rejects.toBeInstanceOf(ConnectionCut)
    expect((await harness.get(`${NODES}/a`)).body.spec.bootid).toBe('x')
  })

  test.each(['truncate', 'cut'])('half an answer (%s)', async (kind) => {
    const harness = new Harness()
    await harness.createNodes('a')
    await harness.put('/_berth/faults', faultFile({ action: 'get *', kind }))
    const reading = harness.get(`${NODES}/a`)
    if (kind === 'cut') await expect(reading).rejects.toBeInstanceOf(ConnectionCut)
    else expect(typeof (await reading).body).toBe('string') // no JSON: it does not parse
  })

  test.each([
    { kind: 'drop', where: 'after-effect' },
    { kind: 'drop', where: 'before-effect' },
    { kind: 'cut', where: 'after-effect' },
  ])('a watch that is spoilt ($kind, $where) leaves nothing behind', async (rule) => {
    const harness = new Harness()
    await harness.createNodes('a')
    await harness.put('/_berth/faults', faultFile({ action: 'watch ciliumnodes', ...rule }))
    if (rule.kind === 'drop') await expect(harness.watch(NODES)).rejects.toBeInstanceOf(ConnectionCut)
    else {
      const watch = await harness.watch(NODES)
      const [line] = await watch.take()
      expect(line).toMatch(/^\{"type":"ADDED"/)
      expect(watch.state()).toBe('cut')
    }
    expect((await harness.get('/_berth/health')).body.watches).toBe(0)
  })

  test('latency passes on the clock of the simulator', async () => {
    const harness = new Harness({ latencyMs: 20 })
    await harness.put(
      '/_berth/faults',
      faultFile({ action: 'list *', kind: 'latency', latencyMs: 30, match: { userAgent: 'test/*' } }),
    )
    let isDone = false
    const listing = harness.get(NODES).then(() => {
      isDone = true
    })
    await settled()
    await harness.clock.advance(49)
    expect(isDone).toBe(false)
    await harness.clock.advance(1)
    await listing
  })

  test('a wrong fault file is refused with every fault in it, and the old rules stay', async () => {
    const harness = new Harness()
    await harness.put('/_berth/faults', faultFile({ action: 'get *', kind: 'drop' }))
    const { status, body } = await harness.put('/_berth/faults', faultFile({ acton: 'x', kind: 'explode' }))
    expect(status).toBe(400)
    expect(body.faults.length).toBeGreaterThan(1)
    expect((await harness.get('/_berth/faults')).body.rules).toHaveLength(1)
  })
})

describe('the ledger of calls', () => {
  test('counts by verb and resource, and names the caller', async () => {
    const harness = new Harness()
    await harness.createNodes('a', 'b')
    await harness.get(NODES)
    await harness.get(`${NODES}/nobody`)
    await harness.request('PATCH', `${NODES}/a/status`, { body: { status: {} }, contentType: MERGE })
    await harness.put(
      '/_berth/faults',
      faultFile({ action: 'list *', kind: 'error', code: 'TooManyRequests', status: 429 }),
    )
    await harness.get(NODES)
    await harness.get('/apis')
    const { body } = await harness.get('/_berth/calls')
    expect(body.actions).toEqual({
      'create ciliumnodes': { attempts: 2, ok: 2, refused: 0, failed: 0 },
      'get ciliumnodes': { attempts: 1, ok: 0, refused: 0, failed: 1 },
      'list ciliumnodes': { attempts: 2, ok: 1, refused: 1, failed: 0 },
      'patch ciliumnodes/status': { attempts: 1, ok: 1, refused: 0, failed: 0 },
    })
    expect(body.callers).toEqual({ 'test/1.0': 6 })
  })
})

describe('state', () => {
  test('a snapshot loaded elsewhere gives the same objects, and clients of before list anew', async () => {
    const source = new Harness()
    await source.createNodes('a', 'b')
    await source.patch(`${NODES}/a/status`, { status: { ipam: { 'assigned-static-ip': '3.3.3.3' } } })
    const snapshot = (await source.get('/_berth/state')).body
    const target = new Harness({ seed: 9 })
    await target.createNodes('old')
    const watch = await target.watch(NODES)
    const version = (await target.get(NODES)).body.metadata.resourceVersion
    expect((await target.put('/_berth/state', snapshot)).status).toBe(200)
    const strip = ({ metadata, ...rest }: { metadata: Record<string, unknown> }): object => ({
      ...rest,
      metadata: { ...metadata, resourceVersion: '' },
    })
    const objects = async (harness: Harness): Promise<object[]> => (await harness.get(NODES)).body.items.map(strip)
    expect(await objects(target)).toEqual(await objects(source))
    expect(summary(await watch.take())).toEqual(['ADDED old', 'ERROR Expired'])
    const again = await target.watch(`${NODES}?resourceVersion=${version}`)
    expect(summary(await again.take())).toEqual(['ERROR Expired'])
  })

  test('a snapshot that is none leaves the world as it is', async () => {
    const harness = new Harness()
    await harness.createNodes('a')
    const broken = { resourceVersion: 5, objects: [{ apiVersion: 'v1', kind: 'Nothing' }, ciliumNode('UPPER')] }
    const reply = await harness.put('/_berth/state', broken)
    expect(reply.status).toBe(400)
    expect(reply.body.faults).toHaveLength(2)
    expect((await harness.put('/_berth/state', { objects: 3 })).body.faults).toHaveLength(2)
    expect(names((await harness.get(NODES)).body)).toEqual(['a'])
  })

  test('bulk creation stores status and uid as given, reaches watches and is not counted', async () => {
    const harness = new Harness()
    const watch = await harness.watch(NODES)
    const objects = [
      ciliumNode('n', {
        metadata: { name: 'n', uid: 'u-1', generation: 4 },
        status: { ipam: { 'assigned-static-ip': '3.3.3.3' } },
      }),
      { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } },
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { nodeName: 'n', containers: [{ name: 'c' }] } },
    ]
    expect((await harness.post('/_berth/state/objects', { objects })).body).toEqual({ stored: 3 })
    const [event] = await watch.take()
    expect(event.object).toMatchObject({ metadata: { uid: 'u-1', generation: 4 }, status: { ipam: {} } })
    expect((await harness.get('/api/v1/namespaces/default/pods/p')).body.status.phase).toBe('Pending')
    expect((await harness.get('/_berth/calls')).body.actions['create ciliumnodes']).toBeUndefined()
    expect(harness.simulator.counts()).toMatchObject({ 'ciliumnodes.cilium.io': 1, nodes: 1, pods: 1 })
  })

  test('bulk creation names every object that is not accepted and stores the others', async () => {
    const harness = new Harness()
    const objects = [
      ciliumNode('good'),
      ciliumNode('bad', { spec: { ipam: { 'pre-allocate': -1 } } }),
      { kind: 'X' },
      7,
    ]
    const reply = await harness.post('/_berth/state/objects', objects)
    expect(reply.status).toBe(400)
    expect(reply.body.faults.map((fault: string) => fault.split(':')[0])).toEqual([
      'objects[1]',
      'objects[2]',
      'objects[3]',
    ])
    expect(names((await harness.get(NODES)).body)).toEqual(['good'])
  })

  test('reset brings back the first world; open watches are told to list anew', async () => {
    const harness = new Harness()
    await harness.createNodes('a')
    const watch = await harness.watch(
      `${NODES}?resourceVersion=${(await harness.get(NODES)).body.metadata.resourceVersion}`,
    )
    const before = Number((await harness.get(NODES)).body.metadata.resourceVersion)
    await harness.post('/_berth/reset', undefined)
    expect(summary(await watch.take())).toEqual(['ERROR Expired'])
    const { body } = await harness.get(NODES)
    expect(body.items).toEqual([])
    expect(Number(body.metadata.resourceVersion)).toBeGreaterThan(before)
    expect((await harness.get('/_berth/calls')).body.attempts).toBe(1)
  })

  test('compaction and dropped watches through the door', async () => {
    const harness = new Harness()
    const watch = await harness.watch(NODES)
    await watch.take()
    expect((await harness.post('/_berth/watches/drop', { resource: 'pods' })).body).toEqual({ dropped: 0 })
    expect((await harness.post('/_berth/watches/drop', { resource: 'ciliumnodes', how: 'cut' })).body).toEqual({
      dropped: 1,
    })
    await settled()
    expect(watch.state()).toBe('cut')
    expect((await harness.post('/_berth/watches/drop', { how: 'softly' })).status).toBe(400)
    await harness.post('/_berth/compact', undefined)
    expect(summary(await (await harness.watch(`${NODES}?resourceVersion=3`)).take())).toEqual(['ERROR Expired'])
  })

  test('an unknown control path names the ones there are', async () => {
    const { status, body } = await new Harness().get('/_berth/stat')
    expect(status).toBe(404)
    expect(body.paths).toContain('POST /_berth/state/objects')
  })
})

test('a kubeconfig points at the server, with its token', () => {
  const text = createKubernetesSimulator({ tokens: ['secret'], manifests: [] }).kubeconfig('http://127.0.0.1:6443')
  expect(text).toContain('server: http://127.0.0.1:6443')
  expect(text).toContain('token: secret')
})

test('without manifests no custom resource is served', async () => {
  expect((await new Harness({ manifests: [] }).get(NODES)).status).toBe(404)
})
