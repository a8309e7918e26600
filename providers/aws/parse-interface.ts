import type { NetworkInterface, Tag } from '@aws-sdk/client-ec2'
import ipaddr from 'ipaddr.js'
import { addressesOfPrefix, isIPAddress, parseIPv4, parseIPv4CIDR, parseIPv6CIDR } from '../../src/ipam/ip-range.ts'
import type { Tags } from '../../src/ipam/types.ts'
import type { ENI } from './types.ts'

/** An interface of a listing, with the instance it hangs on. */
export interface ListedInterface {
  /** Empty when unattached. */
  readonly instanceID: string
  readonly eni: ENI
}

export type ParsedInterface =
  | { readonly kind: 'parsed'; readonly listed: ListedInterface }
  | { readonly kind: 'malformed'; readonly interfaceID: string; readonly fault: string }

/** Stops the parse of one interface; never leaves this file. */
class Malformed extends Error {}

/**
 * One interface as EC2 describes it. An interface without a primary IPv4 address (EFA-only, IPv6-only) or with a malformed
 * address is `malformed`; the caller goes on with the others. CIDRs of subnet and VPC stay empty: they are not in the answer.
 *
 * @source cilium pkg/aws/ec2/ec2.go, parseENI
 */
export function parseInterface(iface: NetworkInterface): ParsedInterface {
  try {
    return { kind: 'parsed', listed: { instanceID: iface.Attachment?.InstanceId ?? '', eni: parse(iface) } }
  } catch (error) {
    if (!(error instanceof Malformed)) throw error
    return { kind: 'malformed', interfaceID: iface.NetworkInterfaceId ?? '', fault: error.message }
  }
}

function parse(iface: NetworkInterface): ENI {
  const ip = iface.PrivateIpAddress ?? ''
  if (ip === '') throw new Malformed('ENI has no IP address')
  const prefixes = (iface.Ipv4Prefixes ?? []).map(({ Ipv4Prefix }) =>
    checked(Ipv4Prefix, (text) => parseIPv4CIDR(text) !== undefined, 'IPv4 prefix'),
  )
  const ipv6Prefixes = (iface.Ipv6Prefixes ?? []).map(({ Ipv6Prefix }) =>
    checked(Ipv6Prefix, (text) => parseIPv6CIDR(text) !== undefined, 'IPv6 prefix'),
  )
  return {
    id: iface.NetworkInterfaceId ?? '',
    ip: checked(ip, isIPv4, 'primary address'),
    ipv6: ownIPv6Address(iface, ipv6Prefixes),
    mac: iface.MacAddress ?? '',
    description: iface.Description ?? '',
    number: iface.Attachment?.DeviceIndex ?? 0,
    networkCardIndex: iface.Attachment?.NetworkCardIndex ?? 0,
    interfaceType: iface.InterfaceType ?? '',
    attachmentID: iface.Attachment?.AttachmentId ?? '',
    subnet: { id: iface.SubnetId ?? '', cidr: '' },
    vpc: { id: iface.VpcId ?? '', primaryCIDR: '', cidrs: [] },
    addresses: [
      ...(iface.PrivateIpAddresses ?? []).map(({ PrivateIpAddress }) => checked(PrivateIpAddress, isIPv4, 'address')),
      ...prefixes.flatMap((prefix) => addressesOfPrefix(prefix)),
    ],
    prefixes,
    ipv6Prefixes,
    securityGroups: (iface.Groups ?? []).flatMap(({ GroupId }) => GroupId ?? []),
    tags: tagsOf(iface.TagSet),
    publicIP: iface.Association?.PublicIp ?? '',
  }
}

/** EC2's list of tags as a map. */
export function tagsOf(tags: readonly Tag[] | undefined): Tags {
  return Object.fromEntries((tags ?? []).flatMap(({ Key, Value }) => (Key === undefined ? [] : [[Key, Value ?? '']])))
}

function isIPv4(text: string): boolean {
  return parseIPv4(text) !== undefined
}

function checked(text: string | undefined, isValid: (text: string) => boolean, what: string): string {
  if (text === undefined || !isValid(text)) throw new Malformed(`${what} '${text ?? ''}' is malformed`)
  return text
}

/**
 * The address flagged primary, else the lowest assigned one, else the last address of the lowest delegated prefix.
 *
 * @source cilium pkg/aws/ec2/ec2.go, parseENI (1.21 line)
 */
function ownIPv6Address(iface: NetworkInterface, prefixes: readonly string[]): string {
  const assigned = (iface.Ipv6Addresses ?? []).map(({ Ipv6Address, IsPrimaryIpv6 }) => ({
    text: checked(Ipv6Address, (text) => isIPAddress(text) && text.includes(':'), 'IPv6 address'),
    isPrimary: IsPrimaryIpv6 === true,
  }))
  const primary = assigned.find(({ isPrimary }) => isPrimary)
  if (primary !== undefined) return primary.text
  const lowest = assigned.toSorted((a, b) => compare(ipv6ToInteger(a.text), ipv6ToInteger(b.text)))[0]
  if (lowest !== undefined) return lowest.text
  const prefix = prefixes
    .flatMap((text) => parseIPv6CIDR(text) ?? [])
    .toSorted((a, b) => compare(a.network, b.network))[0]
  if (prefix === undefined) return ''
  return formatIPv6(prefix.network + (1n << BigInt(128 - prefix.prefixLength)) - 1n)
}

function compare(a: bigint, b: bigint): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function ipv6ToInteger(text: string): bigint {
  return parseIPv6CIDR(`${text}/128`)?.network ?? 0n
}

function formatIPv6(address: bigint): string {
  const bytes = Array.from({ length: 16 }, (_, index) => Number((address >> BigInt(8 * (15 - index))) & 0xffn))
  return new ipaddr.IPv6(bytes).toRFC5952String()
}
