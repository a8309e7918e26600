import { parseIPv4CIDR, type IPv4CIDR } from '../../src/ipam/ip-range.ts'
import type { IPAMProfile, JSONObject, Subnet } from '../../src/ipam/types.ts'
import { objectAt, objectsAt, textAt } from './json.ts'

/** Network, gateway, two for DNS, the last one. @source Azure documentation, Virtual Network FAQ */
const RESERVED_ADDRESSES = 5

/**
 * A subnet's document. Blocks count once in its list of configurations although they take 16 addresses, so that the free count can
 * be too high; Azure's refusals then lower it.
 *
 * @param profile up to 1.18 and 1.19 nothing was reserved, and in 1.14 an absent list meant no free address
 * @returns undefined without an IPv4 prefix that can be read
 * @source cilium pkg/azure/api, parseSubnet
 */
export function parseSubnet(document: JSONObject, profile: IPAMProfile): Subnet | undefined {
  const properties = objectAt(document, 'properties')
  const cidr = prefixOf(properties, profile)
  const range = parseIPv4CIDR(cidr)
  if (range === undefined) return undefined
  const id = textAt(document, 'id')
  const used = objectsAt(properties, 'ipConfigurations')?.length
  return {
    id,
    name: textAt(document, 'name'),
    cidr,
    availabilityZone: '',
    virtualNetworkID: virtualNetworkOf(id),
    availableAddresses: freeAddresses(range, used, profile),
    tags: {},
  }
}

/** Whether the free count is a guess: Azure leaves the list out for empty subnets and for very full ones. */
export function isUsageUnknown(document: JSONObject): boolean {
  return objectsAt(objectAt(document, 'properties'), 'ipConfigurations') === undefined
}

/** @param used configurations (count); undefined: not told */
function freeAddresses({ prefixLength }: IPv4CIDR, used: number | undefined, profile: IPAMProfile): number {
  const hostBits = 32 - prefixLength
  if (profile === '1.14' && used === undefined) return 0
  if (profile !== 'latest') return Math.max(2 ** hostBits - (used ?? 0), 0)
  return hostBits === 0 ? 0 : Math.max(2 ** hostBits - RESERVED_ADDRESSES - (used ?? 0), 0)
}

/** The first IPv4 prefix: where IPv6 comes first, the reference finds no free address. */
function prefixOf(properties: JSONObject | undefined, profile: IPAMProfile): string {
  const single = textAt(properties, 'addressPrefix')
  const listed = properties?.['addressPrefixes']
  if (single !== '' || profile !== 'latest' || !Array.isArray(listed)) return single
  return listed.find((one): one is string => typeof one === 'string' && !one.includes(':')) ?? ''
}

/** Everything before the subnet; empty when the ID has no such part. */
function virtualNetworkOf(subnetID: string): string {
  const at = subnetID.toLowerCase().indexOf('/subnets/')
  return at === -1 ? '' : subnetID.slice(0, at)
}

/** Free addresses by a usage entry of the virtual network (count); undefined when the numbers are missing. */
export function freeByUsage(usage: JSONObject): number | undefined {
  const { limit, currentValue } = usage
  return typeof limit === 'number' && typeof currentValue === 'number' ? Math.max(limit - currentValue, 0) : undefined
}

/** An upper bound for a subnet that was not read yet: all of it is free. Undefined when the CIDR does not parse. */
export function unreadSubnet(id: string, cidr: string): Subnet | undefined {
  return parseSubnet({ id, properties: { addressPrefix: cidr } }, 'latest')
}
