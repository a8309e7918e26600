import type { IPv4Request } from '../cloud/addressing.ts'
import { createInterface } from '../cloud/interfaces.ts'
import { specifiedTags } from '../cloud/tags.ts'
import { fault } from '../errors.ts'
import { operation } from '../operation.ts'
import { presentInterface } from '../present.ts'
import { atMostOne, ipv4Address, ipv4Prefix } from '../wire/address-parameters.ts'
import {
  choice,
  clientToken,
  flag,
  id,
  integer,
  list,
  required,
  structure,
  tagSpecificationField,
  text,
} from '../wire/parameters.ts'

/** Longest description (characters). @source Amazon EC2 API Reference, CreateNetworkInterface */
const MAX_DESCRIPTION_LENGTH = 255

/** The type of the later instance is not known: more addresses than it allows are accepted, and refused when it is attached. */
export const createNetworkInterface = operation({
  action: 'CreateNetworkInterface',
  changes: true,
  parameters: {
    SubnetId: required(id('subnet')),
    Description: text({ maxLength: MAX_DESCRIPTION_LENGTH }),
    SecurityGroupId: list(required(id('group'))),
    PrivateIpAddress: ipv4Address(),
    PrivateIpAddresses: list(required(structure({ PrivateIpAddress: required(ipv4Address()), Primary: flag() }))),
    SecondaryPrivateIpAddressCount: integer({ min: 0 }),
    Ipv4Prefix: list(required(structure({ Ipv4Prefix: required(ipv4Prefix()) }))),
    Ipv4PrefixCount: integer({ min: 0 }),
    Ipv6AddressCount: integer({ min: 0 }),
    Ipv6PrefixCount: integer({ min: 0 }),
    InterfaceType: choice('interface', 'efa', 'efa-only', 'trunk'),
    TagSpecification: tagSpecificationField,
    ClientToken: clientToken(),
  },
  execute(cloud, parameters) {
    const { ClientToken: token, ...rest } = parameters
    return cloud.idempotency.once('CreateNetworkInterface', token, JSON.stringify(rest), () => {
      atMostOne({
        secondaryPrivateIpAddressCount: rest.SecondaryPrivateIpAddressCount !== undefined,
        privateIpAddresses: rest.PrivateIpAddresses.length > 0,
        ipv4PrefixCount: rest.Ipv4PrefixCount !== undefined,
        ipv4Prefixes: rest.Ipv4Prefix.length > 0,
      })
      atMostOne({
        ipv6AddressCount: rest.Ipv6AddressCount !== undefined,
        ipv6PrefixCount: rest.Ipv6PrefixCount !== undefined,
      })
      const subnet = cloud.subnet(rest.SubnetId)
      const iface = createInterface(cloud, {
        subnet,
        interfaceType: rest.InterfaceType ?? 'interface',
        description: rest.Description ?? '',
        groups: [...new Set(rest.SecurityGroupId)].map((groupID) => cloud.group(groupID, subnet.vpc)),
        tags: specifiedTags(cloud, rest.TagSpecification, 'network-interface'),
        primary: primaryOf(rest),
        ipv4: secondariesOf(rest),
        ipv6: { addressCount: rest.Ipv6AddressCount ?? 0, prefixCount: rest.Ipv6PrefixCount ?? 0 },
      })
      return () => ({ networkInterface: presentInterface(cloud, iface, { isNew: true }), clientToken: token })
    })
  },
})

interface AddressParameters {
  readonly PrivateIpAddress: number | undefined
  readonly PrivateIpAddresses: readonly { readonly PrivateIpAddress: number; readonly Primary: boolean | undefined }[]
  readonly SecondaryPrivateIpAddressCount: number | undefined
  readonly Ipv4Prefix: readonly { readonly Ipv4Prefix: number }[]
  readonly Ipv4PrefixCount: number | undefined
}

function primaryOf({ PrivateIpAddress: single, PrivateIpAddresses: several }: AddressParameters): number | undefined {
  const primaries = several.filter((one) => one.Primary === true).map((one) => one.PrivateIpAddress)
  if (primaries.length + (single === undefined ? 0 : 1) > 1) {
    throw fault('InvalidParameterCombination', 'Only one primary private IP address can be specified')
  }
  return single ?? primaries[0]
}

function secondariesOf(parameters: AddressParameters): IPv4Request {
  return {
    addresses: parameters.PrivateIpAddresses.filter((one) => one.Primary !== true).map((one) => one.PrivateIpAddress),
    addressCount: parameters.SecondaryPrivateIpAddressCount ?? 0,
    prefixes: parameters.Ipv4Prefix.map((one) => one.Ipv4Prefix),
    prefixCount: parameters.Ipv4PrefixCount ?? 0,
  }
}
