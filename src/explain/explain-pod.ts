import { chainOfNode } from './explain-node.ts'
import type { Explanation } from './explanation.ts'
import { explanationOf, lastOf } from './explanation.ts'
import { REASONS } from './reasons.ts'
import type { Reason } from './reasons.ts'
import type { NodeFacts } from './node-facts.ts'

/** What is read of a pod. */
export interface PodView {
  /** Empty while it is not scheduled. */
  readonly nodeName: string
  readonly phase: string
  readonly hostNetwork: boolean
  /** Empty while it has none. */
  readonly podIP: string
  /** What the scheduler says of a pod that it cannot place; empty when it says nothing. */
  readonly schedulerMessage: string
}

/** The phases of a pod that has ended. @source Kubernetes documentation, Pod Lifecycle */
const ENDED: ReadonlySet<string> = new Set(['Succeeded', 'Failed'])

/**
 * Why a pod waits for its address.
 *
 * @param name `namespace/name`
 * @param pod undefined when there is none
 * @param factsOf what is known of its node
 */
export function explainPod(
  name: string,
  pod: PodView | undefined,
  factsOf: (node: string) => NodeFacts,
  at: Date,
): Explanation {
  const own = podReason(name, pod)
  if (own !== undefined || pod === undefined)
    return explanationOf({
      kind: 'pod',
      name,
      reasons: [own ?? { code: 'pod-unknown', pod: name }],
      estimateMs: undefined,
      at,
    })
  const node = pod.nodeName
  const waits: Reason = { code: 'pod-waits', pod: name, node }
  const { reasons, estimateMs } = chainOfNode(factsOf(node))
  const cause = lastOf(reasons)
  // The node has what it needs as far as the controller knows: what is left is between its agent and the pod.
  const isAgents = REASONS[cause.code].effect === 'nothing'
  const unusedIPs = cause.code === 'settled' ? Math.max(cause.availableIPs - cause.usedIPs, 0) : 0
  const after: typeof reasons = isAgents ? [{ code: 'agent-hands-out', node, unusedIPs }] : reasons
  return explanationOf({ kind: 'pod', name, reasons: [waits, ...after], estimateMs, at })
}

/** What of the pod itself says why; undefined when it is its node's matter. */
function podReason(name: string, pod: PodView | undefined): Reason | undefined {
  if (pod === undefined) return { code: 'pod-unknown', pod: name }
  if (ENDED.has(pod.phase)) return { code: 'pod-finished', pod: name, phase: pod.phase }
  if (pod.hostNetwork) return { code: 'pod-on-host-network', pod: name }
  if (pod.podIP !== '') return { code: 'pod-has-address', pod: name, address: pod.podIP }
  if (pod.nodeName === '') return { code: 'pod-not-scheduled', pod: name, message: pod.schedulerMessage }
  return undefined
}
