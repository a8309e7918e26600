import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { parseFaults } from '../../simulators/kit/faults.ts'
import { loadConfig } from '../../src/config/load.ts'
import { ControllerWorld, until } from '../unit/cli/controller-world.ts'

const ANNOTATION = 'ipam.berth.io/pod-capacity'
const TAINT = 'ipam.berth.io/no-addresses'
const FLAGS = [`--node-capacity-annotation=${ANNOTATION}`, `--startup-taint=${TAINT}`]
const OTHER_TAINT = { key: 'dedicated', value: 'batch', effect: 'NoSchedule' }

interface KubernetesNode {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> }
  readonly spec?: { readonly taints?: readonly { readonly key: string }[] }
}

const worlds: ControllerWorld[] = []
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((world) => world.close()))
})

/** A node that is tainted when it joins, as a kubelet with `--register-with-taints` makes it. */
function newWorld(ipam: Parameters<ControllerWorld['addNode']>[1] = {}): ControllerWorld {
  const world = new ControllerWorld()
  worlds.push(world)
  world.addNode('node-1', ipam)
  const taints = [{ key: TAINT, effect: 'NoSchedule' }, OTHER_TAINT]
  world.kubernetes.load([
    { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1', annotations: { other: 'stays' } }, spec: { taints } },
  ])
  return world
}

const nodeOf = async (world: ControllerWorld): Promise<KubernetesNode> =>
  (await world.request('GET', '/api/v1/nodes/node-1')) as unknown as KubernetesNode

describe('what is written on Kubernetes nodes', () => {
  test('is how many pods can have an address, and no taint once the first ones are there', async () => {
    const world = newWorld()
    await world.startController(FLAGS)
    await until(async () => (await nodeOf(world)).spec?.taints?.length === 1)
    expect(await world.poolSize('node-1')).toBeGreaterThan(0)
    const { metadata, spec } = await nodeOf(world)
    expect(spec?.taints).toEqual([OTHER_TAINT])
    // m5.large: three interfaces with nine addresses each.
    expect(metadata.annotations).toEqual({ other: 'stays', [ANNOTATION]: '27' })
  })

  test('follows the ceiling of the node', async () => {
    const world = newWorld({ 'max-allocate': 12 })
    const { telemetryURL } = await world.startController(FLAGS)
    await until(async () => (await nodeOf(world)).metadata.annotations?.[ANNOTATION] === '12')
    const metrics = await (await fetch(`${telemetryURL}/metrics`)).text()
    expect(metrics).toContain('berth_node_pod_capacity{target_node="node-1"} 12')
  })

  test('leaves the taint while no address can be had', async () => {
    const world = newWorld()
    world.ec2.faults.set(
      parseFaults({
        rules: ['AssignPrivateIpAddresses', 'CreateNetworkInterface'].map((action) => ({
          action,
          kind: 'error',
          code: 'UnauthorizedOperation',
          status: 403,
          message: 'no',
        })),
      }),
    )
    await world.startController(FLAGS)
    await until(async () => (await nodeOf(world)).metadata.annotations?.[ANNOTATION] === '27')
    expect((await nodeOf(world)).spec?.taints).toHaveLength(2)
    world.ec2.faults.clear()
    await until(async () => (await nodeOf(world)).spec?.taints?.length === 1)
  })

  test('is nothing by default', async () => {
    const world = newWorld()
    await world.startController()
    await until(async () => (await world.poolSize('node-1')) > 0)
    const { actions } = world.kubernetes.calls.report()
    expect(Object.keys(actions).filter((action) => /^(get|patch) nodes/.test(action))).toEqual([])
    expect((await nodeOf(world)).spec?.taints).toHaveLength(2)
    expect((await nodeOf(world)).metadata.annotations).toEqual({ other: 'stays' })
  })

  test('goes on after another one has written the node, and stops where it is not permitted', async () => {
    const world = newWorld()
    const conflict = {
      action: 'patch nodes',
      kind: 'error',
      code: 'Conflict',
      status: 409,
      message: 'changed',
      count: 2,
    }
    world.kubernetes.faults.set(parseFaults({ rules: [conflict] }))
    await world.startController(FLAGS)
    await until(async () => (await nodeOf(world)).spec?.taints?.length === 1)

    const forbidden = newWorld()
    const rule = { action: 'patch nodes', kind: 'error', code: 'Forbidden', status: 403, message: 'may not patch' }
    forbidden.kubernetes.faults.set(parseFaults({ rules: [rule] }))
    await forbidden.startController(FLAGS)
    const told = 'Kubernetes nodes may not be written: no permission'
    await until(() => forbidden.logged.some(({ message }) => message === told))
    await until(async () => (await forbidden.poolSize('node-1')) > 0)
    expect(forbidden.logged.filter(({ message }) => message === told)).toHaveLength(1)
  })

  test('needs the rules of deploy/kubernetes/node-hints-rbac.yaml and no others', async () => {
    const world = newWorld()
    await world.startController(FLAGS)
    // Not looked at through the same door: the test's own reads would count.
    await until(() => world.kubernetes.calls.report().actions['patch nodes'] !== undefined)
    const text = readFileSync(new URL('../../deploy/kubernetes/node-hints-rbac.yaml', import.meta.url), 'utf8')
    const rules = parseAllDocuments(text).flatMap((document) => {
      const { rules: found = [] } = document.toJS() as { rules?: { resources: string[]; verbs: string[] }[] }
      return found.flatMap(({ resources, verbs }) =>
        resources.flatMap((what) => verbs.map((verb) => `${verb} ${what}`)),
      )
    })
    const used = Object.keys(world.kubernetes.calls.report().actions).filter((action) => action.endsWith(' nodes'))
    expect(used.filter((action) => !/^(list|watch)/.test(action)).toSorted()).toEqual(rules.toSorted())
  })

  test.each(['a b', 'example.com/', '/name', 'UPPER.com/x', 'x'.repeat(64)])('the name %j is refused', (name) => {
    expect(() => loadConfig([`--startup-taint=${name}`], {})).toThrow('--startup-taint')
  })
})
