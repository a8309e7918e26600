import type { WaitCoverage } from '../support/fleet-watch.ts'

/** One piece of work: a run of random faults, or a long churn whose memory is looked at. */
export interface SoakTask {
  readonly kind: 'faults' | 'churn'
  readonly seed: number
  readonly steps: number
}

/** What came of it. */
export interface SoakResult extends SoakTask {
  /** Undefined: every invariant held. Otherwise what broke, and how to play it again. */
  readonly failure: string | undefined
  readonly virtualMs: number
  readonly coverage: WaitCoverage | undefined
  /** In use after the task and a collection (bytes); looked at now and then. */
  readonly heapBytes: number | undefined
}
