import { IPAMError } from './errors.ts'
import type { Pool } from './pool.ts'

/** Pool → addresses that should be free beyond the need (count). Flag `ipam-multi-pool-pre-allocation`. */
export type PreAllocation = ReadonlyMap<Pool, number>

/** Cilium pkg/defaults/defaults.go, IPAMMultiPoolPreAllocation. */
export const DEFAULT_PRE_ALLOCATION: PreAllocation = new Map([['default', 8]])

/**
 * Addresses to ask for: the smallest multiple of the pre-allocation that leaves at least one whole pre-allocation free.
 *
 * @param count addresses in use or asked for
 * @param preAllocate 0: no rounding
 * @source cilium pkg/ipam/multipool.go, neededIPCeil
 */
export function neededIPCeil(count: number, preAllocate: number): number {
  if (preAllocate === 0) return count
  return Math.ceil(count / preAllocate) * preAllocate + preAllocate
}

/** @throws IPAMError PREALLOC_INVALID, with the pool */
export function parsePreAllocation(texts: Readonly<Record<string, string>>): PreAllocation {
  return new Map(
    Object.entries(texts).map(([pool, text]) => {
      if (!/^\d{1,9}$/.test(text))
        throw new IPAMError('PREALLOC_INVALID', `invalid pre-allocation ${JSON.stringify(text)} of pool ${pool}`, {
          pool,
        })
      return [pool, Number(text)]
    }),
  )
}
