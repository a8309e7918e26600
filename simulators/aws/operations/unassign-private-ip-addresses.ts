import { unassignIPv4 } from '../cloud/addressing.ts'
import { fault } from '../errors.ts'
import { operation } from '../operation.ts'
import { ipv4Address, ipv4Prefix } from '../wire/address-parameters.ts'
import { id, list, required } from '../wire/parameters.ts'

export const unassignPrivateIPAddresses = operation({
  action: 'UnassignPrivateIpAddresses',
  changes: true,
  parameters: {
    NetworkInterfaceId: required(id('interface')),
    PrivateIpAddress: list(required(ipv4Address())),
    Ipv4Prefix: list(required(ipv4Prefix())),
  },
  execute(cloud, parameters) {
    const { PrivateIpAddress: addresses, Ipv4Prefix: prefixes } = parameters
    if (addresses.length + prefixes.length === 0) throw fault('MissingParameter', 'privateIpAddress')
    unassignIPv4(cloud, cloud.interface(parameters.NetworkInterfaceId), { addresses, prefixes })
    return { return: true }
  },
})
