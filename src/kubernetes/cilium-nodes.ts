import type { CiliumNode } from '../ipam/cilium-node.ts'
import type { MalformedCiliumNode } from './cilium-node-api.ts'
import type { CiliumNodeDigest } from './cilium-node.ts'
import { decodeCiliumNode, digestOf } from './cilium-node.ts'
import type { Informer, InformerHandlers, InformerOptions } from './informer.ts'
import { startInformer } from './informer.ts'
import { CILIUM_NODES_PATH } from './paths.ts'

export type CiliumNodeHandlers = InformerHandlers<CiliumNode, CiliumNodeDigest, MalformedCiliumNode>

type Shared = 'client' | 'clock' | 'random' | 'log' | 'signal'

/** Lists and watches all CiliumNodes. A malformed one is reported; its last good version, if any, stays in force. */
export function watchCiliumNodes(
  options: Pick<InformerOptions<CiliumNode, CiliumNodeDigest, MalformedCiliumNode>, Shared | 'handlers'>,
): Informer {
  return startInformer<CiliumNode, CiliumNodeDigest, MalformedCiliumNode>({
    ...options,
    path: CILIUM_NODES_PATH,
    decode: (json) => {
      const decoded = decodeCiliumNode(json)
      return decoded.kind === 'ok'
        ? { kind: 'ok', object: decoded.node, digest: digestOf(decoded.node) }
        : { kind: 'malformed', report: decoded }
    },
  })
}
