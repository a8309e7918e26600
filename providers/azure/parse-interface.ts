import { formatIPv4CIDR, isIPAddress, parseAddress, parseIPv4CIDR } from '../../src/ipam/ip-range.ts'
import type { JSONObject } from '../../src/ipam/types.ts'
import { numberAt, objectAt, objectsAt, textAt } from './json.ts'
import { PREFIX_LENGTH } from './plan.ts'
import { instanceIDOf } from './resource-id.ts'
import type { IPConfiguration, NIC } from './types.ts'

/** An interface with the machine it belongs to. */
export interface ListedInterface {
  /** Empty when it hangs on no machine. */
  readonly instanceID: string
  readonly nic: NIC
}

/**
 * An interface's document as the inventory holds it. The subnet's CIDR comes from the subnet itself and stays empty here.
 *
 * @returns undefined for a document without ID
 * @source cilium pkg/azure/api, parseInterface
 */
export function parseInterface(document: JSONObject): ListedInterface | undefined {
  const id = textAt(document, 'id')
  if (id === '') return undefined
  const properties = objectAt(document, 'properties')
  const given = objectsAt(properties, 'ipConfigurations') ?? []
  const withAddress = given.filter((one) => configurationIP(one) !== '')
  const primary = withAddress.find((one) => isPrimaryConfiguration(one) && isIPAddress(configurationIP(one)))
  return {
    instanceID: instanceIDOf(textAt(objectAt(properties, 'virtualMachine'), 'id')),
    nic: {
      id,
      name: textAt(document, 'name'),
      mac: textAt(properties, 'macAddress').replaceAll('-', ':'),
      ip: primary === undefined ? '' : configurationIP(primary),
      isPrimary: properties?.['primary'] === true,
      subnet: { id: withAddress.map(subnetOf).find((subnet) => subnet !== '') ?? '', cidr: '' },
      securityGroup: textAt(objectAt(properties, 'networkSecurityGroup'), 'id'),
      configurations: withAddress
        .filter((one) => !isPrimaryConfiguration(one))
        .map(configurationOf)
        .filter((one) => isIPAddress(one.ip)),
      primaryState: primary === undefined ? '' : stateOf(primary),
      pendingCount: given.length - withAddress.length,
    },
  }
}

function configurationOf(configuration: JSONObject): IPConfiguration {
  const prefix = configurationBlock(configuration)
  return {
    name: textAt(configuration, 'name'),
    ip: configurationIP(configuration),
    prefix,
    state: stateOf(configuration),
  }
}

/** A missing flag counts as not primary. */
export function isPrimaryConfiguration(configuration: JSONObject): boolean {
  return objectAt(configuration, 'properties')?.['primary'] === true
}

/** The address of a configuration, of a block the first one; canonical where it parses, empty while there is none. */
export function configurationIP(configuration: JSONObject): string {
  const block = configurationBlock(configuration)
  const text = block === '' ? textAt(objectAt(configuration, 'properties'), 'privateIPAddress') : block
  const address = text.split('/', 1)[0] ?? ''
  return isIPAddress(address) ? (parseAddress(address)?.text ?? address) : address
}

/**
 * The block of a configuration in CIDR text, empty for a single address. It comes as such a text, or as its first address and its length.
 * Anything but a /28 of IPv4 is a single address to us.
 */
export function configurationBlock(configuration: JSONObject): string {
  const properties = objectAt(configuration, 'properties')
  const address = textAt(properties, 'privateIPAddress')
  const length = numberAt(properties, 'privateIPAddressPrefixLength')
  const block = parseIPv4CIDR(address.includes('/') || length === undefined ? address : `${address}/${length}`)
  return block?.prefixLength === PREFIX_LENGTH ? formatIPv4CIDR(block) : ''
}

function subnetOf(configuration: JSONObject): string {
  return textAt(objectAt(objectAt(configuration, 'properties'), 'subnet'), 'id')
}

/** A missing state counts as none: the address is not usable. */
function stateOf(configuration: JSONObject): string {
  return textAt(objectAt(configuration, 'properties'), 'provisioningState').toLowerCase()
}
