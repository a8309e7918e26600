import type { Informer, InformerOptions } from './informer.ts'
import { startInformer } from './informer.ts'
import { NODES_PATH } from './paths.ts'

/** Which Kubernetes nodes there are, for the garbage collection of CiliumNodes. Metadata alone is fetched, names alone are kept. */
export class NodeNames {
  readonly #names = new Set<string>()
  #informer: Informer | undefined

  start(
    options: Pick<InformerOptions<string, string, never>, 'client' | 'clock' | 'random' | 'log' | 'signal'>,
  ): Informer {
    this.#informer = startInformer<string, string>({
      ...options,
      path: NODES_PATH,
      metadataOnly: true,
      decode: (_json, { key: name }) => ({ kind: 'ok', object: name, digest: name }),
      handlers: {
        onUpsert: (name) => this.#names.add(name),
        onDelete: (name) => this.#names.delete(name),
        onListed: () => undefined,
      },
    })
    return this.#informer
  }

  /** Undefined while the nodes are not known yet: nothing may be concluded from it. */
  has(name: string): boolean | undefined {
    return this.#informer?.isListed === true ? this.#names.has(name) : undefined
  }
}
