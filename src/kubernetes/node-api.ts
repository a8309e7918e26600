import type { JSONObject, JSONValue } from '../ipam/types.ts'
import type { KubernetesClient } from './client.ts'
import { KubernetesAPIError } from './errors.ts'
import { isObject } from './json.ts'
import { nodePath } from './paths.ts'

/** How often a change is made anew on a version that somebody else has written meanwhile (count). */
const MAX_ATTEMPTS = 5

/** What a Kubernetes node should say. */
export interface NodeHint {
  /** Key and value of an annotation; undefined: left as it is. */
  readonly annotation: { readonly key: string; readonly value: string } | undefined
  /** Key of a taint that goes, whatever its value and effect; undefined: none. */
  readonly withoutTaint: string | undefined
}

/** Annotations and taints of Kubernetes nodes. Taints are a list and are written whole, so that each write names the version it was made of. */
export class NodeAPI {
  readonly #client: KubernetesClient

  constructor(client: KubernetesClient) {
    this.#client = client
  }

  /**
   * Brings a node to what it should say; nothing is written where it says so already.
   *
   * @returns false when there is no such node
   * @throws KubernetesAPIError; the signal's reason when aborted
   */
  async hint(name: string, hint: NodeHint, signal: AbortSignal): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try {
        const patch = patchOf(await this.#client.get(nodePath(name), { signal }), hint)
        if (patch !== undefined) await this.#client.mergePatch(nodePath(name), patch, signal)
        return true
      } catch (error) {
        if (!(error instanceof KubernetesAPIError)) throw error
        if (error.kind === 'notFound') return false
        if (error.kind !== 'conflict' || attempt >= MAX_ATTEMPTS) throw error
      }
    }
  }
}

function patchOf(node: JSONObject, { annotation, withoutTaint }: NodeHint): JSONObject | undefined {
  const metadata = isObject(node['metadata']) ? node['metadata'] : {}
  const spec = isObject(node['spec']) ? node['spec'] : {}
  const annotations = isObject(metadata['annotations']) ? metadata['annotations'] : {}
  const isAnnotated = annotation === undefined || annotations[annotation.key] === annotation.value
  const taints = Array.isArray(spec['taints']) ? (spec['taints'] as readonly JSONValue[]) : []
  const kept = taints.filter((taint) => !isObject(taint) || taint['key'] !== withoutTaint)
  if (isAnnotated && kept.length === taints.length) return undefined
  return {
    metadata: {
      resourceVersion: metadata['resourceVersion'] ?? '',
      ...(!isAnnotated && { annotations: { [annotation.key]: annotation.value } }),
    },
    ...(kept.length < taints.length && { spec: { taints: kept } }),
  }
}
