import { expect, test } from 'vitest'
import { FakeFleet } from '../../support/fake-fleet.ts'

test('an answer to a write that comes after a later version of the watch does not bring the earlier one back', async () => {
  const fleet = new FakeFleet()
  const update = fleet.apiServer.update.bind(fleet.apiServer)
  let isFirst = true
  fleet.apiServer.update = async (seen, wanted) => {
    const result = await update(seen, wanted)
    if (isFirst && result.kind === 'ok') {
      isFirst = false
      fleet.use('node-1', 8) // the agent is faster than the answer
    }
    return result
  }
  await fleet.start()
  fleet.join()
  await fleet.advance(2_000)
  expect(isFirst).toBe(false)
  expect(fleet.node().stats().ipv4).toMatchObject({ usedIPs: 8, availableIPs: 16, neededIPs: 0 })
})
