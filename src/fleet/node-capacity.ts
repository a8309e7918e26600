import { podAddressCapacity, typeLimits } from './cloud-account.ts'
import type { NodeCapacity } from './simulated-node.ts'
import { PlanError } from './world-plan.ts'
import type { WorldPlan } from './world-plan.ts'

/** Pods that a node starts with, unless told otherwise or too many for it (count). */
const USUAL_PODS_PER_NODE = 10
/** `maxPods` of a kubelet, unless the instance carries fewer addresses. @source Kubernetes, KubeletConfiguration */
const MAX_PODS = 110

/** @throws PlanError when the instance type is unknown, or cannot carry as many pods as the plan wants */
export function nodeCapacity(plan: WorldPlan): NodeCapacity {
  const { instanceType, podsPerNode } = plan
  const limits = typeLimits(instanceType)
  if (limits === undefined) throw new PlanError(`instance type ${instanceType} is not known to the EC2 simulator`)
  const { interfaces, slotsPerInterface } = limits
  const capacity = { interfaces, slotsPerInterface, podAddresses: podAddressCapacity(limits, plan.prefixDelegation) }
  if ((podsPerNode ?? 0) > maxPods(capacity))
    throw new PlanError(`${podsPerNode} pods per node: an instance of type ${instanceType} takes ${maxPods(capacity)}`)
  return capacity
}

/** Pods that a node takes at most (count). */
export function maxPods(capacity: NodeCapacity): number {
  return Math.min(MAX_PODS, capacity.podAddresses)
}

/** Pods that a node starts with (count). */
export function podsPerNode(plan: WorldPlan, capacity: NodeCapacity): number {
  return plan.podsPerNode ?? Math.min(USUAL_PODS_PER_NODE, maxPods(capacity))
}
