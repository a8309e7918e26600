import { expect, test } from 'vitest'
import { FakeFleet } from '../../support/fake-fleet.ts'

test('the result of a full sync reaches nodes that are about to be looked at for another reason', async () => {
  const fleet = new FakeFleet()
  await fleet.start()
  const names = Array.from({ length: 12 }, (_, index) => `node-${index}`)
  for (const name of names) fleet.join({ name, instanceID: `i-${name}` })
  await fleet.advance(3_000)
  // Reads by the nodes themselves do not end: only the sync can tell them.
  fleet.provider.hold('instanceSync')
  fleet.manager.setInstancesAPIReadiness(false)
  const step = {
    step: 'allocate',
    interfaceID: 'eni-1',
    poolID: 'subnet-1',
    kind: 'unavailable',
    message: 'lost',
  } as const
  for (const name of names)
    fleet.node(name).apply({ kind: 'stepFailed', step, isInstanceRunning: true, nowMs: fleet.clock.now() })
  await fleet.advance(10)
  expect(names.filter((name) => fleet.node(name).state.staleSinceMs === undefined)).toEqual([])
  fleet.manager.setInstancesAPIReadiness(true)
  const changedInstanceIDs = names.map((name) => `i-${name}`)
  const resynced = fleet.manager.resync({ startedAtMs: fleet.clock.now(), changedInstanceIDs })
  await fleet.advance(100)
  await resynced
  expect(names.filter((name) => fleet.node(name).state.staleSinceMs !== undefined)).toEqual([])
})
