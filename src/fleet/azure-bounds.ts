import type { ThrottleTable } from '../../simulators/kit/rate-limit.ts'
import { ratesOf } from './bounds.ts'
import type { BucketRate } from './bounds.ts'
import { CALLER } from './cloud-facts.ts'

/** Interfaces on a page of a scale set's list: one page shows the new addresses of so many nodes (count). */
const INTERFACES_PER_PAGE = 100
/**
 * Looks at a write that is under way: its answer asks for 10 s before the first, and a write takes 5 s at least, so one is enough for
 * who is lucky or patient (count).
 */
const FEWEST_POLLS = 1
/** A machine and its share of a list are read, and the write is looked at. */
const READS = 1 + FEWEST_POLLS + 1 / INTERFACES_PER_PAGE

/**
 * What the first addresses of one machine draw at least, from which bucket of the simulator (tokens): the machine is read, written, and
 * looked at until the write has ended; then its interface is read, of which one page of a list shows many. The buckets of single
 * machines hold far more than that.
 */
const DRAWS: readonly (readonly [bucket: string, tokens: number])[] = [
  [`subscription-writes/${CALLER}`, 1],
  [`subscription-reads/${CALLER}`, READS],
  ['subscription-global-writes', 1],
  ['subscription-global-reads', READS],
  ['Microsoft.Compute/UpdateVMScaleSetVM/subscription', 1],
  ['Microsoft.Compute/GetVMScaleSetVM/subscription', 1],
  ['Microsoft.Compute/GetOperation/subscription', FEWEST_POLLS],
  ['Microsoft.Network/reads', 1 / INTERFACES_PER_PAGE],
]

/**
 * Every bucket that the first addresses of a scale set's machines draw on, each a cut of its own and counted in machines. The largest
 * bound over all of them is that of the fleet; what the writes themselves take, 5 to 30 s in the simulator, is not counted.
 *
 * @param throttle undefined: nothing is limited
 */
export function azureFirstAddressCuts(throttle: ThrottleTable | undefined): readonly (readonly BucketRate[])[] {
  return DRAWS.map(([bucket, tokens]) =>
    ratesOf(throttle, [bucket]).map(({ size, refillPerSecond }) => ({
      size: size / tokens,
      refillPerSecond: refillPerSecond / tokens,
    })),
  )
}
