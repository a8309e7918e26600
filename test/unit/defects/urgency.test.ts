import { afterEach, describe, expect, test } from 'vitest'
import type { CallPriority } from '../../../src/runtime/call-priority.ts'
import { FakeFleet } from '../../support/fake-fleet.ts'
import { ControllerWorld, until } from '../cli/controller-world.ts'

const worlds: ControllerWorld[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close()
})

describe('a node whose call waits for the quota', () => {
  /** A node with 9 addresses, the most of its first interface, that waits for its second one; 6 are used. */
  async function waiting() {
    let pending = 0
    const ranks: { readonly signal: AbortSignal; readonly priority: CallPriority }[] = []
    const fleet = new FakeFleet({
      pendingPods: () => pending,
      rerank: (signal, priority) => ranks.push({ signal, priority }),
    })
    await fleet.start()
    fleet.join()
    await fleet.advance(2_000)
    fleet.provider.hold('createInterface')
    fleet.use('node-1', 6)
    await fleet.advance(1_000)
    expect(fleet.provider.calls.at(-1)).toMatchObject({ call: 'createInterface', priority: 'watermark' })
    const setPending = (count: number): void => {
      pending = count
      fleet.manager.podsWait('node-1')
    }
    return { fleet, ranks, setPending }
  }

  test('moves up when a pod begins to wait there, once', async () => {
    const { fleet, ranks, setPending } = await waiting()
    setPending(2)
    await fleet.settle()
    expect(ranks).toEqual([])
    // The last free addresses are taken: now the pods really wait.
    fleet.use('node-1', 9)
    await fleet.settle()
    setPending(3)
    await fleet.settle()
    expect(ranks).toEqual([{ signal: fleet.node().signal, priority: 'pod-waiting' }])
  })

  test('moves up when the last address is in use before the pod is there', async () => {
    const { fleet, ranks, setPending } = await waiting()
    fleet.use('node-1', 9)
    await fleet.settle()
    expect(ranks).toEqual([])
    setPending(1)
    await fleet.settle()
    expect(ranks.map(({ priority }) => priority)).toEqual(['pod-waiting'])
  })

  test('is not touched by pods of nodes that nobody manages', async () => {
    const { fleet, ranks } = await waiting()
    fleet.manager.podsWait('node-9')
    await fleet.settle()
    expect(ranks).toEqual([])
  })
})

test('a pod that waits on the last node of a long queue is served before the rest of it', async () => {
  const at = new ControllerWorld()
  worlds.push(at)
  const names = Array.from({ length: 16 }, (_, index) => `node-${String(index).padStart(2, '0')}`)
  for (const name of names) at.addNode(name, { 'pre-allocate': 2 })
  // A few calls a second for everything: the reads of the start use up the burst.
  await at.startController(['--limit-ipam-api-qps=5', '--limit-ipam-api-burst=6'])
  const served = async (): Promise<string[]> => {
    const sizes = await Promise.all(names.map(async (name) => ({ name, size: await at.poolSize(name) })))
    return sizes.filter(({ size }) => size > 0).map(({ name }) => name)
  }
  await until(async () => (await served()).length > 0)
  const last = names.at(-1)!
  expect(await served()).not.toContain(last)
  await at.request('POST', '/api/v1/namespaces/default/pods', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'waits', namespace: 'default' },
    spec: { nodeName: last, containers: [{ name: 'main', image: 'none' }] },
    status: { phase: 'Pending' },
  })
  await until(async () => (await served()).includes(last))
  expect((await served()).length).toBeLessThan(names.length / 2)
})
