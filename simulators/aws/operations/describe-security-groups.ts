import type { SecurityGroup } from '../cloud/types.ts'
import { fault } from '../errors.ts'
import type { FilterTable } from '../filters.ts'
import { listPage } from '../listing.ts'
import { operation } from '../operation.ts'
import { presentSecurityGroup } from '../present.ts'
import { filterField, id, integer, list, required, text } from '../wire/parameters.ts'

const FILTERS: FilterTable<SecurityGroup> = {
  'group-id': (group) => group.id,
  'group-name': (group) => group.name,
  'vpc-id': (group) => group.vpc.id,
  description: (group) => group.description,
}

export const describeSecurityGroups = operation({
  action: 'DescribeSecurityGroups',
  changes: false,
  parameters: {
    GroupId: list(required(id('group'))),
    GroupName: list(required(text())),
    Filter: filterField,
    MaxResults: integer({ min: 0 }),
    NextToken: text(),
  },
  execute(cloud, parameters) {
    // Names reach only the groups of the default VPC.
    const named = parameters.GroupName.map((name) => {
      for (const group of cloud.groups) if (group.vpc.isDefault && group.name === name) return group.id
      throw fault('InvalidGroup.NotFound', name)
    })
    const { items, nextToken } = listPage(
      parameters,
      {
        action: 'DescribeSecurityGroups',
        filters: FILTERS,
        pageSize: { min: 5, max: 1000 },
        ids: {
          parameter: 'groupIds',
          values: [...parameters.GroupId, ...named],
          find: (groupID) => cloud.group(groupID),
        },
        candidates: () => cloud.groups.ordered,
        shortPages: cloud.settings.shortPages,
      },
      cloud.now(),
    )
    return { securityGroupInfo: items.map((group) => presentSecurityGroup(cloud, group)), nextToken }
  },
})
