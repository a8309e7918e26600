import { randomHex } from '../../kit/random.ts'
import type { Cloud } from '../cloud.ts'
import { fault, interfaceInUse } from '../errors.ts'
import { dissociate, releaseIPv4, releaseIPv6, takeIPv4, takeIPv6 } from './addressing.ts'
import type { IPv4Request, IPv6Request } from './addressing.ts'
import { Delayed } from './delayed.ts'
import { defaultGroup } from './networks.ts'
import type { InterfaceAddresses, InterfaceType, NetworkInterface, SecurityGroup, Subnet, Tags } from './types.ts'

export interface InterfaceInput {
  readonly subnet: Subnet
  readonly interfaceType: InterfaceType
  readonly description: string
  /** Empty for the VPC's default group. */
  readonly groups: readonly SecurityGroup[]
  readonly tags: Tags
  /** The primary address; undefined for one of the service's choice. */
  readonly primary: number | undefined
  /** Besides the primary. */
  readonly ipv4: IPv4Request
  readonly ipv6: IPv6Request
  readonly id?: string | undefined
  readonly macAddress?: string | undefined
}

/**
 * Makes a loose interface with its addresses, all or nothing.
 *
 * @throws EC2Error NetworkInterfaceLimitExceeded, SecurityGroupsPerInterfaceLimitExceeded, InvalidParameterValue, and those of
 *   `takeIPv4` and `takeIPv6`
 */
export function createInterface(cloud: Cloud, input: InterfaceInput): NetworkInterface {
  const { quotas } = cloud.settings
  if (cloud.interfaces.count >= quotas.interfaces) throw fault('NetworkInterfaceLimitExceeded')
  if (input.groups.length > quotas.securityGroupsPerInterface) throw fault('SecurityGroupsPerInterfaceLimitExceeded')
  return makeInterface(cloud, input)
}

/** As `createInterface`, whatever the quotas: for setting worlds up. */
export function makeInterface(cloud: Cloud, input: InterfaceInput): NetworkInterface {
  const { consistency, interfacePendingMs } = cloud.settings
  const nowMs = cloud.now()
  const iface: NetworkInterface = {
    resourceType: 'network-interface',
    id: input.id ?? cloud.newID('interface'),
    ordinal: cloud.nextOrdinal(),
    tags: input.tags,
    subnet: input.subnet,
    interfaceType: input.interfaceType,
    macAddress: input.macAddress ?? newMACAddress(cloud),
    groups: input.groups.length > 0 ? [...input.groups] : [defaultGroup(cloud, input.subnet.vpc)],
    description: input.description,
    sourceDestCheck: true,
    addresses: takeAll(cloud, input),
    seenAddresses: new Delayed(),
    attachment: undefined,
    elasticIPs: [],
    visibleAtMs: nowMs + consistency.createdInterfaceMs,
    availableAtMs: nowMs + interfacePendingMs,
    goneAtMs: undefined,
  }
  for (const address of iface.addresses.ipv4) iface.subnet.holders.set(address, iface)
  cloud.interfaces.add(iface)
  return iface
}

function takeAll(cloud: Cloud, { subnet, interfaceType, primary, ipv4, ipv6 }: InterfaceInput): InterfaceAddresses {
  const wantsIPv6 = ipv6.addressCount + ipv6.prefixCount > 0
  if (interfaceType === 'efa-only') {
    const wantsIPv4 = ipv4.addresses.length + ipv4.addressCount + ipv4.prefixes.length + ipv4.prefixCount > 0
    if (primary !== undefined || wantsIPv4 || wantsIPv6) {
      throw fault('InvalidParameterCombination', 'Interfaces of type efa-only do not support IP addresses')
    }
    return { ipv4: [], ipv4Prefixes: [], ipv6: [], ipv6Prefixes: [] }
  }
  // The primary, when not named, is one more of the service's choice; named secondaries must not end up in its place.
  const grant = takeIPv4(cloud, subnet, {
    ...ipv4,
    addresses: primary === undefined ? ipv4.addresses : [primary, ...ipv4.addresses],
    addressCount: ipv4.addressCount + (primary === undefined ? 1 : 0),
  })
  const namedCount = ipv4.addresses.length
  const chosen = primary === undefined ? grant.addresses[namedCount] : primary
  const rest = grant.addresses.filter((address) => address !== chosen)
  try {
    const { addresses, prefixes } = takeIPv6(cloud, subnet, ipv6)
    return {
      ipv4: chosen === undefined ? rest : [chosen, ...rest],
      ipv4Prefixes: grant.prefixes,
      ipv6: addresses,
      ipv6Prefixes: prefixes,
    }
  } catch (error) {
    releaseIPv4(cloud, subnet, grant)
    throw error
  }
}

/** Locally administered, as those of the service are. */
function newMACAddress(cloud: Cloud): string {
  const digits = randomHex(cloud.randomIDs, 10)
  return `0a:${digits.replace(/..(?=.)/g, '$&:')}`
}

/** @throws EC2Error InvalidParameterValue while it is attached */
export function deleteInterface(cloud: Cloud, iface: NetworkInterface): void {
  cloud.settle(iface)
  if (iface.attachment !== undefined) throw interfaceInUse(iface.id)
  discard(cloud, iface)
}

/** Removes an interface, attached or not, and gives back all it carries. */
export function discard(cloud: Cloud, iface: NetworkInterface): void {
  cloud.interfaces.detach(iface)
  const { ipv4, ipv4Prefixes, ipv6, ipv6Prefixes } = iface.addresses
  releaseIPv4(cloud, iface.subnet, { addresses: ipv4, prefixes: ipv4Prefixes })
  releaseIPv6(iface.subnet, { addresses: ipv6, prefixes: ipv6Prefixes })
  dissociate(iface, () => true)
  const nowMs = cloud.now()
  cloud.interfaces.delete(iface, nowMs + cloud.settings.consistency.deletedInterfaceMs, nowMs)
}

/** As `DescribeNetworkInterfaces` names it. */
export function interfaceStatus(iface: NetworkInterface, nowMs: number): 'pending' | 'available' | 'in-use' {
  const { attachment } = iface
  if (attachment !== undefined && (attachment.detachedAtMs === undefined || nowMs < attachment.detachedAtMs)) {
    return 'in-use'
  }
  return nowMs < iface.availableAtMs ? 'pending' : 'available'
}

/** Whether listings show it yet. */
export function isListed(iface: NetworkInterface, nowMs: number): boolean {
  return nowMs >= iface.visibleAtMs
}
