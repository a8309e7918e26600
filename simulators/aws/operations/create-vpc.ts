import { createVPC } from '../cloud/networks.ts'
import { specifiedTags } from '../cloud/tags.ts'
import { operation } from '../operation.ts'
import { presentVPC } from '../present.ts'
import { choice, required, tagSpecificationField, text } from '../wire/parameters.ts'

export const createVpc = operation({
  action: 'CreateVpc',
  changes: true,
  parameters: {
    CidrBlock: required(text()),
    InstanceTenancy: choice('default'),
    TagSpecification: tagSpecificationField,
  },
  execute(cloud, parameters) {
    const tags = specifiedTags(cloud, parameters.TagSpecification, 'vpc')
    return { vpc: presentVPC(cloud, createVPC(cloud, { cidr: parameters.CidrBlock, tags })) }
  },
})
