import { randomHex } from '../../kit/random.ts'
import type { Random } from '../../kit/random.ts'
import { fault } from '../errors.ts'
import type { EC2Error } from '../errors.ts'

/**
 * The kinds of ids, their prefixes, and the errors for an id of wrong form.
 *
 * @source Amazon EC2 API Reference, error codes; 17 hexadecimal digits, 8 in accounts of before 2016
 */
const KINDS = {
  interface: { prefix: 'eni', malformed: 'InvalidNetworkInterfaceId.Malformed' },
  attachment: { prefix: 'eni-attach', malformed: 'InvalidNetworkInterfaceAttachmentId.Malformed' },
  instance: { prefix: 'i', malformed: 'InvalidInstanceID.Malformed' },
  reservation: { prefix: 'r', malformed: undefined },
  subnet: { prefix: 'subnet', malformed: 'InvalidSubnetID.Malformed' },
  cidrReservation: { prefix: 'scr', malformed: undefined },
  vpc: { prefix: 'vpc', malformed: 'InvalidVpcId.Malformed' },
  group: { prefix: 'sg', malformed: 'InvalidGroupId.Malformed' },
  routeTable: { prefix: 'rtb', malformed: 'InvalidRouteTableId.Malformed' },
  routeTableAssociation: { prefix: 'rtbassoc', malformed: undefined },
  cidrAssociation: { prefix: 'vpc-cidr-assoc', malformed: undefined },
  ipv6CIDRAssociation: { prefix: 'subnet-cidr-assoc', malformed: undefined },
  allocation: { prefix: 'eipalloc', malformed: 'InvalidAllocationId.Malformed' },
  addressAssociation: { prefix: 'eipassoc', malformed: undefined },
} as const

export type IDKind = keyof typeof KINDS

const FORMS = new Map(
  Object.entries(KINDS).map(([kind, { prefix }]) => [kind, new RegExp(`^${prefix}-(?:[0-9a-f]{17}|[0-9a-f]{8})$`)]),
)

/** Whether a text has the form of an id of this kind. */
export function isID(kind: IDKind, text: string): boolean {
  return FORMS.get(kind)?.test(text) === true
}

/** The error for a text that is not an id of this kind. */
export function malformedID(kind: IDKind, text: string): EC2Error {
  const { malformed } = KINDS[kind]
  return malformed === undefined ? fault('InvalidParameterValue', `Invalid id: "${text}"`) : fault(malformed, text)
}

/** A fresh id, drawn from the stream; 17 digits of which the first is 0, as the service gives them today. */
export function newID(random: Random, kind: IDKind): string {
  return `${KINDS[kind].prefix}-0${randomHex(random, 16)}`
}
