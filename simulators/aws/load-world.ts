import { InputError, InputReader } from '../kit/input.ts'
import { Cloud } from './cloud.ts'
import type { CloudParts } from './cloud.ts'
import { fifthGroup, setAddresses } from './cloud/addressing.ts'
import { createCIDRReservation } from './cloud/cidr-reservations.ts'
import { associateAddress, makeElasticIP } from './cloud/elastic-ips.ts'
import { isID } from './cloud/ids.ts'
import type { IDKind } from './cloud/ids.ts'
import { instanceType } from './cloud/instance-types.ts'
import { attachAtLaunch, createInstance, terminateInstance } from './cloud/instances.ts'
import { makeInterface } from './cloud/interfaces.ts'
import { PREFIX_BITS, parseBlock, parseIPv4 } from '../kit/ipv4.ts'
import {
  associateRouteTable,
  completeVPC,
  createRouteTable,
  createSecurityGroup,
  createSubnet,
  makeVPC,
} from './cloud/networks.ts'
import type { Instance, InterfaceType, NetworkInterface, Tags } from './cloud/types.ts'
import { EC2Error } from './errors.ts'
import { checkWorld } from './invariants.ts'

type Row = Readonly<Record<string, unknown>>

const KINDS = [
  'vpcs',
  'subnets',
  'subnetCidrReservations',
  'securityGroups',
  'routeTables',
  'instances',
  'networkInterfaces',
  'elasticIps',
] as const

/** How many faults of a file are told; the rest would not help. */
const MAX_FAULTS = 20

/**
 * Makes an account from a world (`world.ts`). By hand, a VPC needs `vpcId` and `cidrBlock`, a subnet `subnetId`, `vpcId`, `cidrBlock` and
 * `availabilityZone`, an instance `instanceType` and `subnetId`; the rest has defaults, an instance without interfaces gets a primary
 * one. Quotas do not count here.
 *
 * @throws InputError naming every fault found: the file's form first, then what the rules of the account refuse, then broken
 *   invariants
 */
export function loadWorld(parts: CloudParts, value: unknown): Cloud {
  return new WorldLoader(parts, value).load()
}

class WorldLoader {
  readonly #cloud: Cloud
  readonly #reader = new InputReader('world')
  readonly #value: unknown
  readonly #rejected: string[] = []

  constructor(parts: CloudParts, value: unknown) {
    this.#cloud = new Cloud(parts)
    this.#value = value
  }

  load(): Cloud {
    const file = this.#reader.object(this.#value, 'file', ['version', '$schema', ...KINDS])
    if (file['version'] !== undefined && file['version'] !== 1) this.#reader.fault('version', 'must be 1')
    const rows = (kind: (typeof KINDS)[number]): readonly unknown[] => this.#reader.array(file[kind] ?? [], kind)
    this.#each(rows('vpcs'), 'vpcs', (row, place) => this.#vpc(row, place))
    this.#each(rows('securityGroups'), 'securityGroups', (row, place) => this.#group(row, place))
    this.#each(rows('subnets'), 'subnets', (row, place) => this.#subnet(row, place))
    this.#each(rows('subnetCidrReservations'), 'subnetCidrReservations', (row, place) =>
      this.#cidrReservation(row, place),
    )
    this.#each(rows('routeTables'), 'routeTables', (row, place) => this.#routeTable(row, place))
    for (const vpc of this.#cloud.vpcs) completeVPC(this.#cloud, vpc)
    const stateless: (() => void)[] = []
    this.#each(rows('instances'), 'instances', (row, place) => stateless.push(this.#instance(row, place)))
    this.#each(rows('networkInterfaces'), 'networkInterfaces', (row, place) => this.#interface(row, place))
    this.#each(rows('elasticIps'), 'elasticIps', (row, place) => this.#elasticIP(row, place))
    this.#finish()
    for (const setState of stateless) setState()
    const violations = checkWorld(this.#cloud)
    if (violations.length > 0) {
      throw new InputError(
        'world',
        violations.slice(0, MAX_FAULTS).map(({ rule, detail }) => `${rule}: ${detail}`),
      )
    }
    return this.#cloud
  }

  #finish(): void {
    this.#reader.finish()
    if (this.#rejected.length > 0) throw new InputError('world', this.#rejected.slice(0, MAX_FAULTS))
  }

  /** Reads each row; what the rules refuse becomes a fault of that row. */
  #each(rows: readonly unknown[], kind: string, read: (row: unknown, place: string) => void): void {
    rows.forEach((row, index) => {
      const place = `${kind}[${index}]`
      try {
        read(row, place)
      } catch (error) {
        if (!(error instanceof EC2Error)) throw error
        this.#rejected.push(`${place} ${error.message} (${error.code})`)
      }
    })
  }

  #vpc(value: unknown, place: string): void {
    const row = this.#reader.object(value, place, ['vpcId', 'cidrBlock', 'additionalCidrBlocks', 'isDefault', 'tags'])
    const cidr = this.#reader.string(row['cidrBlock'], `${place}.cidrBlock`)
    makeVPC(this.#cloud, {
      id: this.#id(row, 'vpcId', 'vpc', place, true),
      cidrs: [cidr, ...this.#texts(row, 'additionalCidrBlocks', place)],
      isDefault: this.#flag(row, 'isDefault', place, false),
      tags: this.#tags(row, place),
    })
  }

  #subnet(value: unknown, place: string): void {
    const row = this.#reader.object(value, place, [
      'subnetId',
      'vpcId',
      'cidrBlock',
      'ipv6CidrBlock',
      'availabilityZone',
      'defaultForAz',
      'tags',
    ])
    createSubnet(this.#cloud, {
      id: this.#id(row, 'subnetId', 'subnet', place, true),
      vpc: this.#cloud.vpc(this.#reader.string(row['vpcId'], `${place}.vpcId`)),
      cidr: this.#reader.string(row['cidrBlock'], `${place}.cidrBlock`),
      ipv6CIDR: this.#optionalText(row, 'ipv6CidrBlock', place),
      availabilityZone: this.#reader.string(row['availabilityZone'], `${place}.availabilityZone`),
      isDefaultForZone: this.#flag(row, 'defaultForAz', place, false),
      tags: this.#tags(row, place),
    })
  }

  #cidrReservation(value: unknown, place: string): void {
    const keys = ['subnetCidrReservationId', 'subnetId', 'cidr', 'reservationType', 'description', 'tags']
    const row = this.#reader.object(value, place, keys)
    const types = ['prefix', 'explicit'] as const
    createCIDRReservation(this.#cloud, {
      id: this.#id(row, 'subnetCidrReservationId', 'cidrReservation', place),
      subnet: this.#cloud.subnet(this.#reader.string(row['subnetId'], `${place}.subnetId`)),
      cidr: this.#reader.string(row['cidr'], `${place}.cidr`),
      type: this.#reader.oneOf(row['reservationType'], `${place}.reservationType`, types) ?? 'explicit',
      description: this.#optionalText(row, 'description', place) ?? '',
      tags: this.#tags(row, place),
    })
  }

  #group(value: unknown, place: string): void {
    const row = this.#reader.object(value, place, ['groupId', 'vpcId', 'groupName', 'description', 'tags'])
    const name = this.#reader.string(row['groupName'], `${place}.groupName`)
    createSecurityGroup(this.#cloud, {
      id: this.#id(row, 'groupId', 'group', place),
      vpc: this.#cloud.vpc(this.#reader.string(row['vpcId'], `${place}.vpcId`)),
      name,
      description: this.#optionalText(row, 'description', place) ?? name,
      tags: this.#tags(row, place),
    })
  }

  #routeTable(value: unknown, place: string): void {
    const row = this.#reader.object(value, place, ['routeTableId', 'vpcId', 'main', 'subnetIds', 'tags'])
    const table = createRouteTable(this.#cloud, {
      id: this.#id(row, 'routeTableId', 'routeTable', place),
      vpc: this.#cloud.vpc(this.#reader.string(row['vpcId'], `${place}.vpcId`)),
      isMain: this.#flag(row, 'main', place, false),
      tags: this.#tags(row, place),
    })
    for (const subnetID of this.#texts(row, 'subnetIds', place)) {
      associateRouteTable(this.#cloud, table, this.#cloud.subnet(subnetID))
    }
  }

  /** @returns sets its state once its interfaces are there, and gives it a primary one if it has none */
  #instance(value: unknown, place: string): () => void {
    const row = this.#reader.object(value, place, [
      'instanceId',
      'instanceType',
      'subnetId',
      'imageId',
      'reservationId',
      'state',
      'launchTime',
      'tags',
    ])
    const type = this.#reader.string(row['instanceType'], `${place}.instanceType`)
    if (type !== '' && instanceType(type) === undefined) {
      this.#reader.fault(`${place}.instanceType`, `${type} is not known to this simulator`)
    }
    const state =
      row['state'] === undefined
        ? 'running'
        : this.#reader.oneOf(row['state'], `${place}.state`, ['running', 'stopped', 'terminated'] as const)
    const instance = createInstance(this.#cloud, {
      id: this.#id(row, 'instanceId', 'instance', place),
      instanceType: type,
      subnet: this.#cloud.subnet(this.#reader.string(row['subnetId'], `${place}.subnetId`)),
      imageID: this.#optionalText(row, 'imageId', place) ?? 'ami-00000000000000000',
      reservationID: this.#optionalText(row, 'reservationId', place) ?? this.#cloud.newID('reservation'),
      launchTime: this.#time(row, 'launchTime', place),
      tags: this.#tags(row, place),
    })
    instance.phase = { name: 'launching', runningAtMs: this.#cloud.now() }
    return () => {
      if (state === 'terminated') terminateInstance(this.#cloud, instance)
      else if (!instance.interfaces.some((iface) => iface.attachment?.deviceIndex === 0)) this.#addPrimary(instance)
      if (state === 'stopped') instance.phase = { name: 'stopping', stoppedAtMs: this.#cloud.now() }
    }
  }

  #addPrimary(instance: Instance): void {
    const iface = makeInterface(this.#cloud, {
      subnet: instance.subnet,
      interfaceType: 'interface',
      description: '',
      groups: [],
      tags: new Map(),
      primary: undefined,
      ipv4: { addresses: [], addressCount: 0, prefixes: [], prefixCount: 0 },
      ipv6: { addressCount: 0, prefixCount: 0 },
    })
    attachAtLaunch(this.#cloud, instance, iface, { deviceIndex: 0, networkCardIndex: 0, deleteOnTermination: true })
  }

  #interface(value: unknown, place: string): void {
    const row = this.#reader.object(value, place, [
      'networkInterfaceId',
      'subnetId',
      'interfaceType',
      'description',
      'macAddress',
      'sourceDestCheck',
      'groupIds',
      'privateIpAddresses',
      'ipv4Prefixes',
      'ipv6Addresses',
      'ipv6Prefixes',
      'attachment',
      'tags',
    ])
    const types: readonly InterfaceType[] = ['interface', 'efa', 'efa-only', 'trunk']
    const type = this.#reader.oneOf(row['interfaceType'] ?? 'interface', `${place}.interfaceType`, types)
    const subnet = this.#cloud.subnet(this.#reader.string(row['subnetId'], `${place}.subnetId`))
    const [primary, ...addresses] = this.#parsed(row, 'privateIpAddresses', place, parseIPv4)
    const prefixes = this.#parsed(row, 'ipv4Prefixes', place, (text) => {
      const block = parseBlock(text)
      return block?.bits === PREFIX_BITS ? block.base : undefined
    })
    const iface = makeInterface(this.#cloud, {
      id: this.#id(row, 'networkInterfaceId', 'interface', place),
      subnet,
      interfaceType: type ?? 'interface',
      description: this.#optionalText(row, 'description', place) ?? '',
      macAddress: this.#optionalText(row, 'macAddress', place),
      groups: this.#texts(row, 'groupIds', place).map((groupID) => this.#cloud.group(groupID, subnet.vpc)),
      tags: this.#tags(row, place),
      primary,
      ipv4: { addresses, addressCount: 0, prefixes, prefixCount: 0 },
      ipv6: { addressCount: 0, prefixCount: 0 },
    })
    iface.sourceDestCheck = this.#flag(row, 'sourceDestCheck', place, true)
    this.#addIPv6(iface, this.#texts(row, 'ipv6Addresses', place), this.#texts(row, 'ipv6Prefixes', place), place)
    if (row['attachment'] !== undefined) this.#attachment(iface, row['attachment'], `${place}.attachment`)
  }

  #addIPv6(iface: NetworkInterface, ipv6: readonly string[], ipv6Prefixes: readonly string[], place: string): void {
    if (ipv6.length + ipv6Prefixes.length === 0) return
    const space = iface.subnet.ipv6
    if (space === undefined) {
      this.#reader.fault(place, `has IPv6 addresses, but subnet ${iface.subnet.id} has no IPv6 block`)
      return
    }
    for (const text of [...ipv6, ...ipv6Prefixes]) {
      if (!text.startsWith(`${space.groups}:`)) this.#reader.fault(place, `${text} is not in ${space.groups}::/64`)
    }
    for (const address of ipv6) space.addresses.add(address)
    for (const prefix of ipv6Prefixes) space.prefixes.add(fifthGroup(prefix))
    setAddresses(this.#cloud, iface, { ...iface.addresses, ipv6, ipv6Prefixes })
  }

  #attachment(iface: NetworkInterface, value: unknown, place: string): void {
    const row = this.#reader.object(value, place, [
      'attachmentId',
      'instanceId',
      'deviceIndex',
      'networkCardIndex',
      'deleteOnTermination',
      'attachTime',
    ])
    const instance = this.#cloud.instance(this.#reader.string(row['instanceId'], `${place}.instanceId`))
    const deviceIndex = this.#reader.integer(row['deviceIndex'], `${place}.deviceIndex`, { min: 0 })
    attachAtLaunch(this.#cloud, instance, iface, {
      id: this.#id(row, 'attachmentId', 'attachment', place),
      deviceIndex,
      networkCardIndex: this.#reader.integer(row['networkCardIndex'] ?? 0, `${place}.networkCardIndex`, { min: 0 }),
      deleteOnTermination: this.#flag(row, 'deleteOnTermination', place, deviceIndex === 0),
      attachTime: this.#time(row, 'attachTime', place),
    })
  }

  #elasticIP(value: unknown, place: string): void {
    const row = this.#reader.object(value, place, ['allocationId', 'publicIp', 'association', 'tags'])
    const elasticIP = makeElasticIP(this.#cloud, {
      id: this.#id(row, 'allocationId', 'allocation', place),
      publicIP: this.#optionalText(row, 'publicIp', place),
      tags: this.#tags(row, place),
    })
    if (row['association'] === undefined) return
    const at = `${place}.association`
    const association = this.#reader.object(row['association'], at, ['networkInterfaceId', 'privateIpAddress'])
    const address = parseIPv4(this.#reader.string(association['privateIpAddress'], `${at}.privateIpAddress`))
    if (address === undefined) this.#reader.fault(`${at}.privateIpAddress`, 'must be an IPv4 address')
    associateAddress(this.#cloud, {
      elasticIP,
      iface: this.#cloud.interface(this.#reader.string(association['networkInterfaceId'], `${at}.networkInterfaceId`)),
      address,
      allowReassociation: false,
    })
  }

  #id(row: Row, key: string, kind: IDKind, place: string, isRequired = false): string | undefined {
    if (row[key] === undefined && !isRequired) return undefined
    const id = this.#reader.string(row[key], `${place}.${key}`)
    if (id !== '' && !isID(kind, id)) {
      this.#reader.fault(`${place}.${key}`, `${id} is not an id of its kind (prefix and 17 or 8 hexadecimal digits)`)
    }
    if (this.#cloud.findResource(id) !== undefined) this.#reader.fault(`${place}.${key}`, `${id} is there twice`)
    return id
  }

  #flag(row: Row, key: string, place: string, otherwise: boolean): boolean {
    return row[key] === undefined ? otherwise : this.#reader.boolean(row[key], `${place}.${key}`)
  }

  /** An empty text counts as absent. */
  #optionalText(row: Row, key: string, place: string): string | undefined {
    return row[key] === undefined || row[key] === '' ? undefined : this.#reader.string(row[key], `${place}.${key}`)
  }

  #texts(row: Row, key: string, place: string): readonly string[] {
    if (row[key] === undefined) return []
    return this.#reader
      .array(row[key], `${place}.${key}`)
      .map((one, index) => this.#reader.string(one, `${place}.${key}[${index}]`))
  }

  #parsed<T>(row: Row, key: string, place: string, parse: (text: string) => T | undefined): readonly T[] {
    return this.#texts(row, key, place).flatMap((text, index) => {
      const value = parse(text)
      if (value === undefined) this.#reader.fault(`${place}.${key}[${index}]`, `${text} is not understood`)
      return value === undefined ? [] : [value]
    })
  }

  #time(row: Row, key: string, place: string): Date | undefined {
    const text = this.#optionalText(row, key, place)
    if (text === undefined) return undefined
    const time = new Date(text)
    if (Number.isNaN(time.getTime())) this.#reader.fault(`${place}.${key}`, `${text} is not a time`)
    return time
  }

  #tags(row: Row, place: string): Tags {
    return new Map(Object.entries(row['tags'] === undefined ? {} : this.#tagTexts(row['tags'], `${place}.tags`)))
  }

  /** Tag values may be empty. */
  #tagTexts(value: unknown, place: string): Readonly<Record<string, string>> {
    const tags: Record<string, string> = {}
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.#reader.fault(place, 'must be an object of strings')
      return tags
    }
    for (const [key, text] of Object.entries(value)) {
      if (typeof text === 'string') tags[key] = text
      else this.#reader.fault(`${place}.${key}`, 'must be a string')
    }
    return tags
  }
}
