import type { BucketCharge } from './contracts.ts'

/**
 * Who keeps the tokens of the buckets. The queue before it decides which call is next and when its tokens are due; the
 * holder takes them and lets the call go. The seam at which several controllers of one account share their buckets.
 */
export interface TokenHolder {
  /** Sets what time and learning made of a bucket (whole tokens). */
  setLevel(bucket: string, tokens: number): void
  /** Takes every charge, then runs the call. */
  run<T>(charges: readonly BucketCharge[], call: () => Promise<T>): Promise<T>
}
