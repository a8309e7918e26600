import type { PoolQuotaMap, Subnet, VirtualNetwork } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import { subnetFilters } from './filters.ts'
import type { EC2Listings } from './listings.ts'
import type { Infrastructure } from './plan-placement.ts'
import type { AWSProviderConfig, ENI } from './types.ts'

/**
 * VPCs, subnets, security groups and route tables: what rarely changes. Read with the full sync, never with an instance's.
 *
 * @source cilium pkg/aws/ipam/instances.go, resyncInstances
 */
export class InfrastructureCache {
  readonly #listings: EC2Listings
  readonly #config: AWSProviderConfig
  #vpcs: ReadonlyMap<string, VirtualNetwork> = new Map()
  #current: Infrastructure = { subnets: new Map(), routeTables: [], securityGroups: [] }

  constructor(listings: EC2Listings, config: AWSProviderConfig) {
    this.#listings = listings
    this.#config = config
  }

  get current(): Infrastructure {
    return this.#current
  }

  /** Reads everything and publishes it together; a failure leaves all of it as it was. @throws CloudAPIError */
  async read(context: CallContext): Promise<void> {
    const { vpcID, subnetTagsFilter, subnetIDsFilter } = this.#config
    const inVPC = vpcID === '' ? [] : [{ name: 'vpc-id', values: [vpcID] }]
    const vpcs = await this.#listings.describeVPCs(vpcID, context)
    const filters = [...subnetFilters(subnetTagsFilter, subnetIDsFilter), ...inVPC]
    const subnets = await this.#listings.describeSubnets(filters, context)
    const securityGroups = await this.#listings.describeSecurityGroups(vpcID, context)
    const routeTables = await this.#listings.describeRouteTables(vpcID, context)
    this.#vpcs = new Map(vpcs.map((vpc) => [vpc.id, vpc]))
    this.#current = { subnets: new Map(subnets.map((subnet) => [subnet.id, subnet])), routeTables, securityGroups }
  }

  poolQuota(): PoolQuotaMap {
    return new Map(
      [...this.#current.subnets.values()].map(({ id, availabilityZone, availableAddresses }) => [
        id,
        { availabilityZone, availableIPs: availableAddresses, availableIPv6s: 0 },
      ]),
    )
  }

  /** Our own call took addresses from a subnet (negative) or gave some back (count). */
  adjustFreeAddresses(subnetID: string, difference: number): void {
    this.#updateSubnet(subnetID, (free) => Math.max(free + difference, 0))
  }

  /** The subnet had no room for so many single addresses: our count is too high. Half of it is assumed, until the next read. */
  lowerFreeAddresses(subnetID: string, refusedCount: number): void {
    this.#updateSubnet(subnetID, (free) => Math.min(free, Math.floor(refusedCount / 2)))
  }

  /** The interface with the CIDRs of its subnet and VPC; where they are not cached, as `previous` had them. */
  withCIDRs(eni: ENI, previous: ENI | undefined): ENI {
    const cidr = this.#current.subnets.get(eni.subnet.id)?.cidr ?? (eni.subnet.cidr || (previous?.subnet.cidr ?? ''))
    const vpc = this.#vpcs.get(eni.vpc.id)
    const known = eni.vpc.primaryCIDR === '' && previous?.vpc.id === eni.vpc.id ? previous.vpc : eni.vpc
    return {
      ...eni,
      subnet: { id: eni.subnet.id, cidr },
      vpc: vpc === undefined ? known : { id: vpc.id, primaryCIDR: vpc.primaryCIDR, cidrs: vpc.cidrs },
    }
  }

  #updateSubnet(subnetID: string, freeAddresses: (free: number) => number): void {
    const subnet = this.#current.subnets.get(subnetID)
    if (subnet === undefined) return
    const updated: Subnet = { ...subnet, availableAddresses: freeAddresses(subnet.availableAddresses) }
    this.#current = { ...this.#current, subnets: new Map(this.#current.subnets).set(subnetID, updated) }
  }
}
