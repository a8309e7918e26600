import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { seededRandom } from '../../src/runtime/random.ts'
import type { FleetOptions } from './fleet.ts'
import { startFleet } from './fleet.ts'
import { CALM_KINDS, randomSteps } from './fleet-steps.ts'

/** A controller that lives long while nodes and pods come and go. */
export interface LongChurn {
  readonly seed: number
  /** Nodes that are kept (count): one that joins is made up for by one that leaves. */
  readonly nodeCount: number
  readonly steps: number
  /** Looks at the heap, evenly over the second half (count). */
  readonly looks: number
}

/** Memory in use after a full collection (bytes). */
export type HeapProbe = () => number

/** What may be left of a churn, beyond what the second half began with (bytes): caches that fill slowly, code that is compiled late. */
const ALLOWED_BYTES = 3_000_000
/** The same as a share of it. */
const ALLOWED_SHARE = 0.03

/**
 * Plays a long churn with one controller and looks at the memory whenever the fleet is at rest.
 *
 * @param onStep told after each step, for tests that break something
 * @returns bytes in use at each look
 */
export async function playLongChurn(
  { seed, nodeCount, steps, looks }: LongChurn,
  probe: HeapProbe,
  onStep?: (step: number) => void,
): Promise<readonly number[]> {
  const random = seededRandom(seed)
  const options: FleetOptions = {
    seed,
    nodeCount,
    prefixDelegation: true,
    releaseExcess: true,
    agentGeneration: 'mixed',
  }
  const fleet = await startFleet(options)
  const used: number[] = []
  const half = Math.ceil(steps / 2)
  const every = Math.max(1, Math.floor((steps - half) / looks))
  try {
    for (const [index, { thenMs, ...step }] of randomSteps(random, steps, { kinds: CALM_KINDS }).entries()) {
      await fleet.apply(step)
      while (fleet.nodes.size < nodeCount) fleet.join()
      while (fleet.nodes.size > nodeCount) fleet.leave(fleet.node(0)!, 'INC', 0)
      await fleet.advance(thenMs)
      onStep?.(index)
      if (index < half || (index - half + 1) % every !== 0) continue
      await fleet.apply({ kind: 'podsGone', count: 1_000 })
      await fleet.advance(60_000)
      await fleet.assertInvariants()
      // The API server's own history is not what is looked at.
      fleet.kubernetes.compact()
      used.push(probe())
    }
    return used
  } finally {
    await fleet.close()
  }
}

/** @param used bytes at looks in order; at least two @returns what grew, or undefined when nothing did */
export function growthOf(used: readonly number[]): string | undefined {
  const first = used.at(0) ?? 0
  // The least of the last looks: one that came at a bad moment says nothing.
  const last = Math.min(...used.slice(-Math.max(1, Math.floor(used.length / 3))))
  if (last - first <= ALLOWED_BYTES + first * ALLOWED_SHARE) return undefined
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1)
  return `memory-grows: ${used.map(megabytes).join(', ')} MB in use at looks of a fleet that stays as large as it is`
}

/** Collects everything that nobody holds, then looks. */
export function heapProbe(): HeapProbe {
  // As with `node --expose-gc`, in whatever process this runs.
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  return () => {
    gc()
    return process.memoryUsage().heapUsed
  }
}
