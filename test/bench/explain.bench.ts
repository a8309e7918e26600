import { accurateShare, sampleWaits } from '../support/explain-accuracy.ts'
import type { SampledWait } from '../support/explain-accuracy.ts'
import { timeCounts } from '../support/explain-cost.ts'
import { check, quantile, runBench } from './harness.ts'

/**
 * How true the estimates of `berth explain node` are, in virtual time: all nodes of a cluster join at once, and those that wait are asked
 * about once a second. An answer without a time counts as wrong. And what a count of those that wait costs, in real time.
 */

const SEED = 1
const NODES = 1_000
const SAMPLES = 1_000
const NEIGHBOUR_SHARE = 0.3
/** Counts of waiting nodes, and the first ones, which are thrown away: they run code that is not compiled yet. */
const COUNTS = 30
const FIRST_COUNTS = 5

function errorOf({ estimateSeconds, actualSeconds }: SampledWait): number {
  return estimateSeconds === undefined ? 1 : Math.abs(estimateSeconds - actualSeconds) / actualSeconds
}

await runBench('explain', SEED, async (bench) => {
  const runs = [
    { what: 'documented limits', neighbourShare: 0, gate: { atLeast: 0.9 } },
    { what: 'a neighbour takes 30 %', neighbourShare: NEIGHBOUR_SHARE, gate: undefined },
  ] as const
  for (const { what, neighbourShare, gate } of runs) {
    const waits = await sampleWaits({ nodes: NODES, samples: SAMPLES, seed: SEED, neighbourShare })
    check(waits.length >= SAMPLES, `${SAMPLES} waits are asked about`)
    check(
      waits.every(({ actualSeconds }) => Number.isFinite(actualSeconds)),
      'every node is served in the end',
    )
    const errors = waits.map(errorOf).sort((a, b) => a - b)
    const share = { name: `waits told within 20 %, ${what}`, unit: '', rounds: 1, ...(gate !== undefined && { gate }) }
    await bench.figure(share, () => accurateShare(waits))
    await bench.figure({ name: `error of the estimate, median, ${what}`, unit: '', rounds: 1 }, () =>
      quantile(errors, 0.5),
    )
  }
  const counts = await timeCounts({ nodes: NODES, counts: COUNTS, seed: SEED })
  check(counts.length > 2 * FIRST_COUNTS, 'enough nodes wait to be counted')
  const times = counts
    .slice(FIRST_COUNTS)
    .map(({ microseconds }) => microseconds)
    .sort((a, b) => a - b)
  for (const [what, share] of [
    ['median', 0.5],
    ['95th percentile', 0.95],
  ] as const)
    await bench.figure({ name: `a count, for each waiting node, ${what}`, unit: 'µs', rounds: 1 }, () =>
      quantile(times, share),
    )
})
