import { describe, expect, test } from 'vitest'
import { Harness, NODES, ciliumNode, names, pod } from './harness.ts'
import type { Answer } from './harness.ts'

async function withFive(options = {}): Promise<Harness> {
  const harness = new Harness(options)
  await harness.createNodes('e', 'b', 'a', 'd', 'c')
  return harness
}

describe('chunked lists', () => {
  test('pages come in key order and end without a token', async () => {
    const harness = await withFive()
    const first = await harness.get(`${NODES}?limit=2`)
    expect(first.body.kind).toBe('CiliumNodeList')
    expect(names(first.body)).toEqual(['a', 'b'])
    expect(first.body.metadata.remainingItemCount).toBe(3)
    const second = await harness.get(`${NODES}?limit=2&continue=${first.body.metadata.continue}`)
    expect(names(second.body)).toEqual(['c', 'd'])
    expect(second.body.metadata.remainingItemCount).toBe(1)
    const last = await harness.get(`${NODES}?limit=2&continue=${second.body.metadata.continue}`)
    expect(names(last.body)).toEqual(['e'])
    expect(last.body.metadata.continue).toBeUndefined()
    expect(last.body.metadata.remainingItemCount).toBeUndefined()
  })

  test('all pages show the moment of the first one', async () => {
    const harness = await withFive()
    const first = await harness.get(`${NODES}?limit=2`)
    await harness.delete(`${NODES}/c`)
    await harness.createNodes('bb')
    await harness.patch(`${NODES}/d`, { spec: { 'instance-id': 'later' } })
    const second = await harness.get(`${NODES}?limit=1&continue=${first.body.metadata.continue}`)
    expect(names(second.body)).toEqual(['c'])
    await harness.delete(`${NODES}/e`)
    const third = await harness.get(`${NODES}?limit=10&continue=${second.body.metadata.continue}`)
    expect(names(third.body)).toEqual(['d', 'e'])
    expect(third.body.items[0].spec['instance-id']).toBeUndefined()
    expect(third.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion)
    expect(names((await harness.get(NODES)).body)).toEqual(['a', 'b', 'bb', 'd'])
  })

  test('a token from before the history is 410 and offers one that goes on at the present', async () => {
    const harness = await withFive()
    const first = await harness.get(`${NODES}?limit=2`)
    await harness.createNodes('cc')
    harness.simulator.compact()
    const expired = await harness.get(`${NODES}?limit=2&continue=${first.body.metadata.continue}`)
    expect(expired.status).toBe(410)
    expect(expired.body).toMatchObject({ kind: 'Status', reason: 'Expired', code: 410 })
    const rest = await harness.get(`${NODES}?limit=9&continue=${expired.body.metadata.continue}`)
    expect(names(rest.body)).toEqual(['c', 'cc', 'd', 'e'])
  })

  test('writes that fill the history expire a token, writes to another resource do not', async () => {
    const harness = await withFive({ historySize: 6 })
    const first = await harness.get(`${NODES}?limit=2`)
    for (let index = 0; index < 20; index += 1) {
      await harness.post('/api/v1/namespaces/default/configmaps', { metadata: { name: `other-${index}` } })
    }
    const token = first.body.metadata.continue
    expect((await harness.get(`${NODES}?limit=2&continue=${token}`)).status).toBe(200)
    for (let index = 0; index < 7; index += 1)
      await harness.patch(`${NODES}/a`, { spec: { 'instance-id': `i-${index}` } })
    expect((await harness.get(`${NODES}?limit=2&continue=${token}`)).status).toBe(410)
  })

  test('a selector counts matching objects only and hides the remaining count', async () => {
    const harness = new Harness()
    for (const [name, zone] of [
      ['a', 'x'],
      ['b', 'y'],
      ['c', 'x'],
      ['d', 'x'],
    ] as const) {
      await harness.post(NODES, ciliumNode(name, { metadata: { name, labels: { zone } } }))
    }
    const first = await harness.get(`${NODES}?limit=2&labelSelector=zone%3Dx`)
    expect(names(first.body)).toEqual(['a', 'c'])
    expect(first.body.metadata.remainingItemCount).toBeUndefined()
    const second = await harness.get(`${NODES}?limit=2&labelSelector=zone%3Dx&continue=${first.body.metadata.continue}`)
    expect(names(second.body)).toEqual(['d'])
  })

  test('resourceVersion=0 with a limit gives everything, as the watch cache does', async () => {
    const harness = await withFive()
    const list = await harness.get(`${NODES}?limit=2&resourceVersion=0`)
    expect(list.body.items).toHaveLength(5)
    expect(list.body.metadata.continue).toBeUndefined()
  })

  test('lists of one namespace hold nothing of another whose name begins alike', async () => {
    const harness = new Harness()
    for (const namespace of ['a', 'a-b', 'ab']) {
      await harness.post('/api/v1/namespaces', { metadata: { name: namespace } })
      await harness.post(`/api/v1/namespaces/${namespace}/configmaps`, { metadata: { name: `of-${namespace}` } })
    }
    const list = await harness.get('/api/v1/namespaces/a/configmaps')
    expect(names(list.body)).toEqual(['of-a'])
    expect((await harness.get('/api/v1/configmaps?limit=2')).body.metadata.remainingItemCount).toBe(1)
  })
})

describe('lists at a resourceVersion', () => {
  test('Exact shows that moment, NotOlderThan the present', async () => {
    const harness = await withFive()
    const before = (await harness.get(NODES)).body.metadata.resourceVersion
    await harness.delete(`${NODES}/a`)
    const exact = await harness.get(`${NODES}?resourceVersion=${before}&resourceVersionMatch=Exact`)
    expect(names(exact.body)).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(exact.body.metadata.resourceVersion).toBe(before)
    const present = await harness.get(`${NODES}?resourceVersion=${before}&resourceVersionMatch=NotOlderThan`)
    expect(names(present.body)).toEqual(['b', 'c', 'd', 'e'])
  })

  test.each([
    { name: 'a version that has not come yet', query: 'resourceVersion=99999', status: 504, reason: 'Timeout' },
    { name: 'no number', query: 'resourceVersion=abc', status: 400, reason: 'BadRequest' },
    { name: 'a match without a version', query: 'resourceVersionMatch=Exact', status: 400, reason: 'BadRequest' },
    {
      name: 'an unknown match',
      query: 'resourceVersion=1&resourceVersionMatch=Near',
      status: 400,
      reason: 'BadRequest',
    },
    { name: 'a token of somebody else', query: 'continue=bm90LW1pbmU', status: 400, reason: 'BadRequest' },
    { name: 'a negative limit', query: 'limit=-1', status: 400, reason: 'BadRequest' },
    { name: 'an unknown field', query: 'fieldSelector=spec.colour%3Dred', status: 400, reason: 'BadRequest' },
    { name: 'a broken label selector', query: 'labelSelector=%3D%3D', status: 400, reason: 'BadRequest' },
  ])('$name is $status', async ({ query, status, reason }) => {
    const harness = await withFive()
    const reply = await harness.get(`${NODES}?${query}`)
    expect(reply.status).toBe(status)
    expect(reply.body.reason).toBe(reason)
  })

  test('a version before the history is 410', async () => {
    const harness = await withFive()
    harness.simulator.compact()
    const reply = await harness.get(`${NODES}?resourceVersion=2&resourceVersionMatch=Exact`)
    expect(reply.body).toMatchObject({ code: 410, reason: 'Expired' })
  })
})

describe('field selectors on lists', () => {
  async function withPods(): Promise<Harness> {
    const harness = new Harness()
    const pods = [pod('p1', 'n1'), pod('p2', 'n2'), pod('p3', undefined), pod('p4', 'n1')]
    for (const one of pods) await harness.post('/api/v1/namespaces/default/pods', one)
    return harness
  }

  test.each([
    { selector: 'spec.nodeName=n1', expected: ['p1', 'p4'] },
    { selector: 'spec.nodeName=', expected: ['p3'] },
    { selector: 'spec.nodeName!=n1', expected: ['p2', 'p3'] },
    { selector: 'metadata.name=p2', expected: ['p2'] },
    { selector: 'spec.nodeName=n1,metadata.name!=p1', expected: ['p4'] },
    { selector: 'status.phase=Running', expected: [] },
    { selector: 'status.phase==Pending,spec.nodeName=n2', expected: ['p2'] },
  ])('$selector', async ({ selector, expected }) => {
    const harness = await withPods()
    const query = `fieldSelector=${encodeURIComponent(selector)}`
    expect(names((await harness.get(`/api/v1/pods?${query}`)).body)).toEqual(expected)
    expect(names((await harness.get(`/api/v1/namespaces/default/pods?${query}`)).body)).toEqual(expected)
  })

  test('items of built-in lists carry no kind, those of custom resources do', async () => {
    const harness = await withPods()
    await harness.createNodes('n')
    const [item]: Answer[] = (await harness.get('/api/v1/pods')).body.items
    expect(item.kind).toBeUndefined()
    expect(item.metadata.name).toBe('p1')
    expect((await harness.get(NODES)).body.items[0].kind).toBe('CiliumNode')
  })
})
