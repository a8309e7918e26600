import type { Cloud } from '../cloud.ts'
import { fault, insufficientAddressesForPrefixes } from '../errors.ts'
import { instanceType, supportsPrefixes } from './instance-types.ts'
import type { InstanceType } from './instance-types.ts'
import { PREFIX_BITS, PREFIX_SIZE, formatIPv4 } from '../../kit/ipv4.ts'
import type { Instance, InterfaceAddresses, NetworkInterface, Subnet } from './types.ts'

/** IPv4 addresses that a call wants in a subnet: named ones, and so many of the service's choice. */
export interface IPv4Request {
  readonly addresses: readonly number[]
  readonly addressCount: number
  /** First addresses of named /28 prefixes. */
  readonly prefixes: readonly number[]
  readonly prefixCount: number
}

export interface IPv4Grant {
  readonly addresses: readonly number[]
  readonly prefixes: readonly number[]
}

export interface IPv6Request {
  readonly addressCount: number
  readonly prefixCount: number
}

/**
 * Takes addresses from a subnet, all or none: prefixes first, so that the single addresses of the same call cannot break the last block.
 *
 * Which error tells that the subnet is full: single addresses alone InsufficientFreeAddressesInSubnet; prefixes with fewer than 16
 * free addresses each InvalidParameterValue with its text; prefixes with enough addresses but no aligned block
 * InsufficientCidrBlocks.
 *
 * @throws EC2Error as said, and InvalidParameterValue or InvalidIPAddress.InUse for named ones
 */
export function takeIPv4(cloud: Cloud, subnet: Subnet, request: IPv4Request): IPv4Grant {
  const { space } = subnet
  const { addressCount, prefixCount } = request
  checkNamed(subnet, request)
  countIsChanging(cloud, subnet)
  // Named ones first: the service's own choice must go round them.
  const addresses = [...request.addresses]
  const prefixes = [...request.prefixes]
  for (const address of addresses) space.take(address)
  for (const prefix of prefixes) space.takeBlock(prefix)
  const takeBack = (): void => {
    for (const taken of prefixes) space.releaseBlock(taken)
    for (const address of addresses) space.release(address)
  }
  // What is kept back for prefixes is not among what is free.
  const openPrefixCount = Math.max(0, prefixCount - space.countReservedBlocks())
  if (addressCount + openPrefixCount * PREFIX_SIZE > space.free) {
    takeBack()
    throw prefixCount > 0 ? insufficientAddressesForPrefixes() : fault('InsufficientFreeAddressesInSubnet')
  }
  for (let index = 0; index < prefixCount; index++) {
    const prefix = space.takeAnyBlock()
    if (prefix === undefined) {
      takeBack()
      throw fault('InsufficientCidrBlocks')
    }
    prefixes.push(prefix)
  }
  for (let index = 0; index < addressCount; index++) {
    const address = space.takeAny(cloud.settings.addressChoice, cloud.randomAddresses)
    if (address !== undefined) addresses.push(address) // always there: the free count was checked
  }
  return { addresses, prefixes }
}

function checkNamed(subnet: Subnet, { addresses, prefixes }: IPv4Request): void {
  const { space } = subnet
  if (new Set(addresses).size !== addresses.length || new Set(prefixes).size !== prefixes.length) {
    throw fault('InvalidParameterValue', 'The same address is given more than once')
  }
  for (const address of addresses) {
    const text = formatIPv4(address)
    if (!space.contains(address)) {
      throw fault('InvalidParameterValue', `Address ${text} does not fall within the subnet's address range`)
    }
    if (space.isReserved(address)) {
      throw fault('InvalidParameterValue', `Address ${text} is in subnet's reserved address range`)
    }
    if (space.isTaken(address)) throw fault('InvalidIPAddress.InUse', text)
  }
  for (const prefix of prefixes) {
    const text = `${formatIPv4(prefix)}/${PREFIX_BITS}`
    if (!space.contains(prefix)) {
      throw fault('InvalidParameterValue', `Prefix ${text} does not fall within the subnet's address range`)
    }
    if (!space.isBlockFree(prefix)) throw fault('InvalidIPAddress.InUse', text)
    if (addresses.some((address) => address >= prefix && address < prefix + PREFIX_SIZE)) {
      throw fault('InvalidParameterValue', `Prefix ${text} overlaps an address of the same request`)
    }
  }
}

export function releaseIPv4(cloud: Cloud, subnet: Subnet, { addresses, prefixes }: IPv4Grant): void {
  countIsChanging(cloud, subnet)
  for (const address of addresses) {
    subnet.space.release(address)
    subnet.holders.delete(address)
  }
  for (const prefix of prefixes) subnet.space.releaseBlock(prefix)
}

function countIsChanging(cloud: Cloud, subnet: Subnet): void {
  subnet.seenFree.changing(subnet.space.free, cloud.now(), cloud.settings.consistency.availableCountMs)
}

/** Replaces what an interface carries; listings follow after the visibility delay. */
export function setAddresses(cloud: Cloud, iface: NetworkInterface, addresses: InterfaceAddresses): void {
  iface.seenAddresses.changing(iface.addresses, cloud.now(), cloud.settings.consistency.addressesMs)
  iface.addresses = addresses
}

/** Slots taken on an interface (count): its primary, each secondary address and each prefix take one. */
export function ipv4Slots(addresses: InterfaceAddresses): number {
  return addresses.ipv4.length + addresses.ipv4Prefixes.length
}

export function ipv6Slots(addresses: InterfaceAddresses): number {
  return addresses.ipv6.length + addresses.ipv6Prefixes.length
}

/**
 * Assigns secondary addresses or prefixes to an interface. On an attached one the instance type limits the slots; on a loose one only
 * the subnet does, since the type is not known yet.
 *
 * @param allowReassignment named addresses may be taken from other interfaces of the subnet, never their primary ones
 * @throws EC2Error PrivateIpAddressLimitExceeded, InvalidParameterValue and those of `takeIPv4`
 */
export function assignIPv4(
  cloud: Cloud,
  iface: NetworkInterface,
  request: IPv4Request,
  { allowReassignment }: { readonly allowReassignment: boolean },
): IPv4Grant {
  const { subnet } = iface
  checkCarriesAddresses(iface)
  const prefixTotal = request.prefixes.length + request.prefixCount
  const type = typeOf(iface.attachment?.instance)
  if (type !== undefined) {
    const wanted = request.addresses.length + request.addressCount + prefixTotal
    if (ipv4Slots(iface.addresses) + wanted > type.ipv4) throw fault('PrivateIpAddressLimitExceeded')
    if (prefixTotal > 0) checkPrefixSupport(type)
  }
  const moved = allowReassignment ? movableAddresses(subnet, iface, request.addresses) : []
  const named = request.addresses.filter((address) => !moved.some((move) => move.address === address))
  const grant = takeIPv4(cloud, subnet, { ...request, addresses: named })
  for (const { address, from } of moved) dropAddress(cloud, from, address)
  const addresses = [...moved.map((move) => move.address), ...grant.addresses]
  for (const address of addresses) subnet.holders.set(address, iface)
  setAddresses(cloud, iface, {
    ...iface.addresses,
    ipv4: [...iface.addresses.ipv4, ...addresses],
    ipv4Prefixes: [...iface.addresses.ipv4Prefixes, ...grant.prefixes],
  })
  return { addresses, prefixes: grant.prefixes }
}

function checkCarriesAddresses({ id, interfaceType }: NetworkInterface): void {
  if (interfaceType === 'efa-only') {
    throw fault('InvalidParameterValue', `Interface ${id} of type efa-only does not support IP addresses`)
  }
}

function movableAddresses(
  subnet: Subnet,
  to: NetworkInterface,
  addresses: readonly number[],
): readonly { readonly address: number; readonly from: NetworkInterface }[] {
  return addresses.flatMap((address) => {
    const from = subnet.holders.get(address)
    return from === undefined || from === to || from.addresses.ipv4[0] === address ? [] : [{ address, from }]
  })
}

/** Takes an address off an interface without giving it back to the subnet. */
function dropAddress(cloud: Cloud, iface: NetworkInterface, address: number): void {
  setAddresses(cloud, iface, { ...iface.addresses, ipv4: iface.addresses.ipv4.filter((other) => other !== address) })
  dissociate(iface, (other) => other === address)
}

/** Ends the Elastic IP associations of the addresses chosen. */
export function dissociate(iface: NetworkInterface, isChosen: (address: number) => boolean): void {
  if (iface.elasticIPs.length === 0) return
  iface.elasticIPs = iface.elasticIPs.filter((elasticIP) => {
    if (elasticIP.association === undefined || !isChosen(elasticIP.association.address)) return true
    elasticIP.association = undefined
    return false
  })
}

/**
 * Takes secondary addresses and prefixes off an interface, all or none, and gives them back to the subnet.
 *
 * @throws EC2Error InvalidParameterValue when one of them is not on the interface or is its primary address
 */
export function unassignIPv4(cloud: Cloud, iface: NetworkInterface, { addresses, prefixes }: IPv4Grant): void {
  const [primary, ...secondary] = iface.addresses.ipv4
  const held = new Set(secondary)
  const heldPrefixes = new Set(iface.addresses.ipv4Prefixes)
  const foreign = [
    ...addresses.filter((address) => address === primary || !held.has(address)).map(formatIPv4),
    ...prefixes.filter((prefix) => !heldPrefixes.has(prefix)).map((prefix) => `${formatIPv4(prefix)}/${PREFIX_BITS}`),
  ]
  if (foreign.length > 0) {
    throw fault('InvalidParameterValue', `Some of [${foreign.join(', ')}] are not assigned to interface ${iface.id}`)
  }
  const goneAddresses = new Set(addresses)
  const gonePrefixes = new Set(prefixes)
  setAddresses(cloud, iface, {
    ...iface.addresses,
    ipv4: iface.addresses.ipv4.filter((address) => !goneAddresses.has(address)),
    ipv4Prefixes: iface.addresses.ipv4Prefixes.filter((prefix) => !gonePrefixes.has(prefix)),
  })
  releaseIPv4(cloud, iface.subnet, { addresses: [...goneAddresses], prefixes: [...gonePrefixes] })
  dissociate(iface, (address) => goneAddresses.has(address))
}

/** Groups of an IPv6 address that single addresses and prefixes can start with (count): the halves of a /64 in /80 blocks. */
const HALF_OF_SUBNET = 0x8000
const MAX_GROUP = 0xffff

/**
 * Chooses IPv6 addresses and /80 prefixes of the subnet's /64.
 *
 * @throws EC2Error InvalidParameterValue for a subnet without IPv6
 */
export function takeIPv6(
  cloud: Cloud,
  subnet: Subnet,
  request: IPv6Request,
): { readonly addresses: readonly string[]; readonly prefixes: readonly string[] } {
  if (request.addressCount + request.prefixCount === 0) return { addresses: [], prefixes: [] }
  const { ipv6 } = subnet
  if (ipv6 === undefined) {
    throw fault('InvalidParameterValue', `The subnet '${subnet.id}' does not have an associated IPv6 CIDR block`)
  }
  if (ipv6.prefixes.size + request.prefixCount > HALF_OF_SUBNET) throw fault('InsufficientCidrBlocks')
  const group = (): number => 1 + Math.floor(cloud.randomAddresses.next() * MAX_GROUP)
  const prefixes: string[] = []
  while (prefixes.length < request.prefixCount) {
    const fifth = Math.floor(cloud.randomAddresses.next() * HALF_OF_SUBNET)
    if (ipv6.prefixes.has(fifth)) continue
    ipv6.prefixes.add(fifth)
    prefixes.push(fifth === 0 ? `${ipv6.groups}::/80` : `${ipv6.groups}:${fifth.toString(16)}::/80`)
  }
  const addresses: string[] = []
  while (addresses.length < request.addressCount) {
    const fifth = HALF_OF_SUBNET + Math.floor(cloud.randomAddresses.next() * HALF_OF_SUBNET)
    const tail = [fifth, group(), group(), group()].map((one) => one.toString(16)).join(':')
    const address = `${ipv6.groups}:${tail}`
    if (ipv6.addresses.has(address)) continue
    ipv6.addresses.add(address)
    addresses.push(address)
  }
  return { addresses, prefixes }
}

export function releaseIPv6(
  subnet: Subnet,
  { addresses, prefixes }: { readonly addresses: readonly string[]; readonly prefixes: readonly string[] },
): void {
  for (const address of addresses) subnet.ipv6?.addresses.delete(address)
  for (const prefix of prefixes) subnet.ipv6?.prefixes.delete(fifthGroup(prefix))
}

/** The fifth group of a /80 of this simulator's making, as a number. */
export function fifthGroup(prefix: string): number {
  const groups = prefix.slice(0, prefix.indexOf('::')).split(':')
  return groups.length < 5 ? 0 : parseInt(groups[4] ?? '', 16)
}

/** @throws EC2Error PrivateIpAddressLimitExceeded above the type's IPv6 slots, and those of `takeIPv6` */
export function assignIPv6(
  cloud: Cloud,
  iface: NetworkInterface,
  request: IPv6Request,
): { readonly addresses: readonly string[]; readonly prefixes: readonly string[] } {
  checkCarriesAddresses(iface)
  const type = typeOf(iface.attachment?.instance)
  if (type !== undefined) {
    const wanted = request.addressCount + request.prefixCount
    if (ipv6Slots(iface.addresses) + wanted > type.ipv6) throw fault('PrivateIpAddressLimitExceeded')
    if (request.prefixCount > 0) checkPrefixSupport(type)
  }
  const grant = takeIPv6(cloud, iface.subnet, request)
  setAddresses(cloud, iface, {
    ...iface.addresses,
    ipv6: [...iface.addresses.ipv6, ...grant.addresses],
    ipv6Prefixes: [...iface.addresses.ipv6Prefixes, ...grant.prefixes],
  })
  return grant
}

/** @throws EC2Error InvalidParameterValue; neither code nor text of the real service is known */
export function checkPrefixSupport(type: InstanceType): void {
  if (!supportsPrefixes(type)) {
    throw fault('InvalidParameterValue', `Instance type '${type.name}' does not support prefix delegation`)
  }
}

function typeOf(instance: Instance | undefined): InstanceType | undefined {
  return instance === undefined ? undefined : instanceType(instance.instanceType)
}
