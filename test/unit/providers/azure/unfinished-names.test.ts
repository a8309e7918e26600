import { expect, test } from 'vitest'
import { UnfinishedNames } from '../../../../providers/azure/unfinished-names.ts'
import { makeAzureWorld, ruleOf, writeActionOf } from '../../../contract/azure-world.ts'
import { CONTEXT, drive, join, knownAddresses, wanting } from '../../../contract/provider.contract.ts'
import { address, nicOf } from './builders.ts'

const named = (name: string, state = 'succeeded') => address('10.0.0.5', { name, state })

test('names are remembered until they are shown as usable, and then for good', () => {
  const unfinished = new UnfinishedNames()
  unfinished.remember('nic', ['a', 'b'])
  unfinished.remember('nic', ['c'])
  unfinished.seen(nicOf({ id: 'nic', configurations: [named('a'), named('b', 'failed')] }))
  unfinished.seen(nicOf({ id: 'nic', configurations: [named('a', 'failed')] }))
  unfinished.seen(nicOf({ id: 'other', configurations: [named('c')] }))
  expect([...unfinished.of('nic')]).toEqual(['b', 'c'])
  unfinished.forget('nic')
  expect(unfinished.of('nic').size).toBe(0)
})

test('what a failed write left comes to life with another one, and is then as good as any other', async () => {
  const world = await makeAzureWorld({ kind: 'standalone' })
  const joined = await join(world)
  const write = writeActionOf('standalone')
  const code = { kind: 'error', code: 'SomethingNew', status: 400, message: '' } as const
  await drive(world, joined.node.allocateIPs(wanting(joined.node, 2), CONTEXT))
  world.setFaults([{ ...ruleOf(`complete ${write}`, 'dropped', 1), effect: code }])
  expect(await drive(world, joined.node.allocateIPs(wanting(joined.node, 3), CONTEXT))).toMatchObject({
    kind: 'failed',
  })
  // A release writes the whole interface, and Azure finishes what it finds.
  await drive(world, joined.node.releaseIPs(joined.node.prepareIPRelease(1), CONTEXT))
  await drive(world, world.provider.instanceSync(joined.instanceID, CONTEXT))
  const alive = knownAddresses(joined.node)
  expect(alive).toHaveLength(4)
  await drive(world, joined.node.allocateIPs(wanting(joined.node, 1), CONTEXT))
  expect(knownAddresses(joined.node)).toEqual(expect.arrayContaining([...alive]))
})
