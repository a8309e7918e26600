import { describe, expect, test } from 'vitest'
import type { CiliumNode } from '../../src/ipam/cilium-node.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import type { Random } from '../../src/runtime/random.ts'
import { agentAnswers } from '../support/fake-api-server.ts'
import { FakeFleet } from '../support/fake-fleet.ts'
import type { Fault, FakeCall } from '../support/fake-provider.ts'

const LIMITS = { adapters: 3, ipv4: 8, firstInterfaceIndex: 0 }
const SUBNET_SIZE = 400
const NODE_COUNT = 4
const STEPS = 60
const MAX_ALLOCATE = 17
/** Backoff after many failures, a release delay and its handshakes (ms). */
const CONVERGENCE_MS = 900_000

const FAULTS: readonly Fault[] = [
  'throttled',
  'exhausted',
  'limit',
  'stale',
  'unavailable',
  'unknown',
  'lost',
  'notRunning',
]
const CALLS: readonly FakeCall[] = ['allocateIPs', 'createInterface', 'releaseIPs', 'instanceSync', 'resync']

/** A fleet, its agents and its pods, driven by a seed. */
class World {
  readonly fleet: FakeFleet
  readonly #random: Random
  #joined = 0

  constructor(seed: number) {
    this.#random = seededRandom(seed)
    this.fleet = new FakeFleet({
      seed,
      config: { releaseExcessIPs: true, excessIPReleaseDelayMs: 30_000 },
      provider: { limits: LIMITS, subnetAvailable: SUBNET_SIZE },
    })
  }

  async start(): Promise<void> {
    await this.fleet.start()
    for (let index = 0; index < NODE_COUNT; index++) this.join()
    await this.fleet.advance(1_000)
  }

  join(): void {
    this.#joined += 1
    const ipam = { preAllocate: 1 + this.#below(4), minAllocate: this.#below(6), maxAllocate: MAX_ALLOCATE }
    this.fleet.join({ name: `node-${this.#joined}`, ipam, annotations: { 'cilium.io/mine': 'kept' } })
  }

  /** One thing that happens in a cluster, or goes wrong in one. */
  async step(): Promise<string> {
    const names = this.fleet.apiServer.names()
    const name = names[this.#below(names.length)] ?? ''
    switch (this.#below(9)) {
      case 0:
      case 1:
        this.startPods(name, 1 + this.#below(5))
        return `pods start on ${name}`
      case 2:
      case 3:
        this.endPods(name, 1 + this.#below(6))
        return `pods end on ${name}`
      case 4: {
        const call = CALLS[this.#below(CALLS.length)] ?? 'allocateIPs'
        const fault = FAULTS[this.#below(FAULTS.length)] ?? 'throttled'
        this.fleet.provider.fail(call, fault)
        return `${call} will fail: ${fault}`
      }
      case 5:
        this.fleet.apiServer.fail(
          this.#below(2) === 0 ? 'updateStatus' : 'update',
          this.#below(2) === 0 ? 'conflict' : 'error',
        )
        return 'a write will fail'
      case 6:
        if (names.length > 2) this.fleet.leave(name)
        this.join()
        return `${name} leaves, another joins`
      case 7:
        if (this.#below(4) > 0) return 'nothing'
        await this.fleet.restart()
        return 'the controller is killed and starts again'
      default:
        for (const each of names) this.answer(each)
        return 'the agents answer'
    }
  }

  async pass(): Promise<void> {
    await this.fleet.advance(1 + this.#below(40_000))
  }

  /** Pods take free addresses of the pool that no handshake withholds. */
  startPods(name: string, count: number): void {
    const node = this.fleet.apiServer.read(name)
    const { used, releaseIPs } = node.status
    const free = [...(node.spec.ipam.pool ?? new Map<string, unknown>()).keys()].filter(
      (address) =>
        !used.has(address) &&
        !['marked-for-release', 'ready-for-release', 'released'].includes(releaseIPs.get(address) ?? ''),
    )
    this.fleet.use(name, [...used.keys(), ...free.slice(0, count)])
  }

  endPods(name: string, count: number): void {
    this.fleet.use(name, [...this.fleet.apiServer.read(name).status.used.keys()].slice(count))
  }

  answer(name: string): void {
    const before = this.fleet.apiServer.read(name)
    const after = agentAnswers(before)
    if (JSON.stringify([...before.status.releaseIPs]) !== JSON.stringify([...after.status.releaseIPs]))
      this.fleet.apiServer.put(after)
  }

  nodes(): CiliumNode[] {
    return this.fleet.apiServer.names().map((name) => this.fleet.apiServer.read(name))
  }

  #below(bound: number): number {
    return Math.floor(this.#random.next() * bound)
  }
}

/** What must never happen, whatever happened. */
function assertInvariants({
  fleet,
  nodes,
}: {
  readonly fleet: FakeFleet
  readonly nodes: readonly CiliumNode[]
}): void {
  const holders = new Map<string, string>()
  for (const node of nodes) {
    const { instanceID } = node.spec
    const interfaces = fleet.provider.cloud.get(instanceID)?.interfaces ?? []
    expect(interfaces.length, `${node.name}: interface limit`).toBeLessThanOrEqual(LIMITS.adapters)
    for (const { id, addresses } of interfaces) {
      expect(addresses.length, `${id}: address limit`).toBeLessThan(LIMITS.ipv4)
      for (const address of addresses) {
        expect(holders.get(address), `${address} is on two interfaces`).toBeUndefined()
        holders.set(address, id)
      }
    }
    const attached = new Set(fleet.provider.addressesInCloud(instanceID))
    expect(attached.size, `${node.name}: max-allocate`).toBeLessThanOrEqual(MAX_ALLOCATE)
    for (const address of node.status.used.keys()) {
      expect(attached.has(address), `${node.name}: ${address} was taken from a pod`).toBe(true)
    }
    expect(node.annotations, `${node.name}: somebody's update was overwritten`).toEqual({ 'cilium.io/mine': 'kept' })
  }
}

/** After faults have stopped: every need is met, and the resource says what the cloud holds. */
function assertConverged({ fleet, nodes }: { readonly fleet: FakeFleet; readonly nodes: readonly CiliumNode[] }): void {
  for (const node of nodes) {
    const attached = [...fleet.provider.addressesInCloud(node.spec.instanceID)].sort()
    expect(fleet.node(node.name).stats().ipv4.neededIPs, `${node.name}: need`).toBe(0)
    expect([...(node.spec.ipam.pool ?? new Map<string, unknown>()).keys()].sort(), `${node.name}: pool`).toEqual(
      attached,
    )
    expect(node.status.operatorError, `${node.name}: error`).toBe('')
    expect(fleet.node(node.name).getNeededAddresses(), `${node.name}: excess`).toBe(0)
  }
}

async function run(seed: number, steps: number): Promise<World> {
  const world = new World(seed)
  await world.start()
  const history: string[] = []
  for (let step = 0; step < steps; step++) {
    history.push(await world.step())
    await world.pass()
    try {
      assertInvariants({ fleet: world.fleet, nodes: world.nodes() })
    } catch (error) {
      throw new Error(`seed ${seed}, step ${step}: ${history.slice(-8).join('; ')}`, { cause: error })
    }
  }
  return world
}

describe('a controller under faults', () => {
  test.each(Array.from({ length: 25 }, (_, index) => index + 1))(
    'seed %i keeps its invariants and converges',
    async (seed) => {
      const world = await run(seed, STEPS)
      world.fleet.provider.stopFaults()
      world.fleet.apiServer.stopFaults()
      for (let waitedMs = 0; waitedMs < CONVERGENCE_MS; waitedMs += 30_000) {
        await world.fleet.advance(30_000)
        for (const name of world.fleet.apiServer.names()) world.answer(name)
      }
      await world.fleet.advance(5_000)
      assertInvariants({ fleet: world.fleet, nodes: world.nodes() })
      assertConverged({ fleet: world.fleet, nodes: world.nodes() })
      expect(world.fleet.log.lines.filter(({ level }) => level === 'error')).toEqual([])
      await world.fleet.manager.stop(AbortSignal.abort())
    },
  )
})

describe('the check fires', () => {
  async function settled(): Promise<World> {
    const world = new World(1)
    await world.start()
    await world.fleet.advance(5_000)
    world.startPods('node-1', 1)
    await world.fleet.advance(1_000)
    return world
  }
  const check = (world: World): void => assertInvariants({ fleet: world.fleet, nodes: world.nodes() })

  test('when a pod loses its address', async () => {
    const world = await settled()
    check(world)
    const [used] = [...world.fleet.read('node-1').status.used.keys()]
    world.fleet.provider.alter('i-node-1', (interfaces) =>
      interfaces.map((iface) => ({ ...iface, addresses: iface.addresses.filter((address) => address !== used) })),
    )
    expect(() => check(world)).toThrow('was taken from a pod')
  })

  test('when an address is on two interfaces', async () => {
    const world = await settled()
    const [address] = world.fleet.provider.addressesInCloud('i-node-1')
    world.fleet.provider.alter('i-node-2', ([first]) => [{ ...first!, addresses: [address!] }])
    expect(() => check(world)).toThrow('is on two interfaces')
  })

  test('when a node holds more than its ceiling', async () => {
    const world = await settled()
    const extra = (index: number): string[] => Array.from({ length: 7 }, (_, nth) => `172.16.${index}.${nth}`)
    world.fleet.provider.alter('i-node-1', ([first]) =>
      [0, 1, 2].map((index) => ({ ...first!, id: `eni-x${index}`, addresses: extra(index) })),
    )
    expect(() => check(world)).toThrow('max-allocate')
  })

  test("when somebody's update is overwritten", async () => {
    const world = await settled()
    world.fleet.apiServer.change('node-1', (node) => ({ ...node, annotations: {} }))
    expect(() => check(world)).toThrow('overwritten')
  })

  test('when a need is not met, or the resource lags behind', async () => {
    const world = await settled()
    world.fleet.provider.alter('i-node-1', ([first]) => [{ ...first!, addresses: first!.addresses.slice(1) }])
    expect(() => assertConverged({ fleet: world.fleet, nodes: world.nodes() })).toThrow('pool')
  })
})
