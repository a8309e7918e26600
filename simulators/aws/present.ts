import type { Cloud } from './cloud.ts'
import { attachmentStatus } from './cloud/attachments.ts'
import { instanceState } from './cloud/instances.ts'
import { interfaceStatus } from './cloud/interfaces.ts'
import { interfacesPerCard } from './cloud/instance-types.ts'
import type { InstanceType } from './cloud/instance-types.ts'
import { PREFIX_BITS, formatBlock, formatIPv4 } from '../kit/ipv4.ts'
import type {
  Attachment,
  CIDRReservation,
  ElasticIP,
  Instance,
  InterfaceAddresses,
  NetworkInterface,
  RouteTable,
  SecurityGroup,
  Subnet,
  Tags,
  VPC,
} from './cloud/types.ts'
import type { XMLObject } from './wire/xml.ts'

/** Resources as the service's answers show them: member names are the element names on the wire. */

export function presentTags(tags: Tags): readonly XMLObject[] {
  const items: XMLObject[] = []
  for (const [key, value] of tags) items.push({ key, value })
  return items
}

export function presentVPC(cloud: Cloud, vpc: VPC): XMLObject {
  return {
    vpcId: vpc.id,
    ownerId: cloud.settings.accountID,
    state: 'available',
    cidrBlock: vpc.blocks[0] === undefined ? undefined : formatBlock(vpc.blocks[0].block),
    cidrBlockAssociationSet: vpc.blocks.map(({ associationID, block }) => ({
      associationId: associationID,
      cidrBlock: formatBlock(block),
      cidrBlockState: { state: 'associated' },
    })),
    instanceTenancy: 'default',
    isDefault: vpc.isDefault,
    tagSet: presentTags(vpc.tags),
  }
}

export function presentSubnet(cloud: Cloud, subnet: Subnet): XMLObject {
  const { ipv6 } = subnet
  return {
    subnetId: subnet.id,
    subnetArn: `arn:aws:ec2:${cloud.settings.region}:${cloud.settings.accountID}:subnet/${subnet.id}`,
    state: 'available',
    ownerId: cloud.settings.accountID,
    vpcId: subnet.vpc.id,
    cidrBlock: formatBlock(subnet.space.block),
    ipv6CidrBlockAssociationSet:
      ipv6 === undefined
        ? []
        : [
            {
              associationId: ipv6.associationID,
              ipv6CidrBlock: `${ipv6.groups}::/64`,
              ipv6CidrBlockState: { state: 'associated' },
            },
          ],
    availableIpAddressCount: subnet.seenFree.seen(subnet.space.free, cloud.now()),
    availabilityZone: subnet.availabilityZone,
    defaultForAz: subnet.isDefaultForZone,
    mapPublicIpOnLaunch: false,
    tagSet: presentTags(subnet.tags),
  }
}

export function presentCIDRReservation(cloud: Cloud, reservation: CIDRReservation): XMLObject {
  return {
    subnetCidrReservationId: reservation.id,
    subnetId: reservation.subnet.id,
    cidr: formatBlock(reservation.range),
    reservationType: reservation.type,
    ownerId: cloud.settings.accountID,
    description: reservation.description === '' ? undefined : reservation.description,
    tagSet: presentTags(reservation.tags),
  }
}

export function presentSecurityGroup(cloud: Cloud, group: SecurityGroup): XMLObject {
  return {
    ownerId: cloud.settings.accountID,
    groupId: group.id,
    groupName: group.name,
    groupDescription: group.description,
    vpcId: group.vpc.id,
    ipPermissions: [],
    ipPermissionsEgress: [],
    tagSet: presentTags(group.tags),
  }
}

export function presentRouteTable(cloud: Cloud, table: RouteTable): XMLObject {
  return {
    routeTableId: table.id,
    vpcId: table.vpc.id,
    ownerId: cloud.settings.accountID,
    routeSet: table.vpc.blocks.map(({ block }) => ({
      destinationCidrBlock: formatBlock(block),
      gatewayId: 'local',
      state: 'active',
      origin: 'CreateRouteTable',
    })),
    associationSet: table.associations.map(({ id, subnet }) => ({
      routeTableAssociationId: id,
      routeTableId: table.id,
      subnetId: subnet?.id,
      main: subnet === undefined,
      associationState: { state: 'associated' },
    })),
    tagSet: presentTags(table.tags),
  }
}

/** @param options.isNew in the answer of its creation: always `pending`, and with all its addresses */
export function presentInterface(cloud: Cloud, iface: NetworkInterface, { isNew = false } = {}): XMLObject {
  const nowMs = cloud.now()
  const { subnet, attachment } = iface
  const addresses = isNew ? iface.addresses : iface.seenAddresses.seen(iface.addresses, nowMs)
  const [primary] = addresses.ipv4
  return {
    networkInterfaceId: iface.id,
    subnetId: subnet.id,
    vpcId: subnet.vpc.id,
    availabilityZone: subnet.availabilityZone,
    description: iface.description,
    ownerId: cloud.settings.accountID,
    requesterManaged: false,
    status: isNew ? 'pending' : interfaceStatus(iface, nowMs),
    macAddress: iface.macAddress,
    privateIpAddress: primary === undefined ? undefined : formatIPv4(primary),
    sourceDestCheck: iface.sourceDestCheck,
    groupSet: iface.groups.map((group) => ({ groupId: group.id, groupName: group.name })),
    attachment:
      attachment === undefined || isDetached(attachment, nowMs)
        ? undefined
        : presentAttachment(cloud, attachment, nowMs),
    association: presentAssociation(cloud, iface, primary),
    tagSet: presentTags(iface.tags),
    ...presentAddresses(cloud, iface, addresses),
    interfaceType: iface.interfaceType,
  }
}

function isDetached(attachment: Attachment, nowMs: number): boolean {
  return attachment.detachedAtMs !== undefined && attachment.detachedAtMs <= nowMs
}

function presentAttachment(cloud: Cloud, attachment: Attachment, nowMs: number): XMLObject {
  return {
    attachmentId: attachment.id,
    instanceId: attachment.instance.id,
    instanceOwnerId: cloud.settings.accountID,
    deviceIndex: attachment.deviceIndex,
    networkCardIndex: attachment.networkCardIndex,
    status: attachmentStatus(attachment, nowMs),
    attachTime: attachment.attachTime,
    deleteOnTermination: attachment.deleteOnTermination,
  }
}

function presentAddresses(cloud: Cloud, iface: NetworkInterface, addresses: InterfaceAddresses): XMLObject {
  return {
    privateIpAddressesSet: addresses.ipv4.map((address, index) => ({
      privateIpAddress: formatIPv4(address),
      primary: index === 0,
      association: presentAssociation(cloud, iface, address),
    })),
    ipv6AddressesSet: addresses.ipv6.map((address) => ({ ipv6Address: address, isPrimaryIpv6: false })),
    ipv4PrefixSet: addresses.ipv4Prefixes.map((prefix) => ({ ipv4Prefix: `${formatIPv4(prefix)}/${PREFIX_BITS}` })),
    ipv6PrefixSet: addresses.ipv6Prefixes.map((prefix) => ({ ipv6Prefix: prefix })),
  }
}

function presentAssociation(cloud: Cloud, iface: NetworkInterface, address: number | undefined): XMLObject | undefined {
  if (iface.elasticIPs.length === 0) return undefined
  const elasticIP = iface.elasticIPs.find((one) => one.association?.address === address)
  if (elasticIP?.association === undefined) return undefined
  return {
    publicIp: elasticIP.publicIP,
    publicDnsName: '',
    ipOwnerId: cloud.settings.accountID,
    allocationId: elasticIP.id,
    associationId: elasticIP.association.id,
  }
}

export function presentElasticIP(cloud: Cloud, elasticIP: ElasticIP): XMLObject {
  const { association } = elasticIP
  return {
    publicIp: elasticIP.publicIP,
    allocationId: elasticIP.id,
    domain: 'vpc',
    networkBorderGroup: cloud.settings.region,
    ...(association === undefined
      ? {}
      : {
          associationId: association.id,
          networkInterfaceId: association.iface.id,
          networkInterfaceOwnerId: cloud.settings.accountID,
          privateIpAddress: formatIPv4(association.address),
          instanceId: association.iface.attachment?.instance.id,
        }),
    tagSet: presentTags(elasticIP.tags),
  }
}

export function presentInstance(cloud: Cloud, instance: Instance): XMLObject {
  const nowMs = cloud.now()
  const state = instanceState(instance, nowMs)
  const interfaces = instance.interfaces.filter(
    ({ attachment }) => attachment !== undefined && !isDetached(attachment, nowMs),
  )
  const primary = interfaces.find(({ attachment }) => attachment?.deviceIndex === 0)
  const primaryAddress = primary?.addresses.ipv4[0]
  const isGone = state.name === 'terminated'
  return {
    instanceId: instance.id,
    imageId: instance.imageID,
    instanceState: { code: state.code, name: state.name },
    instanceType: instance.instanceType,
    launchTime: instance.launchTime,
    placement: { availabilityZone: instance.subnet.availabilityZone, tenancy: 'default' },
    subnetId: isGone ? undefined : instance.subnet.id,
    vpcId: isGone ? undefined : instance.subnet.vpc.id,
    privateIpAddress: primaryAddress === undefined ? undefined : formatIPv4(primaryAddress),
    groupSet: (primary?.groups ?? []).map((group) => ({ groupId: group.id, groupName: group.name })),
    tagSet: presentTags(instance.tags),
    networkInterfaceSet: interfaces.map((iface) => presentInstanceInterface(cloud, iface)),
  }
}

/** An interface inside its instance: the same facts, the attachment without what the instance says. */
function presentInstanceInterface(cloud: Cloud, iface: NetworkInterface): XMLObject {
  const {
    attachment,
    tagSet: _tags,
    availabilityZone: _zone,
    requesterManaged: _managed,
    ...rest
  } = presentInterface(cloud, iface)
  const { instanceId: _instance, instanceOwnerId: _owner, ...ofInstance } = attachment as XMLObject
  return { ...rest, attachment: ofInstance }
}

/** Instances grouped by the launch that made them, in order of first appearance. */
export function presentReservations(cloud: Cloud, instances: readonly Instance[]): readonly XMLObject[] {
  const byReservation = Map.groupBy(instances, (instance) => instance.reservationID)
  return [...byReservation].map(([reservationId, members]) => ({
    reservationId,
    ownerId: cloud.settings.accountID,
    groupSet: [],
    instancesSet: members.map((instance) => presentInstance(cloud, instance)),
  }))
}

export function presentInstanceType(type: InstanceType): XMLObject {
  return {
    instanceType: type.name,
    currentGeneration: true,
    bareMetal: type.bareMetal,
    hypervisor: type.hypervisor === '' ? undefined : type.hypervisor,
    networkInfo: {
      maximumNetworkInterfaces: type.adapters,
      maximumNetworkCards: type.cards,
      defaultNetworkCardIndex: 0,
      networkCards: Array.from({ length: type.cards }, (_, networkCardIndex) => ({
        networkCardIndex,
        maximumNetworkInterfaces: interfacesPerCard(type),
      })),
      ipv4AddressesPerInterface: type.ipv4,
      ipv6AddressesPerInterface: type.ipv6,
      ipv6Supported: type.ipv6 > 0,
    },
  }
}
