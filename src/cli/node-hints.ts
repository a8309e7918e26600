import type { NodeHintsConfig } from '../config/config.ts'
import type { Node } from '../controller/node.ts'
import type { Logger } from '../ipam/contracts.ts'
import { KubernetesAPIError } from '../kubernetes/errors.ts'
import type { NodeAPI } from '../kubernetes/node-api.ts'
import type { Clock } from '../runtime/clock.ts'

/** Nodes written at once (count). */
const CONCURRENCY = 4
/** A node that is not ready for it, or could not be written, is looked at again after this (ms). */
const AGAIN_MS = 1_000
const AGAIN_AFTER_FAILURE_MS = 30_000

export interface NodeHintsOptions {
  readonly config: NodeHintsConfig
  readonly api: Pick<NodeAPI, 'hint'>
  /** The node as it is now; undefined when it is gone. */
  readonly find: (name: string) => Node | undefined
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
}

/** What a Kubernetes node was last brought to say. */
interface Said {
  readonly capacity: number
  readonly isUntainted: boolean
}

const NOTHING_SAID: Said = { capacity: 0, isUntainted: false }

/**
 * Tells schedulers and autoscalers on the Kubernetes nodes what they cannot know: how many pods can have an address, and, by taking a
 * taint away, that the first addresses are there. Both are off unless they are given a name.
 */
export class NodeHints {
  readonly #options: NodeHintsOptions
  readonly #said = new Map<string, Said>()
  /** In the order of arrival; a node waits once. */
  readonly #waiting = new Set<string>()
  #workers = 0
  #isForbidden = false

  constructor(options: NodeHintsOptions) {
    this.#options = options
  }

  /** A node's numbers may have changed. */
  changed(node: Node): void {
    const { capacityAnnotation, startupTaint } = this.#options.config
    const said = this.#said.get(node.name) ?? NOTHING_SAID
    const isCapacityNews = capacityAnnotation !== '' && podCapacity(node) !== said.capacity
    const isReadinessNews = startupTaint !== '' && !said.isUntainted && hasAddresses(node)
    if (isCapacityNews || isReadinessNews) this.#enqueue(node.name)
  }

  gone(name: string): void {
    this.#said.delete(name)
    this.#waiting.delete(name)
  }

  #enqueue(name: string): void {
    if (this.#isForbidden || this.#options.signal.aborted) return
    this.#waiting.add(name)
    if (this.#workers < CONCURRENCY) void this.#work()
  }

  async #work(): Promise<void> {
    this.#workers += 1
    for (;;) {
      const [name] = this.#waiting
      if (name === undefined || this.#options.signal.aborted) break
      this.#waiting.delete(name)
      await this.#tell(name)
    }
    this.#workers -= 1
  }

  async #tell(name: string): Promise<void> {
    const { config, api, find, log, signal } = this.#options
    const node = find(name)
    if (node === undefined) return
    const capacity = podCapacity(node)
    const hasAny = config.startupTaint !== '' && hasAddresses(node)
    // The agent reads the addresses in the resource: before they are written no pod can have one.
    const isReady = hasAny && !node.work.write.isPending
    if (hasAny && !isReady) this.#later(name, AGAIN_MS)
    const isAnnotated = config.capacityAnnotation !== '' && capacity > 0
    const annotation = isAnnotated ? { key: config.capacityAnnotation, value: String(capacity) } : undefined
    const withoutTaint = isReady ? config.startupTaint : undefined
    if (annotation === undefined && withoutTaint === undefined) return
    try {
      await api.hint(name, { annotation, withoutTaint }, signal)
      const before = this.#said.get(name) ?? NOTHING_SAID
      this.#said.set(name, { capacity, isUntainted: before.isUntainted || isReady })
      const now = find(name)
      if (now !== undefined) this.changed(now)
    } catch (error) {
      if (signal.aborted) return
      this.#isForbidden = error instanceof KubernetesAPIError && error.status === 403
      const what = 'Unable to write what a Kubernetes node should say'
      log.warn({ node: name, error }, this.#isForbidden ? 'Kubernetes nodes may not be written: no permission' : what)
      if (!this.#isForbidden) this.#later(name, AGAIN_AFTER_FAILURE_MS)
    }
  }

  #later(name: string, ms: number): void {
    this.#options.clock.sleep(ms, this.#options.signal).then(
      () => this.#enqueue(name),
      () => undefined,
    )
  }
}

/** Pods that can have an address on the node (count); 0 while that is not known. */
export function podCapacity({ state }: Pick<Node, 'state'>): number {
  const { capacity } = state.statistics.ipv4
  const maxAllocate = state.resource?.demand.spec.ipam.maxAllocate ?? 0
  return maxAllocate > 0 ? Math.min(capacity, maxAllocate) : capacity
}

function hasAddresses({ state }: Node): boolean {
  return state.view.kind === 'known' && state.statistics.ipv4.availableIPs > 0
}
