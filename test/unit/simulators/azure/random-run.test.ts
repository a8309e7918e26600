import { expect, test } from 'vitest'
import { randomInteger, seededRandom } from '../../../../simulators/kit/random.ts'
import { P, SUBNET, VM, WORLD, configuration, startSimulator } from './support.ts'
import type { Doc } from './support.ts'

const STEPS = 250

/** Writes of every kind at random, overlapping, with faults: whatever comes, the world stays sound and gives every address back. */
test.each([1, 2, 3, 4])('seed %i: every invariant holds after every step', async (seed) => {
  const random = seededRandom(seed)
  const { clock, get, put, control, simulator } = startSimulator({
    seed,
    settings: {
      addressChoice: seed % 2 === 0 ? 'random' : 'lowest',
      overlappingInterfaceWrites: seed % 3 === 0 ? 'conflict' : 'supersede',
      failedModel: seed % 2 === 0 ? 'kept' : 'restored',
      configurationSettlesMs: 500,
    },
    faults: {
      rules: [
        { action: 'complete *', kind: 'error', code: 'InternalServerError', status: 500, probability: 0.1 },
        { action: 'complete *', kind: 'error', code: 'Canceled', status: 409, probability: 0.05 },
        { action: '*', kind: 'error', code: 'ServerTimeout', status: 503, where: 'after-effect', probability: 0.05 },
      ],
    },
  })
  simulator.makeInstances({ kind: 'standalone', count: 3, namePrefix: 'vm' })
  simulator.makeInstances({ count: 3 })
  const paths = [0, 1, 2].flatMap((at) => [
    `${P}/Microsoft.Network/networkInterfaces/vm-${at}-nic`,
    VM.replace(/0$/, `${at}`),
  ])
  const statuses = new Map<number, number>()
  for (let step = 0; step < STEPS; step++) {
    const path = paths[randomInteger(random, paths.length)]!
    const { status, body } = await get(path)
    if (status === 200) {
      const answer = await put(
        path,
        changed(body, step, (bound) => randomInteger(random, bound)),
        condition(body, random.next()),
      )
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
    }
    if (random.next() < 0.5) await clock.advance(randomInteger(random, 8000))
    expect(simulator.check()).toEqual([])
  }
  await clock.advance(60_000)
  expect(simulator.check()).toEqual([])
  for (const status of [200, 412, 503]) expect(statuses.get(status)).toBeGreaterThan(0)
  const { networkInterfaces } = (await control('GET', '/_berth/state')).body
  expect(networkInterfaces).toHaveLength(6)
  const machines = [...simulator.cloud.scaleSetVMs.values()].map(({ id }) => ({ id }))
  const alone = simulator.cloud.groups.flatMap((group) => group.machines.items)
  await control('POST', '/_berth/state/delete-instances', { ids: [...machines, ...alone].map(({ id }) => id) })
  const fresh = startSimulator({ world: WORLD }).simulator
  const space = (one: typeof simulator) => one.cloud.subnets.get(SUBNET.toLowerCase())!.space
  expect(space(simulator).free).toBe(space(fresh).free)
  expect(simulator.check()).toEqual([])
})

function condition(document: Doc, chance: number): Record<string, string> {
  if (chance < 0.1) return { 'if-match': '"stale"' }
  return chance < 0.5 ? { 'if-match': document.etag } : {}
}

/** Some secondary configurations gone, some new ones: single addresses, on interfaces also blocks. */
function changed(document: Doc, step: number, draw: (bound: number) => number): Doc {
  const copy = structuredClone(document)
  const model = copy.properties.networkProfileConfiguration?.networkInterfaceConfigurations[0]
  const owner = model ?? copy
  const kept = owner.properties.ipConfigurations.filter((one: Doc) => one.properties.primary === true || draw(3) > 0)
  const added = Array.from({ length: draw(12) }, (_, at) =>
    configuration(`c${step}-${at}`, draw(6) === 0 ? { privateIPAddressPrefixLength: 28 } : {}),
  )
  owner.properties.ipConfigurations = [...kept, ...added]
  return copy
}
