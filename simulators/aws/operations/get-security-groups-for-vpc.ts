import type { SecurityGroup } from '../cloud/types.ts'
import type { FilterTable } from '../filters.ts'
import { listPage, sourceOf } from '../listing.ts'
import { operation } from '../operation.ts'
import { presentTags } from '../present.ts'
import { filterField, id, integer, required, text } from '../wire/parameters.ts'

const FILTERS: FilterTable<SecurityGroup> = {
  description: (group) => group.description,
  'group-id': (group) => group.id,
  'group-name': (group) => group.name,
  'primary-vpc-id': (group) => group.vpc.id,
}

/** Groups that interfaces in this VPC can use. Groups shared with other VPCs are not simulated. */
export const getSecurityGroupsForVpc = operation({
  action: 'GetSecurityGroupsForVpc',
  changes: false,
  parameters: {
    VpcId: required(id('vpc')),
    Filter: filterField,
    MaxResults: integer({ min: 0 }),
    NextToken: text(),
  },
  execute(cloud, parameters) {
    const vpc = cloud.vpc(parameters.VpcId)
    const { items, nextToken } = listPage(
      parameters,
      {
        action: 'GetSecurityGroupsForVpc',
        filters: FILTERS,
        pageSize: { min: 5, max: 1000 },
        candidates: () => sourceOf([...cloud.groups].filter((group) => group.vpc === vpc)),
        shortPages: cloud.settings.shortPages,
      },
      cloud.now(),
    )
    return {
      securityGroupForVpcSet: items.map((group) => ({
        groupId: group.id,
        groupName: group.name,
        description: group.description,
        ownerId: cloud.settings.accountID,
        primaryVpcId: group.vpc.id,
        tagSet: presentTags(group.tags),
      })),
      nextToken,
    }
  },
})
