import type { Cloud } from '../cloud.ts'
import { checkPrefixSupport, ipv4Slots } from '../cloud/addressing.ts'
import { instanceType, interfacesPerCard } from '../cloud/instance-types.ts'
import type { InstanceType } from '../cloud/instance-types.ts'
import { attachAtLaunch, createInstance, withdrawInstance } from '../cloud/instances.ts'
import { createInterface, discard } from '../cloud/interfaces.ts'
import { specifiedTags } from '../cloud/tags.ts'
import type { Instance, NetworkInterface, SecurityGroup, Subnet } from '../cloud/types.ts'
import { fault } from '../errors.ts'
import { operation } from '../operation.ts'
import { presentReservations } from '../present.ts'
import { atMostOne, ipv4Address } from '../wire/address-parameters.ts'
import type { ParametersOf } from '../wire/parameters.ts'
import {
  clientToken,
  flag,
  id,
  integer,
  list,
  required,
  structure,
  tagSpecificationField,
  text,
} from '../wire/parameters.ts'

/** Most instances that one call of the simulator makes (count). */
const MAX_INSTANCES = 1000

const PARAMETERS = {
  ImageId: required(text()),
  InstanceType: text(),
  MinCount: required(integer({ min: 1 })),
  MaxCount: required(integer({ min: 1, max: MAX_INSTANCES })),
  SubnetId: id('subnet'),
  SecurityGroupId: list(required(id('group'))),
  PrivateIpAddress: ipv4Address(),
  NetworkInterface: list(
    required(
      structure({
        DeviceIndex: required(integer({ min: 0 })),
        NetworkCardIndex: integer({ min: 0 }),
        NetworkInterfaceId: id('interface'),
        SubnetId: id('subnet'),
        Description: text(),
        SecurityGroupId: list(required(id('group'))),
        PrivateIpAddress: ipv4Address(),
        SecondaryPrivateIpAddressCount: integer({ min: 0 }),
        Ipv4PrefixCount: integer({ min: 0 }),
        DeleteOnTermination: flag(),
      }),
    ),
  ),
  TagSpecification: tagSpecificationField,
  ClientToken: clientToken(),
}

type Parameters = ParametersOf<typeof PARAMETERS>
type InterfaceSpecification = Parameters['NetworkInterface'][number]

/** An instance without a type is of this one. @source Amazon EC2 API Reference, RunInstances */
const DEFAULT_TYPE = 'm1.small'

/** Sets worlds up. Images, keys, disks and all that is not a network interface is not simulated. */
export const runInstances = operation({
  action: 'RunInstances',
  changes: true,
  parameters: PARAMETERS,
  execute(cloud, parameters) {
    const { ClientToken: token, ...rest } = parameters
    return cloud.idempotency.once('RunInstances', token, JSON.stringify(rest), () => {
      const instances = launch(cloud, parameters)
      // One launch, one reservation.
      return () => ({ ...presentReservations(cloud, instances)[0] })
    })
  },
})

function launch(cloud: Cloud, parameters: Parameters): readonly Instance[] {
  const { MinCount: min, MaxCount: max } = parameters
  if (min > max)
    throw fault('InvalidParameterValue', `Value (${min}) for parameter minCount is invalid: above maxCount`)
  const type = instanceType(parameters.InstanceType ?? DEFAULT_TYPE)
  if (type === undefined) {
    throw fault('InvalidParameterValue', `Invalid value '${parameters.InstanceType}' for InstanceType.`)
  }
  const specifications = interfacesOf(cloud, parameters)
  checkSpecifications(type, specifications, max)
  const reservationID = cloud.newID('reservation')
  const instances: Instance[] = []
  while (instances.length < max) {
    try {
      instances.push(launchOne(cloud, parameters, type, specifications, reservationID))
    } catch (error) {
      // As many as fit, if that is enough; otherwise none.
      if (instances.length >= min) break
      for (const instance of instances) withdrawInstance(cloud, instance)
      throw error
    }
  }
  return instances
}

/** The interfaces of each instance: as specified, or a primary one in the subnet of the call. */
function interfacesOf(cloud: Cloud, parameters: Parameters): readonly InterfaceSpecification[] {
  const { NetworkInterface: specifications } = parameters
  atMostOne({
    networkInterfaces: specifications.length > 0,
    'subnetId, securityGroupIds or privateIpAddress':
      parameters.SubnetId !== undefined ||
      parameters.SecurityGroupId.length > 0 ||
      parameters.PrivateIpAddress !== undefined,
  })
  if (specifications.length > 0) return specifications
  const subnetID = parameters.SubnetId ?? defaultSubnet(cloud).id
  return [
    {
      DeviceIndex: 0,
      NetworkCardIndex: 0,
      NetworkInterfaceId: undefined,
      SubnetId: subnetID,
      Description: undefined,
      SecurityGroupId: parameters.SecurityGroupId,
      PrivateIpAddress: parameters.PrivateIpAddress,
      SecondaryPrivateIpAddressCount: undefined,
      Ipv4PrefixCount: undefined,
      DeleteOnTermination: undefined,
    },
  ]
}

function defaultSubnet(cloud: Cloud): Subnet {
  for (const subnet of cloud.subnets) if (subnet.isDefaultForZone) return subnet
  throw fault('MissingParameter', 'subnetId')
}

function checkSpecifications(
  type: InstanceType,
  specifications: readonly InterfaceSpecification[],
  count: number,
): void {
  const places = new Set<string>()
  const onCard = new Map<number, number>()
  for (const one of specifications) {
    const card = one.NetworkCardIndex ?? 0
    const place = `${card}/${one.DeviceIndex}`
    if (places.has(place)) {
      throw fault('InvalidParameterValue', `Each network interface requires a unique device index.`)
    }
    places.add(place)
    onCard.set(card, (onCard.get(card) ?? 0) + 1)
    if (card >= type.cards) {
      throw fault('InvalidParameterValue', `Network card index ${card} is not valid for instance type ${type.name}`)
    }
    if (count > 1 && (one.NetworkInterfaceId !== undefined || one.PrivateIpAddress !== undefined)) {
      throw fault('InvalidParameterCombination', 'A given interface or address can be used for one instance only')
    }
    atMostOne({
      secondaryPrivateIpAddressCount: (one.SecondaryPrivateIpAddressCount ?? 0) > 0,
      ipv4PrefixCount: (one.Ipv4PrefixCount ?? 0) > 0,
    })
    if (one.NetworkInterfaceId !== undefined) checkGivenInterface(one)
    if ((one.Ipv4PrefixCount ?? 0) > 0) checkPrefixSupport(type)
  }
  if (!places.has('0/0')) {
    throw fault('InvalidParameterValue', 'The primary network interface must be at device index 0 of network card 0')
  }
  const isTooMany = [...onCard.values()].some((one) => one > interfacesPerCard(type))
  if (isTooMany) throw fault('AttachmentLimitExceeded', String(specifications.length), type.name)
}

/** An interface that exists has its subnet, groups and addresses, and outlives the instance. */
function checkGivenInterface(one: InterfaceSpecification): void {
  const { NetworkInterfaceId: _id, DeviceIndex: _index, NetworkCardIndex: _card, ...others } = one
  const { DeleteOnTermination: isDeleted, SecurityGroupId: groupIDs, ...places } = others
  if (isDeleted === true) {
    throw fault(
      'InvalidParameterCombination',
      'A network interface may not specify a network interface ID and delete on termination as true',
    )
  }
  if (groupIDs.length > 0 || Object.values(places).some((value) => value !== undefined)) {
    throw fault(
      'InvalidParameterCombination',
      'A network interface may not specify both a network interface ID and what a new one is made of',
    )
  }
}

function launchOne(
  cloud: Cloud,
  parameters: Parameters,
  type: InstanceType,
  specifications: readonly InterfaceSpecification[],
  reservationID: string,
): Instance {
  const types = ['instance', 'network-interface', 'volume']
  const made: NetworkInterface[] = []
  try {
    const pairs = specifications.map((specification) => {
      const iface =
        specification.NetworkInterfaceId === undefined
          ? newInterface(cloud, parameters, specification, types)
          : givenInterface(cloud, specification.NetworkInterfaceId)
      if (specification.NetworkInterfaceId === undefined) made.push(iface)
      const slots = ipv4Slots(iface.addresses)
      if (slots > type.ipv4) {
        throw fault('InvalidInterface.IpAddressLimitExceeded', String(slots), iface.id, type.name)
      }
      return { specification, iface }
    })
    const primary = pairs.find(({ specification }) => specification.DeviceIndex === 0)?.iface ?? pairs[0]?.iface
    if (primary === undefined) throw fault('MissingParameter', 'networkInterface')
    checkZones(
      pairs.map(({ iface }) => iface),
      primary.subnet,
    )
    const instance = createInstance(cloud, {
      instanceType: type.name,
      imageID: parameters.ImageId,
      subnet: primary.subnet,
      tags: specifiedTags(cloud, parameters.TagSpecification, 'instance', types),
      reservationID,
    })
    for (const { specification, iface } of pairs) {
      attachAtLaunch(cloud, instance, iface, {
        deviceIndex: specification.DeviceIndex,
        networkCardIndex: specification.NetworkCardIndex ?? 0,
        // An interface that existed before outlives the instance.
        deleteOnTermination:
          specification.NetworkInterfaceId === undefined && specification.DeleteOnTermination !== false,
      })
    }
    return instance
  } catch (error) {
    for (const iface of made) discard(cloud, iface)
    throw error
  }
}

function newInterface(
  cloud: Cloud,
  parameters: Parameters,
  specification: InterfaceSpecification,
  types: readonly string[],
): NetworkInterface {
  if (specification.SubnetId === undefined) throw fault('MissingParameter', 'subnetId')
  const subnet = cloud.subnet(specification.SubnetId)
  const groups: SecurityGroup[] = specification.SecurityGroupId.map((groupID) => cloud.group(groupID, subnet.vpc))
  return createInterface(cloud, {
    subnet,
    interfaceType: 'interface',
    description: specification.Description ?? '',
    groups,
    tags: specifiedTags(cloud, parameters.TagSpecification, 'network-interface', types),
    primary: specification.PrivateIpAddress,
    ipv4: {
      addresses: [],
      addressCount: specification.SecondaryPrivateIpAddressCount ?? 0,
      prefixes: [],
      prefixCount: specification.Ipv4PrefixCount ?? 0,
    },
    ipv6: { addressCount: 0, prefixCount: 0 },
  })
}

function givenInterface(cloud: Cloud, id: string): NetworkInterface {
  const iface = cloud.interface(id)
  if (iface.attachment !== undefined) throw fault('InvalidNetworkInterface.InUse', id)
  return iface
}

function checkZones(interfaces: readonly NetworkInterface[], { vpc, availabilityZone }: Subnet): void {
  for (const { subnet } of interfaces) {
    if (subnet.vpc !== vpc || subnet.availabilityZone !== availabilityZone) {
      throw fault('InvalidParameterCombination', 'All network interfaces must be in the same availability zone')
    }
  }
}
