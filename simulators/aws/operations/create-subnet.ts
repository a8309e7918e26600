import { createSubnet as create } from '../cloud/networks.ts'
import { specifiedTags } from '../cloud/tags.ts'
import { operation } from '../operation.ts'
import { presentSubnet } from '../present.ts'
import { id, required, tagSpecificationField, text } from '../wire/parameters.ts'

/** Without a zone the service chooses one; here it is the region's first. */
const DEFAULT_ZONE_LETTER = 'a'

export const createSubnet = operation({
  action: 'CreateSubnet',
  changes: true,
  parameters: {
    VpcId: required(id('vpc')),
    CidrBlock: required(text()),
    Ipv6CidrBlock: text(),
    AvailabilityZone: text(),
    TagSpecification: tagSpecificationField,
  },
  execute(cloud, parameters) {
    const subnet = create(cloud, {
      vpc: cloud.vpc(parameters.VpcId),
      cidr: parameters.CidrBlock,
      ipv6CIDR: parameters.Ipv6CidrBlock,
      availabilityZone: parameters.AvailabilityZone ?? `${cloud.settings.region}${DEFAULT_ZONE_LETTER}`,
      tags: specifiedTags(cloud, parameters.TagSpecification, 'subnet'),
    })
    return { subnet: presentSubnet(cloud, subnet) }
  },
})
