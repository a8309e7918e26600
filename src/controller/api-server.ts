import type { CiliumNode, OwnedSpec, OwnedStatus } from '../ipam/cilium-node.ts'

/**
 * - `noop`: the resource says it already, nothing was sent
 * - `ok`: written; `node` is what the server answered
 * - `conflict`: the resource has changed since `seen`, nothing was written
 * - `notFound`: the resource is gone
 */
export type WriteResult =
  | { readonly kind: 'noop' }
  | { readonly kind: 'ok'; readonly node: CiliumNode }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'notFound' }

/**
 * The controller's access to CiliumNodes in the API server. Writes carry only our own paths and the resource version of `seen`,
 * so that the changes of others survive (docs/decisions/0007-writes.md). What does not fit a `WriteResult` throws
 * `KubernetesAPIError`.
 *
 * @source cilium pkg/ipam/node_manager.go, CiliumNodeGetterUpdater
 */
export interface CiliumNodeGetterUpdater {
  /** @returns undefined when there is no such resource */
  get(name: string, signal: AbortSignal): Promise<CiliumNode | undefined>
  /** Writes the status: only what differs between `seen` and `wanted`. An absent map and an empty one are equal. */
  updateStatus(seen: CiliumNode, wanted: OwnedStatus, signal: AbortSignal): Promise<WriteResult>
  /** Writes the spec likewise. */
  update(seen: CiliumNode, wanted: OwnedSpec, signal: AbortSignal): Promise<WriteResult>
  create(node: CiliumNode, signal: AbortSignal): Promise<WriteResult>
  /** Deletes exactly the version that was judged: the resource version is a precondition. */
  delete(name: string, uid: string, resourceVersion: string, signal: AbortSignal): Promise<WriteResult>
}
