import type { DestructionProof } from '../ipam/destruction.ts'
import type { NodeState } from '../ipam/node-state.ts'
import type { MaintenanceStep } from '../ipam/plan-maintenance.ts'

/**
 * What a planned release rests on, in the form in which it accompanies the call and is put on record.
 *
 * @param state of the node when the step begins
 * @returns undefined for a step that gives nothing back
 */
export function proofOf(
  step: MaintenanceStep,
  { resource, statistics, generation }: Pick<NodeState, 'resource' | 'statistics' | 'generation'>,
): DestructionProof | undefined {
  if (step.kind !== 'release' && step.kind !== 'releaseCIDRs') return undefined
  const { syncedAtMs, wordAtMs } = step.proof
  if (syncedAtMs === undefined) return undefined
  const { usedIPs, availableIPs, excessIPs } = statistics.ipv4
  return {
    basis: 'agent-gave-up',
    readStartedAtMs: syncedAtMs,
    sinceMs: wordAtMs,
    seen: {
      word: step.kind === 'release' ? 'ready-for-release' : 'dropped from spec.ipam.pools.allocated',
      resourceVersion: resource?.resourceVersion ?? '',
      generation,
      usedIPs,
      availableIPs,
      excessIPs,
    },
  }
}
