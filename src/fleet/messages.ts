import type { WorldReport } from './report.ts'
import type { WorldEndpoints, WorldPlan } from './world-plan.ts'

/** What `berth up` tells the world's process. */
export type ToWorld =
  | { readonly kind: 'start'; readonly plan: WorldPlan }
  | { readonly kind: 'stop-churn' }
  /** Look at every address, then report. */
  | { readonly kind: 'verify' }
  | { readonly kind: 'stop' }

/** What the world's process tells `berth up`. */
export type FromWorld =
  /** The servers answer; nodes join from now on. */
  | { readonly kind: 'ready'; readonly endpoints: WorldEndpoints }
  | { readonly kind: 'report'; readonly report: WorldReport }
  | { readonly kind: 'verified'; readonly report: WorldReport }
  /** It cannot go on. `isUsage`: the plan is wrong, not the world. */
  | { readonly kind: 'failed'; readonly message: string; readonly isUsage: boolean }
