import { DOCUMENTED_THROTTLE } from '../../simulators/aws/index.ts'
import { explain } from '../../src/cli/explain-routes.ts'
import { VirtualFleet } from '../../src/fleet/virtual-fleet.ts'
import { seedGlobalChance } from '../../src/fleet/virtual-chance.ts'
import { VirtualTime } from '../../src/fleet/virtual-time.ts'
import type { WorldPlan } from '../../src/fleet/world-plan.ts'
import { SILENT } from '../conformance/adapters/aws-node.ts'
import { seededRandom } from '../../src/runtime/random.ts'

/** A wait that was asked about, and how long it then took. Seconds from the question. */
export interface SampledWait {
  readonly node: string
  readonly atMs: number
  readonly code: string
  /** Undefined: the explanation named no time. */
  readonly estimateSeconds: number | undefined
  readonly actualSeconds: number
}

export interface AccuracyOptions {
  readonly nodes: number
  readonly samples: number
  readonly seed: number
  /** Of the account's rates, what a neighbour takes, in [0, 1). */
  readonly neighbourShare?: number
}

/** Time between two rounds of questions (ms of virtual time). */
const ROUND_MS = 1_000
/** A fleet that is not served by then is not going to be (ms of virtual time). */
const LIMIT_MS = 3_600_000

/**
 * Lets all nodes of a cluster join at once, and asks round after round why some of those wait that have no address yet. What then
 * happened is read from the resources, as the agents see them.
 */
export async function sampleWaits(options: AccuracyOptions): Promise<readonly SampledWait[]> {
  const { nodes, samples, seed, neighbourShare = 0 } = options
  const restoreChance = seedGlobalChance(seed)
  await import('../../providers/aws/index.ts')
  const time = new VirtualTime()
  try {
    const neighbours = neighbourShare > 0 ? [{ bucket: '*', share: neighbourShare }] : []
    const plan: WorldPlan = {
      cloud: 'aws',
      nodes,
      instanceType: 'm5.large',
      prefixDelegation: true,
      podsPerNode: 5,
      podsPerSecond: 0,
      agentGeneration: 'pool',
      throttle: neighbourShare > 0 ? { ...DOCUMENTED_THROTTLE, neighbours } : 'documented',
      seed,
      agentUpdateIntervalMs: 15_000,
    }
    const fleet = new VirtualFleet({ plan, clock: time.clock, log: SILENT })
    return await time.run(ask(fleet, samples, seed, nodes))
  } finally {
    time.uninstall()
    restoreChance()
  }
}

async function ask(fleet: VirtualFleet, samples: number, seed: number, nodes: number): Promise<readonly SampledWait[]> {
  const { clock, world, closing } = fleet
  const random = seededRandom(seed)
  const asked: Omit<SampledWait, 'actualSeconds'>[] = []
  try {
    await fleet.startController()
    await world.populate()
    // A node that waits for 10 s is asked about ten times as often as one that waits for 1 s: spread over the whole cold start.
    const perRound = Math.max(1, Math.ceil(samples / Math.max(1, (nodes - 150) / 10)))
    while (world.waits().some(({ servedMs }) => servedMs === undefined) && clock.now() < LIMIT_MS) {
      for (const node of pick(unserved(fleet), perRound, random)) {
        const { insight } = fleet.controller!
        const { estimateSeconds, chain } = await explain('node', node, insight.sources, closing)
        asked.push({ node, atMs: clock.now(), code: chain.at(-1)!.code, estimateSeconds })
      }
      await clock.sleep(ROUND_MS, closing)
    }
    const servedMs = new Map(world.nodeNames.map((name, index) => [name, world.waits()[index]?.servedMs]))
    return asked.map((one) => ({ ...one, actualSeconds: ((servedMs.get(one.node) ?? Infinity) - one.atMs) / 1000 }))
  } finally {
    await fleet.close()
  }
}

function unserved({ world }: VirtualFleet): readonly string[] {
  const waits = world.waits()
  return world.nodeNames.filter((_, index) => waits[index]?.servedMs === undefined)
}

function pick(names: readonly string[], count: number, random: { next(): number }): readonly string[] {
  const left = [...names]
  return Array.from({ length: Math.min(count, left.length) }, () => {
    const [name] = left.splice(Math.floor(random.next() * left.length), 1)
    return name!
  })
}

/** Whether what was said is within a fifth of what happened. */
export function isAccurate({ estimateSeconds, actualSeconds }: SampledWait): boolean {
  return estimateSeconds !== undefined && Math.abs(estimateSeconds - actualSeconds) <= 0.2 * actualSeconds
}

/** Part of the samples that is accurate, in [0, 1]. */
export function accurateShare(waits: readonly SampledWait[]): number {
  return waits.filter(isAccurate).length / waits.length
}
