import {
  DescribeInstanceTypesCommand,
  DescribeInstancesCommand,
  DescribeNetworkInterfacesCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeTagsCommand,
  DescribeVpcsCommand,
  GetSecurityGroupsForVpcCommand,
  type EC2Client,
  type Filter,
  type InstanceTypeInfo,
} from '@aws-sdk/client-ec2'
import type { Logger } from '../../src/ipam/contracts.ts'
import { parseIPv4CIDR } from '../../src/ipam/ip-range.ts'
import type { Limits, RouteTable, SecurityGroup, Subnet, Tags, VirtualNetwork } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import { requestFilters, type EC2Caller } from './ec2-caller.ts'
import { isActionUnknown, isPermissionMissing } from './errors.ts'
import { chunks, splitFilters, tagFilters } from './filters.ts'
import { parseInterface, tagsOf, type ListedInterface } from './parse-interface.ts'
import type { EC2Filter } from './types.ts'

/** Most items a page of these listings may have (count). @source AWS documentation, EC2 API, MaxResults of each action */
const LARGEST_SMALL_PAGE = 100
/** Interface IDs in one request without page size (count), so that one answer does not hold up the event loop. */
const IDS_PER_REQUEST = 150
/** Malformed interfaces that are warned of (count); further ones add nothing. */
const MAX_MALFORMED = 1000

/** Sees each page of interfaces as it arrives, so that work on it is spread out; what it returns takes the page's place. */
export type OnPage = (page: readonly ListedInterface[]) => readonly ListedInterface[]

/**
 * The listings of EC2 that this provider uses, in the project's types.
 *
 * @source cilium pkg/aws/ec2/ec2.go
 */
export class EC2Listings {
  readonly #caller: EC2Caller
  readonly #client: Pick<EC2Client, 'send'>
  readonly #log: Logger
  #isGroupListingForVPCDenied = false
  /** Interfaces that were warned of. */
  readonly #malformed = new Set<string>()

  constructor(caller: EC2Caller, client: Pick<EC2Client, 'send'>, log: Logger) {
    this.#caller = caller
    this.#client = client
    this.#log = log
  }

  /** True once the account was found not to allow GetSecurityGroupsForVpc. */
  get isGroupListingForVPCDenied(): boolean {
    return this.#isGroupListingForVPCDenied
  }

  /** @param vpcID empty = all VPCs of the account and region. @throws CloudAPIError */
  async describeVPCs(vpcID: string, context: CallContext): Promise<readonly VirtualNetwork[]> {
    const vpcs = await this.#caller.list(context, {
      action: 'DescribeVpcs',
      isFiltered: vpcID !== '',
      pageSize: vpcID === '' ? this.#caller.pageSize : 0, // IDs and a page size exclude each other
      send: (page, options) =>
        this.#client.send(new DescribeVpcsCommand({ ...page, ...(vpcID !== '' && { VpcIds: [vpcID] }) }), options),
      pick: (output) => output.Vpcs,
    })
    return vpcs.flatMap(
      ({ VpcId: id = '', CidrBlock: primaryCIDR = '', CidrBlockAssociationSet: associated = [] }) => ({
        id,
        primaryCIDR,
        cidrs: associated.flatMap(({ CidrBlock }) => (CidrBlock === primaryCIDR ? [] : (CidrBlock ?? []))),
      }),
    )
  }

  /** Subnets without a valid IPv4 CIDR are left out. @throws CloudAPIError */
  async describeSubnets(filters: readonly EC2Filter[], context: CallContext): Promise<readonly Subnet[]> {
    const subnets = await this.#caller.listFiltered(context, filters, (wire) => ({
      action: 'DescribeSubnets',
      isFiltered: filters.length > 0,
      pageSize: this.#caller.pageSize,
      send: (page, options) => this.#client.send(new DescribeSubnetsCommand({ ...page, ...wire }), options),
      pick: (output) => output.Subnets,
    }))
    return subnets
      .map((subnet) => {
        const tags = tagsOf(subnet.Tags)
        return {
          id: subnet.SubnetId ?? '',
          name: tags['Name'] ?? '',
          cidr: subnet.CidrBlock ?? '',
          availabilityZone: subnet.AvailabilityZone ?? '',
          virtualNetworkID: subnet.VpcId ?? '',
          availableAddresses: subnet.AvailableIpAddressCount ?? 0,
          tags,
        }
      })
      .filter((subnet) => parseIPv4CIDR(subnet.cidr) !== undefined)
  }

  /** @throws CloudAPIError */
  async describeRouteTables(vpcID: string, context: CallContext): Promise<readonly RouteTable[]> {
    const wire = requestFilters(vpcFilter(vpcID))
    const tables = await this.#caller.list(context, {
      action: 'DescribeRouteTables',
      isFiltered: vpcID !== '',
      pageSize: Math.min(this.#caller.pageSize, LARGEST_SMALL_PAGE),
      send: (page, options) => this.#client.send(new DescribeRouteTablesCommand({ ...page, ...wire }), options),
      pick: (output) => output.RouteTables,
    })
    return tables.map((table) => ({
      id: table.RouteTableId ?? '',
      virtualNetworkID: table.VpcId ?? '',
      subnetIDs: new Set(
        (table.Associations ?? []).flatMap(({ SubnetId, AssociationState }) =>
          AssociationState?.State === 'associated' ? (SubnetId ?? []) : [],
        ),
      ),
    }))
  }

  /**
   * Through GetSecurityGroupsForVpc where the VPC is known and account and endpoint have it (small answers, no rules), else through
   * DescribeSecurityGroups.
   *
   * @throws CloudAPIError
   * @source cilium pkg/aws/ec2/ec2.go, GetSecurityGroups (1.21 line)
   */
  async describeSecurityGroups(vpcID: string, context: CallContext): Promise<readonly SecurityGroup[]> {
    if (vpcID !== '' && !this.#isGroupListingForVPCDenied) {
      try {
        return await this.#securityGroupsForVPC(vpcID, context)
      } catch (error) {
        if (!isPermissionMissing(error) && !isActionUnknown(error)) throw error
        this.#isGroupListingForVPCDenied = true
        this.#log.warn(
          { action: 'GetSecurityGroupsForVpc', error },
          'Cannot list the groups of the VPC, listing all groups',
        )
      }
    }
    const wire = requestFilters(vpcFilter(vpcID))
    const groups = await this.#caller.listSwitching(context, {
      action: 'DescribeSecurityGroups',
      isFiltered: vpcID !== '',
      send: (page, options) => this.#client.send(new DescribeSecurityGroupsCommand({ ...page, ...wire }), options),
      pick: (output) => output.SecurityGroups,
    })
    return groups.map(({ GroupId: id = '', VpcId: virtualNetworkID = '', Tags }) => ({
      id,
      virtualNetworkID,
      tags: tagsOf(Tags),
    }))
  }

  async #securityGroupsForVPC(vpcID: string, context: CallContext): Promise<readonly SecurityGroup[]> {
    const groups = await this.#caller.listSwitching(context, {
      action: 'GetSecurityGroupsForVpc',
      isFiltered: true,
      send: (page, options) =>
        this.#client.send(new GetSecurityGroupsForVpcCommand({ ...page, VpcId: vpcID }), options),
      pick: (output) => output.SecurityGroupForVpcs,
    })
    return groups.map(({ GroupId: id = '', PrimaryVpcId: virtualNetworkID = '', Tags }) => ({
      id,
      virtualNetworkID,
      tags: tagsOf(Tags),
    }))
  }

  /**
   * The full listing of interfaces that have a private IPv4 address, attached or not.
   *
   * @param scope.subnetIDs only interfaces in these subnets; undefined = in all
   * @param scope.instanceFilters only interfaces of the instances that match; empty = of all
   * @throws CloudAPIError
   * @source cilium pkg/aws/ec2/ec2.go, describeNetworkInterfaces and describeNetworkInterfacesFromInstances
   */
  async describeInterfaces(
    scope: { readonly subnetIDs: readonly string[] | undefined; readonly instanceFilters: readonly EC2Filter[] },
    context: CallContext,
    onPage: OnPage = (page) => page,
  ): Promise<readonly ListedInterface[]> {
    const withAddress = { name: 'private-ip-address', values: ['*'] }
    if (scope.instanceFilters.length > 0) {
      const ids = await this.#interfaceIDsOfInstances(scope.instanceFilters, context)
      const listed: ListedInterface[] = []
      for (const NetworkInterfaceIds of chunks(ids, IDS_PER_REQUEST)) {
        const wire = { NetworkInterfaceIds: [...NetworkInterfaceIds], ...requestFilters([withAddress]) }
        listed.push(...(await this.#interfaces(context, wire, 0, onPage)))
      }
      return listed
    }
    if (scope.subnetIDs?.length === 0) return []
    const inSubnets = scope.subnetIDs === undefined ? [] : [{ name: 'subnet-id', values: scope.subnetIDs }]
    return this.#caller.switchingToPages(async () => {
      const listed: ListedInterface[] = []
      for (const filters of splitFilters([withAddress, ...inSubnets]))
        listed.push(...(await this.#interfaces(context, requestFilters(filters), this.#caller.pageSize, onPage)))
      return listed
    })
  }

  /**
   * All interfaces of a few instances.
   *
   * @param instanceIDs at most 200 share one request
   * @throws CloudAPIError
   */
  async describeInterfacesOfInstances(
    instanceIDs: readonly string[],
    context: CallContext,
    onPage: OnPage = (page) => page,
  ): Promise<readonly ListedInterface[]> {
    const listed: ListedInterface[] = []
    const pageSize = instanceIDs.length > 1 ? this.#caller.pageSize : 0
    for (const filters of splitFilters([{ name: 'attachment.instance-id', values: instanceIDs }]))
      listed.push(...(await this.#interfaces(context, requestFilters(filters), pageSize, onPage)))
    return listed
  }

  /**
   * Interfaces that hang on nothing and carry all these tags.
   *
   * @param scope.subnetFilters as configured; only explicit subnet IDs restrict this listing
   * @param scope.interfaceIDs only these; absent = any
   * @param limit stop after so many (count)
   * @returns interface IDs
   * @throws CloudAPIError
   * @source cilium pkg/aws/ec2/ec2.go, GetDetachedNetworkInterfaces
   */
  async describeDetachedInterfaces(
    scope: {
      readonly tags: Tags
      readonly subnetFilters: readonly EC2Filter[]
      readonly interfaceIDs?: readonly string[]
    },
    limit: number,
    context: CallContext,
  ): Promise<readonly string[]> {
    const filters = [
      ...tagFilters(scope.tags),
      ...scope.subnetFilters.filter(({ name }) => name === 'subnet-id'),
      { name: 'status', values: ['available'] },
      ...(scope.interfaceIDs === undefined ? [] : [{ name: 'network-interface-id', values: scope.interfaceIDs }]),
    ]
    const ids: string[] = []
    for (const part of splitFilters(filters)) {
      if (ids.length >= limit) break
      const wire = requestFilters(part)
      const found = await this.#caller.listSwitching(context, {
        action: 'DescribeNetworkInterfaces',
        isFiltered: true,
        limit: limit - ids.length,
        send: (page, options) => this.#client.send(new DescribeNetworkInterfacesCommand({ ...page, ...wire }), options),
        pick: (output) => output.NetworkInterfaces,
      })
      ids.push(...found.flatMap(({ NetworkInterfaceId }) => NetworkInterfaceId ?? []))
    }
    return ids
  }

  /**
   * Limits of every instance type of the region, by type.
   *
   * @param countsOnlyFirstNetworkCard count the interfaces of card 0 only
   * @throws CloudAPIError
   */
  async describeInstanceTypes(
    countsOnlyFirstNetworkCard: boolean,
    context: CallContext,
  ): Promise<ReadonlyMap<string, Limits>> {
    const types = await this.#caller.list(context, {
      action: 'DescribeInstanceTypes',
      isFiltered: false,
      pageSize: Math.min(this.#caller.pageSize, LARGEST_SMALL_PAGE),
      send: (page, options) => this.#client.send(new DescribeInstanceTypesCommand(page), options),
      pick: (output) => output.InstanceTypes,
    })
    return new Map(types.map((type) => [type.InstanceType ?? '', limitsOf(type, countsOnlyFirstNetworkCard)]))
  }

  /**
   * The value of one tag of an instance; empty when the instance does not carry it.
   *
   * @throws CloudAPIError
   * @source cilium pkg/aws/ipam/eni_gc.go, the look-up of the cluster's name
   */
  async describeInstanceTag(instanceID: string, key: string, context: CallContext): Promise<string> {
    const wire = requestFilters([
      { name: 'resource-type', values: ['instance'] },
      { name: 'resource-id', values: [instanceID] },
      { name: 'key', values: [key] },
    ])
    const tags = await this.#caller.list(context, {
      action: 'DescribeTags',
      isFiltered: true,
      pageSize: 0,
      send: (page, options) => this.#client.send(new DescribeTagsCommand({ ...page, ...wire }), options),
      pick: (output) => output.Tags,
    })
    return tags.find((tag) => tag.Key === key)?.Value ?? ''
  }

  /** Once for each interface: it is in every listing. */
  #warnOfMalformed(interfaceID: string, fault: string): void {
    if (this.#malformed.has(interfaceID) || this.#malformed.size >= MAX_MALFORMED) return
    this.#malformed.add(interfaceID)
    this.#log.warn({ interfaceID, faults: [fault] }, 'Skipped an interface that cannot be read')
  }

  /** IDs of all interfaces of the instances that match, each once. */
  async #interfaceIDsOfInstances(filters: readonly EC2Filter[], context: CallContext): Promise<readonly string[]> {
    const wire = requestFilters(filters)
    const reservations = await this.#caller.list(context, {
      action: 'DescribeInstances',
      isFiltered: true,
      pageSize: 0,
      send: (page, options) => this.#client.send(new DescribeInstancesCommand({ ...page, ...wire }), options),
      pick: (output) => output.Reservations,
    })
    const ids = reservations
      .flatMap(({ Instances }) => Instances ?? [])
      .flatMap(({ NetworkInterfaces }) => NetworkInterfaces ?? [])
      .flatMap(({ NetworkInterfaceId }) => NetworkInterfaceId ?? [])
    return [...new Set(ids)]
  }

  /** One listing of interfaces, parsed page by page; an interface that cannot be read is skipped with a warning. */
  async #interfaces(
    context: CallContext,
    wire: { readonly Filters?: Filter[]; readonly NetworkInterfaceIds?: string[] },
    pageSize: number,
    onPage: OnPage,
  ): Promise<readonly ListedInterface[]> {
    return this.#caller.list(context, {
      action: 'DescribeNetworkInterfaces',
      isFiltered: true,
      pageSize,
      send: (page, options) => this.#client.send(new DescribeNetworkInterfacesCommand({ ...page, ...wire }), options),
      pick: (output) =>
        output.NetworkInterfaces &&
        onPage(
          output.NetworkInterfaces.flatMap((iface) => {
            const parsed = parseInterface(iface)
            if (parsed.kind === 'parsed') return parsed.listed
            this.#warnOfMalformed(parsed.interfaceID, parsed.fault)
            return []
          }),
        ),
    })
  }
}

function vpcFilter(vpcID: string): readonly EC2Filter[] {
  return vpcID === '' ? [] : [{ name: 'vpc-id', values: [vpcID] }]
}

function limitsOf(type: InstanceTypeInfo, countsOnlyFirstNetworkCard: boolean): Limits {
  const network = type.NetworkInfo
  const firstCard = network?.NetworkCards?.find(({ NetworkCardIndex }) => NetworkCardIndex === 0)
  const perCard = countsOnlyFirstNetworkCard ? firstCard?.MaximumNetworkInterfaces : undefined
  return {
    adapters: perCard ?? network?.MaximumNetworkInterfaces ?? 0,
    ipv4: network?.Ipv4AddressesPerInterface ?? 0,
    ipv6: network?.Ipv6AddressesPerInterface ?? 0,
    hypervisorType: type.Hypervisor ?? '',
    isBareMetal: type.BareMetal ?? false,
  }
}
