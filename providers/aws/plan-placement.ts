import { PREFIX_SIZE } from '../../src/ipam/ip-range.ts'
import { tagsMatch } from '../../src/ipam/subnets.ts'
import type { Limits, RouteTable, SecurityGroup, Subnet, Tags } from '../../src/ipam/types.ts'
import { primaryInterface } from './plan.ts'
import type { ENI, ENISpec } from './types.ts'

/** What a node's interfaces hang on: replaced as a whole by a read of the cloud. */
export interface Infrastructure {
  readonly subnets: ReadonlyMap<string, Subnet>
  readonly routeTables: readonly RouteTable[]
  readonly securityGroups: readonly SecurityGroup[]
}

interface Place {
  readonly vpcID: string
  readonly availabilityZone: string
}

/** The subnet with the most free addresses; of equals the one with the smallest ID. */
function largest(subnets: Iterable<Subnet>): Subnet | undefined {
  let best: Subnet | undefined
  for (const subnet of subnets) {
    if (
      best === undefined ||
      subnet.availableAddresses > best.availableAddresses ||
      (subnet.availableAddresses === best.availableAddresses && subnet.id < best.id)
    )
      best = subnet
  }
  return best
}

function subnetsAt(subnets: Infrastructure['subnets'], { vpcID, availabilityZone }: Place): readonly Subnet[] {
  return [...subnets.values()].filter(
    (subnet) => subnet.virtualNetworkID === vpcID && subnet.availabilityZone === availabilityZone,
  )
}

/** The largest of the listed subnets in this VPC and zone. @source cilium pkg/aws/ipam/instances.go, FindSubnetByIDs */
export function findSubnetByIDs(
  subnets: Infrastructure['subnets'],
  place: Place,
  ids: readonly string[],
): Subnet | undefined {
  return largest(subnetsAt(subnets, place).filter((subnet) => ids.includes(subnet.id)))
}

/** The largest subnet of this VPC and zone with all tags. @source cilium pkg/aws/ipam/instances.go, FindSubnetByTags */
export function findSubnetByTags(subnets: Infrastructure['subnets'], place: Place, tags: Tags): Subnet | undefined {
  return largest(subnetsAt(subnets, place).filter((subnet) => tagsMatch(tags, subnet.tags)))
}

/**
 * The largest other subnet of the zone that shares an explicit route table of the VPC with the node's subnet.
 *
 * @source cilium pkg/aws/ipam/instances.go, FindSubnetInSameRouteTableWithNodeSubnet
 */
export function findSubnetInSameRouteTable(
  { subnets, routeTables }: Pick<Infrastructure, 'subnets' | 'routeTables'>,
  place: Place,
  nodeSubnetID: string,
): Subnet | undefined {
  const siblings = routeTables
    .filter((table) => table.virtualNetworkID === place.vpcID && table.subnetIDs.has(nodeSubnetID))
    .flatMap((table) => [...table.subnetIDs])
    .filter((id) => id !== nodeSubnetID)
    .map((id) => subnets.get(id))
    .filter((subnet) => subnet !== undefined)
  return largest(siblings.filter((subnet) => subnet.availabilityZone === place.availabilityZone))
}

/** @source cilium pkg/aws/ipam/instances.go, CheckSubnetInSameRouteTableWithNodeSubnet */
export function isInSameRouteTable(
  routeTables: readonly RouteTable[],
  vpcID: string,
  nodeSubnetID: string,
  subnetID: string,
): boolean {
  return routeTables.some(
    (table) => table.virtualNetworkID === vpcID && table.subnetIDs.has(nodeSubnetID) && table.subnetIDs.has(subnetID),
  )
}

export interface SubnetChoice {
  readonly subnet: Subnet
  /** False when the choice may route differently from the node's own subnet: worth a warning. */
  readonly isRoutedLikeNode: boolean
}

/**
 * The subnet of a new interface: by configured IDs, by configured tags, the node's own, a sibling on the same route table, the
 * largest of VPC and zone. Configured IDs or tags that match nothing fall through.
 *
 * The node's own subnet is compared with the slots of one interface, in prefix mode too, as in the reference.
 *
 * @source cilium pkg/aws/ipam/node.go, findSuitableSubnet
 */
export function chooseSubnet(
  infrastructure: Pick<Infrastructure, 'subnets' | 'routeTables'>,
  spec: ENISpec,
  limits: Pick<Limits, 'ipv4'>,
): SubnetChoice | undefined {
  const { subnets, routeTables } = infrastructure
  const free = (subnet: Subnet | undefined): SubnetChoice | undefined =>
    subnet && {
      subnet,
      isRoutedLikeNode:
        spec.nodeSubnetID === '' ||
        subnet.id === spec.nodeSubnetID ||
        isInSameRouteTable(routeTables, spec.vpcID, spec.nodeSubnetID, subnet.id),
    }
  if (spec.subnetIDs.length > 0) {
    const byID = free(findSubnetByIDs(subnets, spec, spec.subnetIDs))
    if (byID !== undefined) return byID
  }
  if (Object.keys(spec.subnetTags).length > 0) {
    const byTags = free(findSubnetByTags(subnets, spec, spec.subnetTags))
    if (byTags !== undefined) return byTags
  }
  const own = subnets.get(spec.nodeSubnetID)
  if (own !== undefined && own.availableAddresses >= limits.ipv4) return { subnet: own, isRoutedLikeNode: true }
  const sibling = findSubnetInSameRouteTable(infrastructure, spec, spec.nodeSubnetID)
  if (sibling !== undefined) return { subnet: sibling, isRoutedLikeNode: true }
  return free(findSubnetByTags(subnets, spec, {}))
}

/** Siblings that are asked for a /28 block after the chosen subnet had none (count). A choice: each costs a call. */
const MAX_SIBLINGS = 3

/**
 * Subnets that could stand in for the chosen one when it has no free /28 block: those that the same step of the choice offered, with
 * room for a block and a primary address, the largest first.
 *
 * @source proposed for cilium in cilium/cilium#46746
 */
export function siblingSubnets(
  infrastructure: Pick<Infrastructure, 'subnets' | 'routeTables'>,
  spec: ENISpec,
  chosenID: string,
): readonly Subnet[] {
  const { subnets, routeTables } = infrastructure
  const local = subnetsAt(subnets, spec)
  const byID = local.filter(({ id }) => spec.subnetIDs.includes(id))
  const isTagged = Object.keys(spec.subnetTags).length > 0
  const byTags = isTagged ? local.filter(({ tags }) => tagsMatch(spec.subnetTags, tags)) : []
  const routed = local.filter(({ id }) => isInSameRouteTable(routeTables, spec.vpcID, spec.nodeSubnetID, id))
  const offered = [byID, byTags, routed, local].find((step) => step.some(({ id }) => id === chosenID)) ?? []
  return offered
    .filter(({ id, availableAddresses }) => id !== chosenID && availableAddresses > PREFIX_SIZE)
    .toSorted((a, b) => b.availableAddresses - a.availableAddresses || (a.id < b.id ? -1 : 1))
    .slice(0, MAX_SIBLINGS)
}

/** All groups of the VPC with these tags, IDs sorted. @source cilium pkg/aws/ipam/instances.go, FindSecurityGroupByTags */
export function findSecurityGroups(groups: readonly SecurityGroup[], vpcID: string, tags: Tags): readonly string[] {
  return groups
    .filter((group) => group.virtualNetworkID === vpcID && tagsMatch(tags, group.tags))
    .map((group) => group.id)
    .sort()
}

export type SecurityGroupChoice =
  | { readonly kind: 'found'; readonly groupIDs: readonly string[]; readonly hasTagsWithoutMatch: boolean }
  /** Neither configured, nor selected by tag, nor is the interface known from which they would be inherited. */
  | { readonly kind: 'unknown' }

/**
 * The groups of a new interface: as configured, by tag, or those of the instance's own interface.
 *
 * @param interfaces all interfaces of the instance
 * @source cilium pkg/aws/ipam/node.go, getSecurityGroupIDs
 */
export function chooseSecurityGroups(
  groups: readonly SecurityGroup[],
  spec: ENISpec,
  interfaces: readonly ENI[],
): SecurityGroupChoice {
  if (spec.securityGroups.length > 0)
    return { kind: 'found', groupIDs: spec.securityGroups, hasTagsWithoutMatch: false }
  const isTagged = Object.keys(spec.securityGroupTags).length > 0
  const tagged = isTagged ? findSecurityGroups(groups, spec.vpcID, spec.securityGroupTags) : []
  if (tagged.length > 0) return { kind: 'found', groupIDs: tagged, hasTagsWithoutMatch: false }
  const inherited = primaryInterface(interfaces)?.securityGroups
  if (inherited === undefined || inherited.length === 0) return { kind: 'unknown' }
  return { kind: 'found', groupIDs: inherited.toSorted(), hasTagsWithoutMatch: isTagged }
}
