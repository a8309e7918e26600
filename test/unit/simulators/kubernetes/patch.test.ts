import { describe, expect, test } from 'vitest'
import { mergePatch } from '../../../../simulators/kubernetes/patch.ts'
import { APPLY, Harness, JSON_PATCH, NODES, STRATEGIC, ciliumNode } from './harness.ts'
import type { Answer, Reply } from './harness.ts'

describe('merge patch', () => {
  test.each<{ name: string; target: object; patch: object; result: object }>([
    // RFC 7386, appendix A, the cases of objects
    { name: 'replaces', target: { a: 'b' }, patch: { a: 'c' }, result: { a: 'c' } },
    { name: 'adds', target: { a: 'b' }, patch: { b: 'c' }, result: { a: 'b', b: 'c' } },
    { name: 'deletes', target: { a: 'b', b: 'c' }, patch: { a: null }, result: { b: 'c' } },
    { name: 'replaces lists whole', target: { a: [{ b: 'c' }] }, patch: { a: [1] }, result: { a: [1] } },
    { name: 'merges nested', target: { a: { b: 'c' } }, patch: { a: { b: 'd', c: null } }, result: { a: { b: 'd' } } },
    { name: 'turns a scalar into an object', target: { a: 'c' }, patch: { a: { b: 1 } }, result: { a: { b: 1 } } },
    { name: 'drops nulls of what is new', target: {}, patch: { a: { bb: { ccc: null } } }, result: { a: { bb: {} } } },
  ])('$name', ({ target, patch, result }) => {
    const before = structuredClone(target)
    expect(mergePatch(target as Answer, patch as Answer)).toEqual(result)
    expect(target).toEqual(before)
  })

  test('shares what it does not touch, so that old states cost nothing', () => {
    const target = { spec: { pool: { '10.0.0.1': {} } }, status: { used: {} } }
    const patched = mergePatch(target, { status: { used: { x: {} } } })
    expect(patched['spec']).toBe(target.spec)
  })
})

describe('JSON patch', () => {
  async function patched(operations: unknown): Promise<Reply> {
    const harness = new Harness()
    await harness.post(NODES, ciliumNode('a', { spec: { bootid: 'x', addresses: [{ ip: '10.0.0.1' }] } }))
    return harness.patch(`${NODES}/a`, operations, JSON_PATCH)
  }

  test('applies in order', async () => {
    const { body } = await patched([
      { op: 'test', path: '/spec/bootid', value: 'x' },
      { op: 'add', path: '/spec/addresses/-', value: { ip: '10.0.0.2' } },
      { op: 'remove', path: '/spec/addresses/0' },
      { op: 'move', from: '/spec/bootid', path: '/spec/instance-id' },
      { op: 'add', path: '/metadata/labels', value: { 'a.io~1b': 'c' } },
    ])
    expect(body.reason).toBe('Invalid') // a label key cannot hold ~1 once it is unescaped in a value
    const good = await patched([
      { op: 'add', path: '/metadata/annotations', value: {} },
      { op: 'add', path: '/metadata/annotations/a.io~1b', value: 'c' },
      { op: 'move', from: '/spec/bootid', path: '/spec/instance-id' },
    ])
    expect(good.body.metadata.annotations).toEqual({ 'a.io/b': 'c' })
    expect(good.body.spec).toEqual({ 'instance-id': 'x', addresses: [{ ip: '10.0.0.1' }] })
  })

  test.each([
    { name: 'a test that fails', operations: [{ op: 'test', path: '/spec/bootid', value: 'y' }], status: 422 },
    { name: 'a path that is not there', operations: [{ op: 'remove', path: '/spec/nothing' }], status: 422 },
    { name: 'an unknown operation', operations: [{ op: 'grow', path: '/spec/bootid' }], status: 422 },
    { name: 'no list', operations: { spec: {} }, status: 400 },
    { name: 'the whole object replaced by a text', operations: [{ op: 'replace', path: '', value: 'x' }], status: 422 },
    { name: 'another name', operations: [{ op: 'replace', path: '/metadata/name', value: 'b' }], status: 400 },
    {
      name: 'an older version',
      operations: [{ op: 'replace', path: '/metadata/resourceVersion', value: '1' }],
      status: 409,
    },
  ])('$name is $status', async ({ operations, status }) => {
    expect((await patched(operations)).status).toBe(status)
  })
})

describe('strategic merge patch', () => {
  test('lists merge by their key, and directives are obeyed', async () => {
    const harness = new Harness()
    const node = {
      metadata: { name: 'n' },
      spec: {
        taints: [
          { key: 'a', effect: 'NoSchedule' },
          { key: 'b', effect: 'NoSchedule' },
        ],
      },
    }
    await harness.post('/api/v1/nodes', node)
    const taints = [
      { key: 'a', effect: 'NoExecute' },
      { $patch: 'delete', key: 'b' },
      { key: 'c', effect: 'NoSchedule' },
    ]
    const { body } = await harness.patch(
      '/api/v1/nodes/n',
      { spec: { taints, '$setElementOrder/taints': [] } },
      STRATEGIC,
    )
    expect(body.spec.taints).toEqual([
      { key: 'a', effect: 'NoExecute' },
      { key: 'c', effect: 'NoSchedule' },
    ])
    const replaced = await harness.patch(
      '/api/v1/nodes/n',
      { spec: { $patch: 'replace', unschedulable: true } },
      STRATEGIC,
    )
    expect(replaced.body.spec).toEqual({ unschedulable: true })
    const condition = { type: 'NetworkUnavailable', status: 'False' }
    const status = await harness.patch('/api/v1/nodes/n/status', { status: { conditions: [condition] } }, STRATEGIC)
    expect(status.body.status.conditions).toEqual([condition])
  })

  test('an element without its key is refused', async () => {
    const harness = new Harness()
    await harness.post('/api/v1/nodes', { metadata: { name: 'n' } })
    expect((await harness.patch('/api/v1/nodes/n', { spec: { taints: [{ effect: 'x' }] } }, STRATEGIC)).status).toBe(
      400,
    )
  })

  test.each([STRATEGIC, 'application/xml', 'application/vnd.kubernetes.protobuf'])(
    'a custom resource takes no %s: 415',
    async (contentType) => {
      const harness = new Harness()
      await harness.createNodes('a')
      const reply = await harness.patch(`${NODES}/a`, { spec: {} }, contentType)
      expect(reply.body).toMatchObject({ code: 415, reason: 'UnsupportedMediaType' })
    },
  )
})

describe('server-side apply', () => {
  function apply(harness: Harness, manager: string, spec: object, query = ''): Promise<Reply> {
    const target = `${NODES}/a?fieldManager=${manager}${query}`
    return harness.patch(target, ciliumNode('a', { spec }), APPLY)
  }

  test('creates what is not there, from YAML too', async () => {
    const harness = new Harness()
    const yaml = 'apiVersion: cilium.io/v2\nkind: CiliumNode\nmetadata: {name: a}\nspec: {bootid: x}\n'
    const reply = await harness.patch(`${NODES}/a?fieldManager=me`, yaml, APPLY)
    expect(reply.status).toBe(201)
    expect(reply.body.metadata.managedFields).toMatchObject([
      { manager: 'me', operation: 'Apply', fieldsV1: { 'f:spec': { 'f:bootid': {} } } },
    ])
  })

  test('a field that its manager leaves out goes, one of another manager stays', async () => {
    const harness = new Harness()
    await apply(harness, 'me', { bootid: 'x', 'instance-id': 'i-1' })
    await harness.patch(`${NODES}/a?fieldManager=operator`, { spec: { ipam: { 'pre-allocate': 8 } } })
    const { body } = await apply(harness, 'me', { 'instance-id': 'i-1' })
    expect(body.spec).toEqual({ 'instance-id': 'i-1', ipam: { 'pre-allocate': 8 } })
  })

  test('a field that another manager changed is a conflict that names both, unless forced', async () => {
    const harness = new Harness()
    await apply(harness, 'me', { bootid: 'mine' })
    await harness.patch(`${NODES}/a?fieldManager=agent`, { spec: { bootid: 'theirs' } })
    const refused = await apply(harness, 'me', { bootid: 'mine' })
    expect(refused.body).toMatchObject({
      code: 409,
      reason: 'Conflict',
      details: { causes: [{ reason: 'FieldManagerConflict', field: '.spec.bootid' }] },
    })
    expect(refused.body.message).toContain('conflict with "agent" using cilium.io/v2')
    const forced = await apply(harness, 'me', { bootid: 'mine' }, '&force=true')
    expect(forced.body.spec.bootid).toBe('mine')
    expect(forced.body.metadata.managedFields.map((entry: Answer) => entry.manager)).toEqual(['me'])
  })

  test('two managers may own the same value, and giving it up leaves it to the other', async () => {
    const harness = new Harness()
    await apply(harness, 'me', { bootid: 'x' })
    expect((await apply(harness, 'you', { bootid: 'x' })).status).toBe(200)
    const { body } = await apply(harness, 'me', {})
    expect(body.spec.bootid).toBe('x')
    expect((await apply(harness, 'you', {})).body.spec.bootid).toBeUndefined()
  })

  test('applying the same again changes nothing, whatever the time', async () => {
    const harness = new Harness()
    const first = await apply(harness, 'me', { bootid: 'x' })
    await harness.clock.advance(5_000)
    const second = await apply(harness, 'me', { bootid: 'x' })
    expect(second.body).toEqual(first.body)
  })

  test('lists of a built-in resource are owned by element', async () => {
    const harness = new Harness()
    const node = (...keys: readonly string[]): object => ({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n' },
      spec: { taints: keys.map((key) => ({ key, effect: 'NoSchedule' })) },
    })
    await harness.patch('/api/v1/nodes/n?fieldManager=one', node('a'), APPLY)
    await harness.patch('/api/v1/nodes/n?fieldManager=two', node('b'), APPLY)
    const { body } = await harness.patch('/api/v1/nodes/n?fieldManager=one', node(), APPLY)
    expect(body.spec.taints).toEqual([{ key: 'b', effect: 'NoSchedule' }])
  })

  test('without a field manager it is refused', async () => {
    const harness = new Harness()
    expect((await harness.patch(`${NODES}/a`, ciliumNode('a'), APPLY)).status).toBe(400)
  })

  test('objects that nobody applied carry no managedFields', async () => {
    const harness = new Harness()
    await harness.createNodes('a')
    const { body } = await harness.patch(`${NODES}/a`, { spec: { bootid: 'x' } })
    expect(body.metadata.managedFields).toBeUndefined()
  })
})
