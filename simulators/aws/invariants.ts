import type { Cloud } from './cloud.ts'
import { ipv4Slots } from './cloud/addressing.ts'
import { reservationsOf } from './cloud/cidr-reservations.ts'
import { instanceType, interfacesPerCard } from './cloud/instance-types.ts'
import { PREFIX_SIZE, blockSize, formatIPv4 } from '../kit/ipv4.ts'
import type { Instance, NetworkInterface, Subnet } from './cloud/types.ts'

/** What must hold at any time in an account; `checkWorld` names the one that does not. */
export type InvariantRule =
  | 'address-shared'
  | 'address-not-taken'
  | 'address-outside-subnet'
  | 'address-holder'
  | 'free-count'
  | 'primary-missing'
  | 'interface-slots'
  | 'instance-adapters'
  | 'device-index'
  | 'attachment-link'
  | 'zone'

export interface Violation {
  readonly rule: InvariantRule
  readonly detail: string
}

/** Addresses of a subnet that the service keeps (count): the first four and the last. */
const RESERVED_COUNT = 5

/**
 * Looks at the whole account; meant for tests, costs every address once.
 *
 * @returns everything that is broken, in a fixed order; empty when all is well
 */
export function checkWorld(cloud: Cloud): readonly Violation[] {
  const violations: Violation[] = []
  const tell = (rule: InvariantRule, detail: string): void => {
    violations.push({ rule, detail })
  }
  const usedBySubnet = new Map<Subnet, Map<number, NetworkInterface>>()
  for (const iface of cloud.interfaces.existing()) {
    let used = usedBySubnet.get(iface.subnet)
    if (used === undefined) {
      used = new Map()
      usedBySubnet.set(iface.subnet, used)
    }
    checkAddresses(iface, used, tell)
    checkSlots(iface, tell)
    checkAttachment(iface, tell)
  }
  for (const subnet of cloud.subnets) checkSubnet(cloud, subnet, usedBySubnet.get(subnet) ?? new Map(), tell)
  for (const instance of cloud.instances) checkInstance(cloud, instance, tell)
  return violations
}

type Tell = (rule: InvariantRule, detail: string) => void

function checkAddresses(iface: NetworkInterface, used: Map<number, NetworkInterface>, tell: Tell): void {
  const { subnet, addresses } = iface
  if (addresses.ipv4.length === 0 && iface.interfaceType !== 'efa-only') tell('primary-missing', iface.id)
  const ofPrefixes = addresses.ipv4Prefixes.flatMap((prefix) =>
    Array.from({ length: PREFIX_SIZE }, (_, index) => prefix + index),
  )
  for (const address of [...addresses.ipv4, ...ofPrefixes]) {
    const text = formatIPv4(address)
    const other = used.get(address)
    if (other !== undefined) tell('address-shared', `${text} is on ${other.id} and on ${iface.id}`)
    used.set(address, iface)
    if (!subnet.space.contains(address) || subnet.space.isReserved(address)) {
      tell('address-outside-subnet', `${text} of ${iface.id} is not usable in ${subnet.id}`)
    } else if (!subnet.space.isTaken(address)) {
      tell('address-not-taken', `${text} is on ${iface.id} and free in ${subnet.id}`)
    }
  }
  for (const address of addresses.ipv4) {
    if (subnet.holders.get(address) !== iface) tell('address-holder', `${formatIPv4(address)} of ${iface.id}`)
  }
}

function checkSubnet(cloud: Cloud, subnet: Subnet, used: ReadonlyMap<number, NetworkInterface>, tell: Tell): void {
  const { space } = subnet
  const expected = blockSize(space.block) - RESERVED_COUNT - used.size - keptBackCount(cloud, subnet, used)
  if (space.free !== expected || space.free < 0) {
    tell('free-count', `${subnet.id} tells ${space.free} free addresses, there are ${expected}`)
  }
  for (const [address, iface] of subnet.holders) {
    if (used.get(address) !== iface) tell('address-holder', `${formatIPv4(address)} is not on ${iface.id}`)
  }
}

/** Unused addresses that CIDR reservations keep back (count). */
function keptBackCount(cloud: Cloud, subnet: Subnet, used: ReadonlyMap<number, NetworkInterface>): number {
  let count = 0
  for (const { range } of reservationsOf(cloud, subnet)) {
    for (let address = range.base; address < range.base + blockSize(range); address++) {
      if (!used.has(address) && !subnet.space.isReserved(address)) count++
    }
  }
  return count
}

function checkSlots(iface: NetworkInterface, tell: Tell): void {
  const type = iface.attachment === undefined ? undefined : instanceType(iface.attachment.instance.instanceType)
  if (type === undefined) return
  const slots = ipv4Slots(iface.addresses)
  if (slots > type.ipv4) tell('interface-slots', `${iface.id} uses ${slots} of ${type.ipv4} on ${type.name}`)
}

function checkAttachment(iface: NetworkInterface, tell: Tell): void {
  const { attachment, subnet } = iface
  if (attachment === undefined) return
  const { instance } = attachment
  if (!instance.interfaces.includes(iface)) tell('attachment-link', `${instance.id} does not know ${iface.id}`)
  if (instance.subnet.availabilityZone !== subnet.availabilityZone) {
    tell(
      'zone',
      `${iface.id} in ${subnet.availabilityZone} is on ${instance.id} in ${instance.subnet.availabilityZone}`,
    )
  }
}

function checkInstance(cloud: Cloud, instance: Instance, tell: Tell): void {
  const { interfaces } = instance
  const places = new Set<string>()
  const perCard = new Map<number, number>()
  for (const iface of interfaces) {
    const { attachment } = iface
    if (attachment?.instance !== instance || cloud.interfaces.get(iface.id) !== iface) {
      tell('attachment-link', `${iface.id} is not attached to ${instance.id}`)
      continue
    }
    const { deviceIndex, networkCardIndex } = attachment
    const place = `${networkCardIndex}/${deviceIndex}`
    if (places.has(place)) tell('device-index', `${instance.id} has card and index ${place} twice`)
    places.add(place)
    perCard.set(networkCardIndex, (perCard.get(networkCardIndex) ?? 0) + 1)
  }
  const type = instanceType(instance.instanceType)
  if (type === undefined) return
  const fullestCard = Math.max(0, ...perCard.values())
  if (interfaces.length > type.adapters || fullestCard > interfacesPerCard(type)) {
    tell('instance-adapters', `${instance.id} has ${interfaces.length} interfaces, ${type.name} takes ${type.adapters}`)
  }
  if (instance.phase.name !== 'terminating' && !places.has('0/0')) {
    tell('primary-missing', `${instance.id} has no interface at device index 0`)
  }
}
