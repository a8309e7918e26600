import type { Explanation } from './explanation.ts'
import { explanationOf } from './explanation.ts'
import { causeOf, isUnserved } from './node-cause.ts'
import { estimateOf } from './node-estimate.ts'
import type { ManagedNode, NodeFacts } from './node-facts.ts'
import type { Reason } from './reasons.ts'

/** Why a node waits, from what it lacks over the way by which it will come to what keeps it. */
export function explainNode(facts: NodeFacts, at: Date): Explanation {
  const { reasons, estimateMs } = chainOfNode(facts)
  return explanationOf({ kind: 'node', name: facts.name, reasons, estimateMs, at })
}

/** The links and the estimate, for an explanation that has more in front. */
export function chainOfNode(facts: NodeFacts): {
  readonly reasons: readonly [...Reason[], Reason]
  readonly estimateMs: number | undefined
} {
  const cause = causeOf(facts)
  const before = facts.node === undefined || !isUnserved(facts.node) ? [] : contextOf(facts, facts.node)
  return { reasons: [...before, cause], estimateMs: estimateOf(facts, cause) }
}

function contextOf(facts: NodeFacts, node: ManagedNode): readonly Reason[] {
  const { ipv4, ipv6 } = node.state.statistics
  return [
    ...(ipv4.neededIPs > 0 ? [shortage(facts.name, node)] : []),
    ...(ipv6.neededPrefixes > 0 ? [{ code: 'ipv6-prefix-wanted', node: facts.name } as const] : []),
    ...(facts.controller.kind === 'serving' ? wayOf(facts, node) : []),
  ]
}

function shortage(name: string, { state, minAllocate, pendingPods = 0 }: ManagedNode): Reason {
  const { neededIPs, availableIPs, usedIPs } = state.statistics.ipv4
  const podsWait = usedIPs > availableIPs || (pendingPods > 0 && availableIPs <= usedIPs)
  const because = podsWait ? 'pods' : availableIPs < minAllocate ? 'minimum' : 'buffer'
  return { code: 'node-short', node: name, neededIPs, availableIPs, usedIPs, because }
}

/** Where the addresses will come from: the step under way, else what the provider would do next. */
function wayOf({ prefixDelegation, lacksBlocks }: NodeFacts, node: ManagedNode): readonly Reason[] {
  const step = node.work.step?.step
  const isStep = step?.kind === 'allocate' || step?.kind === 'createInterface'
  const action = isStep ? step.action : node.allocation()
  if (action === undefined) return []
  const room = action.ipv4.availableForAllocation
  const isNew = step?.kind === 'createInterface' || (!isStep && room === 0)
  if (isNew && action.emptyInterfaceSlots === 0) return []
  const { poolID, interfaceID } = action
  if (isNew) {
    const count = action.ipv4.maxIPsToAllocate || node.state.statistics.ipv4.neededIPs
    return [{ code: 'new-interface', count, because: room > 0 ? 'sooner' : 'no-room' }]
  }
  const count = isStep ? room : Math.min(room, node.state.statistics.ipv4.neededIPs)
  const fallsBack: readonly Reason[] =
    prefixDelegation && poolID !== '' && lacksBlocks(poolID) ? [{ code: 'no-free-block', poolID }] : []
  return [{ code: 'uses-interface', interfaceID, poolID, count }, ...fallsBack]
}
