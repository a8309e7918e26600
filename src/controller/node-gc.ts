import type { Logger } from '../ipam/contracts.ts'
import type { DestructionGuard, DestructionProof } from '../ipam/destruction.ts'
import { guarded } from '../ipam/destruction.ts'
import type { Clock } from '../runtime/clock.ts'
import type { CiliumNodeGetterUpdater } from './api-server.ts'
import type { DestructiveLimiter } from './destructive-limiter.ts'
import { isPausedByAnnotation } from './pause.ts'

/** @source cilium operator/watchers/cilium_node_gc.go, skipGC (1.18 and later) */
export const DO_NOT_GC_ANNOTATION = 'cilium.io/do-not-gc'

/** What the decision reads of a CiliumNode. */
export interface CollectableNode {
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
  readonly ownerReferenceCount: number
  readonly annotations: Readonly<Record<string, string>>
}

export interface NodeGCInput {
  readonly node: Pick<CollectableNode, 'ownerReferenceCount' | 'annotations'>
  readonly kubernetesNodeExists: boolean
  /** When it was first found without a Kubernetes node; undefined: not yet. */
  readonly markedAtMs: number | undefined
  readonly nowMs: number
  /** `nodes-gc-interval` (ms). */
  readonly intervalMs: number
}

/**
 * Whether a CiliumNode goes: it has no Kubernetes node of its name, nobody owns it, nobody protects it, and that has been so for
 * more than one interval.
 *
 * @source cilium operator/watchers/cilium_node_gc.go, performCiliumNodeGC
 */
export function nodeGCAction(input: NodeGCInput): 'none' | 'mark' | 'delete' {
  const { node, markedAtMs } = input
  const isProtected = node.annotations[DO_NOT_GC_ANNOTATION]?.toLowerCase() === 'true' || isPausedByAnnotation(node)
  if (input.kubernetesNodeExists || node.ownerReferenceCount > 0 || isProtected) return 'none'
  if (markedAtMs === undefined) return 'mark'
  return input.nowMs - markedAtMs > input.intervalMs ? 'delete' : 'none'
}

export interface NodeGCOptions {
  /** Names of all CiliumNodes; the rest is read only of those without a Kubernetes node. */
  readonly names: () => readonly string[]
  readonly find: (name: string) => CollectableNode | undefined
  /** Undefined while the list of Kubernetes nodes is not complete: then nothing is collected. */
  readonly kubernetesNodeExists: (name: string) => boolean | undefined
  readonly apiServer: Pick<CiliumNodeGetterUpdater, 'delete'>
  readonly limiter: DestructiveLimiter
  /** Stands in front of every deletion; absent: nobody asks. */
  readonly guard?: DestructionGuard
  readonly clock: Clock
  readonly log: Logger
  /** 0 = off (ms). */
  readonly intervalMs: number
}

/** Collects CiliumNodes whose Kubernetes node is gone. */
export class NodeGC {
  readonly #options: NodeGCOptions
  /** Name and uid of a candidate → when it was first one. */
  readonly #marked = new Map<string, number>()

  constructor(options: NodeGCOptions) {
    this.#options = options
  }

  /** Runs until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, intervalMs } = this.#options
    if (intervalMs <= 0) return
    while (!signal.aborted) {
      await this.collect(signal)
      try {
        await clock.sleep(intervalMs, signal)
      } catch {
        return // only the signal ends a sleep early
      }
    }
  }

  /** One walk. A deletion that fails is left for the next one. */
  async collect(signal: AbortSignal): Promise<void> {
    const { clock, names, find, intervalMs, kubernetesNodeExists } = this.#options
    const candidates = new Set<string>()
    for (const name of names()) {
      const exists = kubernetesNodeExists(name)
      if (exists === undefined) return
      const node = exists ? undefined : find(name)
      if (node === undefined) continue
      const key = `${node.name}/${node.uid}`
      const nowMs = clock.now()
      const markedAtMs = this.#marked.get(key)
      const action = nodeGCAction({ node, kubernetesNodeExists: exists, markedAtMs, nowMs, intervalMs })
      if (action === 'none' && markedAtMs === undefined) continue
      candidates.add(key)
      if (action === 'mark') this.#marked.set(key, nowMs)
      if (action === 'delete') {
        const sinceMs = markedAtMs ?? nowMs
        const seen = { kubernetesNode: 'absent', uid: node.uid, resourceVersion: node.resourceVersion }
        const proof: DestructionProof = { basis: 'node-gone', readStartedAtMs: nowMs, sinceMs, seen }
        if (!(await this.#delete(node, proof, signal))) return
      }
    }
    for (const key of this.#marked.keys()) if (!candidates.has(key)) this.#marked.delete(key)
  }

  /** @returns false when the fleet's limit is reached */
  async #delete(node: CollectableNode, proof: DestructionProof, signal: AbortSignal): Promise<boolean> {
    const { apiServer, clock, guard, limiter, log } = this.#options
    if (!limiter.take(clock.now())) return false
    try {
      const call = { action: 'delete ciliumnodes', reason: 'node-gc', subject: { node: node.name }, proof }
      const result = await guarded(guard, call, () =>
        apiServer.delete(node.name, node.uid, node.resourceVersion, signal),
      )
      log.info({ node: node.name, result: result.kind }, 'Deleted a CiliumNode without a Kubernetes node')
    } catch (error) {
      log.warn({ node: node.name, error }, 'Unable to delete a CiliumNode without a Kubernetes node')
    }
    return true
  }
}
