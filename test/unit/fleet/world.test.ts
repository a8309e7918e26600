import { afterEach, describe, expect, test } from 'vitest'
import { createSimulators } from '../../../src/fleet/simulators.ts'
import { PlanError } from '../../../src/fleet/world-plan.ts'
import type { WorldPlan } from '../../../src/fleet/world-plan.ts'
import { World } from '../../../src/fleet/world.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { HandOperator } from './hand-operator.ts'

const PLAN: WorldPlan = {
  cloud: 'aws',
  nodes: 2,
  instanceType: 'm5.large',
  prefixDelegation: false,
  podsPerNode: 1,
  podsPerSecond: 0,
  agentGeneration: 'pool',
  throttle: 'documented',
  seed: 1,
  agentUpdateIntervalMs: 1000,
}

const worlds: World[] = []
afterEach(() => {
  for (const world of worlds.splice(0)) world.close()
})

async function start(parts: Partial<WorldPlan> = {}) {
  const plan = { ...PLAN, ...parts }
  const clock = new ManualClock()
  const simulators = createSimulators(plan, clock, 'none')
  const world = new World(plan, { ...simulators, clock })
  worlds.push(world)
  await Promise.all([world.populate(), clock.advance(100)])
  const operator = new HandOperator(simulators)
  const instanceIDs = world.view().nodes.map(({ instanceID }) => instanceID)
  /** What a sound operator would do for every node. */
  const stock = async (): Promise<void> => {
    for (const [index, nodeName] of world.nodeNames.entries()) {
      await operator.assign(instanceIDs[index]!, 9)
      await operator.publish(nodeName, instanceIDs[index]!)
    }
    await clock.advance(2000)
  }
  return { clock, world, operator, instanceIDs, stock }
}

describe('World', () => {
  test('nodes join with their pods, which wait for somebody to bring addresses', async () => {
    const { world } = await start()
    expect(await world.verifiedReport()).toMatchObject({
      nodes: 2,
      isPopulated: true,
      nodesConverged: 0,
      pods: 2,
      podsWaiting: 2,
      interfaces: 2,
      addressesAvailable: 0,
      calls: {},
      violations: [],
    })
  })

  test('converges when each node has its addresses, in the cloud and in its resource', async () => {
    const { world, stock } = await start()
    await stock()
    expect(await world.verifiedReport()).toMatchObject({
      nodesConverged: 2,
      nodesEverConverged: 2,
      podsWaiting: 0,
      addressesAvailable: 18,
      addressesUsed: 2,
      calls: { AssignPrivateIpAddresses: { attempts: 2, refused: 0, failed: 0, bucket: { size: 100 } } },
      violations: [],
    })
  })

  test('addresses that are only in the resource count for nothing', async () => {
    const { clock, world, operator, instanceIDs, stock } = await start({ podsPerNode: 0 })
    await stock()
    const [eni] = operator.interfacesOf(instanceIDs[0]!)
    const parameters = {
      NetworkInterfaceId: eni!.id,
      'PrivateIpAddress.1': eni!.addresses[1]!,
      'PrivateIpAddress.2': eni!.addresses[2]!,
    }
    expect(await operator.call('UnassignPrivateIpAddresses', parameters)).toBe(200)
    await clock.advance(1000)
    expect((await world.report()).nodesConverged).toBe(2)
    expect(await world.verifiedReport()).toMatchObject({ nodesConverged: 1, addressesAvailable: 16, violations: [] })
  })

  test('notices that an address was taken from a pod', async () => {
    const { world, operator, instanceIDs, stock } = await start()
    await stock()
    const [node] = world.view().nodes
    const [holding] = node!.holdings
    const [eni] = operator.interfacesOf(instanceIDs[0]!)
    await operator.call('UnassignPrivateIpAddresses', {
      NetworkInterfaceId: eni!.id,
      'PrivateIpAddress.1': holding!.address,
    })
    const { violations } = await world.verifiedReport()
    expect(violations).toEqual([
      `address-in-use-not-attached: ${holding!.address} is used by ${holding!.owner} and on no interface of node-0001 (${instanceIDs[0]})`,
    ])
  })

  test('notices that another writer has overwritten what an agent wrote', async () => {
    const { clock, world, operator, stock } = await start()
    await stock()
    const [node] = world.view().nodes
    await operator.patch('node-0001/status', { status: { ipam: { used: { [node!.holdings[0]!.address]: null } } } })
    await clock.advance(100)
    const { violations } = await world.verifiedReport()
    expect(violations).toEqual([expect.stringContaining('foreign-fields-overwritten: what the agent of node-0001')])
  })

  test('notices a node that is left alone although nothing stands in its way', async () => {
    const { clock, world, operator, instanceIDs } = await start()
    await world.report()
    await clock.advance(60_000)
    expect((await world.report()).violations).toEqual([]) // nobody serves the cluster yet
    await operator.assign(instanceIDs[1]!, 9)
    await operator.publish('node-0002', instanceIDs[1]!)
    await clock.advance(1000)
    await world.report()
    await clock.advance(31_000)
    expect((await world.report()).violations).toEqual([
      'node-waits-idle: node-0001 has lacked addresses for more than 30 s although nothing stood in its way',
    ])
  })

  test('does not blame anybody while a bucket is drawn on as fast as it fills', async () => {
    const { clock, world, operator, instanceIDs } = await start({ nodes: 3 })
    for (let call = 0; call < 85; call++) await operator.assign(instanceIDs[1]!, 1)
    for (let second = 0; second < 40; second++) {
      for (let call = 0; call < 5; call++) await operator.assign(instanceIDs[1]!, 1)
      await world.report()
      await clock.advance(1000)
    }
    expect((await world.report()).violations).toEqual([])
  })

  test('a node that leaves takes pods, objects and instance along', async () => {
    const { clock, world, operator, instanceIDs, stock } = await start()
    await stock()
    const leaving = world.removeNode('node-0001')
    await clock.advance(1000)
    expect(await leaving).toBe(true)
    expect(await world.removeNode('node-0001')).toBe(false)
    expect(operator.interfacesOf(instanceIDs[0]!)).toEqual([])
    expect(await world.verifiedReport()).toMatchObject({
      nodes: 1,
      nodesConverged: 1,
      pods: 1,
      interfaces: 1,
      violations: [],
    })
  })

  test('a node that joins later is a node like the others', async () => {
    const { clock, world } = await start()
    const joining = world.addNode()
    await clock.advance(1000)
    expect(await joining).toBe('node-0003')
    expect(await world.verifiedReport()).toMatchObject({ nodes: 3, pods: 3, podsWaiting: 3, interfaces: 3 })
  })

  test('a workload grows and shrinks', async () => {
    const { clock, world, stock } = await start()
    await stock()
    const growing = world.startPods(5)
    await clock.advance(1000)
    await growing
    expect(await world.verifiedReport()).toMatchObject({ pods: 12, podsWaiting: 0, addressesUsed: 12 })
    const shrinking = world.stopPods(7)
    await clock.advance(1000)
    await shrinking
    expect(await world.verifiedReport()).toMatchObject({ pods: 5, addressesUsed: 5, violations: [] })
  })

  test('churn starts once all nodes are there, and stops when told', async () => {
    const { clock, world, stock } = await start({ podsPerSecond: 5 })
    await stock()
    await clock.advance(10_000)
    const { podWaits, isChurning } = await world.report()
    expect(isChurning).toBe(true)
    expect(podWaits.count).toBeGreaterThan(30)
    world.stopChurn()
    await clock.advance(1000)
    const after = await world.report()
    await clock.advance(10_000)
    expect(await world.report()).toMatchObject({ isChurning: false, podWaits: { count: after.podWaits.count } })
  })

  test('both generations side by side', async () => {
    const { world, stock } = await start({ agentGeneration: 'mixed', prefixDelegation: true })
    await stock()
    expect(await world.verifiedReport()).toMatchObject({ nodesConverged: 2, podsWaiting: 0, violations: [] })
  })

  test.each<{ name: string; parts: Partial<WorldPlan>; message: string }>([
    {
      name: 'an unknown instance type',
      parts: { instanceType: 'm5.lagre' },
      message: 'instance type m5.lagre is not known',
    },
    {
      name: 'more pods than fit',
      parts: { podsPerNode: 28 },
      message: '28 pods per node: an instance of type m5.large takes 27',
    },
    { name: 'a wrong throttle table', parts: { throttle: { rules: 1 } }, message: 'rules must be an array' },
  ])('$name is refused before anything starts', ({ parts, message }) => {
    const create = (): unknown => createSimulators({ ...PLAN, ...parts }, new ManualClock())
    expect(create).toThrow(PlanError)
    expect(create).toThrow(message)
  })
})
