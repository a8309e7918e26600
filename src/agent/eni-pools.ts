import { addressesOfPrefix, formatCIDR, parseAddress, parseCIDR } from '../ipam/ip-range.ts'
import type { JSONObject } from '../ipam/types.ts'
import type { LocalNode, NodePool } from './local-node.ts'
import type { NodeInterface } from './node-interfaces.ts'
import { POOL_DEFAULT } from './pool.ts'
import { objectIn } from './read-json.ts'

/** @source cilium pkg/aws/eni/types, ENI.IsExcludedBySpec */
export function isExcludedENI(eni: NodeInterface, spec: JSONObject): boolean {
  const first = spec['first-interface-index']
  if (typeof first === 'number' && Number(eni.number) < first) return true
  const tags = Object.entries(objectIn(spec, 'exclude-interface-tags'))
  return tags.length > 0 && tags.every(([key, value]) => eni.tags[key] === value)
}

export function usesPrimaryAddress(spec: JSONObject): boolean {
  return spec['use-primary-address'] === true
}

/**
 * The addresses of a node's ENIs as CIDRs of the one pool of cloud addresses: delegated prefixes as they are, other addresses as /32.
 * Clouds route a prefix as a whole, so that its first and last address are addresses like the others.
 *
 * @returns in the order of the interfaces' IDs
 * @source cilium pkg/ipam/multipool.go and pkg/aws/eni/types, from 1.20 on
 */
export function eniPool({ eni, eniSpec }: Pick<LocalNode, 'eni' | 'eniSpec'>): NodePool {
  const cidrs: string[] = []
  for (const iface of eni.values()) {
    if (isExcludedENI(iface, eniSpec)) continue
    const delegated = new Set<string>()
    for (const text of iface.prefixes) {
      const prefix = parseCIDR(text)
      if (prefix === undefined) continue
      cidrs.push(formatCIDR(prefix))
      for (const address of addressesOfPrefix(formatCIDR(prefix))) delegated.add(address)
    }
    const primary = usesPrimaryAddress(eniSpec) ? undefined : parseAddress(iface.primaryIP)?.text
    for (const address of iface.addresses)
      if (!delegated.has(address) && address !== primary) cidrs.push(`${address}/${address.includes(':') ? 128 : 32}`)
  }
  return { pool: POOL_DEFAULT, cidrs, allowFirstIP: true, allowLastIP: true }
}

/** The interface that carries an address; undefined when none lists it. */
export function eniOf(node: Pick<LocalNode, 'eni'>, ip: string): NodeInterface | undefined {
  for (const iface of node.eni.values()) {
    if (iface.addresses.has(ip)) return iface
    if (iface.prefixes.some((prefix) => addressesOfPrefix(prefix).includes(ip))) return iface
  }
  return undefined
}
