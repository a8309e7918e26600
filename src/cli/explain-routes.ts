import { explainBudget } from '../explain/explain-budget.ts'
import { explainNode } from '../explain/explain-node.ts'
import { explainPod } from '../explain/explain-pod.ts'
import type { PodView } from '../explain/explain-pod.ts'
import { explainSubnet } from '../explain/explain-subnet.ts'
import type { SubnetFacts } from '../explain/explain-subnet.ts'
import type { Explanation, SubjectKind } from '../explain/explanation.ts'
import { SUBJECT_KINDS } from '../explain/explanation.ts'
import type { ReasonCode } from '../explain/reasons.ts'
import type { Route, RouteAnswer } from '../telemetry/server.ts'
import { nodeFacts } from './explain-facts.ts'
import type { FactSources } from './explain-facts.ts'

const EXPLAIN_PATH = '/v1/explain/'
const DEFAULT_NAMESPACE = 'default'
/** Names of Kubernetes and cloud objects are shorter. */
const MAX_NAME_LENGTH = 600

/** What an explanation needs besides the facts of nodes. */
export interface ExplainSources extends FactSources {
  /** One request to the API server. @returns undefined when there is no such pod. */
  readonly findPod: (namespace: string, name: string, signal: AbortSignal) => Promise<PodView | undefined>
  readonly subnets: () => readonly SubnetFacts[]
}

/** The subject is not there: the answer is 404, with what is known instead. */
const UNKNOWN: ReadonlySet<ReasonCode> = new Set(['not-managed', 'pod-unknown', 'subnet-unknown', 'bucket-unknown'])

/** `GET /v1/explain/{node,pod,subnet,budget}/NAME`: the explanation as JSON. A pod's name is `NAMESPACE/NAME`. */
export function explainRoute(sources: ExplainSources): Route {
  return {
    path: `${EXPLAIN_PATH}*`,
    help: `why something waits: ${EXPLAIN_PATH}{${SUBJECT_KINDS.join(',')}}/NAME`,
    async answer({ path, signal }) {
      const subject = subjectOf(path)
      if ('fault' in subject) return json(400, { error: subject.fault })
      const explanation = await explain(subject.kind, subject.name, sources, signal)
      return json(statusOf(explanation), explanation)
    },
  }
}

/** @throws KubernetesAPIError when a pod cannot be read */
export async function explain(
  kind: SubjectKind,
  name: string,
  sources: ExplainSources,
  signal: AbortSignal,
): Promise<Explanation> {
  switch (kind) {
    case 'node':
      return explainNode(nodeFacts(name, sources), sources.clock.wallTime())
    case 'pod': {
      const mark = name.indexOf('/')
      const [namespace, podName] = mark < 0 ? [DEFAULT_NAMESPACE, name] : [name.slice(0, mark), name.slice(mark + 1)]
      const pod = await sources.findPod(namespace, podName, signal)
      const fullName = `${namespace}/${podName}`
      return explainPod(fullName, pod, (node) => nodeFacts(node, sources), sources.clock.wallTime())
    }
    case 'subnet': {
      const subnets = sources.subnets()
      const known = subnets.map(({ poolID }) => poolID)
      const subnet = subnets.find(({ poolID }) => poolID === name)
      return explainSubnet(name, subnet, known, sources.clock.wallTime())
    }
    case 'budget':
      return explainBudget(name, sources.budget()?.buckets() ?? [], sources.clock.wallTime())
    default:
      return kind satisfies never
  }
}

function subjectOf(path: string): { readonly kind: SubjectKind; readonly name: string } | { readonly fault: string } {
  const [kindText = '', ...rest] = path.slice(EXPLAIN_PATH.length).split('/')
  const kind = SUBJECT_KINDS.find((candidate) => candidate === kindText)
  if (kind === undefined) return { fault: `'${kindText}' cannot be explained; these can: ${SUBJECT_KINDS.join(', ')}` }
  try {
    const name = rest.map(decodeURIComponent).join('/')
    if (name === '') return { fault: `name a ${kind}: ${EXPLAIN_PATH}${kind}/NAME` }
    return name.length > MAX_NAME_LENGTH ? { fault: 'the name is too long' } : { kind, name }
  } catch {
    return { fault: 'the name is not encoded as a part of a URL should be' }
  }
}

function statusOf({ chain }: Explanation): number {
  const code = chain.at(-1)?.code
  if (code === 'controller-standby') return 503
  return code !== undefined && UNKNOWN.has(code) ? 404 : 200
}

function json(status: number, body: object): RouteAnswer {
  return {
    status,
    contentType: 'application/json; charset=utf-8',
    headers: { 'cache-control': 'no-store' },
    body: `${JSON.stringify(body)}\n`,
  }
}
