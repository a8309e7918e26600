import { formatBlock } from '../cloud/ipv4.ts'
import type { Subnet } from '../cloud/types.ts'
import type { FilterTable } from '../filters.ts'
import { listPage } from '../listing.ts'
import { operation } from '../operation.ts'
import { presentSubnet } from '../present.ts'
import { filterField, id, integer, list, required, text } from '../wire/parameters.ts'

const FILTERS: FilterTable<Subnet> = {
  'subnet-id': (subnet) => subnet.id,
  'vpc-id': (subnet) => subnet.vpc.id,
  'availability-zone': (subnet) => subnet.availabilityZone,
  availabilityZone: (subnet) => subnet.availabilityZone,
  'available-ip-address-count': (subnet, nowMs) => String(subnet.seenFree.seen(subnet.space.free, nowMs)),
  'cidr-block': (subnet) => formatBlock(subnet.space.block),
  'default-for-az': (subnet) => String(subnet.isDefaultForZone),
  state: () => 'available',
}

export const describeSubnets = operation({
  action: 'DescribeSubnets',
  changes: false,
  parameters: {
    SubnetId: list(required(id('subnet'))),
    Filter: filterField,
    MaxResults: integer({ min: 0 }),
    NextToken: text(),
  },
  execute(cloud, parameters) {
    const { items, nextToken } = listPage(
      parameters,
      {
        action: 'DescribeSubnets',
        filters: FILTERS,
        pageSize: { min: 5, max: 1000 },
        ids: { parameter: 'subnetIds', values: parameters.SubnetId, find: (subnetID) => cloud.subnet(subnetID) },
        candidates: () => cloud.subnets.ordered,
        shortPages: cloud.settings.shortPages,
      },
      cloud.now(),
    )
    return { subnetSet: items.map((subnet) => presentSubnet(cloud, subnet)), nextToken }
  },
})
