import { attachInterface } from '../cloud/attachments.ts'
import { operation } from '../operation.ts'
import { id, integer, required } from '../wire/parameters.ts'

export const attachNetworkInterface = operation({
  action: 'AttachNetworkInterface',
  changes: true,
  parameters: {
    NetworkInterfaceId: required(id('interface')),
    InstanceId: required(id('instance')),
    DeviceIndex: required(integer({ min: 0 })),
    NetworkCardIndex: integer({ min: 0 }),
  },
  execute(cloud, parameters) {
    const attachment = attachInterface(cloud, {
      iface: cloud.interface(parameters.NetworkInterfaceId),
      instance: cloud.instance(parameters.InstanceId),
      deviceIndex: parameters.DeviceIndex,
      networkCardIndex: parameters.NetworkCardIndex,
    })
    return { attachmentId: attachment.id, networkCardIndex: attachment.networkCardIndex }
  },
})
