import { blockContains, blocksOverlap, formatBlock, parseBlock, PREFIX_BITS } from '../../kit/ipv4.ts'
import type { Cloud } from '../cloud.ts'
import { fault } from '../errors.ts'
import type { ReservationType } from './address-space.ts'
import type { CIDRReservation, Subnet, Tags } from './types.ts'

export interface CIDRReservationInput {
  readonly subnet: Subnet
  /** `10.0.0.64/26`, canonical, IPv4. */
  readonly cidr: string
  readonly type: ReservationType
  readonly description: string
  readonly tags: Tags
  readonly id?: string | undefined
}

/**
 * Keeps a range of a subnet back from the service's own choice: for prefixes, or for addresses that are named. What is in use of it stays
 * in use.
 *
 * @throws EC2Error InvalidParameterValue for a range that is none, outside of the subnet, or overlaps another one; for prefixes also for
 *   one that is smaller than a prefix
 * @source Amazon VPC User Guide, subnet CIDR reservations; codes and texts of refusals assumed
 */
export function createCIDRReservation(cloud: Cloud, input: CIDRReservationInput): CIDRReservation {
  const { subnet, cidr, type } = input
  const range = parseBlock(cidr)
  if (range === undefined) throw refused(cidr, 'This is not a valid CIDR block.')
  if (!blockContains(subnet.space.block, range))
    throw refused(cidr, `It is not within the range of subnet ${subnet.id}.`)
  if (type === 'prefix' && range.bits > PREFIX_BITS) throw refused(cidr, 'It is smaller than a prefix.')
  const rival = reservationsOf(cloud, subnet).find((other) => blocksOverlap(other.range, range))
  if (rival !== undefined) throw refused(cidr, `It overlaps ${formatBlock(rival.range)} of ${rival.id}.`)
  const reservation: CIDRReservation = {
    resourceType: 'subnet-cidr-reservation',
    id: input.id ?? cloud.newID('cidrReservation'),
    ordinal: cloud.nextOrdinal(),
    tags: input.tags,
    subnet,
    range,
    type,
    description: input.description,
  }
  changeSpace(cloud, subnet, () => subnet.space.keepBack(range, type))
  cloud.cidrReservations.add(reservation)
  return reservation
}

/** Opens the range again; what is in use of it stays in use. */
export function deleteCIDRReservation(cloud: Cloud, reservation: CIDRReservation): void {
  const { subnet, range } = reservation
  changeSpace(cloud, subnet, () => subnet.space.giveOpen(range))
  cloud.cidrReservations.delete(reservation)
}

/** In order of creation. */
export function reservationsOf(cloud: Cloud, subnet: Subnet): readonly CIDRReservation[] {
  return [...cloud.cidrReservations].filter((reservation) => reservation.subnet === subnet)
}

/** Listings show the free count late, as with every change of it. */
function changeSpace(cloud: Cloud, subnet: Subnet, change: () => void): void {
  subnet.seenFree.changing(subnet.space.free, cloud.now(), cloud.settings.consistency.availableCountMs)
  change()
}

function refused(cidr: string, why: string): Error {
  return fault('InvalidParameterValue', `Value (${cidr}) for parameter cidr is invalid. ${why}`)
}
