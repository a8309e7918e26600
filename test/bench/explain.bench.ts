import { accurateShare, sampleWaits } from '../support/explain-accuracy.ts'
import type { SampledWait } from '../support/explain-accuracy.ts'
import { check, quantile, runBench } from './harness.ts'

/**
 * How true the estimates of `berth explain node` are, in virtual time: all nodes of a cluster join at once, and those that wait are asked
 * about once a second. An answer without a time counts as wrong.
 */

const SEED = 1
const NODES = 1_000
const SAMPLES = 1_000
const NEIGHBOUR_SHARE = 0.3

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
})
