import Bottleneck from 'bottleneck'
import type { Taking, TokenHolder } from './token-holder.ts'

interface Held {
  readonly limiter: Bottleneck
  /** The reservoir once the changes and jobs under way have arrived (tokens). */
  tokens: number
}

/**
 * Keeps each bucket in the reservoir of a Bottleneck limiter of this process.
 *
 * The reservoir follows the level it is told, because Bottleneck's own refills lose 5 to 10 % in real time. What is left of
 * Bottleneck's timers are delays of 0 ms, 2.5 to 3.5 ms of serial time a call: it waits for no moment of its own, so the passed
 * clock alone decides when a call goes (docs/decisions/0005-api-budget.md).
 */
export function bottleneckHolder(): TokenHolder {
  const buckets = new Map<string, Held>()

  function takeFrom({ bucket, cost, level }: Taking): Bottleneck {
    let held = buckets.get(bucket)
    if (held === undefined) {
      held = { limiter: new Bottleneck({ reservoir: level }), tokens: level }
      buckets.set(bucket, held)
    }
    const change = level - held.tokens
    held.tokens = level - cost
    // The local store cannot fail. The change is under way before the job is, and a late one would only delay the job.
    if (change !== 0) void held.limiter.incrementReservoir(change)
    return held.limiter
  }

  return {
    run<T>(takings: readonly Taking[], call: () => Promise<T>): Promise<T> {
      const jobs = takings.map((taking) => ({ limiter: takeFrom(taking), weight: taking.cost }))
      const chained = jobs.reduceRight<() => Promise<T>>(
        (next, { limiter, weight }) =>
          () =>
            limiter.schedule({ weight }, next),
        call,
      )
      return chained()
    },
  }
}
