import { expect, test } from 'vitest'
import type { FaultRule } from '../../simulators/kit/faults.ts'
import { objectAt, objectsAt, textAt } from '../../providers/azure/json.ts'
import { CloudAPIError } from '../../src/ipam/errors.ts'
import type { JSONObject } from '../../src/ipam/types.ts'
import { seededRandom, type Random } from '../../src/runtime/random.ts'
import { makeAzureWorld, ruleOf, writeActionOf, type AzureWorld, type MachineKind } from './azure-world.ts'
import { CONTEXT, drive, expectOrder, join, wanting, type Joined } from './provider.contract.ts'

const STEPS = 40
const NODES = 4
/** Addresses that a node holds at most in these runs (count). */
const MOST = 30

function pick<T>(items: readonly T[], random: Random): T {
  const found = items[Math.floor(random.next() * items.length)]
  if (found === undefined) throw new Error('nothing to pick from')
  return found
}

/** A few calls of one kind go wrong in one way. */
function randomFault(kind: MachineKind, random: Random): FaultRule {
  const write = writeActionOf(kind)
  const action = pick([write, write, 'Operations.Get*', 'Interfaces.*', 'Subnets.Get', 'Virtual*.Get'], random)
  const times = 1 + Math.floor(random.next() * 4)
  if (random.next() < 0.3) {
    const code = pick(['InternalExecutionError', 'CanceledAndSupersededDueToAnotherOperation', 'SubnetIsFull'], random)
    const effect = { kind: 'error', code, status: 400, message: code } as const
    return { ...ruleOf(`complete ${write}`, 'dropped', times), effect }
  }
  if (random.next() < 0.3) {
    const [status, code] = pick(
      [
        [429, 'TooManyRequests'],
        [429, 'RetryableError'],
        [409, 'Conflict'],
        [412, 'PreconditionFailed'],
      ] as const,
      random,
    )
    return { ...ruleOf(action, 'dropped', times), effect: { kind: 'error', code, status, message: code } }
  }
  return ruleOf(action, pick(['serverError', 'dropped', 'lost', 'cut'], random), times)
}

function ofCloud(world: AzureWorld, { instanceID }: Joined): ReadonlySet<string> {
  return new Set(world.interfaces().flatMap((iface) => (iface.instanceID === instanceID ? iface.podAddresses : [])))
}

/** Addresses that pods could have: those of provisioned configurations. */
function usableOfCloud(world: AzureWorld, { instanceID }: Joined): readonly string[] {
  return world
    .account()
    .networkInterfaces.map((document) => objectAt(document as JSONObject, 'properties'))
    .filter((nic) => textAt(objectAt(nic, 'virtualMachine'), 'id').toLowerCase() === instanceID)
    .flatMap((nic) => objectsAt(nic, 'ipConfigurations') ?? [])
    .map((one) => objectAt(one, 'properties'))
    .filter((one) => one?.['primary'] !== true && one?.['provisioningState'] === 'Succeeded')
    .map((one) => textAt(one, 'privateIPAddress'))
}

/** What must hold whatever fails: only what is released goes away, and the subscription itself is in order. */
async function step(world: AzureWorld, joined: Joined, random: Random): Promise<void> {
  const before = ofCloud(world, joined)
  const usable = usableOfCloud(world, joined)
  const released = new Set<string>()
  let asked = 0
  const what = random.next()
  try {
    if (what < 0.45) {
      asked = Math.max(Math.min(1 + Math.floor(random.next() * 8), MOST - before.size), 0)
      await drive(world, joined.node.allocateIPs(wanting(joined.node, asked), CONTEXT))
    } else if (what < 0.75) {
      const action = joined.node.prepareIPRelease(1 + Math.floor(random.next() * 6))
      for (const address of action.ipsToRelease) released.add(address)
      await drive(world, joined.node.releaseIPs(action, CONTEXT))
    } else if (what < 0.9) await drive(world, world.provider.instanceSync(joined.instanceID, CONTEXT))
    else await drive(world, world.provider.resync(CONTEXT))
  } catch (error) {
    if (!(error instanceof CloudAPIError)) throw error
  }
  const now = ofCloud(world, joined)
  for (const address of usable) if (!now.has(address)) expect([...released]).toContain(address)
  expect(now.size - before.size).toBeLessThanOrEqual(asked)
  expect(world.violations()).toEqual([])
}

const RUNS = (['uniform', 'standalone'] as const).flatMap((kind) =>
  Array.from({ length: 4 }, (_, at) => ({ kind, seed: 100 + at })),
)

test.each(RUNS)(
  '$kind, seed $seed: whatever fails, nothing is lost, assigned twice or forgotten',
  async ({ kind, seed }) => {
    const random = seededRandom(seed)
    const world = await makeAzureWorld({ kind })
    const nodes: Joined[] = []
    for (let count = 0; count < NODES; count++) nodes.push(await join(world))
    for (let count = 0; count < STEPS; count++) {
      world.setFaults(random.next() < 0.6 ? [randomFault(kind, random)] : [])
      await step(world, pick(nodes, random), random)
    }
    world.setFaults([])
    await world.clock.advance(120_000)
    await drive(world, world.provider.resync(CONTEXT))
    for (const joined of nodes) {
      // What a failed operation left unfinished is finished by the next write.
      expect(await drive(world, joined.node.allocateIPs(wanting(joined.node, 1), CONTEXT))).toMatchObject({
        kind: 'allocated',
      })
      await expectOrder(world, joined)
    }
    const all = nodes.flatMap((joined) => [...ofCloud(world, joined)])
    expect(new Set(all).size).toBe(all.length)
  },
)
