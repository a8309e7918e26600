import {
  cidrSize,
  formatIPv4,
  isIPAddress,
  parseAddress,
  parseIPv4CIDR,
  type Address,
} from '../../src/ipam/ip-range.ts'
import type { JSONObject, JSONValue } from '../../src/ipam/types.ts'
import { isObject, objectAt, objectsAt, textAt } from './json.ts'
import { addressesOf, podConfigurations } from './plan.ts'
import type { AzureSpec, IPConfiguration, NIC } from './types.ts'

/** `spec.azure` of a resource. @source cilium pkg/azure/types/types.go, AzureSpec */
export function decodeAzureSpec(azure: JSONObject | undefined): AzureSpec {
  return { interfaceName: textAt(azure, 'interface-name') }
}

/**
 * Interfaces of `status.azure.interfaces`, so that a node can be served before the cloud was read. Names of configurations are not
 * told there, and a primary address only since 1.20. Entries without an ID are left out.
 *
 * @returns interface ID → interface
 */
export function decodeAzureStatus(azure: JSONObject | undefined): ReadonlyMap<string, NIC> {
  const interfaces = new Map<string, NIC>()
  for (const entry of objectsAt(azure, 'interfaces') ?? []) {
    const id = textAt(entry, 'id')
    if (id === '') continue
    const ip = canonical(textAt(entry, 'ip'))
    const listed = (objectsAt(entry, 'addresses') ?? [])
      .map((address) => ({ ...address, ip: canonical(textAt(address, 'ip')) }))
      .filter((address) => isIPAddress(address.ip))
    const primary = listed.find((address) => ip !== '' && address.ip === ip)
    const subnet = objectAt(entry, 'subnet')
    interfaces.set(id, {
      id,
      name: textAt(entry, 'name'),
      mac: textAt(entry, 'mac'),
      ip,
      isPrimary: false,
      subnet: {
        id: textAt(subnet, 'id') || (listed.map((address) => textAt(address, 'subnet')).find(Boolean) ?? ''),
        cidr: textAt(subnet, 'cidr') || textAt(entry, 'cidr'),
      },
      securityGroup: textAt(entry, 'security-group'),
      configurations: listed
        .filter((address) => address !== primary)
        .map((address) => ({ name: '', ip: address.ip, prefix: '', state: textAt(address, 'state') })),
      primaryState: primary === undefined ? '' : textAt(primary, 'state'),
      pendingCount: 0,
    })
  }
  return interfaces
}

export interface StatusView {
  readonly usePrimaryAddress: boolean
  /**
   * Also the fields that agents up to 1.20 read: the subnet of each address, and CIDR and gateway of the interface under their old
   * names. Agents of the multi-pool generation do not have them in their resource.
   */
  readonly withMirrors: boolean
}

/**
 * `status.azure.interfaces`, by ID, and the addresses of each by their value; empty values are left out, as Go's `omitempty` does.
 *
 * @source cilium pkg/azure/types/types.go, AzureInterface; pkg/azure/ipam/node.go, PopulateStatusFields
 */
export function encodeAzureStatus(interfaces: readonly NIC[], view: StatusView): JSONObject {
  const sorted = interfaces.toSorted((a, b) => (a.id < b.id ? -1 : Number(a.id > b.id)))
  return { interfaces: sorted.map((nic) => encodeInterface(nic, view)) }
}

export function encodeInterface(nic: NIC, { usePrimaryAddress, withMirrors }: StatusView): JSONObject {
  const addresses = podConfigurations(nic, usePrimaryAddress)
    .flatMap((one) => addressEntries(one, withMirrors ? nic.subnet.id : ''))
    .sort((a, b) => compareAddresses(a.address, b.address))
    .map(({ entry }) => entry)
  const gateway = gatewayOf(nic.subnet.cidr)
  return {
    ...compact({
      id: nic.id,
      name: nic.name,
      mac: nic.mac,
      ip: nic.ip,
      subnet: compact({ id: nic.subnet.id, cidr: nic.subnet.cidr }),
      addresses,
      'security-group': nic.securityGroup,
    }),
    gateway,
    ...(withMirrors && { GatewayIP: gateway, ...compact({ cidr: nic.subnet.cidr }) }),
  }
}

/** An entry with its address as a number, so that sorting parses each one once. */
interface AddressEntry {
  readonly entry: JSONObject
  readonly address: Address | undefined
}

function addressEntries(configuration: IPConfiguration, subnetID: string): readonly AddressEntry[] {
  return addressesOf(configuration).map((ip) => ({
    entry: compact({ ip, state: configuration.state, subnet: subnetID }),
    address: parseAddress(ip),
  }))
}

/** The first address behind the network's; empty while the CIDR is not known. */
function gatewayOf(cidr: string): string {
  const range = parseIPv4CIDR(cidr)
  return range === undefined || cidrSize(range) < 2 ? '' : formatIPv4(range.network + 1)
}

/** By value, IPv4 first; what is no address comes last. */
function compareAddresses(a: Address | undefined, b: Address | undefined): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined)
  if (a.family !== b.family) return a.family === 'ipv4' ? -1 : 1
  return a.value < b.value ? -1 : Number(a.value > b.value)
}

function canonical(text: string): string {
  return isIPAddress(text) ? (parseAddress(text)?.text ?? text) : text
}

function compact(fields: JSONObject): JSONObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isEmpty(value)))
}

function isEmpty(value: JSONValue | undefined): boolean {
  if (value === undefined || value === null || value === '') return true
  return (isObject(value) || Array.isArray(value)) && Object.keys(value).length === 0
}
