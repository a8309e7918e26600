import type { AdapterRegistry } from '../adapter.ts'
import { facadeSubject } from './agent-facade.ts'
import { crdAgentSubject, multiPoolAgentSubject } from './agent-node.ts'
import {
  cidrSetSubject,
  multiPoolOperatorSubject,
  OPERATOR_PURE_OPERATIONS,
  podCIDROperatorSubject,
} from './agent-operator.ts'
import { NODE_PURE_OPERATIONS } from './agent-pure.ts'
import { pendingSubject, podCIDRPoolSubject, rangeSubject } from './agent-ranges.ts'
import type { Operations } from './agent-steps.ts'
import { stepsAdapter, subjectOf } from './agent-steps.ts'

const PURE_OPERATIONS: Operations = { ...NODE_PURE_OPERATIONS, ...OPERATOR_PURE_OPERATIONS }

/** The areas of agent.json. */
export const agentAdapters: AdapterRegistry = {
  pure: stepsAdapter(() => subjectOf(PURE_OPERATIONS)),
  'ip-range': stepsAdapter(rangeSubject),
  'pod-cidr-pool': stepsAdapter(podCIDRPoolSubject),
  pending: stepsAdapter(pendingSubject),
  facade: stepsAdapter(facadeSubject),
  'crd-agent': stepsAdapter(crdAgentSubject),
  'multi-pool-agent': stepsAdapter(multiPoolAgentSubject),
  'cidr-set': stepsAdapter(cidrSetSubject),
  'pod-cidr-operator': stepsAdapter(podCIDROperatorSubject),
  'multi-pool-operator': stepsAdapter(multiPoolOperatorSubject),
}
