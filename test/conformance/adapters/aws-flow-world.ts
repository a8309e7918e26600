import { createEC2Simulator, instanceType, type EC2Simulator } from '../../../simulators/aws/index.ts'
import { instanceTypes } from '../../../simulators/aws/cloud/instance-types.ts'
import { saveWorld, type WorldInterface } from '../../../simulators/aws/world.ts'
import { formatIPv4, parseIPv4 } from '../../../src/ipam/ip-range.ts'
import type { Tags } from '../../../src/ipam/types.ts'
import type { ManualClock } from '../../support/manual-clock.ts'
import type { LimitsVector, RouteTableVector, SubnetVector } from './aws-node.ts'

/** `given.cloud` of a flow. */
export interface FlowCloud {
  readonly vpcs: readonly { readonly id: string }[]
  readonly subnets: readonly SubnetVector[]
  readonly securityGroups?: readonly { readonly id: string; readonly vpc: string; readonly tags?: Tags }[]
  readonly routeTables?: readonly RouteTableVector[]
  readonly instances: Readonly<Record<string, readonly FlowInterface[]>>
}

export interface FlowInterface {
  readonly ref: string
  readonly index: number
  readonly subnet: string
  readonly secondary?: number
  readonly prefixes?: number
  readonly securityGroups?: readonly string[]
  readonly tags?: Tags
}

/** The public address that the file's own fake hands out. */
const PUBLIC_IP = '192.0.2.254'
const SUBNET_SIZE = 4096
const ZONE_REGION = /^[a-z]+-[a-z]+-\d+/

/** The file's short names as EC2 writes them: prefix and 17 hexadecimal digits. Empty stays empty. */
export function wireID(prefix: string, name: string): string {
  if (name === '') return ''
  return `${prefix}-${Buffer.from(name).toString('hex').slice(-17).padStart(17, '0')}`
}

/** The simulated account of a flow. */
export class FlowWorld {
  readonly simulator: EC2Simulator
  readonly #initialIDs: ReadonlySet<string>

  constructor(cloud: FlowCloud, limits: LimitsVector, staticIPTags: Tags, clock: ManualClock) {
    const region = ZONE_REGION.exec(cloud.subnets[0]?.az ?? '')?.[0] ?? 'us-west-1'
    const bases = new Map(cloud.subnets.map(({ id }, index) => [id, parseIPv4(`10.10.${index * 16}.0`) ?? 0]))
    const placed = new Map<string, number>()
    this.simulator = createEC2Simulator({
      clock,
      throttle: 'none',
      settings: { region },
      world: {
        version: 1,
        vpcs: cloud.vpcs.map(({ id }) => ({ vpcId: wireID('vpc', id), cidrBlock: '10.10.0.0/16' })),
        subnets: cloud.subnets.map((subnet) => ({
          subnetId: wireID('subnet', subnet.id),
          vpcId: wireID('vpc', subnet.vpc),
          cidrBlock: `${formatIPv4(bases.get(subnet.id) ?? 0)}/20`,
          availabilityZone: zoneOf(subnet.az),
          tags: subnet.tags ?? {},
        })),
        securityGroups: (cloud.securityGroups ?? []).map(({ id, vpc, tags }) => ({
          groupId: wireID('sg', id),
          vpcId: wireID('vpc', vpc),
          groupName: `group ${id}`,
          tags: tags ?? {},
        })),
        routeTables: (cloud.routeTables ?? []).map(({ id, vpc, subnets }) => ({
          routeTableId: wireID('rtb', id),
          vpcId: wireID('vpc', vpc),
          subnetIds: subnets.map((subnet) => wireID('subnet', subnet)),
        })),
        instances: Object.entries(cloud.instances).map(([id, [first]]) => ({
          instanceId: wireID('i', id),
          instanceType: typeWith(limits),
          subnetId: wireID('subnet', first?.subnet ?? cloud.subnets[0]?.id ?? ''),
        })),
        networkInterfaces: Object.entries(cloud.instances).flatMap(([instanceID, interfaces]) =>
          interfaces.map((iface) => launchInterface(instanceID, iface, bases, placed)),
        ),
        elasticIps: Object.keys(staticIPTags).length > 0 ? [{ publicIp: PUBLIC_IP, tags: staticIPTags }] : [],
      },
    })
    for (const { id, available } of cloud.subnets) this.setAvailable(id, available)
    this.#initialIDs = new Set(this.interfaces().map(({ networkInterfaceId }) => networkInterfaceId))
  }

  interfaces(): readonly WorldInterface[] {
    return saveWorld(this.simulator.cloud).networkInterfaces
  }

  interfacesOf(instanceID: string): readonly WorldInterface[] {
    return this.interfaces().filter(({ attachment }) => attachment?.instanceId === wireID('i', instanceID))
  }

  /** Interfaces that were not there at the start. */
  newInterfacesOf(instanceID: string): readonly WorldInterface[] {
    return this.interfacesOf(instanceID).filter(({ networkInterfaceId }) => !this.#initialIDs.has(networkInterfaceId))
  }

  byRef(ref: string): WorldInterface | undefined {
    return this.interfaces().find(({ networkInterfaceId }) => networkInterfaceId === wireID('eni', ref))
  }

  publicIPOf(interfaceID: string): string | undefined {
    return saveWorld(this.simulator.cloud).elasticIps.find(
      ({ association }) => association?.networkInterfaceId === interfaceID,
    )?.publicIp
  }

  availableIn(subnetName: string): number {
    return this.simulator.cloud.subnet(wireID('subnet', subnetName)).space.free
  }

  /** Takes addresses for others, from the end of the subnet down, or gives such back, until so many are free. */
  setAvailable(subnetName: string, count: number): void {
    const { space } = this.simulator.cloud.subnet(wireID('subnet', subnetName))
    const ours = this.#ours()
    const last = space.block.base + SUBNET_SIZE - 1
    for (let address = last; address > space.block.base && space.free > count; address--) space.take(address)
    for (let address = last; address > space.block.base && space.free < count; address--)
      if (space.isTaken(address) && !space.isReserved(address) && !ours.has(address)) space.release(address)
  }

  /** Leaves as many addresses free as there are, but no whole block. */
  breakBlocks(subnetName: string): void {
    const { space } = this.simulator.cloud.subnet(wireID('subnet', subnetName))
    const { free } = space
    for (let first = space.block.base; first < space.block.base + SUBNET_SIZE; first += 16)
      if (space.isBlockFree(first)) space.take(first + 8)
    const ours = this.#ours()
    for (let address = space.block.base + SUBNET_SIZE - 1; address > space.block.base && space.free < free; address--)
      if (address % 16 !== 8 && space.isTaken(address) && !space.isReserved(address) && !ours.has(address))
        space.release(address)
  }

  #ours(): ReadonlySet<number> {
    return new Set(
      this.interfaces().flatMap(({ privateIpAddresses, ipv4Prefixes }) => [
        ...privateIpAddresses.map((address) => parseIPv4(address) ?? 0),
        ...ipv4Prefixes.flatMap((prefix) => {
          const base = parseIPv4(prefix.split('/')[0] ?? '') ?? 0
          return Array.from({ length: 16 }, (_, offset) => base + offset)
        }),
      ]),
    )
  }
}

/** The file has zones named like regions. */
export function zoneOf(zone: string): string {
  return /\d$/.test(zone) ? `${zone}a` : zone
}

/** A type that the simulator offers with these limits, the named one first. */
export function typeWith(limits: LimitsVector): string {
  const isSame = (type: ReturnType<typeof instanceType>): boolean =>
    type?.adapters === limits.adapters &&
    type.ipv4 === limits.ipv4 &&
    type.hypervisor === limits.hypervisor &&
    type.bareMetal === limits.bareMetal
  if (isSame(instanceType(limits.instanceType))) return limits.instanceType
  for (const type of instanceTypes()) if (isSame(type)) return type.name
  throw new Error(`the simulator offers no type with the limits of ${limits.instanceType}`)
}

/** @param placed addresses given out so far, by subnet (count) */
function launchInterface(
  instanceID: string,
  iface: FlowInterface,
  bases: ReadonlyMap<string, number>,
  placed: Map<string, number>,
): object {
  const base = bases.get(iface.subnet) ?? 0
  const offset = placed.get(iface.subnet) ?? 16
  const singles = 1 + (iface.secondary ?? 0)
  const prefixOffset = Math.ceil((offset + singles) / 16) * 16
  const prefixes = iface.prefixes ?? 0
  placed.set(iface.subnet, prefixOffset + prefixes * 16)
  return {
    networkInterfaceId: wireID('eni', iface.ref),
    subnetId: wireID('subnet', iface.subnet),
    groupIds: (iface.securityGroups ?? []).map((group) => wireID('sg', group)),
    privateIpAddresses: Array.from({ length: singles }, (_, index) => formatIPv4(base + offset + index)),
    ipv4Prefixes: Array.from({ length: prefixes }, (_, index) => `${formatIPv4(base + prefixOffset + index * 16)}/28`),
    attachment: { instanceId: wireID('i', instanceID), deviceIndex: iface.index },
    tags: iface.tags ?? {},
  }
}
