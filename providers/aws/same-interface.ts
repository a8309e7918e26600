import type { Tags } from '../../src/ipam/types.ts'
import type { ENI } from './types.ts'

/**
 * Whether two records of an interface say the same to its node. EC2 does not promise an order of addresses, prefixes and groups.
 * The attachment's ID is ours alone and not compared.
 */
export function isSameInterface(a: ENI, b: ENI): boolean {
  return (
    a.id === b.id &&
    a.ip === b.ip &&
    a.ipv6 === b.ipv6 &&
    a.mac === b.mac &&
    a.description === b.description &&
    a.number === b.number &&
    a.networkCardIndex === b.networkCardIndex &&
    a.interfaceType === b.interfaceType &&
    a.publicIP === b.publicIP &&
    a.subnet.id === b.subnet.id &&
    a.subnet.cidr === b.subnet.cidr &&
    a.vpc.id === b.vpc.id &&
    a.vpc.primaryCIDR === b.vpc.primaryCIDR &&
    hasSameItems(a.vpc.cidrs, b.vpc.cidrs) &&
    hasSameItems(a.addresses, b.addresses) &&
    hasSameItems(a.prefixes, b.prefixes) &&
    hasSameItems(a.ipv6Prefixes, b.ipv6Prefixes) &&
    hasSameItems(a.securityGroups, b.securityGroups) &&
    hasSameTags(a.tags, b.tags)
  )
}

function hasSameItems(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  if (a.every((item, index) => item === b[index])) return true
  const items = new Set(a)
  return b.every((item) => items.has(item))
}

function hasSameTags(a: Tags, b: Tags): boolean {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key])
}
