import type { Bucket } from './bucket.ts'
import type { BucketCharge } from './contracts.ts'

/** Where several controllers of one account keep the tokens of their buckets together. */
export interface SharedTokens {
  /**
   * Told of every bucket of the cloud at its first use. From then on the store sets what the bucket may give: through a gate
   * while controllers share it, a part of it while they cannot talk.
   *
   * @param wake to be called when the bucket may have tokens again, never before `attach` has returned
   */
  attach(bucket: Bucket, wake: () => void): void
  /**
   * Asks for the tokens of one call: all or none. One round trip, in which the calls of one moment share.
   *
   * @param charges cost: what the store has yet to give (tokens)
   * @returns whether the tokens are there. If not, the call takes its place in the queue again; never throws
   */
  ask(charges: readonly BucketCharge[]): Promise<boolean>
  /** Tokens of a call that was not sent after all. */
  giveBack(charge: BucketCharge): void
}
