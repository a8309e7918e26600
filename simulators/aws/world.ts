import type { Cloud } from './cloud.ts'
import { formatBlock, formatIPv4, PREFIX_BITS } from '../kit/ipv4.ts'
import { instanceState } from './cloud/instances.ts'
import type { ReservationType } from './cloud/address-space.ts'
import type { Tags } from './cloud/types.ts'

/**
 * A whole account as plain data: what `GET /_berth/state` answers and `PUT /_berth/state` takes, and the form of a world file. Names are
 * those of the API. Written by hand, most of it may be left out (`load-world.ts`).
 */
export interface World {
  readonly version: 1
  readonly vpcs: readonly WorldVPC[]
  readonly subnets: readonly WorldSubnet[]
  readonly subnetCidrReservations: readonly WorldCIDRReservation[]
  readonly securityGroups: readonly WorldSecurityGroup[]
  readonly routeTables: readonly WorldRouteTable[]
  readonly instances: readonly WorldInstance[]
  readonly networkInterfaces: readonly WorldInterface[]
  readonly elasticIps: readonly WorldElasticIP[]
}

export type WorldTags = Readonly<Record<string, string>>

export interface WorldVPC {
  readonly vpcId: string
  readonly cidrBlock: string
  readonly additionalCidrBlocks: readonly string[]
  readonly isDefault: boolean
  readonly tags: WorldTags
}

export interface WorldSubnet {
  readonly subnetId: string
  readonly vpcId: string
  readonly cidrBlock: string
  readonly ipv6CidrBlock?: string
  readonly availabilityZone: string
  readonly defaultForAz: boolean
  readonly tags: WorldTags
}

export interface WorldCIDRReservation {
  readonly subnetCidrReservationId: string
  readonly subnetId: string
  readonly cidr: string
  readonly reservationType: ReservationType
  readonly description: string
  readonly tags: WorldTags
}

export interface WorldSecurityGroup {
  readonly groupId: string
  readonly vpcId: string
  readonly groupName: string
  readonly description: string
  readonly tags: WorldTags
}

export interface WorldRouteTable {
  readonly routeTableId: string
  readonly vpcId: string
  readonly main: boolean
  readonly subnetIds: readonly string[]
  readonly tags: WorldTags
}

export interface WorldInstance {
  readonly instanceId: string
  readonly instanceType: string
  readonly subnetId: string
  readonly imageId: string
  readonly reservationId: string
  readonly state: 'running' | 'stopped' | 'terminated'
  readonly launchTime: string
  readonly tags: WorldTags
}

export interface WorldInterface {
  readonly networkInterfaceId: string
  readonly subnetId: string
  readonly interfaceType: string
  readonly description: string
  readonly macAddress: string
  readonly sourceDestCheck: boolean
  readonly groupIds: readonly string[]
  /** The primary one first. */
  readonly privateIpAddresses: readonly string[]
  readonly ipv4Prefixes: readonly string[]
  readonly ipv6Addresses: readonly string[]
  readonly ipv6Prefixes: readonly string[]
  readonly attachment?: {
    readonly attachmentId: string
    readonly instanceId: string
    readonly deviceIndex: number
    readonly networkCardIndex: number
    readonly deleteOnTermination: boolean
    readonly attachTime: string
  }
  readonly tags: WorldTags
}

export interface WorldElasticIP {
  readonly allocationId: string
  readonly publicIp: string
  readonly association?: {
    readonly networkInterfaceId: string
    readonly privateIpAddress: string
  }
  readonly tags: WorldTags
}

/** What exists now, without what is on its way: attachments under way count as done, detachments as not begun. */
export function saveWorld(cloud: Cloud): World {
  return {
    version: 1,
    vpcs: [...cloud.vpcs].map((vpc) => {
      const [primary = '', ...additional] = vpc.blocks.map(({ block }) => formatBlock(block))
      return {
        vpcId: vpc.id,
        cidrBlock: primary,
        additionalCidrBlocks: additional,
        isDefault: vpc.isDefault,
        tags: tagsOf(vpc.tags),
      }
    }),
    subnets: [...cloud.subnets].map((subnet) => ({
      subnetId: subnet.id,
      vpcId: subnet.vpc.id,
      cidrBlock: formatBlock(subnet.space.block),
      ...(subnet.ipv6 === undefined ? {} : { ipv6CidrBlock: `${subnet.ipv6.groups}::/64` }),
      availabilityZone: subnet.availabilityZone,
      defaultForAz: subnet.isDefaultForZone,
      tags: tagsOf(subnet.tags),
    })),
    subnetCidrReservations: [...cloud.cidrReservations].map((reservation) => ({
      subnetCidrReservationId: reservation.id,
      subnetId: reservation.subnet.id,
      cidr: formatBlock(reservation.range),
      reservationType: reservation.type,
      description: reservation.description,
      tags: tagsOf(reservation.tags),
    })),
    securityGroups: [...cloud.groups].map((group) => ({
      groupId: group.id,
      vpcId: group.vpc.id,
      groupName: group.name,
      description: group.description,
      tags: tagsOf(group.tags),
    })),
    routeTables: [...cloud.routeTables].map((table) => ({
      routeTableId: table.id,
      vpcId: table.vpc.id,
      main: table.associations.some(({ subnet }) => subnet === undefined),
      subnetIds: table.associations.flatMap(({ subnet }) => subnet?.id ?? []),
      tags: tagsOf(table.tags),
    })),
    instances: saveInstances(cloud),
    networkInterfaces: saveInterfaces(cloud),
    elasticIps: [...cloud.elasticIPs].map((elasticIP) => ({
      allocationId: elasticIP.id,
      publicIp: elasticIP.publicIP,
      ...(elasticIP.association === undefined
        ? {}
        : {
            association: {
              networkInterfaceId: elasticIP.association.iface.id,
              privateIpAddress: formatIPv4(elasticIP.association.address),
            },
          }),
      tags: tagsOf(elasticIP.tags),
    })),
  }
}

function saveInstances(cloud: Cloud): readonly WorldInstance[] {
  const nowMs = cloud.now()
  return [...cloud.instances].map((instance) => {
    const { name } = instanceState(instance, nowMs)
    const isGone = name === 'shutting-down' || name === 'terminated'
    return {
      instanceId: instance.id,
      instanceType: instance.instanceType,
      subnetId: instance.subnet.id,
      imageId: instance.imageID,
      reservationId: instance.reservationID,
      state: isGone ? 'terminated' : name === 'stopped' || name === 'stopping' ? 'stopped' : 'running',
      launchTime: instance.launchTime.toISOString(),
      tags: tagsOf(instance.tags),
    }
  })
}

function saveInterfaces(cloud: Cloud): readonly WorldInterface[] {
  return [...cloud.interfaces.existing()].map((iface) => {
    cloud.settle(iface)
    const { attachment, addresses } = iface
    return {
      networkInterfaceId: iface.id,
      subnetId: iface.subnet.id,
      interfaceType: iface.interfaceType,
      description: iface.description,
      macAddress: iface.macAddress,
      sourceDestCheck: iface.sourceDestCheck,
      groupIds: iface.groups.map((group) => group.id),
      privateIpAddresses: addresses.ipv4.map(formatIPv4),
      ipv4Prefixes: addresses.ipv4Prefixes.map((prefix) => `${formatIPv4(prefix)}/${PREFIX_BITS}`),
      ipv6Addresses: addresses.ipv6,
      ipv6Prefixes: addresses.ipv6Prefixes,
      ...(attachment === undefined
        ? {}
        : {
            attachment: {
              attachmentId: attachment.id,
              instanceId: attachment.instance.id,
              deviceIndex: attachment.deviceIndex,
              networkCardIndex: attachment.networkCardIndex,
              deleteOnTermination: attachment.deleteOnTermination,
              attachTime: attachment.attachTime.toISOString(),
            },
          }),
      tags: tagsOf(iface.tags),
    }
  })
}

function tagsOf(tags: Tags): WorldTags {
  return Object.fromEntries(tags)
}
