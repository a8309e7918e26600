import type { BucketCharge } from './contracts.ts'

/** A charge whose tokens are there. */
export interface Taking extends BucketCharge {
  /** What time and learning made of the bucket, this charge included (whole tokens, at least the cost). */
  readonly level: number
}

/**
 * Who keeps the tokens of the buckets. The queue before it decides which call is next and when its tokens are due; the
 * holder takes them and lets the call go, in the order in which it was handed the calls.
 */
export interface TokenHolder {
  /**
   * Takes every charge, then runs the call, exactly once.
   *
   * @returns what `call` returns
   * @throws what `call` throws
   */
  run<T>(takings: readonly Taking[], call: () => Promise<T>): Promise<T>
}
