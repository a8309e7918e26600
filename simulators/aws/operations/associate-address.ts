import type { Cloud } from '../cloud.ts'
import { associateAddress as associate } from '../cloud/elastic-ips.ts'
import type { ElasticIP, NetworkInterface } from '../cloud/types.ts'
import { fault } from '../errors.ts'
import { operation } from '../operation.ts'
import { atMostOne, ipv4Address } from '../wire/address-parameters.ts'
import { flag, id, text } from '../wire/parameters.ts'

export const associateAddress = operation({
  action: 'AssociateAddress',
  changes: true,
  parameters: {
    AllocationId: id('allocation'),
    PublicIp: text(),
    NetworkInterfaceId: id('interface'),
    InstanceId: id('instance'),
    PrivateIpAddress: ipv4Address(),
    AllowReassociation: flag(),
  },
  execute(cloud, parameters) {
    const associationId = associate(cloud, {
      elasticIP: elasticIPOf(cloud, parameters.AllocationId, parameters.PublicIp),
      iface: interfaceOf(cloud, parameters.NetworkInterfaceId, parameters.InstanceId),
      address: parameters.PrivateIpAddress,
      // In a VPC, an association moves unless the call forbids it.
      allowReassociation: parameters.AllowReassociation ?? true,
    })
    return { return: true, associationId }
  },
})

function elasticIPOf(cloud: Cloud, allocationID: string | undefined, publicIP: string | undefined): ElasticIP {
  atMostOne({ allocationId: allocationID !== undefined, publicIp: publicIP !== undefined })
  if (allocationID !== undefined) {
    const found = cloud.elasticIPs.get(allocationID)
    if (found === undefined) throw fault('InvalidAllocationID.NotFound', allocationID)
    return found
  }
  if (publicIP === undefined) throw fault('MissingParameter', 'allocationId')
  for (const elasticIP of cloud.elasticIPs) if (elasticIP.publicIP === publicIP) return elasticIP
  throw fault('InvalidAddress.NotFound', publicIP)
}

function interfaceOf(cloud: Cloud, interfaceID: string | undefined, instanceID: string | undefined): NetworkInterface {
  atMostOne({ networkInterfaceId: interfaceID !== undefined, instanceId: instanceID !== undefined })
  if (interfaceID !== undefined) return cloud.interface(interfaceID)
  if (instanceID === undefined) throw fault('MissingParameter', 'networkInterfaceId')
  const { interfaces } = cloud.instance(instanceID)
  if (interfaces.length > 1) throw fault('InvalidInstanceID', instanceID)
  const primary = interfaces.find((iface) => iface.attachment?.deviceIndex === 0)
  if (primary === undefined) throw fault('IncorrectInstanceState', `Instance ${instanceID} has no network interface`)
  return primary
}
