import { describe, expect, test } from 'vitest'
import { compileJSONPath } from '../../../../simulators/kubernetes/jsonpath.ts'
import { humanDuration } from '../../../../simulators/kubernetes/resources/columns.ts'
import { Harness, NODES, ciliumNode, pod } from './harness.ts'
import type { Answer } from './harness.ts'

const TABLE = {
  accept:
    'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json',
}
const METADATA = { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' }

function headers(table: Answer): readonly string[] {
  return table.columnDefinitions.map((column: Answer) => column.name)
}

function cells(table: Answer): readonly unknown[] {
  return table.rows.map((row: Answer) => row.cells)
}

describe('tables', () => {
  test('a custom resource shows the columns of its definition', async () => {
    const harness = new Harness()
    const addresses = [
      { type: 'InternalIP', ip: '192.168.0.1' },
      { type: 'CiliumInternalIP', ip: '10.0.0.1' },
    ]
    await harness.post(NODES, ciliumNode('a', { spec: { addresses } }))
    await harness.post(NODES, ciliumNode('b'))
    await harness.clock.advance(125_000)
    const { body } = await harness.get(NODES, TABLE)
    expect(body).toMatchObject({ kind: 'Table', apiVersion: 'meta.k8s.io/v1' })
    expect(headers(body)).toEqual(['Name', 'CiliumInternalIP', 'InternalIP', 'Age'])
    expect(cells(body)).toEqual([
      ['a', '10.0.0.1', '192.168.0.1', '2m5s'],
      ['b', null, null, '2m5s'],
    ])
    expect(body.rows[0].object).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'a' } })
    const single = await harness.get(`${NODES}/a?includeObject=Object`, TABLE)
    expect(single.body.rows[0].object.spec.addresses).toEqual(addresses)
    expect((await harness.get(`${NODES}/a?includeObject=None`, TABLE)).body.rows[0].object).toBeUndefined()
  })

  test('a watch sends the header once and a row for each event', async () => {
    const harness = new Harness()
    const watch = await harness.watch(NODES, TABLE)
    await harness.createNodes('a', 'b')
    const [first, second] = await watch.take()
    expect(headers(first.object)).toContain('CiliumInternalIP')
    expect(second.object.columnDefinitions).toBeNull()
    expect(second.object.rows[0].cells[0]).toBe('b')
  })

  test('pages of a table carry the token', async () => {
    const harness = new Harness()
    await harness.createNodes('a', 'b')
    const { body } = await harness.get(`${NODES}?limit=1`, TABLE)
    expect(body.metadata.continue).not.toBe('')
    expect(cells((await harness.get(`${NODES}?limit=1&continue=${body.metadata.continue}`, TABLE)).body)).toMatchObject(
      [['b', null, null, '0s']],
    )
  })

  test('built-in resources have the columns of kubectl', async () => {
    const harness = new Harness()
    const conditions = [{ type: 'Ready', status: 'True' }]
    const nodeInfo = { kubeletVersion: 'v1.34.0' }
    const labels = { 'node-role.kubernetes.io/worker': '' }
    await harness.post('/api/v1/nodes', {
      metadata: { name: 'n', labels },
      spec: { unschedulable: true },
      status: { conditions, nodeInfo },
    })
    await harness.post('/api/v1/namespaces/default/pods', pod('p', 'n'))
    await harness.patch('/api/v1/namespaces/default/pods/p/status', {
      status: {
        phase: 'Running',
        podIP: '10.0.0.7',
        containerStatuses: [{ name: 'main', ready: true, restartCount: 2 }],
      },
    })
    expect(cells((await harness.get('/api/v1/nodes', TABLE)).body)).toMatchObject([
      [
        'n',
        'Ready,SchedulingDisabled',
        'worker',
        '0s',
        'v1.34.0',
        '<none>',
        '<none>',
        '<unknown>',
        '<unknown>',
        '<unknown>',
      ],
    ])
    expect(cells((await harness.get('/api/v1/pods', TABLE)).body)).toMatchObject([
      ['p', '1/1', 'Running', '2', '0s', '10.0.0.7', 'n', '<none>', '<none>'],
    ])
  })

  test('metadata alone, without spec and status', async () => {
    const harness = new Harness()
    await harness.createNodes('a')
    const { body } = await harness.get(NODES, METADATA)
    expect(body.kind).toBe('PartialObjectMetadataList')
    expect(Object.keys(body.items[0]).sort()).toEqual(['apiVersion', 'kind', 'metadata'])
  })

  test('a client that asks for protobuf gets JSON', async () => {
    const harness = new Harness()
    await harness.createNodes('a')
    const reply = await harness.get(NODES, { accept: 'application/vnd.kubernetes.protobuf' })
    expect(reply.headers['content-type']).toBe('application/json')
    expect(reply.body.kind).toBe('CiliumNodeList')
  })
})

test.each([
  [-5, '<invalid>'],
  [-1, '0s'],
  [0, '0s'],
  [119, '119s'],
  [120, '2m'],
  [125, '2m5s'],
  [599, '9m59s'],
  [600, '10m'],
  [10_799, '179m'],
  [10_800, '3h'],
  [11_100, '3h5m'],
  [28_800, '8h'],
  [172_799, '47h'],
  [172_800, '2d'],
  [176_400, '2d1h'],
  [691_200, '8d'],
  [63_072_000, '2y'],
  [63_158_400, '2y1d'],
  [252_288_000, '8y'],
])('humanDuration of %i s is %s', (seconds, text) => {
  expect(humanDuration(seconds)).toBe(text)
})

test.each<[path: string, values: readonly unknown[]]>([
  ['.spec.addresses[?(@.type=="B")].ip', ['2', '3']],
  ["{.spec.addresses[?(@.type!='B')].ip}", ['1']],
  ['.spec.addresses[0].ip', ['1']],
  ['.spec.addresses[-1].ip', ['3']],
  ['.spec.addresses[*].ip', ['1', '2', '3']],
  [".metadata.labels['a.io/b']", ['c']],
  ['.metadata.labels.a\\.io/b', ['c']],
  ['.spec.nothing.deeper', []],
  ['.spec.flag', [false]],
])('JSONPath %s', (path, values) => {
  const object = {
    metadata: { labels: { 'a.io/b': 'c' } },
    spec: {
      flag: false,
      addresses: [
        { type: 'A', ip: '1' },
        { type: 'B', ip: '2' },
        { type: 'B', ip: '3' },
      ],
    },
  }
  expect(compileJSONPath(path)(object)).toEqual(values)
})

test.each(['spec', '.spec[', '.spec[?(@.a > 1)]', '.a..b'])('JSONPath %s is refused', (path) => {
  expect(() => compileJSONPath(path)).toThrow(/JSONPath/)
})
