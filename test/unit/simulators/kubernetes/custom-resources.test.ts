import { describe, expect, test } from 'vitest'
import { FORMATS } from '../../../../simulators/kubernetes/formats.ts'
import type { JSONObject } from '../../../../simulators/kubernetes/json.ts'
import { ObjectSchema } from '../../../../simulators/kubernetes/schema.ts'
import { Harness, NODES, ciliumNode, names, summary } from './harness.ts'
import type { Answer } from './harness.ts'

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const WIDGETS = '/apis/shop.io/v1/namespaces/default/widgets'

function widgetCRD(schema: JSONObject, version: JSONObject = {}): Answer {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.shop.io' },
    spec: {
      group: 'shop.io',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget', shortNames: ['wd'] },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema }, ...version }],
    },
  }
}

const OPEN: JSONObject = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }

describe('definitions', () => {
  test('creating one makes its resource served at once, deleting it takes the objects and the watches along', async () => {
    const harness = new Harness()
    expect((await harness.get(WIDGETS)).status).toBe(404)
    const created = await harness.post(CRDS, widgetCRD(OPEN))
    expect(created.body.status.conditions.map((one: Answer) => `${one.type}=${one.status}`)).toEqual([
      'NamesAccepted=True',
      'Established=True',
    ])
    expect(created.body.status.acceptedNames).toMatchObject({ singular: 'widget', listKind: 'WidgetList' })
    await harness.post(WIDGETS, { metadata: { name: 'w' }, spec: { size: 3 } })
    const watch = await harness.watch(WIDGETS)
    const resources = (await harness.get('/apis/shop.io/v1')).body.resources
    expect(resources).toMatchObject([{ name: 'widgets', kind: 'Widget', shortNames: ['wd'], namespaced: true }])
    await harness.delete(`${CRDS}/widgets.shop.io`)
    expect(summary(await watch.take())[0]).toBe('ADDED w')
    expect(watch.state()).toBe('ended')
    expect((await harness.get(WIDGETS)).status).toBe(404)
    expect((await harness.get('/apis/shop.io')).status).toBe(404)
  })

  test('a changed definition serves the objects that are there by its new schema', async () => {
    const harness = new Harness()
    await harness.post(CRDS, widgetCRD(OPEN))
    await harness.post(WIDGETS, { metadata: { name: 'w' }, spec: { size: 3 } })
    const closed = {
      type: 'object',
      properties: { spec: { type: 'object', properties: { size: { type: 'integer', maximum: 5 } } } },
    }
    const change = widgetCRD(closed).spec.versions
    expect((await harness.patch(`${CRDS}/widgets.shop.io`, { spec: { versions: change } })).status).toBe(200)
    expect((await harness.get(`${WIDGETS}/w`)).body.spec.size).toBe(3)
    expect((await harness.patch(`${WIDGETS}/w`, { spec: { size: 6 } })).status).toBe(422)
    expect((await harness.patch(`${CRDS}/widgets.shop.io`, { spec: { scope: 'Cluster' } })).status).toBe(422)
  })

  test('several versions show the same object', async () => {
    const harness = new Harness()
    const crd = widgetCRD(OPEN)
    crd.spec.versions.push({ ...crd.spec.versions[0], name: 'v2beta1', storage: false })
    await harness.post(CRDS, crd)
    await harness.post(WIDGETS, { metadata: { name: 'w' }, spec: { size: 3 } })
    const beta = '/apis/shop.io/v2beta1/namespaces/default/widgets'
    expect((await harness.get(`${beta}/w`)).body).toMatchObject({ apiVersion: 'shop.io/v2beta1', spec: { size: 3 } })
    const patched = await harness.patch(`${beta}/w`, { spec: { size: 4 } })
    expect(patched.body.apiVersion).toBe('shop.io/v2beta1')
    expect((await harness.get(`${WIDGETS}/w`)).body).toMatchObject({ apiVersion: 'shop.io/v1', spec: { size: 4 } })
    expect((await harness.get('/apis/shop.io')).body.preferredVersion.version).toBe('v1')
  })

  test.each<{ name: string; change: (crd: Answer) => void; field: string }>([
    {
      name: 'another name than its plural',
      change: (crd) => (crd.metadata.name = 'wrong.shop.io'),
      field: 'metadata.name',
    },
    { name: 'no storage version', change: (crd) => (crd.spec.versions[0].storage = false), field: 'spec.versions' },
    {
      name: 'no schema',
      change: (crd) => delete crd.spec.versions[0].schema,
      field: 'spec.versions[0].schema.openAPIV3Schema',
    },
    { name: 'an unknown scope', change: (crd) => (crd.spec.scope = 'Galaxy'), field: 'spec.scope' },
    {
      name: 'a broken column path',
      change: (crd) =>
        (crd.spec.versions[0].additionalPrinterColumns = [{ name: 'X', type: 'string', jsonPath: 'spec[' }]),
      field: 'spec.versions',
    },
    {
      name: 'a broken schema',
      change: (crd) => (crd.spec.versions[0].schema.openAPIV3Schema = { type: 'objekt' }),
      field: 'spec.versions',
    },
  ])('one with $name is refused', async ({ change, field }) => {
    const crd = widgetCRD(OPEN)
    change(crd)
    const { body } = await new Harness().post(CRDS, crd)
    expect(body).toMatchObject({ code: 422, reason: 'Invalid' })
    expect(body.details.causes.map((cause: Answer) => cause.field)).toContain(field)
  })

  test('selectable fields work on lists and watches', async () => {
    const harness = new Harness()
    await harness.post(CRDS, widgetCRD(OPEN, { selectableFields: [{ jsonPath: '.spec.color' }] }))
    for (const [name, color] of [
      ['a', 'red'],
      ['b', 'blue'],
    ])
      await harness.post(WIDGETS, { metadata: { name }, spec: { color } })
    expect(names((await harness.get(`${WIDGETS}?fieldSelector=spec.color%3Dred`)).body)).toEqual(['a'])
    expect((await harness.get(`${WIDGETS}?fieldSelector=spec.size%3D1`)).status).toBe(400)
  })
})

describe('pruning and defaults', () => {
  const schema: JSONObject = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: {
          size: { type: 'integer', default: 1 },
          map: { type: 'object', additionalProperties: { type: 'object', properties: { a: { type: 'string' } } } },
          list: { type: 'array', items: { type: 'object', properties: { a: { type: 'string' } } } },
          free: {
            type: 'object',
            'x-kubernetes-preserve-unknown-fields': true,
            properties: { b: { type: 'object', properties: {} } },
          },
          maybe: { type: 'string', nullable: true },
          template: { type: 'object', 'x-kubernetes-embedded-resource': true, properties: {} },
        },
      },
    },
  }

  test.each<{ name: string; spec: object; kept: object; unknown: readonly string[] }>([
    { name: 'an unknown field', spec: { size: 2, x: 1 }, kept: { size: 2 }, unknown: ['spec.x'] },
    {
      name: 'inside a map',
      spec: { size: 2, map: { k: { a: 'y', x: 1 } } },
      kept: { size: 2, map: { k: { a: 'y' } } },
      unknown: ['spec.map.k.x'],
    },
    {
      name: 'inside a list',
      spec: { size: 2, list: [{ a: 'y' }, { x: 1 }] },
      kept: { size: 2, list: [{ a: 'y' }, {}] },
      unknown: ['spec.list[1].x'],
    },
    {
      name: 'but not where unknown fields are preserved, except below what is known there',
      spec: { size: 2, free: { x: 1, b: { c: 1 } } },
      kept: { size: 2, free: { x: 1, b: {} } },
      unknown: ['spec.free.b.c'],
    },
    {
      name: 'nulls that are not allowed, silently',
      spec: { size: null, maybe: null },
      kept: { size: 1, maybe: null },
      unknown: [],
    },
    {
      name: "nothing of an embedded object's own fields",
      spec: { size: 2, template: { kind: 'X', metadata: { name: 'n' }, y: 1 } },
      kept: { size: 2, template: { kind: 'X', metadata: { name: 'n' } } },
      unknown: ['spec.template.y'],
    },
  ])('$name', ({ spec, kept, unknown }) => {
    const object = { apiVersion: 'v1', kind: 'W', metadata: { name: 'w', anything: 1 }, spec } as Answer
    const pruned = new ObjectSchema(schema).prune(object)
    expect(pruned.object['spec']).toEqual(kept)
    expect(pruned.object['metadata']).toBe(object.metadata)
    expect(pruned.unknownFields).toEqual(unknown)
  })

  test('an object in order is not copied', () => {
    const object = { spec: { size: 2, list: [{ a: 'x' }], map: { k: { a: 'b' } } } }
    expect(new ObjectSchema(schema).prune(object).object).toBe(object)
  })

  test.each([
    { validation: 'Warn', status: 200, warning: '299 - "unknown field \\"spec.bogus\\""' },
    { validation: 'Ignore', status: 200, warning: undefined },
    { validation: 'Strict', status: 400, warning: undefined },
  ])('fieldValidation=$validation', async ({ validation, status, warning }) => {
    const harness = new Harness()
    await harness.createNodes('a')
    const reply = await harness.patch(`${NODES}/a?fieldValidation=${validation}`, { spec: { bogus: 1, bootid: 'x' } })
    expect(reply.status).toBe(status)
    expect(reply.headers['warning']).toBe(warning)
    if (status === 400) expect(reply.body.message).toBe('strict decoding error: unknown field "spec.bogus"')
    else expect(reply.body.spec).toEqual({ bootid: 'x' })
  })
})

describe('validation', () => {
  test.each<{ name: string; spec: object; cause: object }>([
    {
      name: 'required',
      spec: { ipam: { pools: { requested: [{}] } } },
      cause: { reason: 'FieldValueRequired', field: 'spec.ipam.pools.requested[0].pool', message: 'Required value' },
    },
    {
      name: 'type',
      spec: { ipam: { 'pre-allocate': 'x' } },
      cause: {
        reason: 'FieldValueTypeInvalid',
        field: 'spec.ipam.pre-allocate',
        message: 'Invalid value: "string": spec.ipam.pre-allocate in body must be of type integer: "string"',
      },
    },
    {
      name: 'minimum',
      spec: { ipam: { 'pre-allocate': -1 } },
      cause: {
        reason: 'FieldValueInvalid',
        field: 'spec.ipam.pre-allocate',
        message: 'Invalid value: -1: spec.ipam.pre-allocate in body should be greater than or equal to 0',
      },
    },
    {
      name: 'minLength',
      spec: { ipam: { pools: { allocated: [{ pool: '' }] } } },
      cause: {
        reason: 'FieldValueInvalid',
        field: 'spec.ipam.pools.allocated[0].pool',
        message: 'Invalid value: "": spec.ipam.pools.allocated[0].pool in body should be at least 1 chars long',
      },
    },
    {
      name: 'format',
      spec: { ipam: { podCIDRs: [''] } },
      cause: {
        reason: 'FieldValueInvalid',
        field: 'spec.ipam.podCIDRs[0]',
        message: 'Invalid value: "": spec.ipam.podCIDRs[0] in body must be of type cidr: ""',
      },
    },
    {
      name: 'a map value',
      spec: { ipam: { pool: { '10.0.0.1': { owner: 1 } } } },
      cause: {
        reason: 'FieldValueTypeInvalid',
        field: 'spec.ipam.pool.10.0.0.1.owner',
        message: 'Invalid value: "integer": spec.ipam.pool.10.0.0.1.owner in body must be of type string: "integer"',
      },
    },
  ])('$name names the field and the rule', async ({ spec, cause }) => {
    const { status, body } = await new Harness().post(NODES, ciliumNode('a', { spec }))
    expect(status).toBe(422)
    expect(body.details).toMatchObject({ name: 'a', group: 'cilium.io', kind: 'CiliumNode', causes: [cause] })
    expect(body.message).toBe(
      `CiliumNode.cilium.io "a" is invalid: ${(cause as Answer).field}: ${(cause as Answer).message}`,
    )
  })

  test('every fault is named, and a status is validated too', async () => {
    const harness = new Harness()
    await harness.createNodes('a')
    const ipam = { 'release-ips': { '10.0.0.1': 'soon' }, 'pod-cidrs': { '10.0.0.0/24': { status: 'gone' } } }
    const { body } = await harness.patch(`${NODES}/a/status`, { status: { ipam } })
    expect(body.details.causes.map((cause: Answer) => [cause.field, cause.reason])).toEqual([
      ['status.ipam.pod-cidrs.10.0.0.0/24.status', 'FieldValueNotSupported'],
      ['status.ipam.release-ips.10.0.0.1', 'FieldValueNotSupported'],
    ])
  })

  test('a spec is required', async () => {
    const { body } = await new Harness().post(NODES, { metadata: { name: 'a' } })
    expect(body.details.causes).toEqual([{ reason: 'FieldValueRequired', message: 'Required value', field: 'spec' }])
  })

  test('list types: sets and maps hold nothing twice', () => {
    const list = (rules: JSONObject): ObjectSchema =>
      new ObjectSchema({
        type: 'object',
        properties: {
          l: { type: 'array', items: { type: 'object', properties: { k: { type: 'string' } } }, ...rules },
        },
      })
    const value = { l: [{ k: 'a' }, { k: 'b' }, { k: 'a' }] }
    const byKey = list({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'] })
    expect(byKey.validate(value, undefined).map((cause) => cause.field)).toEqual(['l[2]'])
    expect(list({}).validate(value, undefined)).toEqual([])
  })

  test('a field that must not change is kept', async () => {
    const harness = new Harness()
    const pools = '/apis/cilium.io/v2alpha1/ciliumpodippools'
    const spec = { ipv4: { cidrs: ['10.0.0.0/16'], maskSize: 24 } }
    expect((await harness.post(pools, { metadata: { name: 'p' }, spec })).body.spec.allowFirstIP).toBe(false)
    const refused = await harness.patch(`${pools}/p`, { spec: { ipv4: { maskSize: 25 } } })
    expect(refused.body.details.causes).toEqual([
      { reason: 'FieldValueInvalid', field: 'spec.ipv4.maskSize', message: 'Invalid value: 25: maskSize is immutable' },
    ])
    expect((await harness.patch(`${pools}/p`, { spec: { ipv4: { cidrs: ['10.1.0.0/16'] } } })).status).toBe(200)
  })
})

test.each<[format: string, good: readonly unknown[], bad: readonly unknown[]]>([
  [
    'cidr',
    ['10.0.0.0/8', '10.0.0.7/8', '::/0', 'fd00::1/128'],
    ['', '10.0.0.0', '10.0.0.0/33', '10.0.0/8', 'fd00::/129', '010.0.0.0/8', 'a/8', '10.0.0.0/08'],
  ],
  ['ipv4', ['10.0.0.1'], ['', '10.0.0', '::1']],
  ['ipv6', ['::1'], ['', '10.0.0.1']],
  [
    'date-time',
    ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00.000001+02:00'],
    ['', '2026-01-01', 'yesterday', '2026-13-01T00:00:00Z'],
  ],
  ['int32', [2 ** 31 - 1], [2 ** 31]],
])('format %s', (format, good, bad) => {
  const schema = new ObjectSchema({ type: 'object', properties: { v: { format } } })
  expect(Object.keys(FORMATS)).toContain(format)
  for (const v of good) expect(schema.validate({ v } as JSONObject, undefined), String(v)).toEqual([])
  for (const v of bad) expect(schema.validate({ v } as JSONObject, undefined), String(v)).toHaveLength(1)
})
