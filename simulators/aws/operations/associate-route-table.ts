import { associateRouteTable as associate } from '../cloud/networks.ts'
import { operation } from '../operation.ts'
import { id, required } from '../wire/parameters.ts'

export const associateRouteTable = operation({
  action: 'AssociateRouteTable',
  changes: true,
  parameters: { RouteTableId: required(id('routeTable')), SubnetId: required(id('subnet')) },
  execute(cloud, parameters) {
    const table = cloud.routeTable(parameters.RouteTableId)
    const associationId = associate(cloud, table, cloud.subnet(parameters.SubnetId))
    return { associationId, associationState: { state: 'associated' } }
  },
})
