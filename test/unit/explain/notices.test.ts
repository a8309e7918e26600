import { describe, expect, test } from 'vitest'
import { AddressPaths } from '../../../providers/aws/address-paths.ts'
import type { BudgetRequest } from '../../../src/budget/contracts.ts'
import { RateLimiter } from '../../../src/kubernetes/rate-limiter.ts'
import { KeyedQueue } from '../../../src/runtime/keyed-queue.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { ReasonWorld } from './reason-world.ts'

const NODE = 'node-1'

/** A node whose first call waits behind `ahead` others, at one in two seconds. */
async function queued(ahead: number): Promise<ReasonWorld> {
  const world = new ReasonWorld()
  await world.fleet.start()
  world.fleet.provider.launch(`i-${NODE}`)
  world.fleet.provider.learn(`i-${NODE}`)
  world.fleet.provider.hold('allocateIPs')
  world.fleet.join()
  await world.fleet.advance(10)
  const request = { action: 'Assign', buckets: [{ bucket: 'Assign', cost: 1 }], reason: 'test' }
  for (let call = 0; call < ahead; call++)
    void world.budget.run({ ...request, priority: 'pod-waiting', signal: new AbortController().signal }, () =>
      Promise.resolve(),
    )
  void world.queueCall()
  await world.fleet.settle()
  return world
}

describe('what a node says of itself while it waits for its quota', () => {
  test('its resource names the bucket and the time of its turn, after half a minute', async () => {
    const world = await queued(41)
    await world.fleet.advance(29_000)
    expect(world.fleet.read().status.operatorError).toBe('')
    await world.fleet.advance(1_500)
    const [, at] =
      /^waiting for the cloud's API quota \(resolve-deficit, subnet subnet-1\): queued for bucket Assign; its turn is expected at (.+)$/.exec(
        world.fleet.read().status.operatorError,
      ) ?? []
    const inMs = new Date(at!).getTime() - world.fleet.clock.wallTime().getTime()
    expect(inMs).toBeGreaterThan(45_000)
    expect(inMs).toBeLessThan(55_000)
    expect((await world.explain('node', NODE)).estimateSeconds! * 1_000).toBeGreaterThan(inMs - 2_000)
  })

  test('the event, the metric and the explanation have one reason', async () => {
    const world = await queued(41)
    await world.fleet.advance(31_000)
    expect(world.events).toEqual([
      { node: NODE, code: 'waits-for-quota', message: world.fleet.read().status.operatorError },
    ])
    expect([...(await world.readings!.nodes())]).toEqual([['waits-for-quota', 1]])
    expect((await world.codes('node', NODE)).at(-1)).toBe('waits-for-quota')
  })

  test('a node that is gone leaves nothing in the metric', async () => {
    const world = await queued(41)
    await world.fleet.advance(31_000)
    world.fleet.leave(NODE)
    expect([...(await world.readings!.nodes())]).toEqual([])
    expect(await world.codes('node', NODE)).toEqual(['not-managed'])
  })
})

describe('what is left of a step of EC2', () => {
  /** Waits by bucket and number of tokens, as a budget with 2 attachments a second would say. */
  const budget = {
    expectedWaitMs: ({ buckets }: Pick<BudgetRequest, 'buckets'>): number =>
      Math.max(...buckets.map(({ bucket, cost }) => (bucket === 'AttachNetworkInterface' ? cost * 500 : 0))),
  }
  const create = { action: 'CreateNetworkInterface', isQueued: true, ahead: 3, behind: 2, waitMs: 600 }

  test('assigning is one call', () => {
    const paths = new AddressPaths(budget)
    const call = { ...create, action: 'AssignPrivateIpAddresses' }
    expect(paths.remaining('allocate', call, 'watermark')).toEqual({ waitMs: 600, callCount: 1 })
  })

  test('a creation that waits is attached behind those that are created before it', () => {
    const paths = new AddressPaths(budget)
    // Six wait to be created, this one among them; four more are created and about to be attached.
    for (let creation = 0; creation < 10; creation++) paths.creationStarted('watermark')
    expect(paths.remaining('createInterface', create, 'watermark')).toEqual({ waitMs: 8 * 500, callCount: 2 })
    expect(paths.remaining('createInterface', { ...create, waitMs: 9_000 }, 'watermark').waitMs).toBe(9_000)
  })

  test('an attachment that waits is the last call', () => {
    const paths = new AddressPaths(budget)
    const call = { ...create, action: 'AttachNetworkInterface' }
    expect(paths.remaining('createInterface', call, 'watermark')).toEqual({ waitMs: 600, callCount: 1 })
  })
})

describe('what the queues of the controller say', () => {
  test('how many tasks start before a waiting one', async () => {
    const queue = new KeyedQueue<string>({ concurrency: 1, laneCount: 2 })
    const first = Promise.withResolvers<void>()
    const done = [
      queue.run('a', 1, () => first.promise),
      queue.run('b', 1, () => Promise.resolve()),
      queue.run('c', 0, () => Promise.resolve()),
    ]
    expect([queue.placeOf('c'), queue.placeOf('a'), queue.placeOf('b'), queue.placeOf('d')]).toEqual([
      0,
      1,
      2,
      undefined,
    ])
    // Nothing has begun yet, and one task is urgent.
    expect(queue.urgentSize).toBe(1)
    first.resolve()
    await Promise.all(done)
    expect(queue.placeOf('b')).toBeUndefined()
  })

  test('how long requests to the API server wait, without taking their place', async () => {
    const clock = new ManualClock()
    const limiter = new RateLimiter({ clock, qps: 10, burst: 5 })
    expect([limiter.waitMs(5), limiter.waitMs(6), limiter.waitMs(15)]).toEqual([0, 100, 1_000])
    const { signal } = new AbortController()
    for (let call = 0; call < 7; call++) void limiter.acquire(signal)
    expect(limiter.waitMs(1)).toBe(300)
    await clock.advance(200)
    expect(limiter.waitMs(1)).toBe(100)
    await clock.advance(60_000)
    expect(limiter.waitMs(5)).toBe(0)
  })
})
