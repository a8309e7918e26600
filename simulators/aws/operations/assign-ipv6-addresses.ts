import { assignIPv6 } from '../cloud/addressing.ts'
import { fault } from '../errors.ts'
import { operation } from '../operation.ts'
import { atMostOne } from '../wire/address-parameters.ts'
import { id, integer, required } from '../wire/parameters.ts'

export const assignIPv6Addresses = operation({
  action: 'AssignIpv6Addresses',
  changes: true,
  parameters: {
    NetworkInterfaceId: required(id('interface')),
    Ipv6AddressCount: integer({ min: 0 }),
    Ipv6PrefixCount: integer({ min: 0 }),
  },
  execute(cloud, parameters) {
    const { Ipv6AddressCount: addressCount = 0, Ipv6PrefixCount: prefixCount = 0 } = parameters
    atMostOne({ ipv6AddressCount: addressCount > 0, ipv6PrefixCount: prefixCount > 0 })
    if (addressCount + prefixCount === 0) throw fault('MissingParameter', 'ipv6AddressCount')
    const iface = cloud.interface(parameters.NetworkInterfaceId)
    const { addresses, prefixes } = assignIPv6(cloud, iface, { addressCount, prefixCount })
    return { networkInterfaceId: iface.id, assignedIpv6Addresses: addresses, assignedIpv6PrefixSet: prefixes }
  },
})
