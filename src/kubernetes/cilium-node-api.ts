import type { CiliumNode, OwnedSpec, OwnedStatus } from '../ipam/cilium-node.ts'
import type { JSONObject } from '../ipam/types.ts'
import { operatorErrorOnlyPatch, specPatch, statusPatch } from './cilium-node-patch.ts'
import type { DecodedCiliumNode } from './cilium-node.ts'
import { ciliumNodeOfDigest, decodeCiliumNode, encodeCiliumNode } from './cilium-node.ts'
import type { KubernetesClient } from './client.ts'
import { KubernetesAPIError } from './errors.ts'
import { CILIUM_NODES_PATH, ciliumNodePath } from './paths.ts'

/** What became of a write; the controller's own type of this name has the same form. */
export type WriteResult =
  | { readonly kind: 'noop' }
  | { readonly kind: 'ok'; readonly node: CiliumNode }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'notFound' }

export type MalformedCiliumNode = Extract<DecodedCiliumNode, { readonly kind: 'malformed' }>

/**
 * CiliumNodes in the API server. Writes are merge patches of our own paths with the resourceVersion of what was seen, so that they
 * apply to exactly that version and touch nothing of others. Every other failure throws `KubernetesAPIError`.
 *
 * @source cilium pkg/ipam/node_manager.go, CiliumNodeGetterUpdater
 */
export class CiliumNodeAPI {
  readonly #client: KubernetesClient

  constructor(client: KubernetesClient) {
    this.#client = client
  }

  /** @returns undefined when there is none. @throws KubernetesAPIError, also (malformed) for a resource that does not decode */
  async get(name: string, signal: AbortSignal): Promise<CiliumNode | undefined> {
    try {
      return decoded(await this.#client.get(ciliumNodePath(name), { signal }))
    } catch (error) {
      if (isKind(error, 'notFound')) return undefined
      throw error
    }
  }

  /** Writes the owned part of the status through its subresource. */
  updateStatus(seen: CiliumNode, wanted: OwnedStatus, signal: AbortSignal): Promise<WriteResult> {
    return this.#patch(`${ciliumNodePath(seen.name)}/status`, statusPatch(seen, wanted), signal)
  }

  /** Writes the owned part of the spec. */
  update(seen: CiliumNode, wanted: OwnedSpec, signal: AbortSignal): Promise<WriteResult> {
    return this.#patch(ciliumNodePath(seen.name), specPatch(seen, wanted), signal)
  }

  /** Creates the resource with what a `CiliumNode` holds of it. In cloud modes the node agent does this, never a controller. */
  create(node: CiliumNode, signal: AbortSignal): Promise<WriteResult> {
    return written(async () => {
      const answer = await this.#client.create(CILIUM_NODES_PATH, encodeCiliumNode(node), signal)
      return { kind: 'ok', node: decoded(answer) }
    })
  }

  /** Deletes exactly the version that was judged. */
  delete(name: string, uid: string, resourceVersion: string, signal: AbortSignal): Promise<WriteResult> {
    const deleteOptions = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: 'Background',
      preconditions: { uid, resourceVersion },
    }
    return written(async () => {
      await this.#client.delete(ciliumNodePath(name), deleteOptions, signal)
      return { kind: 'ok', node: ciliumNodeOfDigest({ name, uid, resourceVersion, instanceID: '' }) }
    })
  }

  /** Says on a resource what keeps it from being managed. Nothing else of it is touched. */
  reportMalformed(seen: MalformedCiliumNode, signal: AbortSignal): Promise<WriteResult> {
    const error = `this resource cannot be managed: ${seen.faults.join('; ')}`
    const patch = operatorErrorOnlyPatch(seen, error)
    return written(async () => {
      if (patch === undefined) return { kind: 'noop' }
      await this.#client.mergePatch(`${ciliumNodePath(seen.name)}/status`, patch, signal)
      return { kind: 'ok', node: ciliumNodeOfDigest({ ...seen, instanceID: '' }) }
    })
  }

  #patch(path: string, patch: JSONObject | undefined, signal: AbortSignal): Promise<WriteResult> {
    return written(async () => {
      if (patch === undefined) return { kind: 'noop' }
      return { kind: 'ok', node: decoded(await this.#client.mergePatch(path, patch, signal)) }
    })
  }
}

async function written(write: () => Promise<WriteResult>): Promise<WriteResult> {
  try {
    return await write()
  } catch (error) {
    if (isKind(error, 'conflict') || isKind(error, 'alreadyExists')) return { kind: 'conflict' }
    if (isKind(error, 'notFound')) return { kind: 'notFound' }
    throw error
  }
}

function decoded(json: JSONObject): CiliumNode {
  const result = decodeCiliumNode(json)
  if (result.kind === 'ok') return result.node
  throw new KubernetesAPIError(`CiliumNode ${result.name}: ${result.faults.join('; ')}`, { kind: 'malformed' })
}

function isKind(error: unknown, kind: KubernetesAPIError['kind']): boolean {
  return error instanceof KubernetesAPIError && error.kind === kind
}
