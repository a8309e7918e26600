import type { Clock } from '../kit/clock.ts'
import { drawDuration } from '../kit/latency.ts'
import type { DurationRange } from '../kit/latency.ts'
import { seededRandom } from '../kit/random.ts'
import type { Random } from '../kit/random.ts'
import { isID, newID } from './cloud/ids.ts'
import type { IDKind } from './cloud/ids.ts'
import { IdempotencyStore } from './cloud/idempotency.ts'
import { InterfaceStore } from './cloud/interface-store.ts'
import { ResourceStore } from './cloud/resource-store.ts'
import type { CloudSettings } from './cloud/settings.ts'
import type {
  CIDRReservation,
  ElasticIP,
  Instance,
  NetworkInterface,
  Resource,
  RouteTable,
  SecurityGroup,
  Subnet,
  VPC,
} from './cloud/types.ts'
import { fault } from './errors.ts'

/** What a cloud is made of besides its contents. */
export interface CloudParts {
  readonly clock: Clock
  readonly settings: CloudSettings
  /** Identifiers, address choices and delays follow from it. */
  readonly seed: number
}

/**
 * The simulated account in one region: what exists, and how to find it. The rules of each kind of resource are in `cloud/*.ts`,
 * functions that take the cloud first. State that follows from the passing of time (attaching, terminating) is worked out from the
 * clock when it is looked at; nothing here runs by itself.
 */
export class Cloud {
  readonly clock: Clock
  readonly settings: CloudSettings
  readonly vpcs = new ResourceStore<VPC>()
  readonly subnets = new ResourceStore<Subnet>()
  readonly cidrReservations = new ResourceStore<CIDRReservation>()
  readonly groups = new ResourceStore<SecurityGroup>()
  readonly routeTables = new ResourceStore<RouteTable>()
  readonly instances = new ResourceStore<Instance>()
  readonly interfaces = new InterfaceStore()
  readonly elasticIPs = new ResourceStore<ElasticIP>()
  readonly idempotency = new IdempotencyStore()
  /** Instances that are terminated, in that order: they leave the listings one day. */
  readonly terminated: Instance[] = []
  /** Separate streams, so that one kind of choice does not shift the others. */
  readonly randomAddresses: Random
  readonly randomTimes: Random
  readonly #randomIDs: Random
  #lastOrdinal = 0

  constructor({ clock, settings, seed }: CloudParts) {
    this.clock = clock
    this.settings = settings
    this.#randomIDs = seededRandom(seed)
    this.randomAddresses = seededRandom(seed ^ 0x51ed270b)
    this.randomTimes = seededRandom(seed ^ 0x2545f491)
  }

  now(): number {
    return this.clock.now()
  }

  nextOrdinal(): number {
    return ++this.#lastOrdinal
  }

  newID(kind: IDKind): string {
    return newID(this.#randomIDs, kind)
  }

  /** Random numbers for what is like an id: MAC addresses, public addresses. */
  get randomIDs(): Random {
    return this.#randomIDs
  }

  /** @throws EC2Error InvalidVpcID.NotFound */
  vpc(id: string): VPC {
    const found = this.vpcs.get(id)
    if (found === undefined) throw fault('InvalidVpcID.NotFound', id)
    return found
  }

  /** @throws EC2Error InvalidSubnetID.NotFound */
  subnet(id: string): Subnet {
    const found = this.subnets.get(id)
    if (found === undefined) throw fault('InvalidSubnetID.NotFound', id)
    return found
  }

  /** @throws EC2Error InvalidGroup.NotFound, also for a group of another VPC */
  group(id: string, vpc?: VPC): SecurityGroup {
    const found = this.groups.get(id)
    if (found === undefined || (vpc !== undefined && found.vpc !== vpc)) throw fault('InvalidGroup.NotFound', id)
    return found
  }

  /** @throws EC2Error InvalidRouteTableID.NotFound */
  routeTable(id: string): RouteTable {
    const found = this.routeTables.get(id)
    if (found === undefined) throw fault('InvalidRouteTableID.NotFound', id)
    return found
  }

  /**
   * The instance for an action on it.
   *
   * @throws EC2Error InvalidInstanceID.NotFound, also by chance while it is not yet visible
   */
  instance(id: string): Instance {
    const found = this.instances.get(id)
    if (found === undefined || this.#isOverlooked(found.visibleAtMs)) throw fault('InvalidInstanceID.NotFound', id)
    return found
  }

  /**
   * The interface for an action on it, any detachment that is due done.
   *
   * @throws EC2Error InvalidNetworkInterfaceID.NotFound, also by chance while it is not yet visible
   */
  interface(id: string): NetworkInterface {
    const found = this.interfaces.get(id)
    if (found === undefined || this.#isOverlooked(found.visibleAtMs)) {
      throw fault('InvalidNetworkInterfaceID.NotFound', id)
    }
    this.settle(found)
    return found
  }

  /** Whether an action misses what is not yet visible. */
  #isOverlooked(visibleAtMs: number): boolean {
    if (this.now() >= visibleAtMs) return false
    const { notFoundProbability } = this.settings.consistency
    return notFoundProbability > 0 && this.randomTimes.next() < notFoundProbability
  }

  /** Does a detachment that is due. */
  settle(iface: NetworkInterface): void {
    const detachedAtMs = iface.attachment?.detachedAtMs
    if (detachedAtMs !== undefined && detachedAtMs <= this.now()) this.interfaces.detach(iface)
  }

  /** Any taggable resource. */
  findResource(id: string): Resource | undefined {
    return (
      this.interfaces.get(id) ??
      this.instances.get(id) ??
      this.subnets.get(id) ??
      this.cidrReservations.get(id) ??
      this.vpcs.get(id) ??
      this.groups.get(id) ??
      this.routeTables.get(id) ??
      this.elasticIPs.get(id)
    )
  }

  /** @throws EC2Error NotFound of the id's kind, InvalidID for what is no id of a taggable resource */
  resource(id: string): Resource {
    if (isID('interface', id)) return this.interface(id)
    if (isID('instance', id)) return this.instance(id)
    if (isID('subnet', id)) return this.subnet(id)
    if (isID('vpc', id)) return this.vpc(id)
    if (isID('group', id)) return this.group(id)
    if (isID('routeTable', id)) return this.routeTable(id)
    const found = this.findResource(id)
    if (found === undefined) throw fault('InvalidID', id)
    return found
  }

  /** A delay of the range, drawn evenly. */
  duration(range: DurationRange): number {
    return drawDuration(range, this.randomTimes)
  }
}
