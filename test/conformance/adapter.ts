import type { IPAMProfile, JSONObject } from '../../src/ipam/types.ts'
import type { ComparisonRules } from './compare.ts'
import type { ConformanceCase } from './load-vectors.ts'

/** What an adapter may want beyond its input. */
export interface AdapterContext {
  /** The profile the case runs under: the newest of ours that its own `profile` allows. */
  readonly profile: IPAMProfile
  readonly testCase: ConformanceCase
}

/**
 * Runs one case on the project's code, without a detour through the shell where the code is pure.
 *
 * @param input the case's `input` (core), `given` (clouds), or `{ setup, setupExpect, steps }` (agent), as in the file
 * @returns what is compared with the case's `expect`, in the file's own names: plain objects, lists and scalars
 * @throws whatever the code throws: the case then fails with that message
 */
export type AdapterFunction = (input: JSONObject, context: AdapterContext) => unknown

export interface Adapter {
  readonly run: AdapterFunction
  /** How the result is compared; the suite's rules apply where this says nothing. */
  readonly comparison?: ComparisonRules
  /**
   * Brings the expectation and the result to one form before they are compared, where a kind leaves something open (say, the
   * order of equals).
   */
  readonly canonical?: (value: unknown, input: JSONObject) => unknown
}

/** Kind → its adapter. A kind of the vectors that is not here is skipped, and named by the runner. */
export type AdapterRegistry = Readonly<Record<string, AdapterFunction | Adapter>>
