import { afterEach, expect, test } from 'vitest'
import { ControllerWorld, until } from '../cli/controller-world.ts'

const worlds: ControllerWorld[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close()
})

test('a queue of writes at the API server does not starve the lease (24266)', async () => {
  const at = new ControllerWorld()
  worlds.push(at)
  for (let index = 0; index < 40; index++) at.addNode(`node-${index}`)
  // 80 writes at 10 a second, where the lease is lost after 600 ms without a renewal.
  const controller = await at.startController(['--k8s-client-qps=10', '--k8s-client-burst=5'])
  let end: Error | undefined
  void controller.ended.then((reason) => (end = reason))
  const writes = (): number => at.kubernetes.calls.report().actions['patch ciliumnodes/status']?.attempts ?? 0
  await until(() => writes() >= 20)
  expect(end).toBeUndefined()
  expect(controller.isLeader).toBe(true)
  expect(writes()).toBeLessThan(40)
})
