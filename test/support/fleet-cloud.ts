import { createEC2Simulator } from '../../simulators/aws/index.ts'
import type { EC2Simulator, Latency, ThrottleChoice } from '../../simulators/aws/index.ts'
import { startInstance, stopInstance, terminateInstance } from '../../simulators/aws/cloud/instances.ts'
import { discard } from '../../simulators/aws/cloud/interfaces.ts'
import type { Consistency } from '../../simulators/aws/cloud/settings.ts'
import { occupyAddresses } from '../../simulators/aws/occupy.ts'
import type { NetworkInterface, Subnet } from '../../simulators/aws/cloud/types.ts'
import { formatIPv4 } from '../../src/ipam/ip-range.ts'
import type { InterfaceView } from '../../src/fleet/world-view.ts'
import type { FleetClock } from './fleet-clock.ts'

const VPC_ID = 'vpc-0000000000000f001'
const GROUP_ID = 'sg-0000000000000f001'
/** Zone of each subnet: two in the first zone, one in the second. */
const ZONES = ['us-east-1a', 'us-east-1a', 'us-east-1b']
/** What every interface says that the controller made. @source cilium pkg/aws/ipam/node.go, CreateInterface */
const OURS = /^Cilium-CNI \((i-[0-9a-f]+)\)$/

/** The account of a fleet under test: its network, its machines, and the truth about both, read from the simulator's own records. */
export class FleetCloud {
  readonly ec2: EC2Simulator
  readonly vpcID = VPC_ID
  readonly #occupied: { readonly subnetID: string; readonly interfaceID: string; readonly untilMs: number }[] = []
  readonly #clock: FleetClock
  #launched = 0

  constructor(
    clock: FleetClock,
    options: {
      readonly seed: number
      readonly throttle: ThrottleChoice
      readonly latency: Latency
      /** Bits of each subnet's network: 24 gives 251 addresses. */
      readonly subnetBits: number
      readonly consistency: Partial<Consistency>
    },
  ) {
    const size = 2 ** (32 - options.subnetBits)
    const first = 10 * 2 ** 24
    this.#clock = clock
    this.ec2 = createEC2Simulator({
      clock,
      seed: options.seed,
      throttle: options.throttle,
      latency: options.latency,
      settings: { consistency: options.consistency },
      world: {
        version: 1,
        vpcs: [{ vpcId: VPC_ID, cidrBlock: '10.0.0.0/16' }],
        securityGroups: [{ groupId: GROUP_ID, vpcId: VPC_ID, groupName: 'nodes', description: 'nodes' }],
        subnets: ZONES.map((availabilityZone, index) => ({
          subnetId: `subnet-${(0xf000 + index).toString(16).padStart(17, '0')}`,
          vpcId: VPC_ID,
          cidrBlock: `${formatIPv4(first + index * size)}/${options.subnetBits}`,
          availabilityZone,
        })),
      },
    })
  }

  get subnets(): readonly Subnet[] {
    return [...this.ec2.cloud.subnets]
  }

  subnet(index: number): Subnet {
    return this.subnets[index % ZONES.length]!
  }

  /** @returns undefined when no subnet has an address left */
  launch(
    instanceType: string,
  ): { instanceID: string; availabilityZone: string; subnetID: string; privateIP: string } | undefined {
    const start = this.#launched++
    for (let offset = 0; offset < ZONES.length; offset++) {
      const subnet = this.subnet(start + offset)
      if (subnet.space.free < 2) continue
      const [made] = this.ec2.makeInstances({
        instanceType,
        subnetId: subnet.id,
        count: 1,
        groupIds: [GROUP_ID],
      }).instances
      const { instanceId, availabilityZone, subnetId, privateIpAddress } = made!
      return { instanceID: instanceId, availabilityZone, subnetID: subnetId, privateIP: privateIpAddress }
    }
    return undefined
  }

  /** Nothing for a machine that is gone already. */
  terminate(instanceID: string): void {
    const { cloud } = this.ec2
    const instance = cloud.instances.get(instanceID)
    if (instance !== undefined) terminateInstance(cloud, instance)
  }

  stop(instanceID: string): void {
    const { cloud } = this.ec2
    stopInstance(cloud, cloud.instance(instanceID))
  }

  start(instanceID: string): void {
    const { cloud } = this.ec2
    startInstance(cloud, cloud.instance(instanceID))
  }

  isRunning(instanceID: string): boolean {
    const phase = this.ec2.cloud.instances.get(instanceID)?.phase
    return phase?.name === 'launching' && phase.runningAtMs <= this.#clock.now()
  }

  /** Somebody else takes addresses of a subnet, for a while. */
  occupy(subnetID: string, how: { readonly leaveFree: number } | { readonly fragment: true }, untilMs: number): void {
    const subnet = this.ec2.cloud.subnet(subnetID)
    const isPointless = 'fragment' in how ? subnet.space.countFreeBlocks() === 0 : subnet.space.free <= how.leaveFree
    if (isPointless) return
    const { networkInterfaceId } = occupyAddresses(this.ec2.cloud, { subnetId: subnetID, ...how })
    this.#occupied.push({ subnetID, interfaceID: networkInterfaceId, untilMs })
  }

  /** What others took leaves when its time is over. @returns whether there was anything */
  freeOccupied(nowMs: number): boolean {
    const before = this.#occupied.length
    for (const occupied of this.#occupied.filter(({ untilMs }) => untilMs <= nowMs)) {
      this.#occupied.splice(this.#occupied.indexOf(occupied), 1)
      const iface = this.ec2.cloud.interfaces.get(occupied.interfaceID)
      if (iface !== undefined) discard(this.ec2.cloud, iface)
    }
    return this.#occupied.length < before
  }

  /** Whether others hold addresses of one of these subnets. */
  hasOccupied(subnets: readonly Subnet[]): boolean {
    return this.#occupied.some(({ subnetID }) => subnets.some(({ id }) => id === subnetID))
  }

  /** How late listings are from now on. */
  setConsistency(consistency: Consistency): void {
    Object.assign(this.ec2.cloud.settings.consistency, consistency)
  }

  /** The settings object is shared with the simulator: what it was made with is read before anything changes it. */
  consistency(): Consistency {
    return { ...this.ec2.cloud.settings.consistency }
  }

  /** Whole tokens in the bucket of an action (count); a bucket never used is full. */
  async tokens(): Promise<(action: string) => number> {
    const request = { method: 'GET', path: '/_berth/throttle', query: new URLSearchParams(), headers: {}, body: '' }
    const { body } = await this.ec2.router(request, new AbortController().signal)
    const { levels } = JSON.parse(body as string) as {
      readonly levels: Readonly<Record<string, { readonly tokens: number }>>
    }
    return (action) => levels[action]?.tokens ?? Number.POSITIVE_INFINITY
  }

  interfaces(): readonly InterfaceView[] {
    const { cloud } = this.ec2
    return Array.from(cloud.interfaces.existing(), (iface) => {
      cloud.settle(iface)
      return viewOf(iface)
    })
  }

  /** Interfaces that the controller made and that hang on nothing. */
  looseOurs(): readonly { readonly id: string; readonly instanceID: string }[] {
    return [...this.ec2.cloud.interfaces.existing()].flatMap(({ id, attachment, description }) => {
      const instanceID = OURS.exec(description)?.[1]
      return attachment === undefined && instanceID !== undefined ? [{ id, instanceID }] : []
    })
  }

  /** The instance that a call is about; undefined when it is about none, or about many. */
  instanceOf(parameters: URLSearchParams): string | undefined {
    const description = OURS.exec(parameters.get('Description') ?? '')?.[1]
    const iface = this.ec2.cloud.interfaces.get(parameters.get('NetworkInterfaceId') ?? '')
    return (
      parameters.get('InstanceId') ??
      description ??
      iface?.attachment?.instance.id ??
      OURS.exec(iface?.description ?? '')?.[1]
    )
  }
}

function viewOf(iface: NetworkInterface): InterfaceView {
  const { ipv4, ipv4Prefixes } = iface.addresses
  return {
    id: iface.id,
    instanceID: iface.attachment?.instance.id,
    addresses: ipv4.map(formatIPv4),
    prefixes: ipv4Prefixes.map((first) => `${formatIPv4(first)}/28`),
  }
}
