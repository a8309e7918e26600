import { expect, test } from 'vitest'
import { FakeFleet } from '../../support/fake-fleet.ts'

/** One stuck node wrote more than a thousand warnings (46513). */
test('a malformed resource that its agent goes on writing is said once an hour, and each new fault at once', async () => {
  const fleet = new FakeFleet()
  await fleet.start()
  fleet.join()
  await fleet.advance(2_000)
  const said = (): readonly object[] =>
    fleet.log.lines.filter(({ message }) => message.startsWith('A CiliumNode is malformed')).map(({ fields }) => fields)
  for (let version = 0; version < 100; version++) {
    fleet.manager.malformed('node-1', ['spec.ipam.pool: no map'])
    await fleet.advance(1_000)
  }
  expect(said()).toEqual([{ node: 'node-1', faults: ['spec.ipam.pool: no map'] }])
  fleet.manager.malformed('node-1', ['spec.eni: no map'])
  expect(said()).toHaveLength(2)
  await fleet.advance(3_600_000)
  fleet.manager.malformed('node-1', ['spec.ipam.pool: no map'])
  expect(said().at(-1)).toEqual({ node: 'node-1', faults: ['spec.ipam.pool: no map'], suppressed: 99 })
})
