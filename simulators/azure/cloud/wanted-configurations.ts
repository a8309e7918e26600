import type { Cloud } from '../cloud.ts'
import { fault } from '../errors.ts'
import { keyOf } from './arm-id.ts'
import { PREFIX_BITS, PREFIX_SIZE, parseIPv4 } from '../../kit/ipv4.ts'
import { objectAt, objectsAt, textAt, without } from './json.ts'
import type { JSONObject } from './json.ts'
import type { Subnet } from './types.ts'

/** An IP configuration as a write asks for it, checked on its own. */
export interface WantedConfiguration {
  readonly name: string
  readonly subnet: Subnet
  readonly primary: boolean
  readonly method: 'Dynamic' | 'Static'
  /** Named by a static one. */
  readonly address: number | undefined
  /** 1, or 16 for a /28 (count). */
  readonly addressCount: number
  /** Without what is worked out. */
  readonly properties: JSONObject
  /** `publicIPAddress` of an interface, `publicIPAddressConfiguration` of a scale-set model. */
  readonly publicIP: JSONObject | undefined
}

/** Which of the two writes: some codes differ, and a scale-set model names neither addresses nor methods. */
export type ConfigurationOwner = 'interface' | 'scale-set-vm'

/** What the service fills in; taken from nobody. */
const MANAGED = [
  'provisioningState',
  'privateIPAddress',
  'privateIPAllocationMethod',
  'privateIPAddressPrefixLength',
  'privateIPAddressVersion',
  'primary',
  'subnet',
  'publicIPAddress',
  'publicIPAddressConfiguration',
  'privateLinkConnectionProperties',
]

/**
 * Reads the configurations of one interface: exactly one primary, names unique, one subnet, the same application security groups on
 * all, no more than the service takes.
 *
 * @param id of the interface, for messages
 * @throws ARMError
 */
export function readConfigurations(
  cloud: Cloud,
  id: string,
  given: readonly JSONObject[],
  owner: ConfigurationOwner,
): readonly WantedConfiguration[] {
  const { quotas } = cloud.settings
  if (given.length === 0)
    throw fault('InvalidParameter', `Network interface ${id} must have one or more IP configurations.`)
  if (given.length > quotas.configurationsPerNIC) {
    throw fault(
      'QuotaExceeded',
      `network interface ${id} cannot have more than ${quotas.configurationsPerNIC} IP configurations`,
    )
  }
  const wanted = given.map((one) => readConfiguration(cloud, id, one, owner, given.length === 1))
  const names = new Set(wanted.map(({ name }) => keyOf(name)))
  if (names.size < wanted.length)
    throw fault('InvalidParameter', `IP configurations of ${id} must have different names.`)
  const primaryCount = wanted.reduce((count, { primary }) => count + (primary ? 1 : 0), 0)
  if (primaryCount !== 1) {
    throw fault(
      'InvalidParameter',
      `Network interface ${id} must have exactly one primary IP configuration, not ${primaryCount}.`,
    )
  }
  if (wanted.some(({ subnet }) => subnet !== wanted[0]?.subnet)) {
    throw fault(
      owner === 'interface'
        ? 'IpConfigurationsOnSameNicCannotUseDifferentSubnets'
        : 'VMScaleSetIpConfigurationsOnSameNicCannotUseDifferentSubnets',
      id,
    )
  }
  checkSecurityGroups(id, given, quotas.securityGroupsPerConfiguration)
  return wanted
}

function checkSecurityGroups(id: string, given: readonly JSONObject[], limit: number): void {
  const groupsOf = (one: JSONObject): string => {
    const groups = objectsAt(objectAt(one, 'properties'), 'applicationSecurityGroups')
    if (groups.length > limit)
      throw fault('QuotaExceeded', `application security groups of a configuration of ${id}, ${limit}`)
    return groups
      .map((group) => keyOf(textAt(group, 'id') ?? ''))
      .sort()
      .join()
  }
  const [first = '', ...others] = given.map(groupsOf)
  if (others.some((groups) => groups !== first)) {
    throw fault('InvalidParameter', `All IP configurations of ${id} must have the same application security groups.`)
  }
}

function readConfiguration(
  cloud: Cloud,
  id: string,
  given: JSONObject,
  owner: ConfigurationOwner,
  isOnly: boolean,
): WantedConfiguration {
  const name = textAt(given, 'name')
  if (name === undefined || name === '') throw fault('InvalidParameter', `An IP configuration of ${id} has no name.`)
  const place = `${id}/ipConfigurations/${name}`
  const properties = objectAt(given, 'properties') ?? {}
  if ((textAt(properties, 'privateIPAddressVersion') ?? 'IPv4') !== 'IPv4')
    throw fault('NotImplemented', 'IPv6 addresses')
  const subnetID = textAt(objectAt(properties, 'subnet'), 'id')
  if (subnetID === undefined) throw fault('InvalidParameter', `IP configuration ${place} names no subnet.`)
  const subnet = cloud.subnets.get(keyOf(subnetID))
  if (subnet === undefined) throw fault('InvalidResourceReference', subnetID, id)
  const primary = isOnly ? properties['primary'] !== false : properties['primary'] === true
  const publicIP = objectAt(properties, owner === 'interface' ? 'publicIPAddress' : 'publicIPAddressConfiguration')
  const addressCount = addressCountOf(properties, place)
  if (addressCount > 1 && (primary || publicIP !== undefined)) {
    throw fault('InvalidParameter', `IP configuration ${place} with a prefix can be neither primary nor public.`)
  }
  const isStatic = owner === 'interface' && textAt(properties, 'privateIPAllocationMethod') === 'Static'
  return {
    name,
    subnet,
    primary,
    method: isStatic ? 'Static' : 'Dynamic',
    address: isStatic ? staticAddress(properties, subnet, addressCount, place) : undefined,
    addressCount,
    properties: without(properties, ...MANAGED),
    publicIP,
  }
}

function addressCountOf(properties: JSONObject, place: string): number {
  const bits = properties['privateIPAddressPrefixLength'] ?? undefined
  if (bits === undefined) return 1
  if (bits !== PREFIX_BITS)
    throw fault('InvalidParameter', `The prefix length of IP configuration ${place} must be ${PREFIX_BITS}.`)
  return PREFIX_SIZE
}

function staticAddress(properties: JSONObject, subnet: Subnet, addressCount: number, place: string): number {
  const text = textAt(properties, 'privateIPAddress') ?? ''
  const [bare = '', bits] = text.split('/')
  const address = parseIPv4(bare)
  if (
    address === undefined ||
    (bits !== undefined && bits !== `${PREFIX_BITS}`) ||
    (bits !== undefined) !== addressCount > 1
  ) {
    throw fault(
      'InvalidParameter',
      `IP configuration ${place} is static; ${text === '' ? 'no address' : text} is no address for it.`,
    )
  }
  const range = prefixText(subnet)
  if (!subnet.space.contains(address)) throw fault('PrivateIPAddressNotInSubnet', text, range)
  if (addressCount === 1 && subnet.space.isReserved(address))
    throw fault('PrivateIPAddressInReservedRange', text, range)
  if (addressCount > 1 && address % PREFIX_SIZE !== 0) {
    throw fault('InvalidParameter', `${text} of IP configuration ${place} is not the first address of its block.`)
  }
  return address
}

/** The subnet's IPv4 prefix as it was written. */
export function prefixText({ properties, space }: Subnet): string {
  const listed = properties['addressPrefixes']
  const first: unknown = Array.isArray(listed)
    ? listed.find((one) => typeof one === 'string' && !one.includes(':'))
    : ''
  return textAt(properties, 'addressPrefix') ?? (typeof first === 'string' ? first : `${space.block.bits}`)
}
