import { describe, expect, test } from 'vitest'
import { MAX_WATCHERS } from '../../../src/status-page/status-feed.ts'
import { NODE_STATUS } from '../../../src/status-page/status-source.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { StatusDemo } from '../../support/status-demo.ts'

interface Message {
  readonly event: string
  readonly data: {
    readonly nodes: readonly (readonly [string, ...unknown[]])[]
    readonly gone?: readonly string[]
    readonly subnets?: unknown
    readonly history?: readonly unknown[]
  }
}

/** Takes what a watcher is sent, for as long as it wants. */
class Watcher {
  readonly messages: Message[] = []
  readonly #signal = new AbortController()
  #gate: PromiseWithResolvers<void> | undefined

  constructor(demo: StatusDemo) {
    void this.#take(demo.feed.watch(this.#signal.signal))
  }

  async #take(stream: AsyncIterable<string>): Promise<void> {
    for await (const text of stream) {
      const [, event = '', data = ''] = /^event: (\w+)\ndata: (.*)\n\n$/.exec(text) ?? []
      this.messages.push({ event, data: JSON.parse(data) as Message['data'] })
      await this.#gate?.promise
    }
  }

  /** Takes nothing further until the returned function is called. */
  stall(): () => void {
    const gate = Promise.withResolvers<void>()
    this.#gate = gate
    return () => {
      this.#gate = undefined
      gate.resolve()
    }
  }

  leave(): void {
    this.#signal.abort()
  }
}

function world(nodes = 3): { clock: ManualClock; demo: StatusDemo } {
  const clock = new ManualClock()
  return { clock, demo: new StatusDemo(nodes, clock) }
}

const names = (message: Message | undefined): readonly string[] => message?.data.nodes.map(([name]) => name) ?? []

describe('the feed of the status page', () => {
  test('sends everything once, then what changed, at most once a second', async () => {
    const { clock, demo } = world()
    const watcher = new Watcher(demo)
    await settle()
    expect(watcher.messages.map(({ event }) => event)).toEqual(['snapshot'])
    expect(names(watcher.messages[0])).toEqual(['node-1', 'node-2', 'node-3'])
    for (let change = 0; change < 50; change++) demo.put('node-2', ['node-2', change, 0, 0, 0, NODE_STATUS.dry])
    demo.remove('node-3')
    await clock.advance(999)
    expect(watcher.messages).toHaveLength(1)
    await clock.advance(1)
    expect(watcher.messages).toHaveLength(2)
    expect(watcher.messages[1]).toMatchObject({
      event: 'changes',
      data: { nodes: [['node-2', 49, 0, 0, 0, NODE_STATUS.dry]], gone: ['node-3'] },
    })
    await clock.advance(1_000)
    expect(watcher.messages[2]?.data).toMatchObject({ nodes: [], gone: [] })
    watcher.leave()
  })

  test('costs nothing while nobody watches', async () => {
    const { clock, demo } = world()
    demo.churn(100)
    await clock.advance(60_000)
    expect(clock.sleeping).toBe(0)
    const watcher = new Watcher(demo)
    await settle()
    expect(clock.sleeping).toBe(1)
    watcher.leave()
    await clock.advance(2_000)
    expect([clock.sleeping, demo.feed.watcherCount]).toEqual([0, 0])
    // What changed while it was nobody's business is in nobody's first message.
    const other = new Watcher(demo)
    await clock.advance(1_000)
    expect(names(other.messages[1])).toEqual([])
    other.leave()
  })

  test('a message has a bound, whatever happens in a second', async () => {
    const { clock, demo } = world(10_000)
    const watcher = new Watcher(demo)
    await settle()
    for (const [name, row] of demo.rows) demo.put(name, row)
    await clock.advance(6_000)
    const sizes = watcher.messages.slice(1).map(({ data }) => data.nodes.length)
    expect(sizes).toEqual([2_000, 2_000, 2_000, 2_000, 2_000, 0])
    watcher.leave()
  })

  test('who is slow gets everything anew once it has caught up, and holds nobody', async () => {
    const { clock, demo } = world()
    const slow = new Watcher(demo)
    const quick = new Watcher(demo)
    const goOn = slow.stall()
    await settle()
    await clock.advance(30_000)
    expect(slow.messages).toHaveLength(1)
    expect(quick.messages).toHaveLength(31)
    goOn()
    await settle()
    await clock.advance(1_000)
    expect(slow.messages.slice(1).map(({ event }) => event)).toEqual(['snapshot', 'changes'])
    slow.leave()
    quick.leave()
  })

  test('subnets come with every fifth message', async () => {
    const { clock, demo } = world()
    const watcher = new Watcher(demo)
    await settle()
    await clock.advance(10_000)
    const has = watcher.messages.slice(1).map(({ data }) => data.subnets !== undefined)
    expect(has.filter(Boolean)).toHaveLength(2)
    watcher.leave()
  })

  test('so many may watch and no more', async () => {
    const { clock, demo } = world()
    const watchers = Array.from({ length: MAX_WATCHERS }, () => new Watcher(demo))
    await settle()
    expect(demo.feed.isFull).toBe(true)
    const stream = demo.routes().find(({ path }) => path === '/v1/stream')!
    const request = {
      path: '/v1/stream',
      query: new URLSearchParams(),
      headers: {},
      signal: new AbortController().signal,
    }
    expect(await stream.answer(request)).toMatchObject({ status: 503 })
    watchers[0]!.leave()
    await clock.advance(1_000)
    expect(await stream.answer(request)).toMatchObject({ status: 200 })
    for (const watcher of watchers) watcher.leave()
  })
})
