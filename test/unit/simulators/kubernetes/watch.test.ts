import { describe, expect, test } from 'vitest'
import { Harness, NODES, pod, settled, summary } from './harness.ts'

async function currentVersion(harness: Harness): Promise<string> {
  return (await harness.get(`${NODES}?limit=1`)).body.metadata.resourceVersion
}

describe('where a watch starts', () => {
  test.each(['', 'resourceVersion=0'])('with %j it first adds what is there', async (query) => {
    const harness = new Harness()
    await harness.createNodes('b', 'a')
    const watch = await harness.watch(`${NODES}?${query}`)
    await harness.createNodes('c')
    expect(summary(await watch.take())).toEqual(['ADDED a', 'ADDED b', 'ADDED c'])
  })

  test('from a version it reports every change after it, and nothing before', async () => {
    const harness = new Harness()
    await harness.createNodes('a')
    const version = await currentVersion(harness)
    await harness.createNodes('b')
    await harness.patch(`${NODES}/a`, { spec: { 'instance-id': 'i-1' } })
    await harness.delete(`${NODES}/b`)
    const watch = await harness.watch(`${NODES}?resourceVersion=${version}`)
    expect(summary(await watch.take())).toEqual(['ADDED b', 'MODIFIED a', 'DELETED b'])
  })

  test('from before the history it is one ERROR event with 410, then the end', async () => {
    const harness = new Harness({ historySize: 2 })
    await harness.createNodes('a', 'b', 'c', 'd')
    const watch = await harness.watch(`${NODES}?resourceVersion=2`)
    const events = await watch.take()
    expect(watch.status).toBe(200)
    expect(events).toHaveLength(1)
    expect(events[0]).toMatchObject({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } })
    expect(watch.state()).toBe('ended')
  })

  test('exactly at the edge of the history nothing is lost', async () => {
    const harness = new Harness({ historySize: 2 })
    const versions: string[] = []
    for (const name of ['a', 'b', 'c', 'd']) {
      await harness.createNodes(name)
      versions.push(await currentVersion(harness))
    }
    const atEdge = await harness.watch(`${NODES}?resourceVersion=${versions[1]}`)
    expect(summary(await atEdge.take())).toEqual(['ADDED c', 'ADDED d'])
    const before = await harness.watch(`${NODES}?resourceVersion=${versions[0]}`)
    expect(summary(await before.take())).toEqual(['ERROR Expired'])
  })

  test('sendInitialEvents ends the initial state with a marked bookmark', async () => {
    const harness = new Harness()
    await harness.createNodes('a')
    const version = await currentVersion(harness)
    const query = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true'
    const watch = await harness.watch(`${NODES}?${query}`)
    const events = await watch.take()
    expect(events.map((event) => event.type)).toEqual(['ADDED', 'BOOKMARK'])
    expect(events[1].object.metadata).toMatchObject({
      resourceVersion: version,
      annotations: { 'k8s.io/initial-events-end': 'true' },
    })
  })

  test('sendInitialEvents without its match is refused', async () => {
    const harness = new Harness()
    expect((await harness.get(`${NODES}?watch=true&sendInitialEvents=true`)).status).toBe(400)
  })
})

describe('selectors on watches', () => {
  test('an object that begins to match is added, one that ceases to is deleted', async () => {
    const harness = new Harness()
    const watch = await harness.watch(`${NODES}?labelSelector=role%3Dgpu`)
    await harness.createNodes('a')
    await harness.patch(`${NODES}/a`, { metadata: { labels: { role: 'gpu' } } })
    await harness.patch(`${NODES}/a`, { spec: { 'instance-id': 'i-1' } })
    const last = await harness.patch(`${NODES}/a`, { metadata: { labels: { role: 'cpu' } } })
    await harness.delete(`${NODES}/a`)
    const events = await watch.take()
    expect(summary(events)).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a'])
    expect(events[2].object.metadata.labels).toEqual({ role: 'gpu' })
    expect(events[2].object.metadata.resourceVersion).toBe(last.body.metadata.resourceVersion)
  })

  test('a pod reaches the watch of its node once it is bound to it', async () => {
    const harness = new Harness()
    const pods = '/api/v1/namespaces/default/pods'
    const first = await harness.watch('/api/v1/pods?fieldSelector=spec.nodeName%3Dn1')
    const other = await harness.watch('/api/v1/pods?fieldSelector=spec.nodeName%3Dn2')
    await harness.post(pods, pod('p', undefined))
    expect((await harness.post(`${pods}/p/binding`, { target: { name: 'n1' } })).status).toBe(200)
    expect((await harness.post(`${pods}/p/binding`, { target: { name: 'n2' } })).status).toBe(409)
    expect(summary(await first.take())).toEqual(['ADDED p'])
    expect(await other.take()).toEqual([])
  })

  test('a watch by name replays and follows that object alone', async () => {
    const harness = new Harness()
    const version = await currentVersion(harness)
    await harness.createNodes('a', 'b')
    const watch = await harness.watch(`${NODES}?resourceVersion=${version}&fieldSelector=metadata.name%3Da`)
    await harness.delete(`${NODES}/b`)
    await harness.delete(`${NODES}/a`)
    await harness.createNodes('a')
    expect(summary(await watch.take())).toEqual(['ADDED a', 'DELETED a', 'ADDED a'])
  })

  test('a watch of one namespace hears nothing of others', async () => {
    const harness = new Harness()
    const watch = await harness.watch('/api/v1/namespaces/kube-system/configmaps')
    await harness.post('/api/v1/namespaces/default/configmaps', { metadata: { name: 'x' } })
    await harness.post('/api/v1/namespaces/kube-system/configmaps', { metadata: { name: 'y' } })
    expect(summary(await watch.take())).toEqual(['ADDED y'])
  })
})

describe('time on a watch', () => {
  test('bookmarks come at the interval, only when asked for, and carry the latest version', async () => {
    const harness = new Harness({ bookmarkIntervalMs: 1_000 })
    const asked = await harness.watch(`${NODES}?allowWatchBookmarks=true`)
    const silent = await harness.watch(NODES)
    await settled()
    await harness.post('/api/v1/namespaces/default/configmaps', { metadata: { name: 'moves-the-counter' } })
    await harness.clock.advance(999)
    expect(await asked.take()).toEqual([])
    await harness.clock.advance(1)
    const [bookmark, ...none] = await asked.take()
    expect(none).toEqual([])
    expect(bookmark).toMatchObject({ type: 'BOOKMARK', object: { kind: 'CiliumNode', apiVersion: 'cilium.io/v2' } })
    expect(bookmark.object.metadata.resourceVersion).toBe(await currentVersion(harness))
    await harness.clock.advance(1_000)
    expect(await asked.take()).toHaveLength(1)
    expect(await silent.take()).toEqual([])
  })

  test('timeoutSeconds ends it cleanly, with a last bookmark when allowed', async () => {
    const harness = new Harness()
    const watch = await harness.watch(`${NODES}?timeoutSeconds=7&allowWatchBookmarks=true`)
    await settled()
    await harness.clock.advance(6_999)
    expect(watch.state()).toBe('open')
    await harness.clock.advance(1)
    expect(summary(await watch.take())).toEqual(['BOOKMARK'])
    expect(watch.state()).toBe('ended')
  })

  test('without a timeout it lasts between 30 and 60 minutes', async () => {
    const harness = new Harness()
    const watch = await harness.watch(NODES)
    await settled()
    await harness.clock.advance(1_799_000)
    expect(watch.state()).toBe('open')
    await harness.clock.advance(1_801_000)
    await watch.take()
    expect(watch.state()).toBe('ended')
  })

  test('many events on a quiet clock leave a single timer behind', async () => {
    const harness = new Harness()
    const watch = await harness.watch(NODES)
    await watch.take()
    await harness.createNodes('a')
    for (let index = 0; index < 20; index += 1) {
      await harness.patch(`${NODES}/a`, { spec: { 'instance-id': `i-${index}` } })
      await watch.take()
    }
    expect(harness.clock.sleeping).toBe(1)
    watch.abort()
    await settled()
    expect(harness.clock.sleeping).toBe(0)
  })
})

describe('how a watch ends before its time', () => {
  test("one that ended lets go of its client's signal", async () => {
    const harness = new Harness()
    const { signal } = new AbortController()
    let listeners = 0
    const counting = new Proxy(signal, {
      get(target, name) {
        if (name === 'addEventListener') listeners += 1
        if (name === 'removeEventListener') listeners -= 1
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const query = new URLSearchParams('watch=true')
    const { body } = await harness.simulator.router(
      { method: 'GET', path: NODES, query, headers: {}, body: '' },
      counting,
    )
    expect(listeners).toBe(1)
    harness.simulator.dropWatches(undefined, 'clean')
    for await (const piece of body) expect(piece).toBe('nothing is written')
    expect(listeners).toBe(0)
  })

  test.each([
    { how: 'clean', state: 'ended', events: [] },
    { how: 'cut', state: 'cut', events: [] },
    { how: 'expired', state: 'ended', events: ['ERROR Expired'] },
  ] as const)('dropped $how', async ({ how, state, events }) => {
    const harness = new Harness()
    const watch = await harness.watch(NODES)
    await watch.take()
    expect(harness.simulator.dropWatches('ciliumnodes', how)).toBe(1)
    expect(harness.simulator.dropWatches('ciliumnodes', how)).toBe(0)
    expect(summary(await watch.take())).toEqual(events)
    expect(watch.state()).toBe(state)
  })

  test('a client that leaves is forgotten', async () => {
    const harness = new Harness()
    const watch = await harness.watch(NODES)
    await watch.take()
    expect((await harness.get('/_berth/health')).body.watches).toBe(1)
    watch.abort()
    await settled()
    expect((await harness.get('/_berth/health')).body.watches).toBe(0)
  })

  test('a reader that falls behind by more than the history is dropped', async () => {
    const harness = new Harness({ historySize: 3 })
    const signal = new AbortController().signal
    const query = new URLSearchParams('watch=true')
    const response = await harness.simulator.router(
      { method: 'GET', path: NODES, query, headers: {}, body: '' },
      signal,
    )
    await harness.createNodes('a', 'b', 'c')
    expect((await harness.get('/_berth/health')).body.watches).toBe(1)
    await harness.createNodes('d')
    expect((await harness.get('/_berth/health')).body.watches).toBe(0)
    const pieces: string[] = []
    for await (const piece of response.body) pieces.push(piece)
    expect(pieces).toEqual([])
  })
})

test('a write that changes nothing takes no version and sends no event', async () => {
  const harness = new Harness()
  await harness.createNodes('a')
  const watch = await harness.watch(`${NODES}?resourceVersion=${await currentVersion(harness)}`)
  const before = (await harness.get(`${NODES}/a`)).body
  const same = await harness.put(`${NODES}/a`, before)
  expect(same.status).toBe(200)
  expect(same.body.metadata.resourceVersion).toBe(before.metadata.resourceVersion)
  await harness.patch(`${NODES}/a`, { spec: {} })
  expect(await watch.take()).toEqual([])
})
