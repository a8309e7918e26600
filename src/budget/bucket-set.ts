import { assert } from '../runtime/assert.ts'
import { Bucket } from './bucket.ts'
import { assumedRate } from './bucket-table.ts'
import type { BucketTable } from './bucket-table.ts'
import type { BucketRate } from './token-bucket.ts'

/** The name of the bucket of `limit-ipam-api-qps`; no cloud has one like it. */
export const GLOBAL_BUCKET = 'limit-ipam-api'
/** The step of a bucket that is refilled once a second (ms). AWS documentation, Request throttling for the Amazon EC2 API. */
const REFILL_STEP_MS = 1000
/** By how much the ways of two calls to the cloud differ at most: network, and Bottleneck's serial time in a full burst (ms). */
const DEFAULT_JITTER_MS = 500
/** How far a guessed rate may be outgrown (factor): from 5 per second to the widest documented bucket. */
const GUESS_GROWTH_FACTOR = 20

export interface BucketSetOptions {
  readonly table: BucketTable
  /** Lines that replace the table's, from the configuration. */
  readonly overrides?: Readonly<Record<string, BucketRate>>
  /** Cilium's `limit-ipam-api-qps` and `limit-ipam-api-burst`: one more bucket, drawn on by every call. */
  readonly globalLimit?: { readonly qps: number; readonly burst: number }
  /** Part of every bucket left to the account's other tenants, in [0, 1). Default 0: a neighbour that calls is learned of. */
  readonly reserveShare?: number
  /** How far above the table a documented bucket may grow while the cloud does not refuse (factor, at least 1). Default 1. */
  readonly raisedLimitFactor?: number
  /** By how much the ways of two calls to the cloud differ at most (ms). Default 500. */
  readonly jitterMs?: number
  /** Told of every bucket of the cloud when it is made. */
  readonly onBucket?: (bucket: Bucket) => void
}

/** The buckets of one account and region, each made at its first use, full. */
export class BucketSet {
  readonly #options: BucketSetOptions
  readonly #lagMs: number
  #overrides: Readonly<Record<string, BucketRate>>
  readonly #buckets = new Map<string, Bucket>()

  constructor(options: BucketSetOptions) {
    const { reserveShare = 0, raisedLimitFactor = 1, globalLimit } = options
    assert(reserveShare >= 0 && reserveShare < 1, `the reserve must be in [0, 1), not ${reserveShare}`)
    assert(raisedLimitFactor >= 1, `the factor for raised limits must be at least 1, not ${raisedLimitFactor}`)
    assert(
      globalLimit === undefined || (globalLimit.qps > 0 && globalLimit.burst >= 1),
      'the global limit needs a positive rate and a burst of at least 1',
    )
    this.#options = options
    this.#overrides = options.overrides ?? {}
    this.#lagMs = (options.table.refill === 'stepwise' ? REFILL_STEP_MS : 0) + (options.jitterMs ?? DEFAULT_JITTER_MS)
  }

  get(name: string, nowMs: number): Bucket {
    let bucket = this.#buckets.get(name)
    if (bucket === undefined) {
      const isGlobal = name === GLOBAL_BUCKET
      bucket = isGlobal ? this.#globalBucket(nowMs) : this.#cloudBucket(name, nowMs)
      this.#buckets.set(name, bucket)
      if (!isGlobal) this.#options.onBucket?.(bucket)
    }
    return bucket
  }

  /** Lines that replace the table's, from now on. Buckets whose line is another one forget what they learned, and keep their level. */
  setOverrides(overrides: Readonly<Record<string, BucketRate>>, nowMs: number): void {
    this.#overrides = overrides
    for (const bucket of this.#buckets.values()) {
      if (bucket.name === GLOBAL_BUCKET) continue
      const { rate, ceilingPerSecond } = this.#assumed(bucket.name)
      const isSame = rate.size === bucket.fullRate.size && rate.refillPerSecond === bucket.fullRate.refillPerSecond
      if (!isSame) bucket.rebase(rate, ceilingPerSecond, nowMs)
    }
  }

  /** Every bucket used so far, by name. */
  all(): readonly Bucket[] {
    return [...this.#buckets].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, bucket]) => bucket)
  }

  #cloudBucket(name: string, nowMs: number): Bucket {
    return new Bucket({ name, ...this.#assumed(name), lagMs: this.#lagMs, nowMs })
  }

  /** Our part of a bucket, and how far its rate may be outgrown (tokens per second). */
  #assumed(name: string): { readonly rate: BucketRate; readonly ceilingPerSecond: number } {
    const { table, reserveShare = 0, raisedLimitFactor = 1 } = this.#options
    const { rate, isDocumented } = assumedRate({ ...table, buckets: { ...table.buckets, ...this.#overrides } }, name)
    assert(
      rate.size >= 1 && rate.refillPerSecond > 0,
      `bucket ${name} needs a size of at least 1 and a positive refill`,
    )
    const refillPerSecond = rate.refillPerSecond * (1 - reserveShare)
    return {
      rate: { size: Math.max(1, Math.floor(rate.size * (1 - reserveShare))), refillPerSecond },
      ceilingPerSecond: refillPerSecond * (isDocumented ? raisedLimitFactor : GUESS_GROWTH_FACTOR),
    }
  }

  /** A rule of ours, not a guess about the cloud: exact, and nothing is learned about it. */
  #globalBucket(nowMs: number): Bucket {
    const { globalLimit } = this.#options
    assert(globalLimit !== undefined, `bucket ${GLOBAL_BUCKET} is used without a global limit`)
    return new Bucket({
      name: GLOBAL_BUCKET,
      rate: { size: globalLimit.burst, refillPerSecond: globalLimit.qps },
      ceilingPerSecond: globalLimit.qps,
      lagMs: 0,
      nowMs,
    })
  }
}
