import { assignIPv4 } from '../cloud/addressing.ts'
import { PREFIX_BITS, formatIPv4 } from '../../kit/ipv4.ts'
import { fault } from '../errors.ts'
import { operation } from '../operation.ts'
import { atMostOne, ipv4Address, ipv4Prefix } from '../wire/address-parameters.ts'
import { flag, id, integer, list, required } from '../wire/parameters.ts'

/** Not idempotent: the same call twice assigns twice. */
export const assignPrivateIPAddresses = operation({
  action: 'AssignPrivateIpAddresses',
  changes: true,
  parameters: {
    NetworkInterfaceId: required(id('interface')),
    PrivateIpAddress: list(required(ipv4Address())),
    SecondaryPrivateIpAddressCount: integer({ min: 0 }),
    Ipv4Prefix: list(required(ipv4Prefix())),
    Ipv4PrefixCount: integer({ min: 0 }),
    AllowReassignment: flag(),
  },
  execute(cloud, parameters) {
    const { SecondaryPrivateIpAddressCount: addressCount = 0, Ipv4PrefixCount: prefixCount = 0 } = parameters
    atMostOne({
      privateIpAddresses: parameters.PrivateIpAddress.length > 0,
      secondaryPrivateIpAddressCount: addressCount > 0,
    })
    atMostOne({ ipv4Prefixes: parameters.Ipv4Prefix.length > 0, ipv4PrefixCount: prefixCount > 0 })
    const request = {
      addresses: parameters.PrivateIpAddress,
      addressCount,
      prefixes: parameters.Ipv4Prefix,
      prefixCount,
    }
    if (request.addresses.length + addressCount + request.prefixes.length + prefixCount === 0) {
      throw fault('MissingParameter', 'secondaryPrivateIpAddressCount')
    }
    const iface = cloud.interface(parameters.NetworkInterfaceId)
    const { addresses, prefixes } = assignIPv4(cloud, iface, request, {
      allowReassignment: parameters.AllowReassignment ?? false,
    })
    return {
      networkInterfaceId: iface.id,
      assignedPrivateIpAddressesSet: addresses.map((address) => ({ privateIpAddress: formatIPv4(address) })),
      assignedIpv4PrefixSet: prefixes.map((prefix) => ({ ipv4Prefix: `${formatIPv4(prefix)}/${PREFIX_BITS}` })),
      return: true,
    }
  },
})
