import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../../../simulators/kit/manual-clock.ts'
import { seededRandom } from '../../../../simulators/kit/random.ts'
import { APIClient } from '../../../../simulators/kubernetes/cilium-agent/api-client.ts'
import { PodScheduler } from '../../../../simulators/kubernetes/pod-scheduler/pod-scheduler.ts'
import type { AddressSource } from '../../../../simulators/kubernetes/pod-scheduler/pod-scheduler.ts'
import { FakeAPIServer } from './fake-api-server.ts'

const PODS = '/api/v1/namespaces/default/pods'

/** Gives addresses while it has any; the rest waits until `stock`. */
class FakeAgent implements AddressSource {
  readonly held = new Map<string, string>()
  readonly #waiting = new Map<
    string,
    (holding: { address: string } & Parameters<Parameters<AddressSource['request']>[1]>[0]) => void
  >()
  #free: number

  constructor(free: number) {
    this.#free = free
  }

  request(owner: string, onAddress: Parameters<AddressSource['request']>[1]): void {
    this.#waiting.set(owner, onAddress)
    this.stock(0)
  }

  release(owner: string): void {
    this.#waiting.delete(owner)
    if (this.held.delete(owner)) this.stock(1)
  }

  stock(count: number): void {
    this.#free += count
    for (const [owner, onAddress] of this.#waiting) {
      if (this.#free === 0) return
      this.#free--
      this.#waiting.delete(owner)
      const address = `10.0.0.${this.held.size + 5}`
      this.held.set(owner, address)
      onAddress({ address, owner, interfaceID: 'eni-1', sinceMs: 0 })
    }
  }
}

function setUp(podsPerSecond = 0): { server: FakeAPIServer; clock: ManualClock; scheduler: PodScheduler } {
  const server = new FakeAPIServer()
  const clock = new ManualClock()
  const client = new APIClient(server.router, 'scheduler')
  const scheduler = new PodScheduler({ client, clock, random: seededRandom(1), podsPerSecond })
  return { server, clock, scheduler }
}

describe('PodScheduler', () => {
  test('a pod is bound, waits for its address and then runs with it', async () => {
    const { server, clock, scheduler } = setUp()
    const agent = new FakeAgent(0)
    scheduler.addNode({ name: 'a', agent, maxPods: 10 })
    await scheduler.startPods('a', 1)
    expect(server.objects.get(`${PODS}/pod-1`)).toMatchObject({ spec: { nodeName: 'a' }, status: { phase: 'Pending' } })
    await clock.advance(2500)
    expect(scheduler.report()).toMatchObject({ pods: 1, waiting: 1, longestWaitMs: 2500, longestRecentWaitMs: 2500 })
    agent.stock(1)
    await clock.advance(0)
    expect(server.objects.get(`${PODS}/pod-1`)).toMatchObject({ status: { phase: 'Running', podIP: '10.0.0.5' } })
    expect(scheduler.report()).toMatchObject({ waiting: 0, longestWaitMs: 0, waits: { count: 1, max: 2500 } })
  })

  test('never binds more pods than a node takes', async () => {
    const { scheduler } = setUp()
    scheduler.addNode({ name: 'a', agent: new FakeAgent(9), maxPods: 3 })
    expect(await scheduler.startPods('a', 5)).toBe(3)
    expect(scheduler.podCount('a')).toBe(3)
  })

  test('churn replaces pods at its rate, keeps their number, and gives every address back', async () => {
    const { server, clock, scheduler } = setUp(5)
    const agent = new FakeAgent(10)
    scheduler.addNode({ name: 'a', agent, maxPods: 10 })
    await scheduler.startPods('a', 6)
    void scheduler.runChurn()
    await clock.advance(60_000)
    scheduler.stopChurn()
    await clock.advance(1000)
    const { started, pods } = scheduler.report()
    expect(started - 6).toBeGreaterThan(300 * 0.8)
    expect(started - 6).toBeLessThan(300 * 1.2)
    expect(pods).toBe(6)
    expect(agent.held.size).toBe(6)
    expect([...server.objects.keys()].filter((path) => path.startsWith(PODS))).toHaveLength(6)
    await clock.advance(10_000)
    expect(scheduler.report().started).toBe(started)
  })

  test('a node that leaves takes its pods along', async () => {
    const { server, scheduler } = setUp()
    const agent = new FakeAgent(2)
    scheduler.addNode({ name: 'a', agent, maxPods: 10 })
    await scheduler.startPods('a', 3)
    await scheduler.removeNode('a')
    expect(scheduler.report()).toMatchObject({ pods: 0, waiting: 0 })
    expect(agent.held.size).toBe(0)
    expect(server.objects.size).toBe(0)
  })

  test('a pod taken away while it is being created leaves neither object nor address behind', async () => {
    const { server, clock, scheduler } = setUp()
    const agent = new FakeAgent(2)
    scheduler.addNode({ name: 'a', agent, maxPods: 10 })
    server.failures.push({ match: ({ method }) => method === 'POST', status: 500, reason: 'InternalError' })
    const starting = scheduler.startPods('a', 1)
    await clock.advance(0)
    await scheduler.stopPod()
    await clock.advance(5000)
    await starting
    expect(agent.held.size).toBe(0)
    expect(server.objects.size).toBe(0)
    expect(scheduler.report().retries).toBe(1)
  })

  test('an answer lost after the pod was created is not a second pod', async () => {
    const { server, clock, scheduler } = setUp()
    scheduler.addNode({ name: 'a', agent: new FakeAgent(2), maxPods: 10 })
    server.put(`${PODS}/pod-1`, {}) // created before; the answer says it exists
    const starting = scheduler.startPods('a', 1)
    await clock.advance(0)
    await starting
    expect(scheduler.report()).toMatchObject({ pods: 1, waiting: 0, retries: 0 })
  })
})
