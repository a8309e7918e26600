import { deleteCIDRReservation } from '../cloud/cidr-reservations.ts'
import { fault } from '../errors.ts'
import { operation } from '../operation.ts'
import { presentCIDRReservation } from '../present.ts'
import { id, required } from '../wire/parameters.ts'

export const deleteSubnetCidrReservation = operation({
  action: 'DeleteSubnetCidrReservation',
  changes: true,
  parameters: { SubnetCidrReservationId: required(id('cidrReservation')) },
  execute(cloud, parameters) {
    const reservation = cloud.cidrReservations.get(parameters.SubnetCidrReservationId)
    if (reservation === undefined) {
      throw fault('InvalidSubnetCidrReservationID.NotFound', parameters.SubnetCidrReservationId)
    }
    deleteCIDRReservation(cloud, reservation)
    return { deletedSubnetCidrReservation: presentCIDRReservation(cloud, reservation) }
  },
})
