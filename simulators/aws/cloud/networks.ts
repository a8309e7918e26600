import type { Cloud } from '../cloud.ts'
import { fault } from '../errors.ts'
import { AddressSpace } from './address-space.ts'
import { Delayed } from './delayed.ts'
import { blockContains, blocksOverlap, parseBlock } from '../../kit/ipv4.ts'
import type { IPv4Block } from '../../kit/ipv4.ts'
import type { RouteTable, SecurityGroup, Subnet, SubnetIPv6, Tags, VPC } from './types.ts'

/** VPCs and subnets are from /16 to /28. @source Amazon VPC User Guide, VPC CIDR blocks */
const WIDEST_BITS = 16
const NARROWEST_BITS = 28
/** Name of the group that every VPC has. */
const DEFAULT_GROUP = 'default'

/**
 * A VPC with what the service makes along with it: a main route table and a default security group.
 *
 * @param cidr `10.0.0.0/16`, canonical
 * @throws EC2Error InvalidVpc.Range, InvalidParameterValue
 */
export function createVPC(cloud: Cloud, { cidr, tags }: { cidr: string; tags: Tags }): VPC {
  const vpc = makeVPC(cloud, { cidrs: [cidr], tags, isDefault: false })
  completeVPC(cloud, vpc)
  return vpc
}

/** A bare VPC. @param input.cidrs the primary one first, at least one */
export function makeVPC(
  cloud: Cloud,
  input: { cidrs: readonly string[]; tags: Tags; isDefault: boolean; id?: string | undefined },
): VPC {
  const blocks = input.cidrs.map((cidr) => {
    const block = parseBlock(cidr)
    if (block === undefined) throw invalidBlock(cidr)
    if (block.bits < WIDEST_BITS || block.bits > NARROWEST_BITS) throw fault('InvalidVpc.Range', cidr)
    return { associationID: cloud.newID('cidrAssociation'), block }
  })
  const vpc: VPC = {
    resourceType: 'vpc',
    id: input.id ?? cloud.newID('vpc'),
    ordinal: cloud.nextOrdinal(),
    tags: input.tags,
    blocks,
    isDefault: input.isDefault,
  }
  cloud.vpcs.add(vpc)
  return vpc
}

/** Adds the main route table and the default security group where they are not there yet. */
export function completeVPC(cloud: Cloud, vpc: VPC): void {
  const isMain = (table: RouteTable): boolean => table.associations.some((one) => one.subnet === undefined)
  if (![...cloud.routeTables].some((table) => table.vpc === vpc && isMain(table))) {
    createRouteTable(cloud, { vpc, tags: new Map(), isMain: true })
  }
  if (![...cloud.groups].some((group) => group.vpc === vpc && group.name === DEFAULT_GROUP)) {
    createSecurityGroup(cloud, { vpc, name: DEFAULT_GROUP, description: 'default VPC security group', tags: new Map() })
  }
}

export interface SubnetInput {
  readonly vpc: VPC
  readonly cidr: string
  readonly availabilityZone: string
  readonly tags: Tags
  /** `2600:1f13:a:b::/64`, canonical; undefined for IPv4 only. */
  readonly ipv6CIDR?: string | undefined
  readonly isDefaultForZone?: boolean
  readonly id?: string | undefined
}

/** @throws EC2Error InvalidSubnet.Range, InvalidSubnet.Conflict, SubnetLimitExceeded, InvalidParameterValue */
export function createSubnet(cloud: Cloud, input: SubnetInput): Subnet {
  const { vpc, cidr } = input
  const block = parseBlock(cidr)
  if (block === undefined) throw invalidBlock(cidr)
  checkSubnetBlock(cloud, vpc, block, cidr)
  if (!isZoneOf(cloud.settings.region, input.availabilityZone)) {
    throw fault(
      'InvalidParameterValue',
      `Value (${input.availabilityZone}) for parameter availabilityZone is invalid. Subnets can currently only be created in the availability zones of ${cloud.settings.region}.`,
    )
  }
  const subnet: Subnet = {
    resourceType: 'subnet',
    id: input.id ?? cloud.newID('subnet'),
    ordinal: cloud.nextOrdinal(),
    tags: input.tags,
    vpc,
    availabilityZone: input.availabilityZone,
    space: new AddressSpace(block),
    holders: new Map(),
    seenFree: new Delayed(),
    ipv6: input.ipv6CIDR === undefined ? undefined : parseSubnetIPv6(cloud, input.ipv6CIDR),
    isDefaultForZone: input.isDefaultForZone ?? false,
  }
  cloud.subnets.add(subnet)
  return subnet
}

function checkSubnetBlock(cloud: Cloud, vpc: VPC, block: IPv4Block, cidr: string): void {
  const isInVPC = vpc.blocks.some((outer) => blockContains(outer.block, block))
  if (block.bits < WIDEST_BITS || block.bits > NARROWEST_BITS || !isInVPC) throw fault('InvalidSubnet.Range', cidr)
  const siblings = [...cloud.subnets].filter((other) => other.vpc === vpc)
  if (siblings.some((other) => blocksOverlap(other.space.block, block))) throw fault('InvalidSubnet.Conflict', cidr)
  if (siblings.length >= cloud.settings.quotas.subnetsPerVPC) throw fault('SubnetLimitExceeded')
}

/** Four groups and `::/64`, written without superfluous zeros. */
const IPV6_64 = /^((?:[1-9a-f][0-9a-f]{0,3}|0)(?::(?:[1-9a-f][0-9a-f]{0,3}|0)){3})::\/64$/

function parseSubnetIPv6(cloud: Cloud, cidr: string): SubnetIPv6 {
  const groups = IPV6_64.exec(cidr)?.[1]
  if (groups === undefined) throw fault('InvalidSubnet.Range', cidr)
  if ([...cloud.subnets].some(({ ipv6 }) => ipv6?.groups === groups)) throw fault('InvalidSubnet.Conflict', cidr)
  return {
    associationID: cloud.newID('ipv6CIDRAssociation'),
    groups,
    prefixes: new Set(),
    addresses: new Set(),
  }
}

/** A zone is its region's name and a letter. */
function isZoneOf(region: string, zone: string): boolean {
  return zone.length === region.length + 1 && zone.startsWith(region) && /[a-z]$/.test(zone)
}

/** What names and descriptions of groups are written with. @source Amazon EC2 API Reference, CreateSecurityGroup */
const GROUP_TEXT = /^[\w .:/()#,@[\]+=&;{}!$*-]*$/

/** @throws EC2Error InvalidGroup.Duplicate, InvalidParameterValue */
export function createSecurityGroup(
  cloud: Cloud,
  input: { vpc: VPC; name: string; description: string; tags: Tags; id?: string | undefined },
): SecurityGroup {
  const { vpc, name, description } = input
  if (name.startsWith('sg-')) throw fault('InvalidParameterValue', `Group names may not be in the format sg-*: ${name}`)
  for (const one of [name, description]) {
    if (!GROUP_TEXT.test(one)) throw fault('InvalidParameterValue', `Character sets beyond the allowed one: ${one}`)
  }
  for (const other of cloud.groups) {
    if (other.vpc === vpc && other.name === name) throw fault('InvalidGroup.Duplicate', name, vpc.id)
  }
  const group: SecurityGroup = {
    resourceType: 'security-group',
    id: input.id ?? cloud.newID('group'),
    ordinal: cloud.nextOrdinal(),
    tags: input.tags,
    vpc,
    name,
    description,
  }
  cloud.groups.add(group)
  return group
}

/** The group that an interface gets when none is named. */
export function defaultGroup(cloud: Cloud, vpc: VPC): SecurityGroup {
  for (const group of cloud.groups) if (group.vpc === vpc && group.name === DEFAULT_GROUP) return group
  throw fault('InvalidGroup.NotFound', DEFAULT_GROUP)
}

export function createRouteTable(
  cloud: Cloud,
  { vpc, tags, isMain = false, id }: { vpc: VPC; tags: Tags; isMain?: boolean; id?: string | undefined },
): RouteTable {
  const table: RouteTable = {
    resourceType: 'route-table',
    id: id ?? cloud.newID('routeTable'),
    ordinal: cloud.nextOrdinal(),
    tags,
    vpc,
    associations: isMain ? [{ id: cloud.newID('routeTableAssociation'), subnet: undefined }] : [],
  }
  cloud.routeTables.add(table)
  return table
}

/**
 * Gives a subnet a table of its own choice instead of the main one.
 *
 * @returns the association's id
 * @throws EC2Error Resource.AlreadyAssociated, InvalidParameterValue when table and subnet are of different VPCs
 */
export function associateRouteTable(cloud: Cloud, table: RouteTable, subnet: Subnet): string {
  if (table.vpc !== subnet.vpc) {
    throw fault('InvalidParameterValue', `Route table ${table.id} and subnet ${subnet.id} belong to different networks`)
  }
  for (const other of cloud.routeTables) {
    const existing = other.associations.find((one) => one.subnet === subnet)
    if (existing !== undefined) throw fault('Resource.AlreadyAssociated', subnet.id, existing.id)
  }
  const id = cloud.newID('routeTableAssociation')
  table.associations.push({ id, subnet })
  return id
}

function invalidBlock(cidr: string): Error {
  return fault(
    'InvalidParameterValue',
    `Value (${cidr}) for parameter cidrBlock is invalid. This is not a valid CIDR block.`,
  )
}
