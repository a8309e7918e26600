import { describe, expect, test } from 'vitest'
import type { JSONObject } from '../../../src/ipam/types.ts'
import { KubernetesClient } from '../../../src/kubernetes/client.ts'
import type { Decoded, Informer } from '../../../src/kubernetes/informer.ts'
import { startInformer } from '../../../src/kubernetes/informer.ts'
import { RateLimiter } from '../../../src/kubernetes/rate-limiter.ts'
import { inProcessTransport } from '../../../src/kubernetes/transport.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import type { Answer, SeenRequest } from './scripted-server.ts'
import { FedWatch, scriptedServer, statusAnswer } from './scripted-server.ts'

interface Thing {
  readonly name: string
  readonly value: string
}

function thing(name: string, resourceVersion: string, value = '', uid = `uid-${name}`): JSONObject {
  return { metadata: { name, uid, resourceVersion }, value }
}

function event(type: string, object: JSONObject): JSONObject {
  return { type, object }
}

const bookmark = (resourceVersion: string): JSONObject => event('BOOKMARK', { metadata: { resourceVersion } })
const expired = event('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' })

interface World {
  readonly clock: ManualClock
  readonly requests: SeenRequest[]
  readonly lists: SeenRequest[]
  readonly watches: SeenRequest[]
  /** What the handlers were told, in order. */
  readonly told: string[]
  readonly logged: string[]
  readonly informer: Informer
  readonly stop: AbortController
  /** The newest watch. */
  readonly watch: () => FedWatch
}

/** @param list answers the lists; a watch is fed by hand, unless `watchAnswer` answers it */
function start(options: {
  readonly list: (request: SeenRequest, count: number) => Answer
  readonly watchAnswer?: (request: SeenRequest, count: number) => Answer | undefined
  readonly onUpsert?: (object: Thing) => void
}): World {
  const clock = new ManualClock()
  const watches: FedWatch[] = []
  const requestsOfLists: SeenRequest[] = []
  const requestsOfWatches: SeenRequest[] = []
  const server = scriptedServer((request) => {
    if (request.query.get('watch') === null) {
      requestsOfLists.push(request)
      return options.list(request, requestsOfLists.length - 1)
    }
    requestsOfWatches.push(request)
    const answer = options.watchAnswer?.(request, requestsOfWatches.length - 1)
    if (answer !== undefined) return answer
    const watch = new FedWatch()
    watches.push(watch)
    return { body: watch }
  })
  const told: string[] = []
  const logged: string[] = []
  const log = (_fields: object, message: string): void => void logged.push(message)
  const stop = new AbortController()
  const random = { next: () => 0 }
  const informer = startInformer<Thing, Thing, string>({
    client: new KubernetesClient({
      transport: inProcessTransport(server.handler),
      clock,
      random,
      limiter: new RateLimiter({ clock, qps: 1_000, burst: 1_000 }),
    }),
    path: '/things',
    decode: decodeThing,
    handlers: {
      onUpsert(object) {
        told.push(`+${object.name}=${object.value}`)
        options.onUpsert?.(object)
      },
      onDelete: (digest) => void told.push(`-${digest.name}=${digest.value}`),
      onListed: () => void told.push('listed'),
      onMalformed: (report) => void told.push(`?${report}`),
    },
    clock,
    random,
    log: { debug: log, info: log, warn: log, error: log },
    pageSize: 2,
    signal: stop.signal,
  })
  return {
    clock,
    requests: server.requests,
    lists: requestsOfLists,
    watches: requestsOfWatches,
    told,
    logged,
    informer,
    stop,
    watch: () => watches.at(-1)!,
  }
}

function decodeThing(json: JSONObject, { key }: { readonly key: string }): Decoded<Thing, Thing, string> {
  if (json['value'] === 'defect') throw new Error('a defect of the decoder')
  if (typeof json['value'] !== 'string') return { kind: 'malformed', report: key }
  const object = { name: key, value: json['value'] }
  return { kind: 'ok', object, digest: object }
}

const page = (resourceVersion: string, items: JSONObject[], token = ''): Answer => ({
  body: { metadata: { resourceVersion, ...(token !== '' && { continue: token }) }, items },
})

describe('the list', () => {
  test('is read page by page, each handed on as it arrives, then watched from its version', async () => {
    const world = start({
      list: (request) =>
        request.query.get('continue') === null
          ? page('10', [thing('a', '1'), thing('b', '2')], 'next')
          : page('10', [thing('c', '3')]),
    })
    await settle()
    expect(world.told).toEqual(['+a=', '+b=', '+c=', 'listed'])
    expect(world.lists.map(({ query }) => query.toString())).toEqual(['limit=2', 'limit=2&continue=next'])
    expect(world.watches[0]?.query.get('resourceVersion')).toBe('10')
    expect(world.watches[0]?.query.get('allowWatchBookmarks')).toBe('true')
    expect(world.informer.isListed).toBe(true)
  })

  test('asks for the next page while it hands one on', async () => {
    const order: string[] = []
    let nowMs = 0
    const clock = {
      now: () => nowMs,
      wallTime: () => new Date(0),
      sleep: (ms: number) => new Promise<void>((resolve) => (ms === 0 ? setImmediate(resolve) : undefined)),
    }
    const server = scriptedServer((request) => {
      if (request.query.get('watch') !== null) return { body: new FedWatch() }
      const isFirst = request.query.get('continue') === null
      order.push(isFirst ? 'first asked' : 'second asked')
      return isFirst ? page('10', [thing('a', '1'), thing('b', '2')], 'next') : page('10', [thing('c', '3')])
    })
    const stop = new AbortController()
    const quiet = (): void => undefined
    const onUpsert = ({ name }: Thing): void => {
      order.push(name)
      nowMs += 20 // so long does it take
    }
    startInformer<Thing, Thing, string>({
      client: new KubernetesClient({
        transport: inProcessTransport(server.handler),
        clock,
        random: { next: () => 0 },
        limiter: new RateLimiter({ clock, qps: 1_000, burst: 1_000 }),
      }),
      path: '/things',
      decode: decodeThing,
      handlers: { onUpsert, onDelete: quiet, onListed: quiet },
      clock,
      random: { next: () => 0 },
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      signal: stop.signal,
    })
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(order).toEqual(['first asked', 'a', 'second asked', 'b', 'c'])
    stop.abort()
  })

  test('hands the first page on before the second is there', async () => {
    let answerSecond: (() => void) | undefined
    const second = new Promise<void>((resolve) => {
      answerSecond = resolve
    })
    const clock = new ManualClock()
    const told: string[] = []
    const server = scriptedServer(async (request) => {
      if (request.query.get('watch') !== null) return { body: new FedWatch() }
      if (request.query.get('continue') === null) return page('10', [thing('a', '1')], 'next')
      await second
      return page('10', [thing('b', '2')])
    })
    const stop = new AbortController()
    const quiet = (): void => undefined
    startInformer<Thing, Thing, string>({
      client: new KubernetesClient({
        transport: inProcessTransport(server.handler),
        clock,
        random: { next: () => 0 },
        limiter: new RateLimiter({ clock, qps: 1_000, burst: 1_000 }),
      }),
      path: '/things',
      decode: decodeThing,
      handlers: { onUpsert: ({ name }) => told.push(name), onDelete: quiet, onListed: () => told.push('listed') },
      clock,
      random: { next: () => 0 },
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      signal: stop.signal,
    })
    await settle()
    expect(told).toEqual(['a'])
    answerSecond?.()
    await settle()
    expect(told).toEqual(['a', 'b', 'listed'])
    stop.abort()
  })

  test('that fails is made again, later and later', async () => {
    const world = start({ list: (_, count) => (count < 3 ? statusAnswer(500, 'InternalError') : page('5', [])) })
    await settle()
    for (const waitMs of [800, 1_600, 3_200]) {
      const before = world.lists.length
      await world.clock.advance(waitMs - 1)
      expect(world.lists.length).toBe(before)
      await world.clock.advance(1)
      expect(world.lists.length).toBe(before + 1)
    }
    expect(world.told).toEqual(['listed'])
  })

  test('whose continue token has expired begins anew and hands nothing on twice', async () => {
    const world = start({
      list: (request, count) => {
        if (request.query.get('continue') === null) return page('10', [thing('a', '1')], 'next')
        return count === 1 ? statusAnswer(410, 'Expired') : page('10', [thing('b', '2')])
      },
    })
    await world.clock.advance(1_000)
    expect(world.told).toEqual(['+a=', '+b=', 'listed'])
    expect(world.lists).toHaveLength(4)
  })

  test('of something that is no list is an error, not an empty world', async () => {
    const world = start({
      list: (_, count) => (count === 0 ? { body: { kind: 'Status' } } : page('5', [thing('a', '1')])),
    })
    await settle()
    expect(world.told).toEqual([])
    await world.clock.advance(800)
    expect(world.told).toEqual(['+a=', 'listed'])
  })

  test('reports a malformed object and hands the others on', async () => {
    const world = start({
      list: () =>
        page('5', [thing('a', '1'), { metadata: { name: 'b', uid: 'u', resourceVersion: '2' } }, thing('c', '3')]),
    })
    await settle()
    expect(world.told).toEqual(['+a=', '?b', '+c=', 'listed'])
  })

  test('survives a handler and a decoder that throw', async () => {
    const world = start({
      list: () => page('5', [thing('a', '1'), thing('b', '2', 'defect'), thing('c', '3')]),
      onUpsert: ({ name }) => {
        if (name === 'a') throw new Error('a defect of the handler')
      },
    })
    await settle()
    expect(world.told).toEqual(['+a=', '+c=', 'listed'])
    expect(world.logged).toEqual(['A handler of the informer failed', 'A handler of the informer failed'])
  })
})

describe('the watch', () => {
  test('hands events on, cut into any pieces', async () => {
    const world = start({ list: () => page('5', [thing('a', '1')]) })
    await settle()
    const text = [
      event('ADDED', thing('b', '6', 'x')),
      event('MODIFIED', thing('a', '7', 'y')),
      event('DELETED', thing('b', '8', 'z')),
    ]
      .map((one) => `${JSON.stringify(one)}\n`)
      .join('')
    for (let index = 0; index < text.length; index += 37) {
      world.watch().sendText(text.slice(index, index + 37))
      await settle(2)
    }
    expect(world.told).toEqual(['+a=', 'listed', '+b=x', '+a=y', '-b=z'])
  })

  test('goes on at once from the last version, bookmarks included, after the server has closed it', async () => {
    const world = start({ list: () => page('5', []) })
    await settle()
    world.watch().send(event('ADDED', thing('a', '6')), bookmark('9'))
    await settle()
    world.watch().end()
    await settle()
    expect(world.watches.map(({ query }) => query.get('resourceVersion'))).toEqual(['5', '9'])
    expect(world.lists).toHaveLength(1)
  })

  test('goes on from the last version, after a wait, when the connection broke', async () => {
    const world = start({ list: () => page('5', []) })
    await settle()
    world.watch().send(event('ADDED', thing('a', '6')))
    await settle()
    world.watch().break()
    await settle()
    expect(world.watches).toHaveLength(1)
    await world.clock.advance(800)
    expect(world.watches.map(({ query }) => query.get('resourceVersion'))).toEqual(['5', '6'])
    world.watch().send(event('MODIFIED', thing('a', '7', 'x')))
    await settle()
    expect(world.told.at(-1)).toBe('+a=x')
  })

  test('that keeps ending at once is not hammered', async () => {
    const world = start({ list: () => page('5', []), watchAnswer: () => ({ body: '' }) })
    await world.clock.advance(60_000)
    expect(world.watches.length).toBeLessThan(10)
    expect(world.watches.length).toBeGreaterThan(3)
  })

  test('that is silent for 150 s is taken for dead and begun again', async () => {
    const world = start({ list: () => page('5', []) })
    await settle()
    await world.clock.advance(149_000)
    world.watch().send(bookmark('8'))
    await settle()
    await world.clock.advance(149_999)
    expect(world.watches).toHaveLength(1)
    await world.clock.advance(801)
    expect(world.watches.map(({ query }) => query.get('resourceVersion'))).toEqual(['5', '8'])
    expect(world.lists).toHaveLength(1)
  })

  test.each([
    ['an ERROR line', (): Answer | undefined => undefined],
    ['the answer itself', (): Answer | undefined => statusAnswer(410, 'Expired')],
  ])('that the history has left behind (410 as %s) costs one list, made at once', async (_, answer) => {
    const world = start({
      list: (_request, count) => page(count === 0 ? '5' : '50', [thing('a', '1')]),
      watchAnswer: (_request, count) => (count === 0 ? answer() : undefined),
    })
    await settle()
    if (world.lists.length === 1) world.watch().send(expired)
    await settle()
    expect(world.lists).toHaveLength(2)
    expect(world.watches.at(-1)?.query.get('resourceVersion')).toBe('50')
    expect(world.told).toEqual(['+a=', 'listed'])
  })

  test('that is left behind again and again lists less and less often', async () => {
    const world = start({ list: () => page('5', []), watchAnswer: () => statusAnswer(410, 'Gone') })
    await world.clock.advance(60_000)
    expect(world.lists.length).toBeLessThan(10)
  })

  test('with a line that is no event lists again', async () => {
    const world = start({ list: (_, count) => page('5', count === 0 ? [] : [thing('a', '1')]) })
    await settle()
    world.watch().sendText('<html>gateway timeout</html>\n')
    await settle()
    expect(world.told).toEqual(['listed', '+a='])
  })

  test('survives a handler that throws, and does not see the event again', async () => {
    const world = start({
      list: () => page('5', []),
      onUpsert: () => {
        throw new Error('a defect of the handler')
      },
    })
    await settle()
    world.watch().send(event('ADDED', thing('a', '6')), event('ADDED', thing('b', '7')))
    await settle()
    expect(world.told).toEqual(['listed', '+a=', '+b='])
    expect(world.watches).toHaveLength(1)
  })
})

describe('what a list finds missing or replaced', () => {
  async function relisted(second: JSONObject[]): Promise<World> {
    const world = start({
      list: (_, count) =>
        count === 0 ? page('5', [thing('a', '1', 'old'), thing('b', '2', 'kept')]) : page('50', second),
    })
    await settle()
    world.told.length = 0
    world.watch().send(event('MODIFIED', thing('a', '6', 'last')))
    await settle()
    world.watch().send(expired)
    await settle()
    return world
  }

  test('is delivered as deleted, with the digest of the last version seen', async () => {
    const world = await relisted([thing('b', '2', 'kept')])
    expect(world.told).toEqual(['+a=last', '-a=last'])
    expect(world.informer.size).toBe(1)
  })

  test('is deleted before another object of the same name is handed on', async () => {
    const world = await relisted([thing('a', '40', 'new', 'another-uid'), thing('b', '2', 'kept')])
    expect(world.told).toEqual(['+a=last', '-a=last', '+a=new'])
  })

  test('what only changed is handed on, what did not is not', async () => {
    const world = await relisted([thing('a', '6', 'last'), thing('b', '30', 'changed')])
    expect(world.told).toEqual(['+a=last', '+b=changed'])
  })
})

test('a malformed new version keeps the digest of the last good one', async () => {
  const world = start({ list: () => page('5', [thing('a', '1', 'good')]) })
  await settle()
  world.watch().send(event('MODIFIED', { metadata: { name: 'a', uid: 'uid-a', resourceVersion: '6' }, value: 7 }))
  world.watch().send(event('DELETED', { metadata: { name: 'a', uid: 'uid-a', resourceVersion: '7' }, value: 7 }))
  await settle()
  expect(world.told).toEqual(['+a=good', 'listed', '?a', '-a=good'])
})

test('the signal ends it wherever it is, and nothing is left', async () => {
  const world = start({ list: () => page('5', []) })
  await settle()
  world.stop.abort(new Error('stopping'))
  await world.informer.stopped
  expect(world.clock.sleeping).toBe(0)
  const failing = start({ list: () => statusAnswer(500, 'InternalError') })
  await settle()
  failing.stop.abort(new Error('stopping'))
  await failing.informer.stopped
  expect(failing.clock.sleeping).toBe(0)
})
