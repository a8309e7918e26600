import { orderByWatermark } from '../ipam/watermarks.ts'
import type { Node } from './node.ts'

/**
 * Nodes in the order of `orderByWatermark`: needs first, then nodes at rest, then those with an excess. Only nodes with a need or an
 * excess are sorted: in a large fleet nearly all have neither.
 *
 * @source cilium pkg/ipam/node_manager.go, GetNodesByIPWatermark
 */
export function byWatermark(nodes: Iterable<Node>, releaseEnabled: boolean): Node[] {
  const atRest: Node[] = []
  const others: { name: string; neededIPs: number; excessIPs: number; node: Node }[] = []
  for (const node of nodes) {
    const { neededIPs, excessIPs } = node.stats().ipv4
    if (node.getNeededAddresses() === 0) atRest.push(node)
    else others.push({ name: node.name, neededIPs, excessIPs, node })
  }
  const ordered = orderByWatermark(others, releaseEnabled).map(({ node }) => node)
  const firstExcess = ordered.findIndex((node) => node.getNeededAddresses() < 0)
  return firstExcess === -1
    ? [...ordered, ...atRest]
    : [...ordered.slice(0, firstExcess), ...atRest, ...ordered.slice(firstExcess)]
}
