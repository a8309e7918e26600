import { expect, test } from 'vitest'
import { makeAWSWorld } from '../../contract/aws-world.ts'
import { CONTEXT, drive, join, wanting } from '../../contract/provider.contract.ts'

/** Static things (route tables, subnets, groups, limits of types) were read with every change of a node (42310, 33654, 25073). */

test('joining, allocating and reading of 30 nodes read interfaces only, few times, and nothing static', async () => {
  const world = await makeAWSWorld()
  await drive(world, world.provider.resync(CONTEXT))
  const before = new Map(
    Object.entries(world.simulator.calls.report().actions).map(([name, { attempts }]) => [name, attempts]),
  )
  const nodes = []
  for (let index = 0; index < 30; index++) nodes.push(await join(world))
  for (const joined of nodes) await drive(world, joined.node.allocateIPs(wanting(joined.node, 4), CONTEXT))
  const reads = nodes.map(({ instanceID }) => world.provider.instanceSync(instanceID, CONTEXT))
  await drive(world, Promise.all(reads))
  const made = Object.entries(world.simulator.calls.report().actions)
    .map(([name, { attempts }]) => [name, attempts - (before.get(name) ?? 0)] as const)
    .filter(([, attempts]) => attempts > 0)
  expect(made.map(([name]) => name).sort()).toEqual(['AssignPrivateIpAddresses', 'DescribeNetworkInterfaces'])
  expect(Object.fromEntries(made)['AssignPrivateIpAddresses']).toBe(30)
  // One read at once for each that joins alone; those that are asked for together share two at most.
  expect(Object.fromEntries(made)['DescribeNetworkInterfaces']).toBeLessThanOrEqual(32)
})
