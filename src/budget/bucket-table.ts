import type { BucketRate } from './token-bucket.ts'

/**
 * How tokens come back: `stepwise`, all of a second's tokens at once at a moment that only the cloud knows (AWS: "refilled
 * every second"); or `continuous`, each fraction as it falls due.
 */
export type RefillMode = 'stepwise' | 'continuous'

/** What is documented about the buckets of one cloud: a data file of its provider. */
export interface BucketTable {
  readonly refill: RefillMode
  /** Documented buckets by their exact name. Never exceeded, unless the account is said to have raised limits. */
  readonly buckets: Readonly<Record<string, BucketRate>>
  /** Conservative guesses for names without a line of their own, by prefix (`Describe`); the longest prefix wins. */
  readonly families: Readonly<Record<string, BucketRate>>
  /** The guess for every other name. */
  readonly fallback: BucketRate
}

export interface AssumedRate {
  readonly rate: BucketRate
  /** Whether the table has a line for exactly this bucket; a guess may be outgrown when the cloud allows more. */
  readonly isDocumented: boolean
}

/** What to assume of a bucket before the cloud has answered its first call. */
export function assumedRate(table: BucketTable, bucket: string): AssumedRate {
  const documented = Object.hasOwn(table.buckets, bucket) ? table.buckets[bucket] : undefined
  if (documented !== undefined) return { rate: documented, isDocumented: true }
  let longest = ''
  let rate = table.fallback
  for (const [prefix, guess] of Object.entries(table.families)) {
    if (bucket.startsWith(prefix) && prefix.length > longest.length) {
      longest = prefix
      rate = guess
    }
  }
  return { rate, isDocumented: false }
}
