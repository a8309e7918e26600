import type { JSONObject } from '../ipam/types.ts'
import type { KubernetesClient } from './client.ts'
import { KubernetesAPIError } from './errors.ts'
import type { Informer, InformerHandlers, InformerOptions } from './informer.ts'
import { startInformer } from './informer.ts'
import { CILIUM_NODES_PATH, ciliumNodePath } from './paths.ts'
import type { NodePoolEntry, PoolNode, PoolNodeDigest } from './pool-node.ts'
import { decodePoolNode } from './pool-node.ts'

/** What became of a write. `conflict`: the resource has changed since it was seen, and nothing was written. */
export type PoolNodeWrite =
  | { readonly kind: 'ok'; readonly node: PoolNode }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'notFound' }

/**
 * The writes of the modes that give nodes CIDRs: merge patches of one path each, for exactly the version that was seen. What does not
 * fit a `PoolNodeWrite` throws `KubernetesAPIError`; the write may then have had its effect.
 */
export class PoolNodeAPI {
  readonly #client: KubernetesClient

  constructor(client: KubernetesClient) {
    this.#client = client
  }

  /** @returns undefined when there is none. @throws KubernetesAPIError */
  async get(name: string, signal: AbortSignal): Promise<PoolNode | undefined> {
    try {
      return decoded(await this.#client.get(ciliumNodePath(name), { signal }))
    } catch (error) {
      if (error instanceof KubernetesAPIError && error.kind === 'notFound') return undefined
      throw error
    }
  }

  /** `spec.ipam.podCIDRs`. */
  updatePodCIDRs(seen: PoolNode, podCIDRs: readonly string[], signal: AbortSignal): Promise<PoolNodeWrite> {
    return this.#patch(seen, '', { spec: { ipam: { podCIDRs: [...podCIDRs] } } }, signal)
  }

  /** `spec.ipam.pools.allocated`; what the node requests stays as it is. */
  updateAllocated(seen: PoolNode, allocated: readonly NodePoolEntry[], signal: AbortSignal): Promise<PoolNodeWrite> {
    return this.#patch(seen, '', { spec: { ipam: { pools: { allocated: allocated.map(entryJSON) } } } }, signal)
  }

  /** `status.ipam.operator-status.error`. @param error empty: fine; the field goes */
  updateOperatorError(seen: PoolNode, error: string, signal: AbortSignal): Promise<PoolNodeWrite> {
    const value = error === '' ? null : error
    return this.#patch(seen, '/status', { status: { ipam: { 'operator-status': { error: value } } } }, signal)
  }

  async #patch(seen: PoolNode, subresource: string, patch: JSONObject, signal: AbortSignal): Promise<PoolNodeWrite> {
    const body = { metadata: { resourceVersion: seen.resourceVersion }, ...patch }
    try {
      const answer = await this.#client.mergePatch(ciliumNodePath(seen.name) + subresource, body, signal)
      return { kind: 'ok', node: decoded(answer) }
    } catch (error) {
      if (!(error instanceof KubernetesAPIError)) throw error
      if (error.kind === 'conflict') return { kind: 'conflict' }
      if (error.kind === 'notFound') return { kind: 'notFound' }
      throw error
    }
  }
}

/** Lists and watches all CiliumNodes. */
export function watchPoolNodes(
  options: Pick<InformerOptions<PoolNode, PoolNodeDigest, never>, 'client' | 'clock' | 'random' | 'log' | 'signal'> & {
    readonly handlers: InformerHandlers<PoolNode, PoolNodeDigest, never>
  },
): Informer {
  return startInformer<PoolNode, PoolNodeDigest>({
    ...options,
    path: CILIUM_NODES_PATH,
    decode: (json) => {
      const { name, uid, ...rest } = decoded(json)
      return { kind: 'ok', object: { name, uid, ...rest }, digest: { name, uid } }
    },
  })
}

/** Zero values are left out, as Go does. */
function entryJSON({ pool, cidrs, allowFirstIP, allowLastIP }: NodePoolEntry): JSONObject {
  return {
    pool,
    cidrs: [...cidrs],
    ...(allowFirstIP && { allowFirstIP }),
    ...(allowLastIP && { allowLastIP }),
  }
}

function decoded(json: JSONObject): PoolNode {
  const node = decodePoolNode(json)
  if (node !== undefined) return node
  throw new KubernetesAPIError('a CiliumNode has no name or no version', { kind: 'malformed' })
}
