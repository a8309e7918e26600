import { cidrSize, parseIPv4CIDR } from '../../src/ipam/ip-range.ts'
import type { PoolQuotaMap, Subnet, VirtualNetwork } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { EC2Action } from './buckets.ts'
import { subnetFilters } from './filters.ts'
import type { EC2Listings } from './listings.ts'
import type { Infrastructure } from './plan-placement.ts'
import { SubnetRoom } from './subnet-room.ts'
import type { Claim } from './subnet-room.ts'
import type { AWSProviderConfig, ENI } from './types.ts'

/** Addresses of a subnet that are the cloud's own (count). @source AWS documentation, Amazon VPC User Guide, Subnet sizing */
const RESERVED_ADDRESSES = 5

/**
 * VPCs, subnets, security groups and route tables: what rarely changes. Read with the full sync, never with an instance's.
 *
 * @source cilium pkg/aws/ipam/instances.go, resyncInstances
 */
export class InfrastructureCache {
  readonly #listings: EC2Listings
  readonly #config: AWSProviderConfig
  readonly #clock: Clock
  readonly #room: SubnetRoom
  #vpcs: ReadonlyMap<string, VirtualNetwork> = new Map()
  /** Subnets as EC2 listed them, with what our own calls have changed since. */
  #subnets: ReadonlyMap<string, Subnet> = new Map()
  #current: Infrastructure = { subnets: new Map(), routeTables: [], securityGroups: [] }
  /** `#current` is to be made anew: something changed, or from then on (monotonic ms). */
  #isOutdated = false
  #outdatedAtMs: number | undefined

  constructor(listings: EC2Listings, config: AWSProviderConfig, clock: Clock) {
    this.#listings = listings
    this.#config = config
    this.#clock = clock
    this.#room = new SubnetRoom(clock, () => {
      this.#isOutdated = true
    })
  }

  /** Free counts are those that a plan may count on (`subnet-room.ts`). The same object until something changes. */
  get current(): Infrastructure {
    if (this.#isOutdated || (this.#outdatedAtMs !== undefined && this.#clock.now() >= this.#outdatedAtMs)) {
      this.#isOutdated = false
      this.#outdatedAtMs = this.#room.nextEndMs
      this.#current = {
        ...this.#current,
        subnets: new Map([...this.#subnets].map(([id, one]) => [id, this.#counted(one)])),
      }
    }
    return this.#current
  }

  /** Reads everything and publishes it together; a failure leaves all of it as it was. @throws CloudAPIError */
  async read(context: CallContext): Promise<void> {
    const { vpcID, subnetTagsFilter, subnetIDsFilter } = this.#config
    const inVPC = vpcID === '' ? [] : [{ name: 'vpc-id', values: [vpcID] }]
    const vpcs = await this.#listings.describeVPCs(vpcID, context)
    const filters = [...subnetFilters(subnetTagsFilter, subnetIDsFilter), ...inVPC]
    const startedAtMs = this.#clock.now()
    const subnets = await this.#listings.describeSubnets(filters, context)
    const securityGroups = await this.#listings.describeSecurityGroups(vpcID, context)
    const routeTables = await this.#listings.describeRouteTables(vpcID, context)
    this.#vpcs = new Map(vpcs.map((vpc) => [vpc.id, vpc]))
    this.#subnets = new Map(subnets.map((subnet) => [subnet.id, subnet]))
    this.#current = { subnets: this.#subnets, routeTables, securityGroups }
    this.#room.listed(new Map(subnets.map(({ id, availableAddresses }) => [id, availableAddresses])), startedAtMs)
  }

  /** @param freeBlocks whole /28 blocks that are free in a subnet (count), where that is known */
  poolQuota(freeBlocks: (subnet: Subnet) => number | undefined = () => undefined): PoolQuotaMap {
    return new Map(
      [...this.current.subnets.values()].map((subnet) => {
        const { id, availabilityZone, availableAddresses } = subnet
        const blocks = freeBlocks(subnet)
        const cidr = parseIPv4CIDR(subnet.cidr)
        const known = {
          ...(blocks !== undefined && { freeBlocks: blocks }),
          ...(cidr !== undefined && { totalIPs: cidrSize(cidr) - RESERVED_ADDRESSES }),
        }
        return [id, { availabilityZone, availableIPs: availableAddresses, availableIPv6s: 0, ...known }]
      }),
    )
  }

  /** Our own call took addresses from a subnet (negative) or gave some back (count). */
  adjustFreeAddresses(subnetID: string, difference: number): void {
    const subnet = this.#subnets.get(subnetID)
    if (subnet === undefined) return
    const availableAddresses = Math.max(subnet.availableAddresses + difference, 0)
    this.#subnets = new Map(this.#subnets).set(subnetID, { ...subnet, availableAddresses })
    this.#isOutdated = true
    this.#room.changed(subnetID, difference)
  }

  /** The subnet had no room for so many single addresses: our count is too high. */
  lowerFreeAddresses(subnetID: string, refusedCount: number): void {
    const subnet = this.#subnets.get(subnetID)
    if (subnet !== undefined) this.#room.refused(subnetID, refusedCount, subnet.availableAddresses)
  }

  /** Claims addresses of a subnet for a call that is about to be made. @returns undefined when there is none left */
  claimAddresses(subnetID: string, count: number, action: EC2Action): Claim | undefined {
    return this.#room.claim(subnetID, count, this.#subnets.get(subnetID)?.availableAddresses, action)
  }

  /** The interface with the CIDRs of its subnet and VPC; where they are not cached, as `previous` had them. */
  withCIDRs(eni: ENI, previous: ENI | undefined): ENI {
    const cidr = this.#subnets.get(eni.subnet.id)?.cidr ?? (eni.subnet.cidr || (previous?.subnet.cidr ?? ''))
    const vpc = this.#vpcs.get(eni.vpc.id)
    const known = eni.vpc.primaryCIDR === '' && previous?.vpc.id === eni.vpc.id ? previous.vpc : eni.vpc
    return {
      ...eni,
      subnet: { id: eni.subnet.id, cidr },
      vpc: vpc === undefined ? known : { id: vpc.id, primaryCIDR: vpc.primaryCIDR, cidrs: vpc.cidrs },
    }
  }

  #counted(subnet: Subnet): Subnet {
    const availableAddresses = this.#room.free(subnet.id, subnet.availableAddresses)
    return availableAddresses === subnet.availableAddresses ? subnet : { ...subnet, availableAddresses }
  }
}
