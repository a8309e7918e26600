import type { JSONObject } from '../ipam/types.ts'
import type { KubernetesClient } from './client.ts'
import { isObject } from './json.ts'
import { podsPath } from './paths.ts'

/** What is read of a pod that somebody asks about. Texts are empty where the pod does not say. */
export interface FoundPod {
  readonly nodeName: string
  readonly phase: string
  readonly hostNetwork: boolean
  readonly podIP: string
  /** Why the scheduler finds no node. */
  readonly schedulerMessage: string
}

/** Nothing else is a name, and nothing else may go into a selector. @source Kubernetes documentation, Object Names and IDs */
const OBJECT_NAME = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/

/**
 * Reads one pod. As a list of one, which the right to list pods covers: no further permission is needed.
 *
 * @returns undefined when there is none
 * @throws KubernetesAPIError; the signal's reason when aborted
 */
export async function findPod(
  client: KubernetesClient,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<FoundPod | undefined> {
  if (!OBJECT_NAME.test(name) || !OBJECT_NAME.test(namespace)) return undefined
  const query = { fieldSelector: `metadata.name=${name}`, limit: 1 }
  const { items } = await client.get(podsPath(namespace), { query, signal })
  const found = Array.isArray(items) ? (items as readonly unknown[]).find(isObject) : undefined
  return found === undefined ? undefined : podOf(found)
}

function podOf(json: JSONObject): FoundPod {
  const spec = isObject(json['spec']) ? json['spec'] : {}
  const status = isObject(json['status']) ? json['status'] : {}
  const conditions = Array.isArray(status['conditions']) ? (status['conditions'] as readonly unknown[]) : []
  const scheduled = conditions.filter(isObject).find(({ type }) => type === 'PodScheduled')
  return {
    nodeName: textOf(spec['nodeName']),
    phase: textOf(status['phase']),
    hostNetwork: spec['hostNetwork'] === true,
    podIP: textOf(status['podIP']),
    schedulerMessage: scheduled?.['status'] === 'False' ? textOf(scheduled['message']) : '',
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
