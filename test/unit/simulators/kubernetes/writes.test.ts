import { describe, expect, test } from 'vitest'
import { Harness, NODES, ciliumNode, pod, settled, summary } from './harness.ts'

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps'
const PODS = '/api/v1/namespaces/default/pods'
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases'

describe('create', () => {
  test('fills in uid, creationTimestamp, generation and resourceVersion, and ignores a status', async () => {
    const harness = new Harness()
    const sent = ciliumNode('a', { metadata: { name: 'a', uid: 'mine', generation: 7 }, status: { ipam: {} } })
    const { status, body } = await harness.post(NODES, sent)
    expect(status).toBe(201)
    expect(body.metadata).toMatchObject({ name: 'a', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' })
    expect(body.metadata.uid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(Number(body.metadata.resourceVersion)).toBeGreaterThan(1)
    expect(body.status).toBeUndefined()
    expect((await harness.get(`${NODES}/a`)).body).toEqual(body)
  })

  test('the same seed gives the same uids, another seed others', async () => {
    const uids = await Promise.all(
      [1, 1, 2].map(async (seed) => (await new Harness({ seed }).post(NODES, ciliumNode('a'))).body.metadata.uid),
    )
    expect(uids[0]).toBe(uids[1])
    expect(uids[0]).not.toBe(uids[2])
  })

  test('generateName adds five letters', async () => {
    const harness = new Harness()
    const { body } = await harness.post(CONFIG_MAPS, { metadata: { generateName: 'lot-' } })
    expect(body.metadata.name).toMatch(/^lot-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
  })

  test.each([
    { name: 'a taken name', target: NODES, body: ciliumNode('there'), status: 409, reason: 'AlreadyExists' },
    { name: 'no name', target: NODES, body: ciliumNode(''), status: 422, reason: 'Invalid' },
    { name: 'a name in capitals', target: NODES, body: ciliumNode('Node_A'), status: 422, reason: 'Invalid' },
    { name: 'another kind', target: NODES, body: pod('p', 'n'), status: 400, reason: 'BadRequest' },
    {
      name: 'another version',
      target: NODES,
      body: { ...ciliumNode('v'), apiVersion: 'cilium.io/v1' },
      status: 400,
      reason: 'BadRequest',
    },
    { name: 'no JSON', target: NODES, body: '{"a":', status: 400, reason: 'BadRequest' },
    { name: 'a list', target: NODES, body: [], status: 400, reason: 'BadRequest' },
    {
      name: 'labels that are no texts',
      target: NODES,
      body: ciliumNode('l', { metadata: { name: 'l', labels: { a: 1 } } }),
      status: 400,
      reason: 'BadRequest',
    },
    {
      name: 'a resourceVersion',
      target: NODES,
      body: ciliumNode('r', { metadata: { name: 'r', resourceVersion: '1' } }),
      status: 400,
      reason: 'BadRequest',
    },
    {
      name: 'a namespace that is not there',
      target: '/api/v1/namespaces/nowhere/pods',
      body: pod('p', 'n', { metadata: { name: 'p' } }),
      status: 404,
      reason: 'NotFound',
    },
    {
      name: 'another namespace than the path',
      target: PODS,
      body: pod('p', 'n', { metadata: { name: 'p', namespace: 'kube-system' } }),
      status: 400,
      reason: 'BadRequest',
    },
    {
      name: 'a pod without containers',
      target: PODS,
      body: { metadata: { name: 'p' }, spec: {} },
      status: 422,
      reason: 'Invalid',
    },
    {
      name: 'a lease of no time',
      target: LEASES,
      body: { metadata: { name: 'l' }, spec: { leaseDurationSeconds: 0 } },
      status: 422,
      reason: 'Invalid',
    },
    {
      name: 'a resource that is not served',
      target: '/apis/cilium.io/v2/ciliumidentities',
      body: {},
      status: 404,
      reason: 'NotFound',
    },
  ])('$name is $status $reason', async ({ target, body, status, reason }) => {
    const harness = new Harness()
    await harness.createNodes('there')
    const reply = await harness.post(target, body)
    expect(reply.body).toMatchObject({ kind: 'Status', status: 'Failure', reason, code: status })
    expect(reply.status).toBe(status)
  })
})

describe('optimistic concurrency', () => {
  test('a PUT at an older version is a conflict and changes nothing', async () => {
    const harness = new Harness()
    const first = (await harness.post(NODES, ciliumNode('a'))).body
    await harness.patch(`${NODES}/a`, { spec: { 'instance-id': 'theirs' } })
    const reply = await harness.put(`${NODES}/a`, { ...first, spec: { 'instance-id': 'mine' } })
    expect(reply.body).toMatchObject({
      reason: 'Conflict',
      code: 409,
      details: { name: 'a', group: 'cilium.io', kind: 'ciliumnodes' },
      message:
        'Operation cannot be fulfilled on ciliumnodes.cilium.io "a": the object has been modified; please apply your changes to the latest version and try again',
    })
    expect((await harness.get(`${NODES}/a`)).body.spec).toEqual({ 'instance-id': 'theirs' })
  })

  test.each(['', '/status'])('a merge patch%s that carries an older version is a conflict', async (subresource) => {
    const harness = new Harness()
    const first = (await harness.post(NODES, ciliumNode('a'))).body
    const { resourceVersion } = first.metadata
    const patch = {
      metadata: { resourceVersion },
      spec: { 'instance-id': 'i' },
      status: { ipam: { 'operator-status': { error: 'e' } } },
    }
    expect((await harness.patch(`${NODES}/a${subresource}`, patch)).status).toBe(200)
    const again = await harness.patch(`${NODES}/a${subresource}`, patch)
    expect(again.body).toMatchObject({ code: 409, reason: 'Conflict' })
  })

  test('another uid is a conflict', async () => {
    const harness = new Harness()
    const first = (await harness.post(NODES, ciliumNode('a'))).body
    await harness.delete(`${NODES}/a`)
    await harness.createNodes('a')
    const reply = await harness.put(`${NODES}/a`, { ...first, metadata: { ...first.metadata, resourceVersion: '' } })
    expect(reply.status).toBe(422) // custom resources and leases need a version in a PUT
    const patch = await harness.patch(`${NODES}/a`, { metadata: { uid: first.metadata.uid }, spec: { bootid: 'x' } })
    expect(patch.body.message).toContain('Precondition failed: UID in precondition')
  })

  test('two PUTs at the same version: the second one loses', async () => {
    const harness = new Harness()
    const lease = (await harness.post(LEASES, { metadata: { name: 'l' }, spec: { holderIdentity: 'a' } })).body
    const replies = await Promise.all(
      ['b', 'c'].map((holderIdentity) => harness.put(`${LEASES}/l`, { ...lease, spec: { holderIdentity } })),
    )
    expect(replies.map((reply) => reply.status)).toEqual([200, 409])
  })
})

describe('the status subresource', () => {
  async function withStatus(): Promise<Harness> {
    const harness = new Harness()
    await harness.createNodes('a')
    await harness.patch(`${NODES}/a/status`, { status: { ipam: { 'operator-status': { error: 'old' } } } })
    return harness
  }

  test('a PUT of the object ignores status, a PUT of status everything else', async () => {
    const harness = await withStatus()
    const { body } = await harness.get(`${NODES}/a`)
    const changed = { ...body, spec: { bootid: 'new' }, status: { ipam: { 'operator-status': { error: 'new' } } } }
    const main = await harness.put(`${NODES}/a`, { ...changed, metadata: { ...body.metadata, labels: { l: '1' } } })
    expect(main.body.spec).toEqual({ bootid: 'new' })
    expect(main.body.status.ipam['operator-status'].error).toBe('old')
    const second = { ...changed, spec: { bootid: 'ignored' }, metadata: { ...main.body.metadata, labels: { l: '2' } } }
    const status = await harness.put(`${NODES}/a/status`, second)
    expect(status.body.spec).toEqual({ bootid: 'new' })
    expect(status.body.metadata.labels).toEqual({ l: '1' })
    expect(status.body.status.ipam['operator-status'].error).toBe('new')
  })

  test('generation counts changes of spec only', async () => {
    const harness = await withStatus()
    const generation = async (): Promise<number> => (await harness.get(`${NODES}/a`)).body.metadata.generation
    expect(await generation()).toBe(1)
    await harness.patch(`${NODES}/a`, { metadata: { labels: { x: 'y' } } })
    expect(await generation()).toBe(1)
    await harness.patch(`${NODES}/a`, { spec: { bootid: 'x' } })
    expect(await generation()).toBe(2)
    await harness.patch(`${NODES}/a/status`, { status: { ipam: { 'operator-status': { error: 'more' } } } })
    expect(await generation()).toBe(2)
  })

  test('a definition without the subresource has no such path', async () => {
    const harness = new Harness()
    const pools = '/apis/cilium.io/v2alpha1/ciliumpodippools'
    await harness.post(pools, {
      metadata: { name: 'default' },
      spec: { ipv4: { cidrs: ['10.0.0.0/16'], maskSize: 24 } },
    })
    expect((await harness.patch(`${pools}/default/status`, { status: {} })).status).toBe(404)
  })

  test('a kubelet registers its node with the status in it', async () => {
    const harness = new Harness()
    const status = { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] }
    const { body } = await harness.post('/api/v1/nodes', { metadata: { name: 'n' }, status })
    expect(body.status).toEqual(status)
  })
})

describe('delete', () => {
  test('removes the object and answers a Status that names it', async () => {
    const harness = new Harness()
    await harness.createNodes('a')
    const { status, body } = await harness.delete(`${NODES}/a`)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name: 'a', group: 'cilium.io', kind: 'ciliumnodes' },
    })
    expect((await harness.get(`${NODES}/a`)).body).toMatchObject({ code: 404, reason: 'NotFound' })
    expect((await harness.delete(`${NODES}/a`)).status).toBe(404)
  })

  test('preconditions keep an object of another uid or version', async () => {
    const harness = new Harness()
    const { body } = await harness.post(NODES, ciliumNode('a'))
    const options = (preconditions: object): object => ({ kind: 'DeleteOptions', apiVersion: 'v1', preconditions })
    expect((await harness.delete(`${NODES}/a`, options({ uid: 'another' }))).body.reason).toBe('Conflict')
    expect((await harness.delete(`${NODES}/a`, options({ resourceVersion: '1' }))).body.reason).toBe('Conflict')
    expect((await harness.delete(`${NODES}/a`, options({ uid: body.metadata.uid }))).status).toBe(200)
  })

  test('finalizers keep the object until the last of them is gone', async () => {
    const harness = new Harness()
    await harness.post(NODES, ciliumNode('a', { metadata: { name: 'a', finalizers: ['b.io/one', 'b.io/two'] } }))
    const watch = await harness.watch(`${NODES}?fieldSelector=metadata.name%3Da`)
    const marked = await harness.delete(`${NODES}/a`)
    expect(marked.body.metadata.deletionTimestamp).toBe('2026-01-01T00:00:00Z')
    await harness.delete(`${NODES}/a`)
    await harness.patch(`${NODES}/a`, { metadata: { finalizers: ['b.io/two'] } })
    const added = await harness.patch(`${NODES}/a`, { metadata: { finalizers: ['b.io/two', 'b.io/three'] } })
    expect(added.status).toBe(422)
    await harness.patch(`${NODES}/a`, { metadata: { finalizers: null } })
    expect(summary(await watch.take())).toEqual(['ADDED a', 'MODIFIED a', 'MODIFIED a', 'DELETED a'])
    expect((await harness.get(`${NODES}/a`)).status).toBe(404)
  })

  test('a collection is deleted by selector', async () => {
    const harness = new Harness()
    for (const name of ['a', 'b', 'c']) {
      await harness.post(NODES, ciliumNode(name, { metadata: { name, labels: { keep: String(name === 'b') } } }))
    }
    const reply = await harness.delete(`${NODES}?labelSelector=keep%3Dfalse`)
    expect(reply.body.items).toHaveLength(2)
    expect(
      (await harness.get(NODES)).body.items.map((item: { metadata: { name: string } }) => item.metadata.name),
    ).toEqual(['b'])
  })

  test('a namespace takes its content along', async () => {
    const harness = new Harness()
    await harness.post('/api/v1/namespaces', { metadata: { name: 'team' } })
    await harness.post('/api/v1/namespaces/team/configmaps', { metadata: { name: 'c' } })
    await harness.delete('/api/v1/namespaces/team')
    expect((await harness.get('/api/v1/configmaps')).body.items).toEqual([])
  })

  test('a dry run checks everything and keeps everything', async () => {
    const harness = new Harness()
    await harness.createNodes('a')
    const before = (await harness.get(NODES)).body
    expect((await harness.request('POST', `${NODES}?dryRun=All`, { body: ciliumNode('b') })).status).toBe(201)
    expect((await harness.request('POST', `${NODES}?dryRun=All`, { body: ciliumNode('a') })).status).toBe(409)
    expect((await harness.request('DELETE', `${NODES}/a?dryRun=All`)).status).toBe(200)
    await harness.request('PATCH', `${NODES}/a?dryRun=All`, {
      body: { spec: { bootid: 'x' } },
      contentType: 'application/merge-patch+json',
    })
    expect((await harness.get(NODES)).body).toEqual(before)
  })
})

describe('pods', () => {
  test('one on a node stays as long as its containers take to stop, at most its grace period', async () => {
    const harness = new Harness({ podTerminationMs: 5_000 })
    await harness.post(PODS, pod('slow', 'n1'))
    await harness.post(
      PODS,
      pod('short', 'n1', { spec: { containers: [{ name: 'c' }], nodeName: 'n1', terminationGracePeriodSeconds: 2 } }),
    )
    const watch = await harness.watch(
      `${PODS}?resourceVersion=${(await harness.get(PODS)).body.metadata.resourceVersion}`,
    )
    const marked = await harness.delete(`${PODS}/slow`)
    expect(marked.body.metadata).toMatchObject({
      deletionTimestamp: '2026-01-01T00:00:30Z',
      deletionGracePeriodSeconds: 30,
    })
    await harness.delete(`${PODS}/short`)
    await harness.clock.advance(2_000)
    expect(summary(await watch.take())).toEqual(['MODIFIED slow', 'MODIFIED short', 'DELETED short'])
    await harness.clock.advance(2_999)
    expect(await watch.take()).toEqual([])
    await harness.clock.advance(1)
    expect(summary(await watch.take())).toEqual(['DELETED slow'])
  })

  test('one without a node, and one that is forced, goes at once', async () => {
    const harness = new Harness()
    await harness.post(PODS, pod('pending', undefined))
    await harness.post(PODS, pod('running', 'n1'))
    await harness.delete(`${PODS}/pending`)
    await harness.delete(`${PODS}/running`)
    await harness.delete(`${PODS}/running`, { gracePeriodSeconds: 0 })
    expect((await harness.get(PODS)).body.items).toEqual([])
  })

  test("a new pod of the same name is not taken by the old one's end", async () => {
    const harness = new Harness({ podTerminationMs: 1_000 })
    await harness.post(PODS, pod('p', 'n1'))
    await harness.delete(`${PODS}/p`)
    await harness.delete(`${PODS}/p`, { gracePeriodSeconds: 0 })
    await harness.post(PODS, pod('p', 'n1'))
    await harness.clock.advance(60_000)
    expect((await harness.get(`${PODS}/p`)).status).toBe(200)
  })

  test('its spec is fixed, images apart', async () => {
    const harness = new Harness()
    await harness.post(PODS, pod('p', 'n1'))
    expect((await harness.patch(`${PODS}/p`, { spec: { nodeName: 'n2' } })).status).toBe(422)
    const image = await harness.patch(`${PODS}/p`, { spec: { containers: [{ name: 'main', image: 'new' }] } })
    expect(image.body.spec.containers).toEqual([{ name: 'main', image: 'new' }])
  })
})

test('events are forgotten after an hour', async () => {
  const harness = new Harness()
  const events = '/api/v1/namespaces/default/events'
  const event = (name: string): object => ({
    metadata: { name },
    involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
  })
  await harness.post(events, event('old'))
  await harness.clock.advance(3_599_999)
  await harness.post(events, event('young'))
  expect((await harness.get(events)).body.items).toHaveLength(2)
  await harness.clock.advance(1)
  await harness.post(events, event('new'))
  await settled()
  const items: readonly { metadata: { name: string } }[] = (
    await harness.get(`${events}?fieldSelector=involvedObject.name%3Dp`)
  ).body.items
  expect(items.map((item) => item.metadata.name)).toEqual(['new', 'young'])
})
