import type { Logger } from '../ipam/contracts.ts'
import type { JSONObject } from '../ipam/types.ts'
import { isOlderVersion } from '../runtime/resource-version.ts'
import { ChangeSignal } from './change-signal.ts'
import type { CiliumNodeSubscriber } from './configuration.ts'
import type { LocalNode } from './local-node.ts'
import { decodeLocalNode, identityOf } from './local-node.ts'

export interface OwnNodeVersionsOptions {
  readonly nodeName: string
  readonly log: Logger
  /** Takes a version over that is not older than the last one. Returns at once. */
  readonly onVersion: (node: LocalNode, before: LocalNode | undefined) => void
}

/**
 * The versions of the own node, for allocators that go on with the last one when the resource is deleted: those whose addresses come as
 * pod CIDRs.
 *
 * @source cilium pkg/ipam/multipool.go, ciliumNodeUpdated; cilium 1.14 pkg/ipam/clusterpool.go, onUpdate
 */
export class OwnNodeVersions implements CiliumNodeSubscriber {
  readonly #options: OwnNodeVersionsOptions
  readonly #change = new ChangeSignal()
  #node: LocalNode | undefined

  constructor(options: OwnNodeVersionsOptions) {
    this.#options = options
  }

  /** The last version; undefined while none has been seen. */
  get node(): LocalNode | undefined {
    return this.#node
  }

  onAdd(json: JSONObject): void {
    this.#learn(json)
  }

  onUpdate(_old: JSONObject | undefined, json: JSONObject): void {
    this.#learn(json)
  }

  onDelete(json: JSONObject): void {
    const { nodeName, log } = this.#options
    if (identityOf(json).name !== nodeName) return
    log.warn({ node: nodeName }, 'The own CiliumNode was deleted: going on with its last version')
  }

  /** A version, from the watch or from the reply of a write. */
  update(node: LocalNode): void {
    const before = this.#node
    if (before !== undefined && isOlderVersion(node.resourceVersion, before.resourceVersion)) return
    this.#node = node
    this.#options.onVersion(node, before)
    this.#change.notify()
  }

  /**
   * Waits until nothing is missing: looks with every version.
   *
   * @param missing what is, in words. @param message of the line that is logged with it
   * @throws the signal's reason
   */
  async waitUntilComplete(missing: () => readonly string[], message: string, signal: AbortSignal): Promise<void> {
    for (let lacking = missing(); lacking.length > 0; lacking = missing()) {
      this.#options.log.info({ missing: lacking }, message)
      await this.#change.next(signal)
    }
  }

  #learn(json: JSONObject): void {
    const { name, resourceVersion } = identityOf(json)
    // The version of an own write comes twice: with its reply, and through the watch.
    if (name !== this.#options.nodeName || (resourceVersion !== '' && resourceVersion === this.#node?.resourceVersion))
      return
    this.update(decodeLocalNode(json))
  }
}
