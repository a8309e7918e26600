import { createSecurityGroup as create } from '../cloud/networks.ts'
import type { VPC } from '../cloud/types.ts'
import type { Cloud } from '../cloud.ts'
import { specifiedTags } from '../cloud/tags.ts'
import { fault } from '../errors.ts'
import { operation } from '../operation.ts'
import { presentTags } from '../present.ts'
import { id, required, tagSpecificationField, text } from '../wire/parameters.ts'

export const createSecurityGroup = operation({
  action: 'CreateSecurityGroup',
  changes: true,
  parameters: {
    GroupName: required(text({ maxLength: 255 })),
    GroupDescription: required(text({ maxLength: 255 })),
    VpcId: id('vpc'),
    TagSpecification: tagSpecificationField,
  },
  execute(cloud, parameters) {
    const group = create(cloud, {
      vpc: parameters.VpcId === undefined ? defaultVPC(cloud) : cloud.vpc(parameters.VpcId),
      name: parameters.GroupName,
      description: parameters.GroupDescription,
      tags: specifiedTags(cloud, parameters.TagSpecification, 'security-group'),
    })
    return { return: true, groupId: group.id, tagSet: presentTags(group.tags) }
  },
})

function defaultVPC(cloud: Cloud): VPC {
  for (const vpc of cloud.vpcs) if (vpc.isDefault) return vpc
  throw fault('MissingParameter', 'vpcId')
}
