import type { BucketView } from '../budget/api-budget.ts'
import type { LedgerEntry } from '../budget/contracts.ts'
import type { Node } from '../controller/node.ts'
import type { SubnetFacts } from '../explain/explain-subnet.ts'
import { NO_NOTICE } from '../ipam/node-status.ts'
import { NODE_STATUS } from '../status-page/status-source.ts'
import type { ActionRow, BucketRow, NodeRow, NodeStatus, SubnetRow } from '../status-page/status-source.ts'

/** A node as the status page shows it; made of its state alone. */
export function nodeRow({ name, state }: Node): NodeRow {
  const { neededIPs, usedIPs, availableIPs, capacity } = state.statistics.ipv4
  return [name, neededIPs, usedIPs, availableIPs, capacity, statusOf(state)]
}

function statusOf({ statistics, view, notice }: Node['state']): NodeStatus {
  const { neededIPs, usedIPs, availableIPs } = statistics.ipv4
  if (notice !== NO_NOTICE) return NODE_STATUS.waits
  if (view.kind !== 'known') return NODE_STATUS.unknown
  if (neededIPs === 0 && statistics.ipv6.neededPrefixes === 0) return NODE_STATUS.settled
  return availableIPs <= usedIPs ? NODE_STATUS.dry : NODE_STATUS.short
}

export function subnetRow({ poolID, freeIPs, totalIPs, freeBlocks, emptyMs }: SubnetFacts): SubnetRow {
  return [
    poolID,
    freeIPs,
    totalIPs ?? null,
    freeBlocks ?? null,
    emptyMs === undefined ? null : Math.round(emptyMs / 1000),
  ]
}

export function bucketRow(view: BucketView): BucketRow {
  const { bucket, tokens, size, refillPerSecond, fullRefillPerSecond, waiting, pausedMs } = view
  const calls = Object.values(waiting).reduce((sum, count) => sum + count, 0)
  const rounded = (value: number): number => Math.round(value * 100) / 100
  return [
    bucket,
    rounded(tokens),
    size,
    rounded(refillPerSecond),
    rounded(fullRefillPerSecond),
    calls,
    Math.round(pausedMs / 1000),
  ]
}

/** Calls by action, whatever for. */
export function actionRows(ledger: readonly LedgerEntry[]): readonly ActionRow[] {
  const rows = new Map<string, { calls: number; refused: number }>()
  for (const { action, calls, refused } of ledger) {
    const row = rows.get(action) ?? { calls: 0, refused: 0 }
    rows.set(action, { calls: row.calls + calls, refused: row.refused + refused })
  }
  return [...rows].map(([action, { calls, refused }]) => [action, calls, refused])
}
