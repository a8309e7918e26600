import type { Cloud } from '../cloud.ts'
import { attachmentStatus } from '../cloud/attachments.ts'
import { interfaceStatus, isListed } from '../cloud/interfaces.ts'
import { formatIPv4, parseIPv4 } from '../../kit/ipv4.ts'
import type { NetworkInterface } from '../cloud/types.ts'
import { fault } from '../errors.ts'
import type { CompiledFilters, FilterTable } from '../filters.ts'
import { listPage, sourceOf } from '../listing.ts'
import type { Source } from '../listing.ts'
import { operation } from '../operation.ts'
import { presentInterface } from '../present.ts'
import { filterField, id, integer, list, required, text } from '../wire/parameters.ts'

const FILTERS: FilterTable<NetworkInterface> = {
  'addresses.association.public-ip': publicIPs,
  'addresses.primary': (iface) => iface.addresses.ipv4.map((_, index) => String(index === 0)),
  'addresses.private-ip-address': seenPrivateAddresses,
  'association.allocation-id': (iface) => iface.elasticIPs.map(({ id }) => id),
  'association.association-id': (iface) => iface.elasticIPs.flatMap(({ association }) => association?.id ?? []),
  'association.public-ip': publicIPs,
  'attachment.attach-time': (iface) => iface.attachment?.attachTime.toISOString(),
  'attachment.attachment-id': (iface) => iface.attachment?.id,
  'attachment.delete-on-termination': (iface) => iface.attachment && String(iface.attachment.deleteOnTermination),
  'attachment.device-index': (iface) => iface.attachment && String(iface.attachment.deviceIndex),
  'attachment.instance-id': (iface) => iface.attachment?.instance.id,
  'attachment.status': (iface, nowMs) => iface.attachment && attachmentStatus(iface.attachment, nowMs),
  'availability-zone': (iface) => iface.subnet.availabilityZone,
  description: (iface) => iface.description,
  'group-id': (iface) => iface.groups.map((group) => group.id),
  'interface-type': (iface) => iface.interfaceType,
  'ipv6-addresses.ipv6-address': (iface) => iface.addresses.ipv6,
  'mac-address': (iface) => iface.macAddress,
  'network-interface-id': (iface) => iface.id,
  // No DNS names, and no service that would have made an interface for the account.
  'private-dns-name': () => undefined,
  'private-ip-address': seenPrivateAddresses,
  'requester-id': () => undefined,
  'requester-managed': () => 'false',
  'source-dest-check': (iface) => String(iface.sourceDestCheck),
  status: interfaceStatus,
  'subnet-id': (iface) => iface.subnet.id,
  'vpc-id': (iface) => iface.subnet.vpc.id,
}

function publicIPs(iface: NetworkInterface): readonly string[] {
  return iface.elasticIPs.map(({ publicIP }) => publicIP)
}

/** One by one, so that a filter which takes any address formats only the first. */
function* seenPrivateAddresses(iface: NetworkInterface, nowMs: number): IterableIterator<string> {
  for (const address of iface.seenAddresses.seen(iface.addresses, nowMs).ipv4) yield formatIPv4(address)
}

export const describeNetworkInterfaces = operation({
  action: 'DescribeNetworkInterfaces',
  changes: false,
  parameters: {
    NetworkInterfaceId: list(required(id('interface'))),
    Filter: filterField,
    MaxResults: integer({ min: 0 }),
    NextToken: text(),
  },
  execute(cloud, parameters) {
    const nowMs = cloud.now()
    const { items, nextToken } = listPage(
      parameters,
      {
        action: 'DescribeNetworkInterfaces',
        filters: FILTERS,
        pageSize: { min: 5, max: 1000 },
        ids: {
          parameter: 'networkInterfaceIds',
          values: parameters.NetworkInterfaceId,
          find: (interfaceID) => findListed(cloud, interfaceID, nowMs),
        },
        candidates: (filters) => settled(cloud, candidates(cloud, filters, nowMs), nowMs),
        check: (filters, isPaged) => refuseLargeListing(cloud, filters, isPaged),
        shortPages: cloud.settings.shortPages,
      },
      nowMs,
    )
    return { networkInterfaceSet: items.map((iface) => presentInterface(cloud, iface)), nextToken }
  },
})

function findListed(cloud: Cloud, interfaceID: string, nowMs: number): NetworkInterface {
  const iface = cloud.interfaces.get(interfaceID)
  if (iface === undefined || !isListed(iface, nowMs)) throw fault('InvalidNetworkInterfaceID.NotFound', interfaceID)
  cloud.settle(iface)
  return iface
}

/** Leaves out what is not visible yet, and does detachments that are due. */
function settled(cloud: Cloud, source: Source<NetworkInterface>, nowMs: number): Source<NetworkInterface> {
  return {
    *after(ordinal) {
      for (const iface of source.after(ordinal)) {
        if (!isListed(iface, nowMs)) continue
        cloud.settle(iface)
        yield iface
      }
    },
  }
}

/** The narrowest index for the filters; what it yields is still matched against all of them. */
function candidates(cloud: Cloud, filters: CompiledFilters<NetworkInterface>, nowMs: number): Source<NetworkInterface> {
  const { interfaces } = cloud
  const ids = filters.exact('network-interface-id')
  if (ids !== undefined) return sourceOf(unique(ids).flatMap((one) => interfaces.get(one) ?? []))
  const instanceIDs = filters.exact('attachment.instance-id')
  if (instanceIDs !== undefined) {
    const [only = ''] = instanceIDs
    if (instanceIDs.length === 1) return sourceOf(cloud.instances.get(only)?.interfaces ?? [])
    return sourceOf(unique(instanceIDs).flatMap((one) => cloud.instances.get(one)?.interfaces ?? []))
  }
  const addresses = filters.exact('private-ip-address')
  if (addresses !== undefined && cloud.settings.consistency.addressesMs === 0) {
    return sourceOf(holdersOf(cloud, addresses))
  }
  if (filters.exact('status')?.every((status) => status === 'available') === true) return interfaces.loose(nowMs)
  const [subnetID, ...otherSubnets] = filters.exact('subnet-id') ?? []
  if (subnetID !== undefined && otherSubnets.length === 0) {
    const subnet = cloud.subnets.get(subnetID)
    return subnet === undefined ? sourceOf([]) : interfaces.inSubnet(subnet, nowMs)
  }
  const [vpcID, ...otherVPCs] = filters.exact('vpc-id') ?? []
  if (vpcID !== undefined && otherVPCs.length === 0) {
    const vpc = cloud.vpcs.get(vpcID)
    return vpc === undefined ? sourceOf([]) : interfaces.inVPC(vpc, nowMs)
  }
  return interfaces.all(nowMs)
}

function holdersOf(cloud: Cloud, addresses: readonly string[]): readonly NetworkInterface[] {
  const found = new Set<NetworkInterface>()
  for (const one of addresses) {
    const address = parseIPv4(one)
    if (address === undefined) continue
    for (const subnet of cloud.subnets) {
      const holder = subnet.holders.get(address)
      if (holder !== undefined) found.add(holder)
    }
  }
  return [...found]
}

function unique(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)]
}

/** Filters that keep an unpaged listing small enough. @source Amazon EC2 API Reference, DescribeNetworkInterfaces */
const NARROWING_FILTERS = [
  'attachment.instance-id',
  'group-id',
  'mac-address',
  'private-dns-name',
  'private-ip-address',
  'subnet-id',
  'vpc-id',
]

function refuseLargeListing(cloud: Cloud, filters: CompiledFilters<NetworkInterface>, isPaged: boolean): void {
  const limit = cloud.settings.unpagedInterfaceLimit
  if (limit === undefined || isPaged || cloud.interfaces.count <= limit) return
  if (NARROWING_FILTERS.some((name) => filters.narrows(name))) return
  throw fault(
    'OperationNotPermitted',
    'The request must be paginated or filtered: the account has too many network interfaces.',
  )
}
