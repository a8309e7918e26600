/**
 * Why a cloud call is made, most urgent first. The API budget serves the classes in this order, with ageing
 * (docs/decisions/0005-api-budget.md).
 *
 * - `pod-waiting`: a pod is scheduled on the node and has no address
 * - `below-minimum`: the node has fewer addresses than its floor, or none at all
 * - `watermark`: the node's buffer of unused addresses is not full
 * - `release`: giving excess back, cleaning up
 * - `background`: reads that verify, tags, attributes
 */
export const CALL_PRIORITIES = ['pod-waiting', 'below-minimum', 'watermark', 'release', 'background'] as const
export type CallPriority = (typeof CALL_PRIORITIES)[number]

/** What every effect carries: how urgent it is, on whose behalf, and how to stop waiting for it. */
export interface CallContext {
  readonly priority: CallPriority
  /** A short constant phrase for the ledger of calls and for logs, e.g. `resolve-deficit`, `full-sync`. */
  readonly reason: string
  /** Aborted when the node is deleted or the process stops. */
  readonly signal: AbortSignal
}
