import { describe, expect, test } from 'vitest'
import type { CiliumNode } from '../../src/ipam/cilium-node.ts'
import type {
  AllocateIPsOutcome,
  AllocationImplementation,
  CreateInterfaceOutcome,
  NodeOperations,
} from '../../src/ipam/contracts.ts'
import { CloudAPIError } from '../../src/ipam/errors.ts'
import type { AllocationAction, ReleaseAction } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { ManualClock } from '../support/manual-clock.ts'

/*
 * What every provider does, whatever its cloud: one suite, run against each cloud's simulator over its wire in process. It looks
 * at the state of the world (what the cloud holds, what the provider knows), not at which calls were made.
 */

/** An interface as the cloud has it, the truth that the provider is measured by. */
export interface CloudInterface {
  readonly id: string
  /** Undefined when it hangs on nothing. */
  readonly instanceID: string | undefined
  /** Addresses open to pods, those of prefixes included; never the interface's own. Any order. */
  readonly podAddresses: readonly string[]
  readonly prefixes: readonly string[]
}

/** Calls by what they are for; a world translates them into its cloud's actions. */
export type CallName = 'create' | 'attach' | 'assign' | 'unassign' | 'listInterfaces' | 'listSubnets'

/** How a call goes wrong. `lost` and `cut` have their effect before the answer is lost or cut in half. */
export type Failure = 'refused' | 'serverError' | 'dropped' | 'lost' | 'cut'

/** A simulated cloud with a provider on it. Nodes have an instance with one interface, and room for more. */
export interface ContractWorld {
  readonly provider: AllocationImplementation
  readonly clock: ManualClock
  /** Makes an instance and the resource of its node. Does not call `createNode`. */
  addInstance(): CiliumNode
  interfaces(): readonly CloudInterface[]
  /** What is broken in the account itself; empty when all is well. */
  violations(): readonly string[]
  /** The next `times` calls of this kind go wrong this way. */
  fail(call: CallName, failure: Failure, times: number): void
  /** Calls so far that read interfaces (count). */
  interfaceReads(): number
  /** Calls so far, reads and writes (count). */
  calls(): number
  /** Calls so far that the cloud refused for their rate (count). */
  refused(): number
  /** Takes addresses of the nodes' subnet until only so many single ones are free. */
  leaveAddresses(count: number): void
  removeInstance(instanceID: string): void
  /** From now on the buckets are those of the documentation. */
  throttle(): void
  /** Restarts the provider: a new one that knows nothing yet, prepared. */
  restart(): Promise<AllocationImplementation>
}

/** What a cloud does otherwise, each with its reason. */
export interface ContractExceptions {
  /** Has no attach call of its own. */
  readonly hasNoAttach?: string
  /** Machines get no further interface while they run: the operation is left out, and never planned. */
  readonly createsNoInterfaces?: string
  /** A write to an interface takes reads of it: before, because a whole document is written, or after, for the addresses. */
  readonly readsForWrite?: { readonly count: number; readonly reason: string }
  /** Finds out by itself what became of a write whose answer was lost, and goes on from there. */
  readonly resolvesLostWrites?: string
  /** Asks a subnet that has not so many for fewer, until it gets what is left. */
  readonly takesWhatIsLeft?: string
  /** The ceiling of the instance counts the interface's own address too. */
  readonly countsOwnAddress?: string
}

export const CONTEXT: CallContext = {
  priority: 'below-minimum',
  reason: 'contract',
  signal: new AbortController().signal,
}
/** Longest virtual time that one step may take (ms): every bounded retry together. */
const LONGEST_STEP_MS = 15 * 60_000

/** Drives virtual time until `work` is done. */
export async function drive<T>(world: ContractWorld, work: Promise<T>): Promise<T> {
  const state = { isDone: false }
  const done = work.finally(() => {
    state.isDone = true
  })
  done.catch(() => undefined)
  await world.clock.advance(0)
  for (let waitedMs = 0; !state.isDone && waitedMs < LONGEST_STEP_MS; waitedMs += 250) await world.clock.advance(250)
  if (!state.isDone) throw new Error('the step does not end')
  return done
}

export interface Joined {
  readonly resource: CiliumNode
  readonly instanceID: string
  readonly node: NodeOperations
}

export async function join(world: ContractWorld): Promise<Joined> {
  const resource = world.addInstance()
  const { instanceID } = resource.spec
  // It has been running for a while: listings show it.
  await world.clock.advance(10_000)
  const node = world.provider.createNode(resource)
  await drive(world, world.provider.instanceSync(instanceID, CONTEXT))
  return { resource, instanceID, node }
}

/** The plan, completed as the core does it. */
export function wanting(node: NodeOperations, count: number): AllocationAction {
  const action = node.prepareIPAllocation()
  return {
    ...action,
    ipv4: {
      ...action.ipv4,
      maxIPsToAllocate: count,
      availableForAllocation: Math.min(action.ipv4.availableForAllocation, count),
    },
  }
}

export function knownAddresses(node: NodeOperations): readonly string[] {
  return [...node.resyncInterfacesAndIPs().available.keys()].sort()
}

function cloudAddresses(world: ContractWorld, instanceID: string): readonly string[] {
  return world
    .interfaces()
    .filter((iface) => iface.instanceID === instanceID)
    .flatMap((iface) => iface.podAddresses)
    .sort()
}

export function loose(world: ContractWorld): readonly CloudInterface[] {
  return world.interfaces().filter((iface) => iface.instanceID === undefined)
}

/** All that the provider owes when nothing is under way: no leftover, no double, knowledge equal to the truth. */
export async function expectOrder(world: ContractWorld, { node, instanceID }: Joined): Promise<void> {
  await drive(world, world.provider.settle(CONTEXT.signal))
  expect(loose(world)).toEqual([])
  expect(world.violations()).toEqual([])
  await drive(world, world.provider.instanceSync(instanceID, CONTEXT))
  expect(knownAddresses(node)).toEqual(cloudAddresses(world, instanceID))
}

export function describeProviderContract(
  cloud: string,
  makeWorld: () => Promise<ContractWorld>,
  exceptions: ContractExceptions = {},
): void {
  const createsInterfaces = exceptions.createsNoInterfaces === undefined
  /** A test of what a cloud without the operation has not. */
  const testCreation = (name: string, run: () => Promise<void>): void => {
    if (createsInterfaces) test(name, run)
  }
  /** A new interface with addresses; where there are none, addresses on an attached one. */
  const serve = (
    node: NodeOperations,
    action: AllocationAction,
    context: CallContext,
  ): Promise<AllocateIPsOutcome | CreateInterfaceOutcome> =>
    createsInterfaces ? node.createInterface!(action, context) : node.allocateIPs(action, context)

  describe(`${cloud} provider contract`, () => {
    test('an interface that cannot be created is never planned', async () => {
      const world = await makeWorld()
      const { node } = await join(world)
      const { emptyInterfaceSlots } = node.prepareIPAllocation()
      expect(node.createInterface !== undefined).toBe(createsInterfaces)
      expect(emptyInterfaceSlots > 0).toBe(createsInterfaces)
      expect(node.resyncInterfacesAndIPs().stats.emptyInterfaceSlots > 0).toBe(createsInterfaces)
    })

    describe('allocation', () => {
      test('assigned addresses are known at once, without a read', async () => {
        const world = await makeWorld()
        const joined = await join(world)
        const reads = world.interfaceReads()
        const outcome = await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))
        expect(outcome).toEqual({ kind: 'allocated', addressCount: 5 })
        expect(knownAddresses(joined.node)).toHaveLength(5)
        expect(knownAddresses(joined.node)).toEqual(cloudAddresses(world, joined.instanceID))
        expect(world.interfaceReads()).toBe(reads + (exceptions.readsForWrite?.count ?? 0))
        await expectOrder(world, joined)
      })

      testCreation('a created interface is known at once, with its addresses', async () => {
        const world = await makeWorld()
        const joined = await join(world)
        const reads = world.interfaceReads()
        const outcome = await drive(world, joined.node.createInterface!(wanting(joined.node, 4), CONTEXT))
        expect(outcome).toMatchObject({ kind: 'created', addressCount: 4 })
        expect(knownAddresses(joined.node)).toHaveLength(4)
        expect(knownAddresses(joined.node)).toEqual(cloudAddresses(world, joined.instanceID))
        expect(world.interfaceReads()).toBe(reads)
        await expectOrder(world, joined)
      })

      test('successive allocations never ask for what the interface cannot carry', async () => {
        const world = await makeWorld()
        const joined = await join(world)
        for (;;) {
          const action = wanting(joined.node, 4)
          if (action.ipv4.availableForAllocation === 0) break
          expect(await drive(world, joined.node.allocateIPs(action, CONTEXT))).toMatchObject({ kind: 'allocated' })
        }
        expect(joined.node.prepareIPAllocation().ipv4.interfaceCandidates).toBe(0)
        await expectOrder(world, joined)
      })

      test('a node is filled up to its capacity and no further', async () => {
        const world = await makeWorld()
        const joined = await join(world)
        for (let step = 0; step < 40; step++) {
          const action = wanting(joined.node, 50)
          if (action.ipv4.availableForAllocation > 0) await drive(world, joined.node.allocateIPs(action, CONTEXT))
          else if (action.emptyInterfaceSlots > 0) await drive(world, joined.node.createInterface!(action, CONTEXT))
          else break
        }
        const { available, stats } = joined.node.resyncInterfacesAndIPs()
        expect(stats.remainingAvailableInterfaceCount).toBe(0)
        expect(available.size).toBe(stats.nodeCapacity)
        const ownAddress = Number(exceptions.countsOwnAddress !== undefined)
        expect(available.size).toBe(joined.node.getMaximumAllocatableIPv4() - ownAddress)
        await expectOrder(world, joined)
      })

      testCreation('nothing wanted, nothing created', async () => {
        const world = await makeWorld()
        const { node } = await join(world)
        const before = world.interfaces().length
        const outcome = await drive(world, node.createInterface!(wanting(node, 0), CONTEXT))
        expect(outcome).toMatchObject({ kind: 'created', interfaceID: '', addressCount: 0 })
        expect(world.interfaces()).toHaveLength(before)
      })
    })

    describe('failing steps', () => {
      const steps: readonly CallName[] = !createsInterfaces
        ? []
        : exceptions.hasNoAttach === undefined
          ? ['create', 'attach']
          : ['create']
      const failures: readonly Failure[] = ['refused', 'serverError', 'dropped', 'lost', 'cut']
      const cases = steps.flatMap((call) =>
        failures.flatMap((failure) => [1, 20].map((times) => ({ call, failure, times }))),
      )

      if (createsInterfaces)
        test.each(cases)('$call $failure, $times times: nothing is left behind', async ({ call, failure, times }) => {
          const world = await makeWorld()
          const joined = await join(world)
          world.fail(call, failure, times)
          const outcome = await drive(world, joined.node.createInterface!(wanting(joined.node, 4), CONTEXT))
          world.fail(call, failure, 0)
          if (outcome.kind === 'created') expect(knownAddresses(joined.node)).toHaveLength(4)
          else expect(outcome.isInstanceRunning).toBe(true)
          await expectOrder(world, joined)
        })

      testCreation('a creation whose answer is lost once still creates exactly one interface', async () => {
        const world = await makeWorld()
        const joined = await join(world)
        const before = world.interfaces().length
        world.fail('create', 'lost', 1)
        const outcome = await drive(world, joined.node.createInterface!(wanting(joined.node, 4), CONTEXT))
        expect(outcome).toMatchObject({ kind: 'created', addressCount: 4 })
        expect(world.interfaces()).toHaveLength(before + 1)
        await expectOrder(world, joined)
      })

      test.each<Failure>(['lost', 'cut', 'dropped'])(
        'an assignment whose answer is %s is unavailable, and one read shows what became of it',
        async (failure) => {
          const world = await makeWorld()
          const joined = await join(world)
          world.fail('assign', failure, 1)
          const outcome = await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))
          const isResolved = exceptions.resolvesLostWrites !== undefined
          if (isResolved) expect(outcome).toEqual({ kind: 'allocated', addressCount: 5 })
          else
            expect(outcome).toMatchObject({ kind: 'failed', isInstanceRunning: true, error: { kind: 'unavailable' } })
          const expected = failure === 'dropped' && !isResolved ? 0 : 5
          expect(cloudAddresses(world, joined.instanceID)).toHaveLength(expected)
          await expectOrder(world, joined)
        },
      )

      test('a node deleted while it waits for its turn leaves nothing behind', async () => {
        const world = await makeWorld()
        const joined = await join(world)
        const deleted = new AbortController()
        world.fail(createsInterfaces ? 'create' : 'assign', 'lost', 2)
        const step = serve(joined.node, wanting(joined.node, 4), { ...CONTEXT, signal: deleted.signal })
        step.catch(() => undefined)
        await world.clock.advance(100)
        deleted.abort(new Error('node deleted'))
        await expect(drive(world, step)).rejects.toThrow('node deleted')
        // What was under way in the cloud goes on there.
        await world.clock.advance(60_000)
        await expectOrder(world, joined)
      })

      test('an instance that is gone is told as such, and nothing is left behind', async () => {
        const world = await makeWorld()
        const joined = await join(world)
        const action = wanting(joined.node, 4)
        world.removeInstance(joined.instanceID)
        const outcome = await drive(world, serve(joined.node, action, CONTEXT))
        expect(outcome).toMatchObject({ kind: 'failed', isInstanceRunning: false })
        await drive(world, world.provider.settle(CONTEXT.signal))
        expect(loose(world)).toEqual([])
      })
    })

    describe('subnets', () => {
      test('an exhausted subnet is a failure of its own kind, and the plan turns away from it', async () => {
        const world = await makeWorld()
        const joined = await join(world)
        world.leaveAddresses(2)
        const action = wanting(joined.node, 8)
        const outcome = await drive(world, joined.node.allocateIPs(action, CONTEXT))
        if (exceptions.takesWhatIsLeft === undefined)
          expect(outcome).toMatchObject({ kind: 'failed', error: { kind: 'exhausted' } })
        else {
          expect(outcome).toEqual({ kind: 'allocated', addressCount: 2 })
          expect(await drive(world, joined.node.allocateIPs(action, CONTEXT))).toMatchObject({
            kind: 'failed',
            error: { kind: 'exhausted' },
          })
        }
        expect(joined.node.prepareIPAllocation().ipv4.availableForAllocation).toBeLessThan(8)
        await expectOrder(world, joined)
      })

      test('our own calls count against the free addresses at once', async () => {
        const world = await makeWorld()
        const joined = await join(world)
        const free = (): number =>
          [...world.provider.getPoolQuota().values()].reduce((sum, pool) => sum + pool.availableIPs, 0)
        const before = free()
        await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))
        expect(free()).toBe(before - 5)
        if (!createsInterfaces) return
        await drive(world, joined.node.createInterface!(wanting(joined.node, 3), CONTEXT))
        expect(free()).toBe(before - 5 - 4)
      })
    })

    describe('release', () => {
      test('released addresses leave the cloud and the view at once', async () => {
        const world = await makeWorld()
        const joined = await join(world)
        await drive(world, joined.node.allocateIPs(wanting(joined.node, 6), CONTEXT))
        const action = joined.node.prepareIPRelease(2)
        expect(action.ipsToRelease).toHaveLength(2)
        await drive(world, joined.node.releaseIPs(action, CONTEXT))
        expect(knownAddresses(joined.node)).toHaveLength(4)
        expect(knownAddresses(joined.node)).toEqual(cloudAddresses(world, joined.instanceID))
        await expectOrder(world, joined)
      })

      test('an address in use is never offered', async () => {
        const world = await makeWorld()
        const joined = await join(world)
        await drive(world, joined.node.allocateIPs(wanting(joined.node, 3), CONTEXT))
        const [used = ''] = knownAddresses(joined.node)
        joined.node.updatedNode({
          ...joined.resource,
          status: { ...joined.resource.status, used: new Map([[used, { owner: 'default/pod' }]]) },
        })
        expect(joined.node.prepareIPRelease(3).ipsToRelease).toHaveLength(2)
        expect(joined.node.prepareIPRelease(3).ipsToRelease).not.toContain(used)
      })

      test('a release whose answer is lost is unavailable, and one read shows what became of it', async () => {
        const world = await makeWorld()
        const joined = await join(world)
        await drive(world, joined.node.allocateIPs(wanting(joined.node, 6), CONTEXT))
        world.fail('unassign', 'lost', 1)
        const release = drive(world, joined.node.releaseIPs(joined.node.prepareIPRelease(2), CONTEXT))
        if (exceptions.resolvesLostWrites !== undefined) {
          await release
          expect(knownAddresses(joined.node)).toHaveLength(4)
        } else await expect(release).rejects.toMatchObject({ kind: 'unavailable' })
        expect(cloudAddresses(world, joined.instanceID)).toHaveLength(4)
        await world.clock.advance(60_000)
        await expectOrder(world, joined)
      })

      test('CIDRs are released where they are, and what is not ours is left out', async () => {
        const world = await makeWorld()
        const joined = await join(world)
        const { cidrs } = joined.node
        if (cidrs === undefined) return
        await drive(world, joined.node.allocateIPs(wanting(joined.node, 4), CONTEXT))
        const [first = '', second = ''] = cidrs.getAttachedCIDRs()
        const actions: readonly ReleaseAction[] = cidrs.prepareCIDRRelease([first, '192.0.2.1/32'])
        expect(actions).toHaveLength(1)
        const [action] = actions
        const outcome = await drive(world, cidrs.releaseCIDRs(action!, CONTEXT))
        expect(outcome).toEqual({ released: [first] })
        expect(cidrs.getAttachedCIDRs()).not.toContain(first)
        expect(cidrs.getAttachedCIDRs()).toContain(second)
        await expectOrder(world, joined)
      })
    })

    describe('inventory', () => {
      test('a node is served from its own status before the cloud was read', async () => {
        const world = await makeWorld()
        const joined = await join(world)
        await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))
        const status = joined.node.populateStatusFields()
        const restarted = await drive(world, world.restart())
        const calls = world.calls()
        const section = status?.section === 'alibaba-cloud' ? 'alibabaCloud' : (status?.section ?? 'eni')
        const node = restarted.createNode({
          ...joined.resource,
          status: { ...joined.resource.status, [section]: status?.value },
        })
        expect(knownAddresses(node)).toEqual(cloudAddresses(world, joined.instanceID))
        expect(node.populateStatusFields()).toEqual(status)
        expect(restarted.syncedAtMs(joined.instanceID)).toBeUndefined()
        expect(world.calls()).toBe(calls)
      })

      test('joining nodes share reads', async () => {
        const world = await makeWorld()
        const resources = Array.from({ length: 30 }, () => world.addInstance())
        for (const resource of resources) world.provider.createNode(resource)
        const reads = world.interfaceReads()
        const startedAtMs = world.clock.now()
        const results = await drive(
          world,
          Promise.all(resources.map(({ spec }) => world.provider.instanceSync(spec.instanceID, CONTEXT))),
        )
        expect(world.interfaceReads() - reads).toBeLessThanOrEqual(2)
        for (const [index, { spec }] of resources.entries()) {
          expect(results[index]?.changedInstanceIDs).toEqual([spec.instanceID])
          expect(world.provider.syncedAtMs(spec.instanceID)).toBeGreaterThanOrEqual(startedAtMs)
        }
      })

      test('a sync that shows nothing new reports nothing changed', async () => {
        const world = await makeWorld()
        const joined = await join(world)
        await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))
        await world.clock.advance(60_000)
        expect((await drive(world, world.provider.resync(CONTEXT))).changedInstanceIDs).toEqual([])
        expect(
          (await drive(world, world.provider.instanceSync(joined.instanceID, CONTEXT))).changedInstanceIDs,
        ).toEqual([])
      })

      test.each<Failure>(['cut', 'refused', 'dropped'])(
        'a listing that is %s fails alone and loses nothing',
        async (failure) => {
          const world = await makeWorld()
          const joined = await join(world)
          await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))
          const before = knownAddresses(joined.node)
          world.fail('listInterfaces', failure, 1000)
          await expect(drive(world, world.provider.resync(CONTEXT))).rejects.toBeInstanceOf(CloudAPIError)
          await expect(drive(world, world.provider.instanceSync(joined.instanceID, CONTEXT))).rejects.toBeInstanceOf(
            CloudAPIError,
          )
          expect(knownAddresses(joined.node)).toEqual(before)
          world.fail('listInterfaces', failure, 0)
          await expectOrder(world, joined)
        },
      )

      test('an instance that is gone from the cloud is forgotten, others are not', async () => {
        const world = await makeWorld()
        const gone = await join(world)
        const stays = await join(world)
        world.removeInstance(gone.instanceID)
        await world.clock.advance(3_600_000)
        await drive(world, world.provider.resync(CONTEXT))
        expect(world.provider.hasInstance(gone.instanceID)).toBe(false)
        expect(gone.node.populateStatusFields()).toBeUndefined()
        expect(world.provider.hasInstance(stays.instanceID)).toBe(true)
      })

      test('one node that fails does not hold up another', async () => {
        const world = await makeWorld()
        const failing = await join(world)
        const other = await join(world)
        world.removeInstance(failing.instanceID)
        const [failed, served] = await drive(
          world,
          Promise.all([
            serve(failing.node, wanting(failing.node, 4), CONTEXT),
            serve(other.node, wanting(other.node, 4), CONTEXT),
          ]),
        )
        expect(failed.kind).toBe('failed')
        expect(served).toMatchObject({ kind: createsInterfaces ? 'created' : 'allocated', addressCount: 4 })
        await drive(world, world.provider.settle(CONTEXT.signal))
      })
    })

    describe('throttled account', () => {
      test('a burst beyond the buckets is served in full, and hardly a call is refused', async () => {
        const world = await makeWorld()
        const nodes: Joined[] = []
        for (let index = 0; index < 130; index++) {
          const resource = world.addInstance()
          nodes.push({ resource, instanceID: resource.spec.instanceID, node: world.provider.createNode(resource) })
        }
        await drive(world, world.provider.resync(CONTEXT))
        world.throttle()
        const outcomes = await drive(
          world,
          Promise.all(nodes.map(({ node }) => node.allocateIPs(wanting(node, 3), CONTEXT))),
        )
        for (const outcome of outcomes) expect(outcome).toEqual({ kind: 'allocated', addressCount: 3 })
        const addresses = nodes.flatMap(({ node }) => knownAddresses(node))
        expect(new Set(addresses).size).toBe(130 * 3)
        expect(world.violations()).toEqual([])
        expect(world.refused()).toBeLessThanOrEqual(2)
      })
    })
  })
}
