import { assert } from './assert.ts'
import type { Random } from './random.ts'

/** First wait of a failing node doubles from here (ms). Cilium pkg/backoff, Exponential.Min. */
const FIRST_WAIT_MS = 1_000
/** The longest wait of a failing node (ms). Cilium pkg/ipam/node_manager.go, backoff.Exponential.Max. */
const LONGEST_WAIT_MS = 300_000

/**
 * An interval that grows with the cluster, so that a fleet's total rate grows much slower than its size:
 * `base × ln(1 + nodes)`, and `base` for an empty cluster.
 *
 * @param baseMs milliseconds
 * @param nodeCount nodes of the cluster (count)
 * @returns milliseconds
 * @source cilium pkg/backoff/backoff.go, ClusterSizeDependantInterval
 */
export function clusterSizeDependentInterval(baseMs: number, nodeCount: number): number {
  return nodeCount <= 0 ? baseMs : baseMs * Math.log1p(nodeCount)
}

export interface BackoffInput {
  /** Failures in a row, this one included (count, 1 or more). */
  readonly attempt: number
  /** Nodes of the cluster (count). */
  readonly nodeCount: number
}

export interface BackoffBounds {
  readonly minMs: number
  readonly maxMs: number
}

/**
 * The shortest and the longest wait of a failing node: one second up to `2^attempt` seconds, both stretched by the size of the
 * cluster, neither above five minutes.
 *
 * @source cilium pkg/backoff/backoff.go, Exponential.Duration; pkg/ipam/node_manager.go for its parameters
 */
export function maintenanceBackoffBounds({ attempt, nodeCount }: BackoffInput): BackoffBounds {
  assert(attempt >= 1, `Attempts count from 1, got ${attempt}`)
  const longestMs = Math.min(FIRST_WAIT_MS * 2 ** attempt, LONGEST_WAIT_MS)
  return { minMs: stretch(FIRST_WAIT_MS, nodeCount), maxMs: stretch(longestMs, nodeCount) }
}

/** How long a failing node waits before its next attempt (ms): uniform between the bounds. */
export function maintenanceBackoff(input: BackoffInput & { readonly random: Random }): number {
  const { minMs, maxMs } = maintenanceBackoffBounds(input)
  return minMs + input.random.next() * (maxMs - minMs)
}

function stretch(ms: number, nodeCount: number): number {
  return Math.min(clusterSizeDependentInterval(ms, nodeCount), LONGEST_WAIT_MS)
}
