import { formatBlock } from '../cloud/ipv4.ts'
import type { VPC } from '../cloud/types.ts'
import type { FilterTable } from '../filters.ts'
import { listPage } from '../listing.ts'
import { operation } from '../operation.ts'
import { presentVPC } from '../present.ts'
import { filterField, id, integer, list, required, text } from '../wire/parameters.ts'

const FILTERS: FilterTable<VPC> = {
  'vpc-id': (vpc) => vpc.id,
  cidr: (vpc) => vpc.blocks.slice(0, 1).map(({ block }) => formatBlock(block)),
  'cidr-block-association.cidr-block': (vpc) => vpc.blocks.map(({ block }) => formatBlock(block)),
  'is-default': (vpc) => String(vpc.isDefault),
  state: () => 'available',
}

export const describeVpcs = operation({
  action: 'DescribeVpcs',
  changes: false,
  parameters: {
    VpcId: list(required(id('vpc'))),
    Filter: filterField,
    MaxResults: integer({ min: 0 }),
    NextToken: text(),
  },
  execute(cloud, parameters) {
    const { items, nextToken } = listPage(
      parameters,
      {
        action: 'DescribeVpcs',
        filters: FILTERS,
        pageSize: { min: 5, max: 1000 },
        ids: { parameter: 'vpcIds', values: parameters.VpcId, find: (vpcID) => cloud.vpc(vpcID) },
        candidates: () => cloud.vpcs.ordered,
        shortPages: cloud.settings.shortPages,
      },
      cloud.now(),
    )
    return { vpcSet: items.map((vpc) => presentVPC(cloud, vpc)), nextToken }
  },
})
