import { describe, expect, test } from 'vitest'
import { parseFaults } from '../../simulators/kit/faults.ts'
import type { JSONObject } from '../../simulators/kubernetes/index.ts'
import type { PoolPlan } from '../../src/cli/pool-plan.ts'
import { newCIDRSets } from '../../src/pools/cidr-set.ts'
import type { Random } from '../../src/runtime/random.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import { PoolsWorld } from '../unit/pools/pools-world.ts'

/**
 * Random lives of a cluster in the pool modes, with everything going wrong between controller and API server. After every step: no
 * address is of two nodes. Once nothing goes wrong any more: every node has what it asks for, or is told why not.
 */

const STEPS = 60
const POOLS = ['red', 'blue'] as const

/** What strikes the controller's calls; the agents' own are spared. */
const FAULTS: readonly JSONObject[] = [
  { action: 'patch *', where: 'after-effect', kind: 'drop' },
  { action: 'patch *', where: 'before-effect', kind: 'drop' },
  {
    action: 'patch *',
    where: 'after-effect',
    kind: 'error',
    code: 'InternalError',
    status: 500,
    message: 'etcd: request timed out',
  },
  { action: 'patch *', where: 'before-effect', kind: 'latency', latencyMs: 2_500 },
  { action: 'patch *', where: 'after-effect', kind: 'latency', latencyMs: 2_500 },
  { action: 'patch *', kind: 'error', code: 'Conflict', status: 409, message: 'changed' },
  { action: 'get *', kind: 'error', code: 'InternalError', status: 500, message: 'down' },
  { action: 'list *', kind: 'error', code: 'TooManyRequests', status: 429, message: 'busy' },
  { action: 'watch *', kind: 'cut' },
]

type Step = (at: PoolsWorld, random: Random) => Promise<unknown>

const pick = <T>(random: Random, items: readonly T[]): T => items[Math.floor(random.next() * items.length)]!
const nameOf = (random: Random): string => `n${Math.floor(random.next() * 12)}`

const COMMON: readonly Step[] = [
  (at, random) => at.deleteNode(nameOf(random)),
  async (at) => {
    await at.kill()
    at.start()
  },
  (at) => Promise.resolve(at.kubernetes.dropWatches(undefined, 'cut')),
  (at) => Promise.resolve(at.kubernetes.compact()),
  (at, random) => {
    const rule = { probability: 0.5, match: { userAgent: 'berth-controller' }, ...pick(random, FAULTS) }
    at.kubernetes.faults.set(parseFaults({ rules: [rule] }))
    return Promise.resolve()
  },
  (at) => Promise.resolve(at.kubernetes.faults.clear()),
  (at, random) => at.run(Math.floor(random.next() * 3_000)),
]

const MULTI_POOL_STEPS: readonly Step[] = [
  ...COMMON,
  (at, random) => at.addNode(nameOf(random)),
  (at, random) => at.ask(nameOf(random), { [pick(random, POOLS)]: Math.floor(random.next() * 40) }),
  (at, random) => at.ask(nameOf(random), { red: Math.floor(random.next() * 20), blue: Math.floor(random.next() * 20) }),
  // An agent takes CIDRs out of its list that it does not use: any of them, here.
  async (at, random) => {
    const name = nameOf(random)
    const node = await at.node(name)
    if (node === undefined) return
    const allocated = node.allocated.map(({ pool, cidrs }) => ({
      pool,
      cidrs: cidrs.filter(() => random.next() < 0.5),
    }))
    await at.patchNode(name, { pools: { allocated: allocated.filter(({ cidrs }) => cidrs.length > 0) } })
  },
  (at, random) => at.patchPool('red', pick(random, [['10.0.0.0/25'], ['10.0.0.0/26'], ['10.0.0.0/26', '10.0.2.0/26']])),
  (at) => at.deletePool('blue'),
  (at, random) => at.putPool('blue', pick(random, [['10.1.0.0/25'], ['10.0.0.0/24']]), 28),
]

const CLUSTER_POOL_STEPS: readonly Step[] = [
  ...COMMON,
  (at, random) => at.addNode(nameOf(random)),
  (at, random) => at.addNode(nameOf(random)),
]

async function live(at: PoolsWorld, steps: readonly Step[], seed: number): Promise<void> {
  const random = seededRandom(seed)
  at.start()
  for (let count = 0; count < STEPS; count++) {
    await pick(random, steps)(at, random)
    await at.run()
    expect(await at.shared(), `seed ${seed}, step ${count}`).toBeUndefined()
  }
  at.kubernetes.faults.clear()
  await at.run(200_000)
  expect(await at.shared()).toBeUndefined()
}

describe('whatever goes wrong', () => {
  test.each([1, 2, 3, 4, 5, 6])(
    'multi-pool gives no CIDR to two nodes, and serves everybody in the end (seed %i)',
    async (seed) => {
      const plan: PoolPlan = {
        mode: 'multi-pool',
        families: ['ipv4'],
        pools: new Map([['red', { ipv4: { cidrs: ['10.0.0.0/25'], maskSize: 28 } }]]),
      }
      const at = new PoolsWorld(plan, { seed })
      try {
        await live(at, MULTI_POOL_STEPS, seed)
        const { usage } = at.leader!.readings()
        for (const { name, allocated, error } of await at.nodes()) {
          const needs = await requestsOf(at, name)
          for (const [pool, count] of needs) {
            const held = allocated.filter((entry) => entry.pool === pool).flatMap(({ cidrs }) => cidrs).length * 14
            const of = usage.find((one) => one.pool === pool)
            if (held >= count) continue
            expect(error, `${name} has ${held} of ${count} of ${pool}`).toContain(pool)
            expect(
              of === undefined ||
                of.used === of.size ||
                error.includes('already allocated') ||
                error.includes('collides'),
              `${name}: ${error}, ${JSON.stringify(of)}`,
            ).toBe(true)
          }
        }
      } finally {
        await at.close()
      }
    },
  )

  test.each([1, 2, 3, 4])(
    'cluster-pool gives no CIDR to two nodes, and one to each in the end (seed %i)',
    async (seed) => {
      const sets = () => ({ ipv4: newCIDRSets('ipv4', ['10.0.0.0/21'], 25), ipv6: [] })
      const at = new PoolsWorld({ mode: 'cluster-pool', sets: sets() }, { seed })
      const steps: readonly Step[] = CLUSTER_POOL_STEPS.map((step, index) =>
        index === 1
          ? async () => {
              await at.kill()
              at.start({ mode: 'cluster-pool', sets: sets() })
            }
          : step,
      )
      try {
        await live(at, steps, seed)
        const nodes = await at.nodes()
        expect(nodes.filter(({ podCIDRs, error }) => podCIDRs.length !== 1 || error !== '')).toEqual([])
        expect(at.leader!.readings().usage).toEqual([
          { pool: 'cluster-pool', family: 'ipv4', size: 16, used: nodes.length },
        ])
      } finally {
        await at.close()
      }
    },
  )
})

async function requestsOf(at: PoolsWorld, name: string): Promise<readonly (readonly [pool: string, count: number])[]> {
  const node = (await at.request('GET', `/apis/cilium.io/v2/ciliumnodes/${name}`)) as {
    readonly spec?: {
      readonly ipam?: {
        readonly pools?: {
          readonly requested?: readonly { readonly pool: string; readonly needed?: Readonly<Record<string, number>> }[]
        }
      }
    }
  }
  return (node.spec?.ipam?.pools?.requested ?? []).map(({ pool, needed }) => [pool, needed?.['ipv4-addrs'] ?? 0])
}
