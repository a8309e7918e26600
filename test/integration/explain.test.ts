import { afterEach, describe, expect, test } from 'vitest'
import { parseFaults } from '../../simulators/kit/faults.ts'
import type { JSONObject } from '../../simulators/kubernetes/index.ts'
import { ask } from '../../src/cli/explain.ts'
import type { SubjectKind } from '../../src/explain/explanation.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { ControllerWorld, until } from '../unit/cli/controller-world.ts'

const SUBNET = 'subnet-0000000000000001a'
const worlds: ControllerWorld[] = []

function newWorld(...options: ConstructorParameters<typeof ControllerWorld>): ControllerWorld {
  const world = new ControllerWorld(...options)
  worlds.push(world)
  return world
}

afterEach(async () => {
  await Promise.all(worlds.splice(0).map((world) => world.close()))
})

async function explain(url: string, kind: SubjectKind, name: string): Promise<readonly string[]> {
  const answer = await ask({ kind, name, url, isJSON: false }, systemClock())
  return answer.kind === 'explained' ? answer.explanation.chain.map(({ code }) => code) : [answer.message]
}

async function metric(url: string, name: string): Promise<string | undefined> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return text.split('\n').find((line) => line.startsWith(name))
}

describe('a running controller explains itself over HTTP', () => {
  test('a node, its pods, its subnet and the buckets', async () => {
    const world = newWorld()
    world.addNode('node-1')
    world.kubernetes.load([
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'web', namespace: 'default' },
        spec: { nodeName: 'node-1', containers: [{ name: 'web', image: 'web' }] },
        status: { phase: 'Pending' },
      },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'lost', namespace: 'default' },
        spec: { containers: [{ name: 'web', image: 'web' }] },
        status: { phase: 'Pending' },
      },
    ])
    const { telemetryURL: url } = await world.startController()
    await until(async () => (await explain(url, 'node', 'node-1')).at(-1) !== 'not-managed')
    await until(async () => (await world.poolSize('node-1')) > 0)
    await until(async () => (await explain(url, 'pod', 'default/web')).join() === 'pod-waits,agent-hands-out')
    expect(await explain(url, 'pod', 'lost')).toEqual(['pod-not-scheduled'])
    expect(await explain(url, 'pod', 'nowhere')).toEqual(['pod-unknown'])
    expect(await explain(url, 'node', 'node-2')).toEqual(['not-managed'])
    expect(await explain(url, 'subnet', SUBNET)).toEqual(['subnet-has-room'])
    expect(await explain(url, 'budget', 'AssignPrivateIpAddresses')).toEqual(['bucket-free'])
    expect((await fetch(`${url}/v1/explain/node/%`)).status).toBe(400)
    expect((await fetch(`${url}/v1/explain/volume/x`)).status).toBe(400)
    expect((await fetch(`${url}/v1/explain/node/node-2`)).status).toBe(404)
  })

  test('what stops a node is said in its resource, as an event of its Node and in the metric', async () => {
    const world = newWorld()
    world.addNode('node-1', {}, { eni: { 'instance-type': 'x9.unheard' } })
    const { telemetryURL: url } = await world.startController()
    await until(async () => (await explain(url, 'node', 'node-1')).at(-1) === 'limits-unknown')
    await until(
      async () => (await metric(url, 'berth_waiting_nodes{')) === 'berth_waiting_nodes{reason="limits-unknown"} 1',
    )
    const events = async (): Promise<readonly JSONObject[]> =>
      (await world.request('GET', '/api/v1/namespaces/default/events'))['items'] as readonly JSONObject[]
    await until(async () => (await events()).length > 0)
    const [event] = await events()
    expect(event).toMatchObject({
      involvedObject: { kind: 'Node', name: 'node-1', uid: 'node-1' },
      reason: 'LimitsUnknown',
      type: 'Warning',
      count: 1,
      message: expect.stringContaining("'x9.unheard'") as string,
    })
    const { status } = (await world.request('GET', '/apis/cilium.io/v2/ciliumnodes/node-1')) as {
      readonly status: { readonly ipam: { readonly 'operator-status': { readonly error: string } } }
    }
    expect(status.ipam['operator-status'].error).toBe(event!['message'])
  })

  test('without permission for events it goes on, says so once, and tries no further', async () => {
    const world = newWorld()
    const rule = { action: 'create events', kind: 'error', code: 'Forbidden', status: 403, message: 'may not create' }
    world.kubernetes.faults.set(parseFaults({ rules: [rule] }))
    for (const name of ['node-1', 'node-2', 'node-3'])
      world.addNode(name, {}, { eni: { 'instance-type': 'x9.unheard' } })
    const { telemetryURL: url } = await world.startController()
    await until(async () => (await metric(url, 'berth_waiting_nodes{'))?.endsWith(' 3') === true)
    await until(() => world.logged.some(({ message }) => message === 'Events are not written: that is not permitted'))
    expect(world.logged.filter(({ message }) => message.startsWith('Events are not written'))).toHaveLength(1)
    expect(world.kubernetes.calls.counts('create events').attempts).toBe(1)
  })

  test('a replica that stands by says so, with 503', async () => {
    const world = newWorld()
    await world.startController()
    const { telemetryURL: url } = await world.startController()
    const response = await fetch(`${url}/v1/explain/node/node-1`)
    expect(response.status).toBe(503)
    expect(await explain(url, 'node', 'node-1')).toEqual(['controller-standby'])
  })
})
