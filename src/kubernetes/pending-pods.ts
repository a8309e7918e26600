import type { JSONObject } from '../ipam/types.ts'
import type { Decoded, Informer, InformerOptions } from './informer.ts'
import { startInformer } from './informer.ts'
import { isObject } from './json.ts'
import type { ObjectIdentity } from './known-objects.ts'
import { PODS_PATH } from './paths.ts'

/** A pod in phase Pending, as far as surge allocation cares. */
interface PendingPod {
  readonly key: string
  /** The node whose address it waits for; empty while unscheduled, and for a pod in the host's network. */
  readonly nodeName: string
}

/**
 * How many pods wait on each node for an address: phase Pending, bound to the node, not in the host's network.
 * The server filters by phase; a pod that leaves it is delivered as deleted.
 *
 * @source cilium operator/watchers/pod.go, index `pod-node`; pkg/ipam/node.go, getPendingPodCount
 */
export class PendingPods {
  readonly #nodeByPod = new Map<string, string>()
  readonly #countByNode = new Map<string, number>()
  #informer: Informer | undefined
  #onWaiting: ((nodeName: string) => void) | undefined

  /** @param onWaiting called when more pods wait on a node than before, and for each such node once all pods are known */
  start(
    options: Pick<InformerOptions<PendingPod, PendingPod, never>, 'client' | 'clock' | 'random' | 'log' | 'signal'>,
    onWaiting?: (nodeName: string) => void,
  ): Informer {
    this.#onWaiting = onWaiting
    this.#informer = startInformer<PendingPod, PendingPod>({
      ...options,
      path: PODS_PATH,
      fieldSelector: 'status.phase=Pending',
      decode: decodePendingPod,
      handlers: {
        onUpsert: (pod) => this.#move(pod.key, pod.nodeName),
        onDelete: (pod) => this.#move(pod.key, ''),
        onListed: () => this.#listed(),
      },
    })
    return this.#informer
  }

  /** Pods waiting on the node (count); undefined while the pods are not known yet. */
  count(nodeName: string): number | undefined {
    if (this.#informer?.isListed !== true) return undefined
    return this.#countByNode.get(nodeName) ?? 0
  }

  /** Nodes on which at least one pod waits. */
  nodeNames(): Iterable<string> {
    return this.#countByNode.keys()
  }

  #move(pod: string, nodeName: string): void {
    const before = this.#nodeByPod.get(pod) ?? ''
    if (before === nodeName) return
    if (before !== '') this.#add(before, -1)
    if (nodeName === '') {
      this.#nodeByPod.delete(pod)
      return
    }
    this.#nodeByPod.set(pod, nodeName)
    this.#add(nodeName, 1)
    if (this.#informer?.isListed === true) this.#onWaiting?.(nodeName)
  }

  #listed(): void {
    for (const nodeName of this.#countByNode.keys()) this.#onWaiting?.(nodeName)
  }

  #add(nodeName: string, change: 1 | -1): void {
    const count = (this.#countByNode.get(nodeName) ?? 0) + change
    if (count === 0) this.#countByNode.delete(nodeName)
    else this.#countByNode.set(nodeName, count)
  }
}

function decodePendingPod(json: JSONObject, { key }: ObjectIdentity): Decoded<PendingPod, PendingPod, never> {
  const spec = isObject(json['spec']) ? json['spec'] : {}
  const status = isObject(json['status']) ? json['status'] : {}
  // Selected by the server, and checked again: a server that ignores the selector must not inflate the need.
  const isWaiting = status['phase'] === 'Pending' && spec['hostNetwork'] !== true
  const pod = { key, nodeName: isWaiting && typeof spec['nodeName'] === 'string' ? spec['nodeName'] : '' }
  return { kind: 'ok', object: pod, digest: pod }
}
