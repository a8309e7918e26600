import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import type { SubjectKind } from '../../../src/explain/explanation.ts'
import { REASON_CODES, REASONS, runbookOf } from '../../../src/explain/reasons.ts'
import type { ReasonCode } from '../../../src/explain/reasons.ts'
import { Throttled } from '../budget/harness.ts'
import { ReasonWorld } from './reason-world.ts'
import type { ReasonWorldOptions } from './reason-world.ts'

const NODE = 'node-1'
const POD = 'default/web-1'
const POOL = 'subnet-1'
const HELD_POD = { nodeName: NODE, phase: 'Pending', hostNetwork: false, podIP: '', schedulerMessage: '' }

interface Case {
  readonly options?: ReasonWorldOptions
  /** Brings the fleet there. */
  readonly play: (world: ReasonWorld) => Promise<unknown>
  readonly kind?: SubjectKind
  readonly name?: string
  /** All links of the chain; the last one is the cause. */
  readonly chain: readonly ReasonCode[]
}

/** A node whose instance is known joins; `hold` keeps its first call from being answered. */
async function joinKnown(world: ReasonWorld, join: Parameters<typeof world.fleet.join>[0] = {}): Promise<void> {
  await world.fleet.start()
  world.fleet.provider.launch(`i-${NODE}`)
  world.fleet.provider.learn(`i-${NODE}`)
  world.fleet.join(join)
  await world.fleet.advance(100)
}

async function holdAllocation(world: ReasonWorld): Promise<void> {
  world.fleet.provider.hold('allocateIPs')
  await joinKnown(world)
}

/** Every way to an address is refused like this, until the node backs off. */
function refused(kind: Parameters<ReasonWorld['fleet']['provider']['fail']>[1]): Case['play'] {
  return async (world) => {
    world.fleet.provider.fail('allocateIPs', ...Array.from({ length: 6 }, () => kind))
    world.fleet.provider.fail('createInterface', ...Array.from({ length: 6 }, () => kind))
    await joinKnown(world)
  }
}

const CASES: readonly (Case & { readonly title: string })[] = [
  {
    title: 'has what it needs',
    play: (world) => joinKnown(world),
    chain: ['settled'],
  },
  {
    title: 'waits for a call that was sent, on an interface with room',
    play: holdAllocation,
    chain: ['node-short', 'uses-interface', 'call-sent'],
  },
  {
    title: 'is filled from a subnet without whole blocks',
    play: async (world) => {
      world.prefixDelegation = true
      world.quota.set(POOL, { availabilityZone: 'z', availableIPs: 40, availableIPv6s: 0, freeBlocks: 0 })
      await holdAllocation(world)
    },
    chain: ['node-short', 'uses-interface', 'no-free-block', 'call-sent'],
  },
  {
    title: 'waits for a new interface',
    options: { provider: { limits: { adapters: 3, ipv4: 3, firstInterfaceIndex: 0 } } },
    play: async (world) => {
      world.fleet.provider.hold('createInterface')
      await joinKnown(world)
    },
    chain: ['node-short', 'new-interface', 'call-sent'],
  },
  {
    title: 'asks for an IPv6 prefix',
    play: async (world) => {
      world.fleet.provider.hold('allocateIPs')
      await joinKnown(world, {
        ipam: { requested: [{ pool: 'default', ipv4Addrs: 8, ipv6Addrs: 8 }] },
      })
    },
    chain: ['node-short', 'ipv6-prefix-wanted', 'uses-interface', 'call-sent'],
  },
  {
    title: 'waits for the quota',
    play: async (world) => {
      await holdAllocation(world)
      void world.queueCall()
      void world.queueCall()
      await world.fleet.settle()
    },
    chain: ['node-short', 'uses-interface', 'waits-for-quota'],
  },
  {
    title: 'waits for a bucket that the cloud has closed',
    play: async (world) => {
      await holdAllocation(world)
      const refusal = { retryAfterMs: 20_000 }
      void world.queueCall(NODE, () => Promise.reject(new Throttled(refusal)))
      await world.fleet.settle()
    },
    chain: ['node-short', 'uses-interface', 'quota-paused'],
  },
  {
    title: 'is looked at next',
    play: async (world) => {
      await world.fleet.start()
      world.fleet.provider.launch(`i-${NODE}`)
      world.fleet.provider.learn(`i-${NODE}`)
      world.fleet.join()
    },
    chain: ['node-short', 'uses-interface', 'pass-due'],
  },
  {
    title: 'waits for the read of its instance',
    play: async (world) => {
      await world.fleet.start()
      world.fleet.provider.hold('instanceSync')
      world.fleet.join()
      await world.fleet.advance(40_000)
    },
    chain: ['reads-instance'],
  },
  {
    title: 'waits for its instance to appear',
    play: async (world) => {
      await world.fleet.start()
      world.fleet.join()
      world.fleet.provider.terminate(`i-${NODE}`)
      await world.fleet.advance(40_000)
    },
    chain: ['instance-missing'],
  },
  {
    title: 'is of a type without known limits',
    play: async (world) => {
      world.fleet.provider.limitsAreKnown = false
      await joinKnown(world)
    },
    chain: ['limits-unknown'],
  },
  {
    title: 'is of a machine that does not run',
    play: async (world) => {
      world.fleet.provider.fail('allocateIPs', 'notRunning', 'notRunning', 'notRunning', 'notRunning')
      world.fleet.provider.fail('createInterface', 'notRunning', 'notRunning')
      await joinKnown(world)
      await world.fleet.advance(5_000)
    },
    chain: ['node-short', 'uses-interface', 'instance-stopped'],
  },
  {
    title: 'meets a cloud that does not answer',
    play: refused('unavailable'),
    chain: ['node-short', 'uses-interface', 'cloud-unavailable'],
  },
  {
    title: 'is refused for the rate of its calls',
    play: refused('throttled'),
    chain: ['node-short', 'uses-interface', 'call-throttled'],
  },
  {
    title: 'meets a refusal without further meaning',
    play: refused('unknown'),
    chain: ['node-short', 'uses-interface', 'call-failed'],
  },
  {
    title: 'meets a missing permission',
    play: refused('denied'),
    chain: ['node-short', 'uses-interface', 'call-denied'],
  },
  {
    title: 'meets a limit of the account',
    play: async (world) => {
      world.fleet.provider.fail('createInterface', 'limit', 'limit', 'limit', 'limit')
      await joinKnown(world)
    },
    options: { provider: { limits: { adapters: 3, ipv4: 1, firstInterfaceIndex: 0 } } },
    chain: ['node-short', 'new-interface', 'cloud-limit'],
  },
  {
    title: 'asks for something that the cloud calls wrong',
    play: refused('invalid'),
    chain: ['node-short', 'uses-interface', 'call-invalid'],
  },
  {
    title: 'is in a subnet without room',
    play: async (world) => {
      world.fleet.provider.subnetAvailable = 0
      await joinKnown(world)
    },
    options: { provider: { limits: { adapters: 1, ipv4: 30, firstInterfaceIndex: 0 } } },
    chain: ['node-short', 'subnet-full'],
  },
  {
    title: 'finds no subnet at all',
    play: async (world) => {
      await world.fleet.start()
      world.fleet.provider.launch(`i-${NODE}`)
      world.fleet.provider.learn(`i-${NODE}`)
      world.fleet.provider.subnetAvailable = 0
      world.fleet.provider.poolIsKnown = false
      world.fleet.join()
      await world.fleet.advance(100)
    },
    options: { provider: { limits: { adapters: 1, ipv4: 30, firstInterfaceIndex: 0 } } },
    chain: ['node-short', 'no-subnet'],
  },
  {
    title: 'has no interface with room left',
    options: { provider: { limits: { adapters: 1, ipv4: 9, firstInterfaceIndex: 0 } } },
    play: async (world) => {
      await joinKnown(world)
      world.fleet.use(NODE, 4)
      await world.fleet.advance(1_000)
      // The arithmetic stops at the ceiling: pods that wait all the same say that it is reached.
      world.fleet.use(NODE, 8)
      world.pendingPods = 2
      await world.fleet.advance(1_000)
    },
    chain: ['at-capacity'],
  },
  {
    title: 'has as many addresses as it may have',
    options: { provider: { limits: { adapters: 3, ipv4: 30, firstInterfaceIndex: 0 } } },
    play: async (world) => {
      await joinKnown(world, { ipam: { maxAllocate: 10 }, used: 10 })
      await world.fleet.advance(5_000)
      world.pendingPods = 2
    },
    chain: ['at-max-allocate'],
  },
  {
    title: 'offers addresses that its agent has not handed out',
    play: async (world) => {
      await joinKnown(world)
      world.pendingPods = 2
    },
    chain: ['agent-hands-out'],
  },
  {
    title: 'is being written',
    play: async (world) => {
      await joinKnown(world)
      world.fleet.node().apply({ kind: 'changed' })
    },
    chain: ['write-pending'],
  },
  {
    title: 'cannot be written',
    play: async (world) => {
      world.fleet.apiServer.fail('updateStatus', ...Array.from({ length: 9 }, () => 'error' as const))
      await joinKnown(world)
      await world.fleet.advance(1_500)
    },
    chain: ['write-failing'],
  },
  {
    title: 'meets a defect of ours',
    play: async (world) => {
      await world.fleet.start()
      world.fleet.provider.launch(`i-${NODE}`)
      world.fleet.provider.learn(`i-${NODE}`)
      world.fleet.provider.isDefective = true
      world.fleet.join()
      await world.fleet.advance(100)
    },
    chain: ['node-short', 'defect'],
  },
  {
    title: 'names no instance',
    play: async (world) => {
      await world.fleet.start()
      world.fleet.apiServer.put({ ...world.fleet.join(), spec: { ...world.fleet.read().spec, instanceID: '' } })
      await world.fleet.advance(100)
    },
    chain: ['no-instance-id'],
  },
  {
    title: 'has a resource that cannot be read',
    play: async (world) => {
      await world.fleet.start()
      world.fleet.manager.malformed(NODE, ['spec.ipam is a text'])
      world.insight.malformed(NODE, ['spec.ipam is a text'])
    },
    chain: ['resource-malformed'],
  },
  {
    title: 'is not known',
    play: (world) => world.fleet.start(),
    name: 'nodd-1',
    chain: ['not-managed'],
  },
  {
    title: 'is written by somebody else too',
    play: async (world) => {
      await joinKnown(world)
      await world.fleet.advance(1_000)
      for (const address of ['10.9.9.1', '10.9.9.2', '10.9.9.3']) {
        world.fleet.apiServer.change(NODE, (node) => ({
          ...node,
          spec: { ...node.spec, ipam: { ...node.spec.ipam, pool: new Map([[address, { resource: 'eni-9' }]]) } },
        }))
        await world.fleet.advance(5_000)
      }
    },
    chain: ['second-writer'],
  },
  {
    title: 'asks a replica that stands by',
    options: { isLeading: false },
    play: (world) => joinKnown(world),
    chain: ['controller-standby'],
  },
  {
    title: 'asks a controller that has only just started',
    play: async (world) => {
      world.fleet.provider.hold('prepare')
      void world.fleet.manager.start()
      world.fleet.join()
      await world.fleet.advance(100)
    },
    chain: ['controller-starting'],
  },
  {
    title: 'asks a controller that stops',
    play: async (world) => {
      await holdAllocation(world)
      void world.fleet.manager.stop(new AbortController().signal)
    },
    chain: ['node-short', 'controller-stopping'],
  },
  {
    title: 'has too many addresses, and nothing may be given back',
    options: {
      config: { releaseExcessIPs: true, destructiveCallsPerMinute: 0 },
      provider: { limits: { adapters: 3, ipv4: 30, firstInterfaceIndex: 0 } },
      agentDelayMs: 1_000,
    },
    play: async (world) => {
      await joinKnown(world)
      world.fleet.use(NODE, 8)
      await world.fleet.advance(1_000)
      world.fleet.use(NODE, 0)
      await world.fleet.advance(200_000)
    },
    chain: ['release-deferred'],
  },
  {
    title: 'has too many addresses, and giving back is paused',
    options: {
      config: { releaseExcessIPs: true },
      provider: { limits: { adapters: 3, ipv4: 30, firstInterfaceIndex: 0 } },
      agentDelayMs: 1_000,
    },
    play: async (world) => {
      await joinKnown(world, { annotations: { 'ipam.berth.io/pause-destructive': 'true' } })
      world.fleet.use(NODE, 8)
      await world.fleet.advance(1_000)
      world.fleet.use(NODE, 0)
      await world.fleet.advance(1_000)
    },
    chain: ['release-paused'],
  },
  {
    title: 'a pod on a node that waits',
    play: async (world) => {
      world.pods.set(POD, HELD_POD)
      await holdAllocation(world)
    },
    kind: 'pod',
    name: 'web-1',
    chain: ['pod-waits', 'node-short', 'uses-interface', 'call-sent'],
  },
  {
    title: 'a pod on a node that has addresses',
    play: async (world) => {
      world.pods.set(POD, HELD_POD)
      await joinKnown(world)
    },
    kind: 'pod',
    name: POD,
    chain: ['pod-waits', 'agent-hands-out'],
  },
  {
    title: 'a pod with an address',
    play: (world) => Promise.resolve(world.pods.set(POD, { ...HELD_POD, podIP: '10.0.0.9' })),
    kind: 'pod',
    name: POD,
    chain: ['pod-has-address'],
  },
  {
    title: "a pod of its host's network",
    play: (world) => Promise.resolve(world.pods.set(POD, { ...HELD_POD, hostNetwork: true })),
    kind: 'pod',
    name: POD,
    chain: ['pod-on-host-network'],
  },
  {
    title: 'a pod on no node',
    play: (world) => Promise.resolve(world.pods.set(POD, { ...HELD_POD, nodeName: '', schedulerMessage: '0/3 nodes' })),
    kind: 'pod',
    name: POD,
    chain: ['pod-not-scheduled'],
  },
  {
    title: 'a pod that has ended',
    play: (world) => Promise.resolve(world.pods.set(POD, { ...HELD_POD, phase: 'Succeeded' })),
    kind: 'pod',
    name: POD,
    chain: ['pod-finished'],
  },
  { title: 'a pod that is not there', play: () => Promise.resolve(), kind: 'pod', name: POD, chain: ['pod-unknown'] },
  {
    title: 'a subnet with room',
    play: () => Promise.resolve(),
    kind: 'subnet',
    name: POOL,
    chain: ['subnet-has-room'],
  },
  {
    title: 'a subnet without whole blocks',
    play: (world) =>
      Promise.resolve(
        world.quota.set(POOL, { availabilityZone: 'z', availableIPs: 40, availableIPv6s: 0, freeBlocks: 0 }),
      ),
    kind: 'subnet',
    name: POOL,
    chain: ['subnet-without-blocks'],
  },
  {
    title: 'a subnet without room',
    play: (world) => Promise.resolve((world.fleet.provider.subnetAvailable = 0)),
    kind: 'subnet',
    name: POOL,
    chain: ['subnet-full'],
  },
  {
    title: 'a subnet that is not used',
    play: () => Promise.resolve(),
    kind: 'subnet',
    name: 'subnet-9',
    chain: ['subnet-unknown'],
  },
  {
    title: 'a bucket that nobody waits for',
    play: async (world) => {
      await holdAllocation(world)
      void world.queueCall()
      await world.fleet.settle()
    },
    kind: 'budget',
    name: 'Assign',
    chain: ['bucket-free'],
  },
  {
    title: 'a bucket with a queue',
    play: async (world) => {
      await holdAllocation(world)
      for (let call = 0; call < 5; call++) void world.queueCall()
      await world.fleet.settle()
    },
    kind: 'budget',
    name: 'Assign',
    chain: ['bucket-queued'],
  },
  {
    title: 'a bucket that was slowed by refusals',
    play: async (world) => {
      await holdAllocation(world)
      let refusals = 0
      void world.queueCall(NODE, () => (refusals++ === 0 ? Promise.reject(new Throttled()) : Promise.resolve()))
      await world.fleet.advance(10_000)
    },
    kind: 'budget',
    name: 'Assign',
    chain: ['bucket-slowed', 'bucket-free'],
  },
  {
    title: 'a bucket without calls',
    play: () => Promise.resolve(),
    kind: 'budget',
    name: 'Assing',
    chain: ['bucket-unknown'],
  },
]

const reached = new Set<ReasonCode>()

describe('why something waits', () => {
  test.each(CASES)('$title', async ({ options = {}, play, kind = 'node', name = NODE, chain }) => {
    const world = new ReasonWorld(options)
    await play(world)
    const explanation = await world.explain(kind, name)
    expect(explanation.chain.map(({ code }) => code)).toEqual(chain)
    for (const code of chain) reached.add(code)
    const cause = chain.at(-1)!
    const isWaiting = ['passes', 'stops'].includes(REASONS[cause].effect)
    expect(explanation.isWaiting).toBe(isWaiting)
    for (const { text, todo } of explanation.chain) {
      expect(text).not.toMatch(/undefined|NaN|\[object/)
      if (REASONS[cause].effect === 'stops' && text === explanation.chain.at(-1)!.text) expect(todo).toBeTruthy()
    }
    // The metric names the same cause, for what a controller itself can count.
    const isCounted =
      kind === 'node' && isWaiting && !['not-managed', 'controller-standby', 'agent-hands-out'].includes(cause)
    // A write that is due at once is over before anybody counts; the node that somebody else writes too has what it needs.
    const isUncounted = cause === 'write-pending' || cause === 'second-writer'
    if (isCounted && !isUncounted) expect((await world.readings!.nodes()).get(cause)).toBe(1)
  })

  afterAll(() => {
    expect(REASON_CODES.filter((code) => !reached.has(code))).toEqual([])
  })
})

test('every reason has a section of its own in its runbook, and no section is without a reason', () => {
  const sections = new Map<string, string[]>()
  for (const file of new Set(REASON_CODES.map((code) => REASONS[code].runbook))) {
    const text = readFileSync(new URL(`../../../docs/runbooks/${file}`, import.meta.url), 'utf8')
    sections.set(
      file,
      [...text.matchAll(/^## (.+)$/gm)].map(([, title]) => title!),
    )
  }
  for (const [file, titles] of sections) {
    const expected = REASON_CODES.filter((code) => REASONS[code].runbook === file)
    expect(titles.toSorted()).toEqual(expected.toSorted())
  }
  expect(runbookOf('at-capacity')).toBe('docs/runbooks/waiting-nodes.md#at-capacity')
})
