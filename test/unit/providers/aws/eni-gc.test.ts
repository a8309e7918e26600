import { afterEach, describe, expect, test } from 'vitest'
import { ENIGarbageCollector } from '../../../../providers/aws/eni-gc.ts'
import { deleteInterface } from '../../../../simulators/aws/cloud/interfaces.ts'
import { DestructiveLimiter } from '../../../../src/controller/destructive-limiter.ts'
import type { LeftoverCollection } from '../../../../src/ipam/contracts.ts'
import { contextOf } from '../../../conformance/adapters/aws-node.ts'
import { makeAWSWorld, type AWSWorld, type AWSWorldOptions } from '../../../contract/aws-world.ts'
import { ManualClock } from '../../../support/manual-clock.ts'

const TAGS = { 'io.cilium/cilium-managed': 'true', 'io.cilium/cluster-name': 'test' }
const INTERVAL_MS = 300_000

/** A world whose provider collects leftovers, and a collection that runs until the test ends. */
const running: AbortController[] = []
afterEach(() => {
  for (const controller of running.splice(0)) controller.abort(new Error('the test is over'))
})

function makeWorld(options: AWSWorldOptions = {}): Promise<AWSWorld> {
  const gc = { tags: TAGS, intervalMs: INTERVAL_MS }
  return makeAWSWorld({ ...options, config: { eniTags: TAGS, garbageCollection: gc, ...options.config } })
}

/** Starts the collection, with its first round, and lets time pass round by round. */
function collect(world: AWSWorld, { leftovers }: { readonly leftovers?: LeftoverCollection }, callsPerMinute = 60) {
  const controller = new AbortController()
  running.push(controller)
  const limiter = new DestructiveLimiter(callsPerMinute)
  void leftovers?.run(limiter, controller.signal)
  return { limiter, round: () => world.clock.advance(INTERVAL_MS), stop: () => controller.abort(new Error('stopped')) }
}

/** Interfaces that hang on nothing, as a process leaves them that ends between create and attach. */
async function leave(world: AWSWorld, count: number, tags: Readonly<Record<string, string>> = TAGS): Promise<string[]> {
  const form = new URLSearchParams({ Action: 'CreateNetworkInterface', Version: '2016-11-15' })
  form.set('SubnetId', 'subnet-0000000000000002a')
  Object.entries(tags).forEach(([key, value], index) => {
    form.set('TagSpecification.1.ResourceType', 'network-interface')
    form.set(`TagSpecification.1.Tag.${index + 1}.Key`, key)
    form.set(`TagSpecification.1.Tag.${index + 1}.Value`, value)
  })
  const before = new Set(world.interfaces().map(({ id }) => id))
  for (let made = 0; made < count; made++) await send(world, form)
  return world.interfaces().flatMap(({ id }) => (before.has(id) ? [] : id))
}

async function send(world: AWSWorld, form: URLSearchParams): Promise<void> {
  const authorization = 'AWS4-HMAC-SHA256 Credential=other/20260101/us-east-1/ec2/aws4_request'
  const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded' }
  const request = { method: 'POST', path: '/', query: new URLSearchParams(), headers, body: form.toString() }
  const { status, body } = await world.simulator.router(request, new AbortController().signal)
  if (status !== 200) throw new Error(typeof body === 'string' ? body : `status ${status}`)
}

function attach(world: AWSWorld, interfaceID: string): Promise<void> {
  const { spec } = world.addInstance()
  return send(
    world,
    new URLSearchParams({
      Action: 'AttachNetworkInterface',
      Version: '2016-11-15',
      NetworkInterfaceId: interfaceID,
      InstanceId: spec.instanceID,
      DeviceIndex: '1',
    }),
  )
}

const detached = (world: AWSWorld): readonly string[] =>
  world
    .interfaces()
    .filter(({ instanceID }) => instanceID === undefined)
    .map(({ id }) => id)
    .sort()

describe('leftover interfaces', () => {
  test('are marked in one round and deleted in the next; those without our tags stay', async () => {
    const world = await makeWorld()
    const ours = await leave(world, 3)
    const foreign = [
      ...(await leave(world, 1, {})),
      ...(await leave(world, 1, { ...TAGS, 'io.cilium/cluster-name': 'other' })),
    ]
    const { round } = collect(world, world.provider)
    await world.clock.advance(INTERVAL_MS - 1)
    expect(detached(world)).toEqual([...ours, ...foreign].sort())
    await world.clock.advance(1)
    expect(detached(world)).toEqual(foreign.sort())
    await round()
    expect(detached(world)).toEqual(foreign)
  })

  test('of a process that ended between create and attach are found by the next one', async () => {
    const world = await makeWorld()
    const resource = world.addInstance()
    await world.provider.resync(contextOf())
    world.simulator.faults.set([
      { ...NEVER, action: 'AttachNetworkInterface' },
      { ...NEVER, action: 'DeleteNetworkInterface' },
    ])
    const node = world.provider.createNode(resource)
    const action = node.prepareIPAllocation()
    const creation = node.createInterface!({ ...action, ipv4: { ...action.ipv4, maxIPsToAllocate: 5 } }, contextOf())
    await world.clock.advance(0)
    expect(await creation).toMatchObject({ kind: 'failed', condition: 'unableToAttachENI' })
    expect(detached(world)).toHaveLength(1)
    // The process ends, and with it its own attempts to undo.
    const successor = await world.restart()
    world.simulator.faults.clear()
    await world.clock.advance(60_000)
    expect(detached(world)).toHaveLength(1)
    const { round } = collect(world, successor)
    await round()
    expect(detached(world)).toEqual([])
    expect(world.violations()).toEqual([])
  })

  test('that were attached meanwhile, or are gone, are let go of without a call', async () => {
    const world = await makeWorld()
    const [attached = '', gone = '', left = ''] = await leave(world, 3)
    const { round, limiter } = collect(world, world.provider)
    await world.clock.advance(1000)
    await attach(world, attached)
    deleteInterface(world.simulator.cloud, world.simulator.cloud.interface(gone))
    await round()
    expect(world.interfaces().map(({ id }) => id)).toContain(attached)
    expect(world.interfaces().map(({ id }) => id)).not.toContain(left)
    expect(deletions(world)).toBe(1)
    expect(limiter.allowedAtMs(world.clock.now(), 59)).toBe(world.clock.now())
  })

  test('go at the pace of the destructive limiter, each on a read under a minute old', async () => {
    const world = await makeWorld()
    await leave(world, 20)
    const { round } = collect(world, world.provider, 2)
    await round()
    expect(detached(world)).toHaveLength(18)
    const [late = ''] = detached(world)
    await attach(world, detached(world).at(-1) ?? '')
    await attach(world, late)
    await world.clock.advance(60_000)
    expect(detached(world)).toHaveLength(14)
    await world.clock.advance(540_000)
    expect(detached(world)).toEqual([])
    expect(world.interfaces().map(({ id }) => id)).toContain(late)
    expect(world.simulator.calls.report().actions['DeleteNetworkInterface']).toMatchObject({ failed: 0 })
  })

  test('stay when destructive calls are switched off', async () => {
    const world = await makeWorld()
    const ours = await leave(world, 2)
    const { round } = collect(world, world.provider, 0)
    await round()
    await round()
    expect(detached(world)).toEqual(ours.sort())
    expect(deletions(world)).toBe(0)
  })

  test('do not include what this process is about to attach, however long that waits', async () => {
    const world = await makeWorld()
    const [waiting = ''] = await leave(world, 2)
    const collector = new ENIGarbageCollector({
      ...collectorParts(world),
      isBeingAttached: (interfaceID) => interfaceID === waiting,
    })
    collect(world, { leftovers: collector })
    await world.clock.advance(4 * INTERVAL_MS)
    expect(detached(world)).toEqual([waiting])
  })

  test('come back into the next marks when a deletion fails, and a failing search ends only its round', async () => {
    const world = await makeWorld()
    await leave(world, 1)
    const { round } = collect(world, world.provider)
    world.simulator.faults.set([{ ...NEVER, action: 'DeleteNetworkInterface' }])
    await round()
    expect(detached(world)).toHaveLength(1)
    world.fail('listInterfaces', 'serverError', 10)
    await round()
    expect(detached(world)).toHaveLength(1)
    world.simulator.faults.clear()
    await round()
    await round()
    expect(detached(world)).toEqual([])
  })

  test('are looked for no more once the term of the leader is over', async () => {
    const world = await makeWorld()
    await leave(world, 1)
    const { round, stop } = collect(world, world.provider)
    await world.clock.advance(1)
    stop()
    const before = world.calls()
    await round()
    expect(world.calls()).toBe(before)
    expect(detached(world)).toHaveLength(1)
  })

  test('are searched in the configured subnets only', async () => {
    const world = await makeWorld({ config: { subnetIDsFilter: ['subnet-0000000000000009a'] } })
    await leave(world, 1)
    const { round } = collect(world, world.provider)
    await round()
    expect(detached(world)).toHaveLength(1)
  })
})

test('a collector without tags is refused: everything detached would be ours', async () => {
  const world = await makeWorld()
  expect(() => new ENIGarbageCollector({ ...collectorParts(world), tags: {} })).toThrow('would be ours')
  const { provider } = await makeAWSWorld()
  expect(provider.leftovers).toBeUndefined()
})

/** A rule that refuses every call of an action. */
const NEVER = {
  where: 'before-effect',
  effect: { kind: 'error', code: 'InternalError', status: 500, message: 'An internal error has occurred' },
  probability: 1,
  count: Number.POSITIVE_INFINITY,
  fromCall: 1,
  untilCall: Number.POSITIVE_INFINITY,
} as const

function deletions(world: AWSWorld): number {
  return world.simulator.calls.report().actions['DeleteNetworkInterface']?.attempts ?? 0
}

function collectorParts(world: AWSWorld): ConstructorParameters<typeof ENIGarbageCollector>[0] {
  expect(world.clock).toBeInstanceOf(ManualClock)
  return {
    api: world.api,
    tags: TAGS,
    subnetFilters: [],
    intervalMs: INTERVAL_MS,
    isBeingAttached: () => false,
    clock: world.clock,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  }
}
