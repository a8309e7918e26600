import { createCIDRReservation } from '../cloud/cidr-reservations.ts'
import { specifiedTags } from '../cloud/tags.ts'
import { fault } from '../errors.ts'
import { operation } from '../operation.ts'
import { presentCIDRReservation } from '../present.ts'
import { choice, id, required, tagSpecificationField, text } from '../wire/parameters.ts'

/** Of IPv4 ranges; those of IPv6 are not simulated. */
export const createSubnetCidrReservation = operation({
  action: 'CreateSubnetCidrReservation',
  changes: true,
  parameters: {
    SubnetId: required(id('subnet')),
    Cidr: required(text()),
    ReservationType: required(choice('prefix', 'explicit')),
    Description: text({ maxLength: 255 }),
    TagSpecification: tagSpecificationField,
  },
  execute(cloud, parameters) {
    const { Cidr: cidr } = parameters
    if (cidr.includes(':'))
      throw fault('NotImplemented', 'CIDR reservations of IPv6 are not implemented by this simulator.')
    const reservation = createCIDRReservation(cloud, {
      subnet: cloud.subnet(parameters.SubnetId),
      cidr,
      type: parameters.ReservationType,
      description: parameters.Description ?? '',
      tags: specifiedTags(cloud, parameters.TagSpecification, 'subnet-cidr-reservation'),
    })
    return { subnetCidrReservation: presentCIDRReservation(cloud, reservation) }
  },
})
