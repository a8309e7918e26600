import { deleteInterface } from '../cloud/interfaces.ts'
import { operation } from '../operation.ts'
import { id, required } from '../wire/parameters.ts'

export const deleteNetworkInterface = operation({
  action: 'DeleteNetworkInterface',
  changes: true,
  parameters: { NetworkInterfaceId: required(id('interface')) },
  execute(cloud, parameters) {
    deleteInterface(cloud, cloud.interface(parameters.NetworkInterfaceId))
    return { return: true }
  },
})
