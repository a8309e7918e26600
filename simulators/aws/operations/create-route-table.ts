import { createRouteTable as create } from '../cloud/networks.ts'
import { specifiedTags } from '../cloud/tags.ts'
import { operation } from '../operation.ts'
import { presentRouteTable } from '../present.ts'
import { clientToken, id, required, tagSpecificationField } from '../wire/parameters.ts'

export const createRouteTable = operation({
  action: 'CreateRouteTable',
  changes: true,
  parameters: {
    VpcId: required(id('vpc')),
    TagSpecification: tagSpecificationField,
    ClientToken: clientToken(),
  },
  execute(cloud, parameters) {
    const { ClientToken: token, ...rest } = parameters
    return cloud.idempotency.once('CreateRouteTable', token, JSON.stringify(rest), () => {
      const tags = specifiedTags(cloud, rest.TagSpecification, 'route-table')
      const table = create(cloud, { vpc: cloud.vpc(rest.VpcId), tags })
      return () => ({ routeTable: presentRouteTable(cloud, table), clientToken: token })
    })
  },
})
