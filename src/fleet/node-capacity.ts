import type { CloudKind } from './simulated-cloud.ts'
import type { NodeCapacity } from './simulated-node.ts'
import { PlanError } from './world-plan.ts'
import type { WorldPlan } from './world-plan.ts'

/** Pods that a node starts with, unless told otherwise or too many for it (count). */
const USUAL_PODS_PER_NODE = 10
/** `maxPods` of a kubelet, unless the instance carries fewer addresses. @source Kubernetes, KubeletConfiguration */
const MAX_PODS = 110
/** Free addresses that a node keeps, rounded up generously for prefixes (count). */
const SPARE_ADDRESSES = 48

/** Shares of a mix (count): nodes of one round of all types. */
const MAX_MIX = 1000

/**
 * The types of a plan's nodes, in turn: `m5.large`, or `m5.large:3,m5.xlarge:1` for three of the one to one of the other.
 *
 * @returns at least one name; names are not checked
 * @throws PlanError for a text that is neither
 */
export function instanceTypesOf({ instanceType }: Pick<WorldPlan, 'instanceType'>): readonly string[] {
  const parts = instanceType.split(',').map((part) => /^([^:]+?)(?::([1-9]\d{0,2}))?$/.exec(part.trim()))
  const types = parts.flatMap((part) => Array.from({ length: Number(part?.[2] ?? 1) }, () => part?.[1] ?? ''))
  if (types.includes('') || types.length > MAX_MIX)
    throw new PlanError(
      `instance types ${instanceType}: must be TYPE, or TYPE:SHARE,TYPE:SHARE with shares from 1 to 999`,
    )
  return types
}

/** By type. @throws PlanError when a type is unknown, or cannot carry as many pods as the plan wants */
export function nodeCapacities(plan: WorldPlan, cloud: CloudKind): ReadonlyMap<string, NodeCapacity> {
  return new Map(instanceTypesOf(plan).map((type) => [type, nodeCapacity(plan, cloud, type)]))
}

function nodeCapacity(plan: WorldPlan, cloud: CloudKind, instanceType: string): NodeCapacity {
  const { podsPerNode } = plan
  const capacity = cloud.capacityOf(instanceType, plan)
  if (capacity === undefined)
    throw new PlanError(`instance type ${instanceType} is not known to the ${cloud.simulator}`)
  if ((podsPerNode ?? 0) > maxPods(capacity))
    throw new PlanError(`${podsPerNode} pods per node: an instance of type ${instanceType} takes ${maxPods(capacity)}`)
  return capacity
}

/** What the hungriest node of a plan may come to use, the primary addresses included (count). */
export function addressesPerNode(plan: WorldPlan, capacities: ReadonlyMap<string, NodeCapacity>): number {
  const { nodeIPAM = [], peakPodsPerNode = 0 } = plan
  const reserved = Math.max(
    0,
    ...nodeIPAM.map((ipam) => Math.max(ipam['min-allocate'] ?? 0, ipam['pre-allocate'] ?? 0)),
  )
  return Math.max(
    ...[...capacities.values()].map((capacity) => {
      const busy = 2 * Math.max(podsPerNode(plan, capacity), peakPodsPerNode) + reserved + SPARE_ADDRESSES
      return Math.min(capacity.podAddresses, busy) + capacity.interfaces
    }),
  )
}

/** Pods that a node takes at most (count). */
export function maxPods(capacity: NodeCapacity): number {
  return Math.min(MAX_PODS, capacity.podAddresses)
}

/** Pods that a node starts with (count). */
export function podsPerNode(plan: WorldPlan, capacity: NodeCapacity): number {
  return plan.podsPerNode ?? Math.min(USUAL_PODS_PER_NODE, maxPods(capacity))
}
