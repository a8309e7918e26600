import { reservationsOf } from '../cloud/cidr-reservations.ts'
import type { CIDRReservation } from '../cloud/types.ts'
import type { FilterTable } from '../filters.ts'
import { listPage, sourceOf } from '../listing.ts'
import { operation } from '../operation.ts'
import { presentCIDRReservation } from '../present.ts'
import { filterField, id, integer, required, text } from '../wire/parameters.ts'

const FILTERS: FilterTable<CIDRReservation> = {
  reservationType: (reservation) => reservation.type,
  'subnet-id': (reservation) => reservation.subnet.id,
}

export const getSubnetCidrReservations = operation({
  action: 'GetSubnetCidrReservations',
  changes: false,
  parameters: {
    SubnetId: required(id('subnet')),
    Filter: filterField,
    MaxResults: integer({ min: 0 }),
    NextToken: text(),
  },
  execute(cloud, parameters) {
    const subnet = cloud.subnet(parameters.SubnetId)
    const { items, nextToken } = listPage(
      parameters,
      {
        action: 'GetSubnetCidrReservations',
        filters: FILTERS,
        pageSize: { min: 5, max: 1000 },
        candidates: () => sourceOf(reservationsOf(cloud, subnet)),
        shortPages: cloud.settings.shortPages,
      },
      cloud.now(),
    )
    return {
      subnetIpv4CidrReservationSet: items.map((reservation) => presentCIDRReservation(cloud, reservation)),
      subnetIpv6CidrReservationSet: [],
      nextToken,
    }
  },
})
