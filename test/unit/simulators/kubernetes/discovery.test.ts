import { describe, expect, test } from 'vitest'
import { Harness, NODES } from './harness.ts'
import type { Answer } from './harness.ts'

const AGGREGATED = {
  accept:
    'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json',
}

describe('discovery', () => {
  test('group by group', async () => {
    const harness = new Harness()
    expect((await harness.get('/api')).body.versions).toEqual(['v1'])
    const { body } = await harness.get('/apis')
    expect(body.groups.map((group: Answer) => group.preferredVersion.groupVersion)).toEqual([
      'apiextensions.k8s.io/v1',
      'apps/v1',
      'cilium.io/v2',
      'coordination.k8s.io/v1',
      'policy/v1',
      'rbac.authorization.k8s.io/v1',
    ])
    const core = (await harness.get('/api/v1')).body
    expect(core.resources.map((resource: Answer) => resource.name)).toEqual([
      'configmaps',
      'events',
      'namespaces',
      'namespaces/status',
      'nodes',
      'nodes/status',
      'pods',
      'pods/status',
      'serviceaccounts',
      'services',
      'services/status',
    ])
    expect((await harness.get('/apis/cilium.io/v2')).body.resources[0]).toMatchObject({
      name: 'ciliumnodes',
      singularName: 'ciliumnode',
      namespaced: false,
      kind: 'CiliumNode',
      shortNames: ['cn', 'ciliumn'],
      categories: ['cilium'],
    })
    expect((await harness.get('/apis/cilium.io')).body.versions).toHaveLength(2)
    expect((await harness.get('/apis/unknown.io/v1')).status).toBe(404)
  })

  test('aggregated, all in one document', async () => {
    const harness = new Harness()
    const core = await harness.get('/api', AGGREGATED)
    expect(core.headers['content-type']).toBe('application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList')
    expect(core.body).toMatchObject({ kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2' })
    expect(core.body.items).toHaveLength(1)
    const { body } = await harness.get('/apis', AGGREGATED)
    const cilium = body.items.find((item: Answer) => item.metadata.name === 'cilium.io')
    expect(cilium.versions.map((version: Answer) => version.version)).toEqual(['v2', 'v2alpha1'])
    expect(cilium.versions[0].resources[0]).toMatchObject({
      resource: 'ciliumnodes',
      scope: 'Cluster',
      responseKind: { group: 'cilium.io', version: 'v2', kind: 'CiliumNode' },
      subresources: [{ subresource: 'status' }],
    })
  })

  test('OpenAPI tells kubectl that the server validates fields, and explains custom resources', async () => {
    const harness = new Harness()
    const index = (await harness.get('/openapi/v3')).body
    const { serverRelativeURL } = index.paths['apis/cilium.io/v2']
    const { body } = await harness.get(serverRelativeURL)
    const { patch } = body.paths['/apis/cilium.io/v2/ciliumnodes/{name}']
    expect(patch.parameters.map((parameter: Answer) => parameter.name)).toContain('fieldValidation')
    expect(patch['x-kubernetes-group-version-kind']).toEqual({ group: 'cilium.io', version: 'v2', kind: 'CiliumNode' })
    const schema = body.components.schemas['io.cilium.v2.CiliumNode']
    expect(schema.properties.spec.properties.ipam.properties['pre-allocate'].type).toBe('integer')
    const protobuf = { accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf' }
    expect((await harness.get('/openapi/v2', protobuf)).body).toBe('')
    expect((await harness.get('/openapi/v2')).body.swagger).toBe('2.0')
  })

  test.each(['/healthz', '/readyz', '/livez', '/readyz/ping'])('%s is ok', async (path) => {
    expect(await new Harness().get(path)).toMatchObject({ status: 200, body: 'ok' })
  })
})

describe('paths and methods', () => {
  test.each<[method: string, path: string, status: number]>([
    ['GET', '/api/v2', 404],
    ['GET', '/nowhere', 404],
    ['GET', '/api/v1/secrets', 404],
    ['POST', `${NODES}/a`, 405],
    ['DELETE', `${NODES}/a/status`, 405],
    ['PUT', NODES, 405],
    ['PATCH', NODES, 405],
    ['TRACE', `${NODES}/a`, 405],
    ['POST', '/api/v1/pods', 405],
    ['GET', '/api/v1/pods/p', 404],
    ['GET', '/apis/cilium.io/v2/namespaces/default/ciliumnodes', 404],
    ['GET', `${NODES}/a/scale`, 404],
    ['GET', '/api/v1/namespaces/default/pods/p/log', 501],
    ['POST', '/api/v1/namespaces/default/pods/p/eviction', 501],
    ['GET', '/api/v1/namespaces/default', 200],
    ['GET', '/api/v1/namespaces/default/status', 200],
  ])('%s %s is %i', async (method, path, status) => {
    const harness = new Harness()
    await harness.createNodes('a')
    await harness.post('/api/v1/namespaces/default/pods', {
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'c' }] },
    })
    const reply = await harness.request(method, path, method === 'GET' || method === 'DELETE' ? {} : { body: {} })
    expect(reply.status).toBe(status)
    if (status >= 400) expect(reply.body).toMatchObject({ kind: 'Status', code: status })
  })
})

describe('authentication', () => {
  test('any request is taken without tokens, only bearers of one with them; health and version stay open', async () => {
    expect((await new Harness().get(NODES)).status).toBe(200)
    const harness = new Harness({ tokens: ['secret'] })
    expect((await harness.get(NODES)).body).toMatchObject({ code: 401, reason: 'Unauthorized' })
    expect((await harness.get(NODES, { authorization: 'Bearer wrong' })).status).toBe(401)
    expect((await harness.get(NODES, { authorization: 'Bearer secret' })).status).toBe(200)
    expect((await harness.get('/readyz')).status).toBe(200)
    expect((await harness.get('/version')).status).toBe(200)
    expect((await harness.get('/apis')).status).toBe(401)
  })
})
